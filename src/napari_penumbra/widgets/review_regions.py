"""The regions of the shown case: found in the background, walked through, put in order as decisions come."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import QObject, Signal

from napari_penumbra.domain.case import OpenCase, Verdict
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.regions import Box, Found, Hidden, Region
from napari_penumbra.session import Session
from napari_penumbra.study.benefit import reordered, with_benefits
from napari_penumbra.study.review import MOST
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.worker_thread import Task

MORE = 60
"""Regions that each press of "Show more" adds."""


class ReviewRegions(QObject):
    """The list that is reviewed, and where in it the reader is.

    What has been looked at keeps its row; what has not is sorted anew as decisions come.

    Signals
    -------
    regions_changed
        Another list of regions, or another order.
    region_changed : (int)
        A region has another verdict.
    current_changed
        Another region is looked at, or none.
    """

    regions_changed = Signal()
    region_changed = Signal(int)
    current_changed = Signal()

    def __init__(self, session: Session, canvas: Canvas, cases: CaseController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.canvas = canvas
        self.cases = cases
        self.messages = cases.messages
        self.regions: list[Region] = []
        self.hidden = Hidden()
        self.current: int | None = None
        self.threshold = 0.5
        self.loading = False
        self._most, self._small = MOST, False
        self._seen: set[Box] = set()
        self._case: OpenCase | None = None
        self._task: Task | None = None
        self._outdated: bool | None = None
        session.case_changed.connect(self._ask_again, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self.session.case_changed.disconnect(self._ask_again)
        self._drop_task()

    # ---------------------------------------------------------------- what there is

    @property
    def case(self) -> OpenCase | None:
        """The shown case, if it has a prediction."""
        return self._case

    @property
    def undecided(self) -> list[int]:
        """Regions without a verdict, in their order."""
        return [n for n, region in enumerate(self.regions) if region.verdict is None]

    def rest(self, sure: float = 0.0) -> list[int]:
        """Regions without a verdict whose mean confidence is at least ``sure``."""
        return [n for n in self.undecided if self.regions[n].confidence >= sure - 1e-9]

    def outdated(self) -> bool:
        """Whether the shown case has a newer prediction than the one that is shown.

        Asked of the study once after each change: buttons ask many times per key. A verdict asks the study again.
        """
        if self._outdated is None:
            self._outdated = self._is_outdated()
        return self._outdated

    def _ask_again(self, _name: str = "") -> None:
        self._outdated = None

    def _is_outdated(self) -> bool:
        study, case = self.session.study, self.cases.shown
        if study is None or case is None or case.name != self.canvas.case or self.session.is_blind(case.name):
            return False
        newest = study.prediction(case.name)
        return newest is not None and (case.prediction is None or case.prediction.id != newest.id)

    def why_not(self) -> str:
        """Say why nothing can be decided now; empty when it can."""
        reason = self.cases.why_not_edit()
        if not reason and self._case is None:
            reason = "The shown case has no prediction."
        if not reason and self.outdated():
            reason = "A newer prediction has come: load it first."
        return reason

    # ---------------------------------------------------------------- find

    def set_threshold(self, threshold: float) -> None:
        """Look for regions less sure than this (0 to 1)."""
        if threshold != self.threshold:
            self.threshold = threshold
            self.fetch()

    def show_more(self) -> None:
        """List more regions, small ones, too."""
        self._most, self._small = self._most + MORE, True
        self.fetch()

    def fetch(self) -> None:
        """Find the regions in another thread: large cases take seconds."""
        self._drop_task()
        if self._case is None:
            return
        name, threshold, most, small = self._case.name, self.threshold, self._most, self._small
        task = Task(lambda: self.session.found(name, threshold, most, small), "looking for weak regions")
        task.done.connect(self._on_found)
        task.failed.connect(self._on_failed)
        self.loading = True
        self._task = task.start()
        self.regions_changed.emit()

    def _on_found(self, found: Found) -> None:
        self._task = None
        self.loading = False
        looked_at = None if self.current is None else self.regions[self.current].box
        self.regions, self.hidden = list(found.regions), found.hidden
        self.current = None if looked_at is None else self._place(looked_at)
        if self.current is None and self.regions:
            self.canvas.make_ready(self.regions[0])
        self.regions_changed.emit()
        self.current_changed.emit()

    def _on_failed(self, error: PenumbraError) -> None:
        self._task = None
        self.loading = False
        self.messages.show_error(error)
        self.regions_changed.emit()

    def _drop_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.loading = False

    def _clear_regions(self) -> None:
        """Another case, or none."""
        self._outdated = None
        self._drop_task()
        self._case = self.current = None
        self.regions, self.hidden, self._seen = [], Hidden(), set()
        self._most, self._small = MOST, False
        self.regions_changed.emit()
        self.current_changed.emit()

    # ---------------------------------------------------------------- walk

    def go(self, n: int) -> None:
        """Look at a region."""
        if 0 <= n < len(self.regions):
            self.current = n
            self._seen.add(self.regions[n].box)
            self.canvas.go_to(self.regions[n])
            self.current_changed.emit()

    def go_next(self, step: int = 1) -> None:
        """Look at the next (or previous) region that has no verdict; at any region when all have one."""
        candidates = self.undecided or list(range(len(self.regions)))
        if not candidates:
            return
        at = self.current if self.current is not None else (-1 if step > 0 else len(self.regions))
        ahead = [n for n in candidates if (n > at if step > 0 else n < at)]
        if ahead:
            self.go(ahead[0] if step > 0 else ahead[-1])
        else:
            self.go(candidates[0] if step > 0 else candidates[-1])

    # ---------------------------------------------------------------- order

    def _place(self, box: Box) -> int | None:
        """Return where a region is in the list; None when the threshold has made others of it."""
        return next((n for n, region in enumerate(self.regions) if region.box == box), None)

    def _set_verdict(self, box: Box, verdict: Verdict | None) -> None:
        at = self._place(box)
        if at is not None:
            self.regions[at] = replace(self.regions[at], verdict=verdict)
            self.region_changed.emit(at)

    def _reorder(self) -> None:
        """Give the regions that nobody has come to yet the benefits and rows that they have after the decisions."""
        case = self._case
        if case is None:
            return
        self.regions = with_benefits(self.regions, case.grid)
        settled = [n for n, r in enumerate(self.regions) if r.verdict is not None or r.box in self._seen]
        order = reordered(self.regions, settled, self.threshold)
        if order != list(range(len(order))):
            self.regions = [self.regions[n] for n in order]
            self.regions_changed.emit()
            self.current_changed.emit()
