"""Reads the case that comes next while the reader is busy with the one on the screen."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.worker_thread import Task

AFTER_MS = 3_000
"""Reading waits until the opened case has been drawn and its regions have been looked for."""


class ReadAheadKeeper(QObject):
    """Has the next case's files read in another thread, some seconds after a case was opened or the next one changed.

    Parameters
    ----------
    cases
        Whose `opened` starts it.
    next_name
        Names the case that comes next, as far as can be told; None for none.
    """

    def __init__(
        self, cases: CaseController, next_name: Callable[[], str | None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._cases = cases
        self._next_name = next_name
        self._task: Task | None = None
        self._soon = QTimer(self, singleShot=True, interval=AFTER_MS)
        self._soon.timeout.connect(self.read)
        cases.opened.connect(self._later)
        cases.session.case_changed.connect(self._later, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening; called once when the dock goes."""
        self._soon.stop()
        self._cases.opened.disconnect(self._later)
        self._cases.session.case_changed.disconnect(self._later)

    @property
    def busy(self) -> bool:
        """Whether something is being read, or will be soon."""
        return self._task is not None or self._soon.isActive()

    def _later(self, _what: object = None) -> None:
        if self._cases.name is not None:
            self._soon.start()

    def read(self) -> None:
        """Read the next case now, unless one is being read."""
        session = self._cases.session
        if self._task is not None:
            self._soon.start()
            return
        if session.study is None or self._cases.name is None or session.blind is not None:
            return
        name = self._next_name()
        if name is None or name == self._cases.name:
            return
        # What cannot be read is told when the case is opened: nobody has asked for it yet.
        self._task = Task(lambda: session.read_ahead(name), f"reading {name}")
        self._task.over.connect(self._on_over)
        self._task.start()

    def _on_over(self) -> None:
        self._task = None
