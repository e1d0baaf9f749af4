"""Several helpers that stage cases side by side, each in a process of its own with one thread.

Threads would not do: unpacking and packing let go of Python's lock, what lies between does not. Nor would
`multiprocessing`: it imports the program that started it again in every process, which for napari takes seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study.staging import Order, Staged, stage
from napari_penumbra.study.wire import can_travel, dump_order, load_result

Result = Staged | PenumbraError
T = TypeVar("T")
_LIBRARIES = ("OMP", "OPENBLAS", "MKL")
_ONE_THREAD = {
    **{f"{name}_NUM_THREADS": "1" for name in _LIBRARIES},
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
}

_AHEAD = 4
"""Cases under way per helper: one that takes long must not leave the others idle."""


def cores() -> int:
    """Count the processor cores that this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Helper:
    """One process; started when it gets its first order, and again after it died."""

    def __init__(self, gentle: bool) -> None:
        self._words = ["gentle"] if gentle else []
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def stage(self, order: Order) -> Result:
        """Have a case staged; whatever happens to the process ends in words."""
        if not can_travel(order):
            return stage(order)
        try:
            process = self._started()
            if process is None or process.stdin is None or process.stdout is None:
                return _died(order)
            process.stdin.write(dump_order(order) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if line.endswith("\n"):
            return load_result(line)
        self._end()
        return _died(order)

    def close(self) -> None:
        """End the process at once; a case that it was at is left in its staging folder."""
        with self._lock:
            self._closed = True
        self._end()

    def _started(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._closed:
                return None
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "napari_penumbra.study.import_worker", *self._words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    encoding="utf-8",
                    env={**os.environ, **_ONE_THREAD},
                    start_new_session=True,  # Ctrl+C reaches the program that started it, which then ends it in order
                )
            return self._process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                _close(pipe)


def _close(pipe: object) -> None:
    try:
        pipe.close()  # type: ignore[attr-defined]
    except OSError:
        return  # what was not sent yet has nobody to read it


def stage_all(
    items: Iterator[T], make: Callable[[T], Order | PenumbraError], size: int, gentle: bool = False
) -> Iterator[tuple[T, Order | None, Result]]:
    """Stage cases side by side and hand them back in their order.

    Parameters
    ----------
    items
        What is to be added, taken one at a time.
    make
        Makes the order of an item, or says why there can be none; called in this thread.
    size
        How many helpers.
    gentle
        Let other programs go first: a window is being worked in.

    Yields
    ------
    tuple
        The item, its order (None when none could be made) and the staged case or why it is none. Closing the generator
        ends the helpers at once and removes what they had begun.
    """
    helpers: SimpleQueue[_Helper] = SimpleQueue()
    everyone = [_Helper(gentle) for _ in range(size)]
    for helper in everyone:
        helpers.put(helper)
    running: deque[tuple[T, Order | None, Future[Result]]] = deque()

    def work(order: Order) -> Result:
        helper = helpers.get()
        try:
            return helper.stage(order)
        finally:
            helpers.put(helper)

    pool = ThreadPoolExecutor(size, thread_name_prefix="penumbra-import")
    try:
        more = True
        while more or running:
            while more and len(running) < _AHEAD * size:
                try:
                    item = next(items)
                except StopIteration:
                    more = False
                    break
                order = make(item)
                if isinstance(order, PenumbraError):
                    refused: Future[Result] = Future()
                    refused.set_result(order)
                    running.append((item, None, refused))
                else:
                    running.append((item, order, pool.submit(work, order)))
            if running:
                item, made, future = running[0]
                result = future.result()
                running.popleft()
                yield item, made, result
    finally:
        for helper in everyone:
            helper.close()
        pool.shutdown(wait=True, cancel_futures=True)
        for _, made, _ in running:
            if made is not None:
                shutil.rmtree(made.folder, ignore_errors=True)


def _died(order: Order) -> PenumbraError:
    return PenumbraError(
        f"{order.new.name} was not added: the helper that read it has ended.",
        "The memory may have been too small for it; close other programs and add it again.",
    )
