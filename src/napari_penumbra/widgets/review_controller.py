"""Review of one case: regions, verdicts, the voxels they change, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_penumbra.domain.case import OpenCase, Verdict
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box, Region
from napari_penumbra.session import Session
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.review_voxels import Patch, drawn_by_hand, overlap, values_of
from napari_penumbra.widgets.volumes import EditDice
from napari_penumbra.widgets.worker_thread import Task


@dataclass(frozen=True, slots=True)
class _Change:
    """Voxels that a verdict changed: what was there, and what it put there."""

    box: Box
    before: Patch
    after: Patch


@dataclass(slots=True)
class _Step:
    """What one press of Undo takes back."""

    before: list[Region] = field(default_factory=list)
    """Regions that were decided, each with the verdict it had before."""
    changes: list[_Change] = field(default_factory=list)


class ReviewController(QObject):
    """Decides about the regions of the shown case.

    Rules
    -----
    - Whatever the reader has drawn wins: "accept" takes the prediction only where nobody has drawn, and a region
      with such voxels is recorded as *fixed*.
    - Undo takes back the last decision and those of its voxels that have not been painted over since.

    Signals
    -------
    regions_changed
        Another list of regions.
    region_changed : (int)
        A region has another verdict.
    current_changed
        Another region is looked at, or none.
    decided
        A step was recorded or taken back: what can be done has changed.
    edited
        The Dice to the prediction may have changed.
    """

    regions_changed = Signal()
    region_changed = Signal(int)
    current_changed = Signal()
    decided = Signal()
    edited = Signal()

    def __init__(self, session: Session, canvas: Canvas, cases: CaseController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.canvas = canvas
        self.cases = cases
        self.messages = cases.messages
        self.regions: list[Region] = []
        self.current: int | None = None
        self.threshold = 0.5
        self.loading = False
        self.dice: EditDice | None = None
        self._case: OpenCase | None = None
        self._shadow: LabelArray | None = None
        self._hand: npt.NDArray[np.bool_] | None = None
        self._ids: dict[Box, int] = {}
        self._undo: list[_Step] = []
        self._writing = False
        self._task: Task | None = None
        cases.opened.connect(self._on_opened)
        cases.cleared.connect(self._on_cleared)
        canvas.stroke.connect(self._on_stroke)

    def disconnect_all(self) -> None:
        """Stop listening to the canvas."""
        self.canvas.stroke.disconnect(self._on_stroke)
        self._drop_task()

    # ---------------------------------------------------------------- regions

    @property
    def case(self) -> OpenCase | None:
        """The shown case, if it has a prediction."""
        return self._case

    @property
    def undecided(self) -> list[int]:
        """Regions without a verdict, in their order."""
        return [n for n, region in enumerate(self.regions) if region.verdict is None]

    def outdated(self) -> bool:
        """Whether the shown case has a newer prediction than the one that is shown."""
        study, case = self.session.study, self.cases.shown
        if study is None or case is None or case.name != self.canvas.case:
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

    def set_threshold(self, threshold: float) -> None:
        """Look for regions less sure than this (0 to 1)."""
        if threshold != self.threshold:
            self.threshold = threshold
            self.fetch()

    def fetch(self) -> None:
        """Find the regions in another thread: large cases take seconds."""
        self._drop_task()
        if self._case is None:
            return
        name, threshold = self._case.name, self.threshold
        task = Task(lambda: self.session.regions(name, threshold), "looking for weak regions")
        task.done.connect(self._on_regions)
        task.failed.connect(self._on_failed)
        self.loading = True
        self._task = task.start()
        self.regions_changed.emit()

    def _on_regions(self, regions: list[Region]) -> None:
        self._task = None
        self.loading = False
        looked_at = None if self.current is None else self.regions[self.current].box
        self.regions = list(regions)
        boxes = [region.box for region in self.regions]
        self.current = boxes.index(looked_at) if looked_at in boxes else None
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

    def _on_opened(self, case: OpenCase) -> None:
        self._on_cleared()
        if case.predicted is not None:
            self._case = case
            self._shadow = np.array(self.canvas.labels(), dtype=np.uint8)
            self._hand = drawn_by_hand(self._shadow, case.predicted, case.state)
            self.dice = EditDice(case.predicted, self._shadow)
            self.fetch()
        self.regions_changed.emit()

    def _on_cleared(self) -> None:
        self._drop_task()
        self._case = self._shadow = self._hand = self.dice = self.current = None
        self.regions, self._undo, self._ids = [], [], {}
        self.regions_changed.emit()
        self.current_changed.emit()

    # ---------------------------------------------------------------- walk

    def go(self, n: int) -> None:
        """Look at a region."""
        if 0 <= n < len(self.regions):
            self.current = n
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

    # ---------------------------------------------------------------- decide

    def decide(self, verdict: Verdict) -> bool:
        """Give the current region a verdict and go to the next undecided one."""
        if self.current is None or self.why_not():
            return False
        with self.messages.guard("recording the decision"):
            with self._step() as step:
                self._decide(self.current, verdict, step)
            if self.undecided:
                self.go_next()
            return True
        return False

    def accept_rest(self) -> int:
        """Accept every region without a verdict, as one step of undo; returns how many."""
        rest = self.undecided
        if not rest or self.why_not():
            return 0
        with self.messages.guard("accepting the rest"):
            with self._step() as step:
                for n in rest:
                    self._decide(n, Verdict.ACCEPT, step)
            return len(rest)
        return 0

    @contextmanager
    def _step(self) -> Iterator[_Step]:
        """Collect what one press of Undo takes back; kept even when only a part of it succeeded."""
        step = _Step()
        try:
            yield step
        finally:
            if step.before:
                self._undo.append(step)
                self.decided.emit()

    def _decide(self, n: int, verdict: Verdict, step: _Step) -> None:
        """Record first, then change voxels: without the record there would be nothing to undo."""
        case, region = self._case, self.regions[n]
        if case is None or case.predicted is None or self._hand is None:
            return
        hand = region.mask & self._hand[region.slices]
        accepted = verdict is Verdict.ACCEPT
        if accepted and hand.any():
            verdict = Verdict.FIXED
        self._record(region, verdict)
        step.before.append(region)
        self.regions[n] = replace(region, verdict=verdict)
        before = np.array(self.canvas.labels()[region.slices], dtype=np.uint8)
        after = values_of(before, region, Verdict.ACCEPT if accepted else verdict, case.predicted[region.slices])
        if accepted:
            after = np.where(hand, before, after).astype(np.uint8)
        if not np.array_equal(before, after):
            self._write(region.box, after)
            step.changes.append(_Change(region.box, before, after))
        self.region_changed.emit(n)

    def _record(self, region: Region, verdict: Verdict) -> None:
        """Write a verdict into the study and remember which row stands for the region."""
        name = "" if self._case is None else self._case.name
        self._ids[region.box] = self.session.decide(name, region, verdict).id

    def undo(self) -> bool:
        """Take the last step back; one from before the case was opened takes back one decision."""
        if self._case is None or self.cases.why_not_edit():
            return False
        with self.messages.guard("undoing the decision"):
            if self._undo:
                self._take_back(self._undo.pop())
                done = True
            else:
                done = self._undo_older()
            self.decided.emit()
            return done
        return False

    def _take_back(self, step: _Step) -> None:
        """Undo the rows of a step's regions, record again what stood before them, and put the voxels back."""
        case = self._case
        if case is None:
            return
        study = self.session.writable()
        for region in reversed(step.before):
            if region.verdict is not None:
                self._record(region, region.verdict)  # the study undoes what stood on the same box
            else:
                study.undo_decision(self._ids.pop(region.box))
            at = self._place(region.box)
            if at is not None:
                self.regions[at] = replace(self.regions[at], verdict=region.verdict)
                self.region_changed.emit(at)
        self.session.case_changed.emit(case.name)
        for change in reversed(step.changes):
            self._restore(change)
        if len(step.before) == 1:
            at = self._place(step.before[0].box)
            if at is not None:
                self.go(at)

    def _place(self, box: Box) -> int | None:
        """Return where a region is in the list; None when the threshold has made others of it."""
        return next((n for n, region in enumerate(self.regions) if region.box == box), None)

    def _undo_older(self) -> bool:
        """Undo a decision of an earlier opening: the voxels before it are not known, the prediction's are."""
        case = self._case
        if case is None or case.predicted is None:
            return False
        decision = self.session.undo_decision(case.name)
        if decision is None:
            return False
        region = next((r for r in self.regions if r.box == decision.box), None)
        if region is not None and decision.verdict in (Verdict.REJECT, Verdict.UNKNOWN):
            put = 0 if decision.verdict is Verdict.REJECT else 255
            before = np.array(self.canvas.labels()[region.slices], dtype=np.uint8)
            undone = region.mask & (before == put)
            self._write(region.box, np.where(undone, case.predicted[region.slices], before).astype(np.uint8))
        self.fetch()
        return True

    def _restore(self, change: _Change) -> None:
        """Put back what a verdict changed, but for voxels that have been painted over since."""
        (z0, y0, x0), (z1, y1, x1) = change.box
        now = np.array(self.canvas.labels()[z0:z1, y0:y1, x0:x1], dtype=np.uint8)
        untouched = (now == change.after) & (change.before != change.after)
        self._write(change.box, np.where(untouched, change.before, now).astype(np.uint8))

    def _write(self, box: Box, values: Patch) -> None:
        self._writing = True
        try:
            self.canvas.set_labels(box, values)
        finally:
            self._writing = False

    # ---------------------------------------------------------------- painting

    def _on_stroke(self, box: Box, after: Patch) -> None:
        if self._shadow is None or self._case is None or self.canvas.case != self._case.name:
            return
        (z0, y0, x0), (z1, y1, x1) = box
        place = (slice(z0, z1), slice(y0, y1), slice(x0, x1))
        changed = self._shadow[place] != after
        self._shadow[place] = after
        if not changed.any():
            return
        if self.dice is not None:
            self.dice.update(self._shadow, box)
        self.edited.emit()
        if self._writing or self._hand is None:
            return
        self._hand[place] |= changed
        if not self.why_not():
            self._mark_fixed(box, changed)

    def _mark_fixed(self, box: Box, changed: npt.NDArray[np.bool_]) -> None:
        """Record that the reader has painted in a region: in its voxels, or in the box of the one looked at."""
        for n, region in enumerate(self.regions):
            hit = overlap(box, changed, region, whole_box=n == self.current)
            if hit and region.verdict is not Verdict.FIXED:
                with self.messages.guard("recording the decision"), self._step() as step:
                    self._decide(n, Verdict.FIXED, step)
