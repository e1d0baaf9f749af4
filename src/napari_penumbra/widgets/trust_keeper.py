"""Keeps the record of what confidence was worth up to date, in the background."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer, Signal

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.evaluation.track_record import TrackRecord
from napari_penumbra.session import Session
from napari_penumbra.study.calibration import Calibration
from napari_penumbra.study.store import Study
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.worker_thread import Task

AFTER_MS = 1_500
"""Verdicts come one after the other: what they change is looked at once, when they pause."""


class TrustKeeper(QObject):
    """Reads the champion's record when a study opens, and refreshes it when cases or the champion change.

    Signals
    -------
    changed
        Another record.
    """

    changed = Signal()

    def __init__(self, session: Session, messages: MessageBar, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.messages = messages
        self.calibration: Calibration | None = None
        self._of: Study | None = None
        self._active: str | None = None
        self._task: Task | None = None
        self._again = False
        self._told = ""
        self._soon = QTimer(self, singleShot=True, interval=AFTER_MS)
        self._soon.timeout.connect(self.refresh)
        session.study_changed.connect(self._on_study, thread="main")
        session.case_changed.connect(self._later, thread="main")
        session.status_changed.connect(self._on_status, thread="main")
        self._on_study()

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self._soon.stop()
        self._drop()
        self.session.study_changed.disconnect(self._on_study)
        self.session.case_changed.disconnect(self._later)
        self.session.status_changed.disconnect(self._on_status)

    @property
    def record(self) -> TrackRecord:
        """What is known; empty when nothing is."""
        return TrackRecord() if self.calibration is None else self.calibration.record

    @property
    def busy(self) -> bool:
        """Whether it is about to look, or looking."""
        return self._task is not None or self._soon.isActive()

    def refresh(self) -> None:
        """Look for corrected cases that are not in the record yet, in another thread."""
        if self.session.study is None:
            return
        if self._task is not None:
            self._again = True
            return
        task = Task(self.session.refresh_calibration, "counting how often the confidence was right")
        task.done.connect(self._on_done)
        task.failed.connect(self._on_failed)
        self._task = task.start()

    def _later(self, _what: object = None) -> None:
        self._soon.start()

    def _on_study(self) -> None:
        study = self.session.study
        if study is not self._of:
            self._of = study
            self._drop()
            self.calibration = None
            with self.messages.guard("reading what the confidence was worth"):
                self.calibration = self.session.calibration()
            self.changed.emit()
        if study is not None:
            self._later()

    def _on_status(self, _words: str) -> None:
        """A run that ends may have made a champion."""
        if self.session.active != self._active:
            self._active = self.session.active
            self._later()

    def _on_done(self, found: Calibration | None) -> None:
        self._task = None
        same = found is not None and self.calibration is not None and found.keys == self.calibration.keys
        if not same or found is None or found.champion != getattr(self.calibration, "champion", None):
            self.calibration = found
            self.changed.emit()
        self._rerun()

    def _on_failed(self, error: PenumbraError) -> None:
        self._task = None
        if str(error) != self._told:  # once: it is tried again after every change
            self._told = str(error)
            self.messages.show_error(error)
        self._rerun()

    def _rerun(self) -> None:
        if self._again:
            self._again = False
            self._later()

    def _drop(self) -> None:
        """Forget the answer that is still to come: it is about another study."""
        self._again = False
        if self._task is not None:
            self._task.cancel()
            self._task = None
