"""Going on with less: what several processes do when memory runs out in one of them.

The others wait for its answer to this very step, so it cannot try the step again alone. It writes into the run's folder
what a step may ask for from now on. Then every process begins anew in its own place (same rank, same process id:
neither torchrun nor Slurm notices) and goes on from the last checkpoint with less. The price is the steps since then, a
minute of them at most; what filled the memory is gone for certain.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_penumbra.domain.errors import JobError, PenumbraError
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.training.ranks import ATTEMPT, attempt, lost_contact

if TYPE_CHECKING:
    from napari_penumbra.training.trainer import Trainer

FILE = "less.json"
_HEARING_SECONDS = 3.0
"""So long may a shared disk take to show what another process has written."""
_ONCE = threading.Lock()
"""The heartbeat's thread and the training itself may both find out: counted twice, this attempt would meet nobody."""


def settle(run: Path) -> None:
    """Make nothing of what an earlier launch of the run asked for; what memory taught it still holds."""
    data = _read(run)
    if data is not None and attempt() == 0:
        write_text(run / FILE, json.dumps({**data, "attempt": -1}))


def can_go_on(run: Path, trainer: Trainer | None, error: PenumbraError | Exception, details: PenumbraError) -> bool:
    """Whether all processes are to begin again: memory ran out here, or in one that has said so and gone.

    Parameters
    ----------
    details
        The error in words.

    Raises
    ------
    JobError
        Memory ran out, and nothing is left to make smaller.
    """
    from napari_penumbra.inference.machine import is_out_of_memory

    if sys.platform == "win32":  # has no way to begin anew in the same process
        return False
    if trainer is not None and is_out_of_memory(error):
        _ask(run, trainer)
        return True
    if not lost_contact(details):
        return False
    end = time.monotonic() + _HEARING_SECONDS
    while not is_asked(run):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _ask(run: Path, trainer: Trainer) -> None:
    less = trainer.limits.smaller(trainer.learner.method.streams(trainer.step))
    if less is None:
        raise JobError(
            "Even one smallest patch per process does not fit into memory.",
            "Close other programs, start fewer processes, or choose the laptop preset.",
        )
    write_text(run / FILE, json.dumps({"attempt": attempt(), **less.to_json()}))


def is_asked(run: Path) -> bool:
    """Whether a process of this attempt has asked all to begin again."""
    data = _read(run)
    return data is not None and data["attempt"] == attempt() and sys.platform != "win32"


def take(run: Path, trainer: Trainer) -> None:
    """Give a trainer what memory has turned out to allow, and tell the reader when that is news."""
    data = _read(run)
    if data is None:
        return
    trainer.limits = trainer.limits.restored(data)
    if attempt() and data["attempt"] == attempt() - 1:
        trainer.tell_of_less()


def begin_again(run: Path) -> None:
    """Become the next attempt, in the same process; does not return."""
    with _ONCE:
        os.environ[ATTEMPT] = str(attempt() + 1)
        sys.stdout.flush()
        sys.stderr.flush()
        # A connection that stayed open would let the others believe that this process still answers.
        for fd in _open_files():
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, False)
        words = ["-u", "-m", "napari_penumbra.training.worker", "train", str(run), "--resume"]
        os.execv(sys.executable, [sys.executable, *words])


def _open_files() -> list[int]:
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").is_dir() else Path("/dev/fd")
    return [int(name) for name in os.listdir(folder) if name.isdigit() and int(name) > 2]


def _read(run: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads((run / FILE).read_text(encoding="utf-8"))
        return {name: int(data[name]) for name in ("attempt", "batch_halvings", "patch_halvings")}
    return None
