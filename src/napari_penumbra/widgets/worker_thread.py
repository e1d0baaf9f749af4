"""Slow calls off the GUI thread: start a `Task`, get its answer by signal, drop it by `cancel`."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

from psygnal import emit_queued
from qtpy.QtCore import QObject, QRunnable, QThreadPool, Signal

from napari_penumbra.domain.errors import PenumbraError

_running: set[Task] = set()


class Task(QObject):
    """One call in another thread.

    Signals arrive in the thread that made the task. After `cancel` none of them comes any more but `over`.

    Signals
    -------
    step
        One item of a generator that the call returned.
    done
        The call's result (None for a generator that ran to its end).
    failed
        A `PenumbraError`; anything else that was raised is wrapped into one, its traceback behind Details.
    over
        The thread is free again, however it ended.
    """

    step = Signal(object)
    done = Signal(object)
    failed = Signal(object)
    over = Signal()
    _result = Signal(str, object)

    def __init__(self, call: Callable[[], Any], what: str) -> None:
        super().__init__()
        self._call = call
        self._what = what
        self.cancelled = False
        self._stopped = False
        self._result.connect(self._deliver)

    def start(self) -> Task:
        """Run the call; the task keeps itself alive until it is over."""
        _running.add(self)
        QThreadPool.globalInstance().start(_Runnable(self))
        return self

    def stop(self) -> None:
        """Stop a generator after its current item, which is still delivered."""
        self._stopped = True

    def cancel(self) -> None:
        """Forget the answer, and stop a generator after its current item."""
        self._stopped = self.cancelled = True

    def run(self) -> None:
        """Do the work; called in the other thread."""
        try:
            result = self._call()
            if isinstance(result, Iterator):
                for item in result:
                    self._result.emit("step", item)
                    if self._stopped:
                        break
                if hasattr(result, "close"):
                    result.close()  # here and now, not when some other thread collects the garbage
                result = None
            self._result.emit("done", result)
        except Exception as error:  # noqa: BLE001 - a thread's last resort: told in words, never swallowed
            self._result.emit("failed", unexpected(self._what, error))

    def _deliver(self, kind: str, value: object) -> None:
        emit_queued()  # psygnal signals of the session that were sent from the other thread
        if not self.cancelled:
            getattr(self, kind).emit(value)
        if kind != "step":
            _running.discard(self)
            self.over.emit()


class _Runnable(QRunnable):
    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    def run(self) -> None:
        self._task.run()


def unexpected(what: str, error: BaseException) -> PenumbraError:
    """Say a fault of the program in words; the traceback goes behind Details.

    An error in words that a signal's emission has wrapped is taken out again.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PenumbraError):
            return cause
        cause = cause.__cause__
    return PenumbraError(
        f"Something went wrong while {what}.",
        "Nothing saved was lost. Try again; if it stays, report it with the text under Details.",
        "".join(traceback.format_exception(error)),
    )


def finish(timeout_ms: int = 10_000) -> bool:
    """Drop the answers of all running tasks and wait for their threads; False when some did not end in time."""
    for task in tuple(_running):
        task.cancel()
    return bool(QThreadPool.globalInstance().waitForDone(timeout_ms))
