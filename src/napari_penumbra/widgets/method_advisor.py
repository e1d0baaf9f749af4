"""Asks, off the window's thread, which methods there are and which of them is recommended."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from qtpy.QtCore import QObject, QTimer, Signal

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.session import Recommendation, Session
from napari_penumbra.widgets.worker_thread import Task

AFTER_MS = 1_000
"""Cases change one after the other: what that makes of the recommendation is asked once, when they pause."""


class MethodAdvisor(QObject):
    """Fetches the methods once, and the recommendation whenever it may have changed.

    Signals
    -------
    asking
        The methods have been asked for.
    listed : (methods, recommendation or None)
        They are known.
    failed
        They are not, see `error`.
    advised : (recommendation)
        Another recommendation.
    """

    asking = Signal()
    listed = Signal(object, object)
    failed = Signal()
    advised = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.error: PenumbraError | None = None
        self._fetching: Task | None = None
        self._advising: Task | None = None
        self._soon = QTimer(self, singleShot=True, interval=AFTER_MS)
        self._soon.timeout.connect(self.advise)
        self._known = False

    def stop(self) -> None:
        """Forget the answer that is still to come."""
        self._soon.stop()
        if self._advising is not None:
            self._advising.cancel()
            self._advising = None

    @property
    def busy(self) -> bool:
        """Whether a recommendation is being looked for."""
        return self._advising is not None

    def fetch(self) -> None:
        """Ask for the methods: the first answer takes seconds."""
        if self._fetching is not None:
            return
        self.error = None
        task = Task(self._ask, "asking which methods there are")
        task.done.connect(self._on_methods)
        task.failed.connect(self._on_none)
        self._fetching = task.start()
        self.asking.emit()

    def _ask(self) -> tuple[Sequence[MethodInfo], Recommendation | None]:
        """Ask in the other thread; without a recommendation the reader chooses alone."""
        infos = self.session.methods()
        with contextlib.suppress(PenumbraError):  # no study is open, or a label file is damaged: opening it will tell
            return infos, self.session.recommend()
        return infos, None

    def _on_methods(self, told: tuple[Sequence[MethodInfo], Recommendation | None]) -> None:
        self._fetching = None
        self._known = True
        self.listed.emit(*told)

    def _on_none(self, error: PenumbraError) -> None:
        self._fetching = None
        self.error = error
        self.failed.emit()

    def advise_soon(self) -> None:
        """Recommend anew once changes pause."""
        self._soon.start()

    def advise(self) -> None:
        """Recommend anew: the pools or the study have changed. Nothing is asked before the methods are known."""
        if self.session.study is None or not self._known:
            return
        if self._advising is not None:
            self._advising.cancel()
        task = Task(self.session.recommend, "choosing a method")
        task.done.connect(self._on_advice)
        task.failed.connect(self._on_no_advice)
        self._advising = task.start()

    def _on_advice(self, advice: Recommendation) -> None:
        self._advising = None
        self.advised.emit(advice)

    def _on_no_advice(self, _error: PenumbraError) -> None:
        self._advising = None  # what was recommended before stays; the fault is told where the case is opened
