"""Review of one case: verdicts, the voxels they change, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_penumbra.domain.case import OpenCase, Verdict
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box, Region
from napari_penumbra.session import Session
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.review_progress import Progress
from napari_penumbra.widgets.review_regions import ReviewRegions
from napari_penumbra.widgets.review_voxels import (
    Change,
    Mask,
    Patch,
    Since,
    cut,
    drawn_by_hand,
    is_undone,
    merged,
    overlap,
    touch,
    values_of,
)


@dataclass(slots=True)
class _Step:
    """What one press of Undo takes back."""

    before: list[Region] = field(default_factory=list)
    """Regions that were decided, each with the verdict it had before."""
    changes: list[Change] = field(default_factory=list)
    painted: tuple[Patch, Mask] | None = None
    """Of a region that painting has made a fixed one: its labels before, and which of them were drawn by hand."""
    strokes: Since | None = None
    """What was there before the strokes between the decision before and this one."""
    asked: Verdict | None = None
    """What the reader asked for, to ask for it again."""


class ReviewController(ReviewRegions):
    """Decides about the regions of the shown case.

    Rules
    -----
    - Whatever the reader has drawn wins: "accept" takes the prediction only where nobody has drawn, and a region
      with such voxels is recorded as *fixed*.
    - `undo` takes back what came last: a verdict with the voxels that it changed, or a stroke, and with it the verdict
      *fixed* that it brought.
    - `redo` does again what `undo` took back, newest first, until something new is drawn or decided.
    - Voxels that come back by another way (undo on the Annotate page) take the verdict about them along.

    Signals
    -------
    decided
        A step was recorded or taken back: what can be done has changed.
    edited
        The labels have changed.
    """

    decided = Signal()
    edited = Signal()

    def __init__(self, session: Session, canvas: Canvas, cases: CaseController, parent: QObject | None = None) -> None:
        super().__init__(session, canvas, cases, parent)
        self.progress: Progress | None = None
        self._shadow: LabelArray | None = None
        self._hand: Mask | None = None
        self._since: Since | None = None
        self._ids: dict[Box, int] = {}
        self._undo: list[_Step] = []
        self._redo: list[_Step | None] = []  # None: a stroke, which the canvas knows how to do again
        self._writing = self._walking = False
        cases.opened.connect(self._on_opened)
        cases.cleared.connect(self._on_cleared)
        canvas.stroke.connect(self._on_stroke)

    def disconnect_all(self) -> None:
        """Stop listening to canvas and session."""
        super().disconnect_all()
        self.canvas.stroke.disconnect(self._on_stroke)

    def _on_opened(self, case: OpenCase) -> None:
        self._on_cleared()
        if case.predicted is not None:
            self._case = case
            self._shadow = np.array(self.canvas.labels(), dtype=np.uint8)
            self._hand = drawn_by_hand(self._shadow, case.predicted, case.state)
            self.progress = Progress(case.predicted, self._shadow)
            self._ids = {d.box: d.id for d in self.session.opened().decisions(case.name)}
        self.fetch()

    def _on_cleared(self) -> None:
        self._shadow = self._hand = self.progress = self._since = None
        self._undo, self._redo, self._ids = [], [], {}
        self._clear_regions()

    # ---------------------------------------------------------------- decide

    def decide(self, verdict: Verdict) -> bool:
        """Give the current region a verdict and go to the next undecided one."""
        if self.current is None or self.why_not():
            return False
        with self.messages.guard("recording the decision"):
            with self._step() as step:
                self._decide([self.current], verdict, step)
            if self.undecided:
                self.go_next()
            return True
        return False

    def accept_rest(self, sure: float = 0.0) -> int:
        """Accept every region without a verdict that is at least so sure, as one step of undo; returns how many."""
        rest = self.rest(sure)
        if not rest or self.why_not():
            return 0
        with self.messages.guard("accepting the rest"):
            with self._step() as step:
                self._decide(rest, Verdict.ACCEPT, step)
            return len(rest)
        return 0

    @contextmanager
    def _step(self, painted: tuple[Patch, Mask] | None = None) -> Iterator[_Step]:
        """Collect what one press of Undo takes back, and let the regions that are still to come be sorted anew."""
        step = _Step(painted=painted)
        try:
            yield step
        finally:
            if step.before:
                self._undo.append(step)
                self._forget_redo()
                if painted is None:  # else the strokes go on
                    step.strokes, self._since = self._since, None
                self._reorder()
                self.decided.emit()

    def _decide(self, which: Sequence[int], verdict: Verdict, step: _Step) -> None:
        """Record first, then change voxels: without the record there would be nothing to undo."""
        case = self._case
        if case is None or case.predicted is None or self._hand is None:
            return
        step.asked = verdict
        old = [self.regions[n] for n in which]
        verdicts = [self._verdict(region, verdict) for region in old]
        self._record(list(zip(old, verdicts, strict=True)))
        labels, changes = self.canvas.labels(), []
        for n, region, given in zip(which, old, verdicts, strict=True):
            step.before.append(region)
            self.regions[n] = replace(region, verdict=given)
            before = np.array(cut(labels, region.box), dtype=np.uint8)
            put = Verdict.ACCEPT if verdict is Verdict.ACCEPT else given
            after = values_of(before, region, put, cut(case.predicted, region.box))
            if verdict is Verdict.ACCEPT:
                after = np.where(region.mask & cut(self._hand, region.box), before, after).astype(np.uint8)
            if not np.array_equal(before, after):
                changes.append(Change(region.box, before, after))
        if changes:
            if self._walking:
                self._do_again()
            self._write_all(changes, labels)
        step.changes += changes
        for n in which:
            self.region_changed.emit(n)

    def _verdict(self, region: Region, verdict: Verdict) -> Verdict:
        """What is recorded: a region that is accepted with voxels of the reader's own is a fixed one."""
        if verdict is not Verdict.ACCEPT or self._hand is None:
            return verdict
        return Verdict.FIXED if (region.mask & cut(self._hand, region.box)).any() else verdict

    def _record(self, verdicts: Sequence[tuple[Region, Verdict]]) -> None:
        """Write verdicts into the study and remember which row stands for which region."""
        case = self._case
        if case is None or case.prediction is None:
            return
        made = self.session.decide_all(case.name, verdicts, case.prediction.id)
        self._ids.update({decision.box: decision.id for decision in made})

    # ---------------------------------------------------------------- the way back

    def why_not_undo(self) -> str:
        """Say why there is nothing to take back; empty when there is."""
        reason = self.cases.why_not_edit()
        if not reason and not (self._undo or self._since is not None or self._ids):
            reason = "There is nothing to take back."
        return reason

    def undo(self) -> bool:
        """Take back what came last: a stroke, or a verdict and its voxels; also one of an earlier opening."""
        if self._case is None or self.why_not_undo():
            return False
        with self.messages.guard("undoing"), self._walk():
            if self._since is not None:
                if not self.canvas.can_undo():
                    self._since = None  # the canvas has forgotten the strokes
                else:
                    self._redo.append(None)
                self.canvas.undo()
            elif self._undo:
                step = self._undo[-1]
                self._undo_step(step)
                self._redo.append(step)
            else:
                self._undo_older()
                self._redo.clear()
            self.decided.emit()
            return True
        return False

    # ---------------------------------------------------------------- and forth again

    def why_not_redo(self) -> str:
        """Say why there is nothing to do again; empty when there is."""
        reason = self.why_not()
        if not reason and not self._redo:
            reason = "Nothing was taken back since the last stroke or verdict."
        return reason

    def redo(self) -> bool:
        """Do again what `undo` took back last: a stroke, or a verdict and its voxels."""
        if self._case is None or self.why_not_redo():
            return False
        with self.messages.guard("doing it again"), self._walk():
            step = self._redo.pop()
            if step is None:
                self.canvas.redo()
            else:
                self._redo_step(step)
            self.decided.emit()
            return True
        return False

    def _redo_step(self, old: _Step) -> None:
        places = [self._place(region.box) for region in old.before]
        which = [n for n in places if n is not None]
        if old.asked is None or len(which) < len(places):
            self._redo.clear()
            self.messages.show_notice(
                "The verdict cannot be given again: its region is not in the list at this threshold."
            )
            return
        if len(which) == 1:
            self.go(which[0])
        with self._step() as step:
            self._decide(which, old.asked, step)

    def _do_again(self) -> None:
        """Let the canvas do its own step again: written anew, it would cost those that come after it."""
        self._writing = True
        try:
            if self.canvas.can_redo():
                self.canvas.redo()
        finally:
            self._writing = False

    def _write_all(self, changes: Sequence[Change], labels: LabelArray) -> None:
        """Write what changes put into the live ``labels``, as far as it is not there."""
        left = [c for c in changes if not np.array_equal(cut(labels, c.box)[c.where], c.after[c.where])]
        if left:
            self._write([(change.box, change.where, change.after) for change in left], labels)

    @contextmanager
    def _walk(self) -> Iterator[None]:
        """Take a step back or forth: nothing new has been done, so what can be done again stays."""
        self._walking = True
        try:
            yield
        finally:
            self._walking = False

    def _forget_redo(self) -> None:
        if self._redo and not self._walking:
            self._redo.clear()
            self.decided.emit()

    def _undo_step(self, step: _Step) -> None:
        self._take_back(step)
        self._undo.remove(step)
        if step.changes:
            # The canvas' own step is taken back with it, or one more press would bring the verdict's voxels again.
            self._writing = True
            try:
                self.canvas.undo()
            finally:
                self._writing = False
            self._restore(step.changes)
        if step.painted is None:
            self._since = step.strokes

    def _take_back(self, step: _Step) -> None:
        """Undo the rows of a step's regions, and record again what stood before them; voxels stay."""
        case = self._case
        if case is None:
            return
        again = [(region, region.verdict) for region in step.before if region.verdict is not None]
        gone = [region.box for region in step.before if region.verdict is None]
        if again:
            self._record(again)  # the study undoes what stood on the same box
        if gone:
            self.session.writable().undo_decisions([self._ids[box] for box in gone])
            for box in gone:
                del self._ids[box]
        for region in step.before:
            self._set_verdict(region.box, region.verdict)
        self.session.case_changed.emit(case.name)
        self._reorder()
        at = self._place(step.before[0].box) if len(step.before) == 1 else None
        if at is not None:
            self.go(at)

    def _undo_older(self) -> None:
        """Undo a decision of an earlier opening: the voxels before it are not known, the prediction's are."""
        case = self._case
        decision = self.session.undo_decision(case.name) if case is not None else None
        if case is None or case.predicted is None or decision is None:
            return
        self._ids.pop(decision.box, None)
        at = self._place(decision.box)
        if at is None:
            self.messages.show_notice(
                "The verdict was taken back. Its voxels stay as they are: its region is not in the list at this "
                "threshold."
            )
        elif decision.verdict in (Verdict.REJECT, Verdict.UNKNOWN):
            region = self.regions[at]
            put = BACKGROUND if decision.verdict is Verdict.REJECT else UNKNOWN
            labels = self.canvas.labels()
            where = region.mask & (cut(labels, region.box) == put)
            if where.any():
                self._write([(region.box, where, np.asarray(cut(case.predicted, region.box)))], labels)
        self.fetch()

    def _restore(self, changes: Sequence[Change]) -> None:
        """Put back what a verdict changed, as far as it is still there."""
        labels = self._shadow  # up to date: the canvas has just taken its own step back
        if labels is None:
            return
        parts = [(c.box, c.where & (cut(labels, c.box) == c.after), c.before) for c in changes]
        if any(where.any() for _, where, _ in parts):
            self._write(parts, labels)

    def _write(self, parts: Sequence[tuple[Box, Mask, Patch]], labels: LabelArray) -> None:
        """Write voxels in one piece, so that they are one step of the canvas' own undo.

        The live ``labels`` are handed on: to ask the canvas for them is to look for changes in the whole volume.
        """
        self._writing = True
        try:
            self.canvas.set_labels(*merged(labels, parts))
        finally:
            self._writing = False

    # ---------------------------------------------------------------- painting

    def _on_stroke(self, box: Box, after: Patch) -> None:
        shadow, hand = self._shadow, self._hand
        if shadow is None or hand is None or self._case is None or self.canvas.case != self._case.name:
            return
        changed = np.asarray(cut(shadow, box) != after)
        if not changed.any():
            return
        self._forget_redo()
        hit, earlier = [], self._since
        if not self._writing:
            hit = [] if self.why_not() else self._hit(box, changed)
            self._since = Since.of(box, shadow, earlier)
        cut(shadow, box)[...] = after
        if self.progress is not None:
            self.progress.update(shadow, box)
        self.edited.emit()
        if self._writing:
            return
        followed = self._follow_undo(box, shadow, hand)
        if followed is None:
            cut(hand, box)[...] |= changed
            for region, painted in hit:
                self._mark_fixed(region, painted)
        elif followed.changes:
            self._since = earlier  # it was no stroke, but a verdict's voxels that came back
        if self._since is not None and self._since.is_undone(shadow):
            self._since = None
            self.decided.emit()

    def _hit(self, box: Box, changed: Mask) -> list[tuple[Region, tuple[Patch, Mask]]]:
        """Find the regions that a stroke touches (of the one looked at, the whole box), and keep what they were."""
        found: list[tuple[Region, tuple[Patch, Mask]]] = []
        if self._shadow is None or self._hand is None:
            return found
        for n, region in enumerate(self.regions):
            if overlap(box, changed, region, whole_box=n == self.current):
                kept = (np.array(cut(self._shadow, region.box)), np.array(cut(self._hand, region.box)))
                found.append((region, kept))
        return found

    def _mark_fixed(self, region: Region, painted: tuple[Patch, Mask]) -> None:
        at = self._place(region.box)
        if at is not None and self.regions[at].verdict is not Verdict.FIXED:
            with self.messages.guard("recording the decision"), self._step(painted) as step:
                self._decide([at], Verdict.FIXED, step)

    def _follow_undo(self, box: Box, shadow: LabelArray, hand: Mask) -> _Step | None:
        """Take a verdict back whose voxels were brought back by the canvas' own undo, or whose paint was.

        Returns
        -------
        _Step or None
            What was taken back, None when the stroke was one.
        """
        for step in reversed(self._undo):
            region = step.before[0]
            if step.painted is not None and touch(region.box, box):
                before, drawn = step.painted
                if not np.array_equal(cut(shadow, region.box), before):
                    continue
                cut(hand, region.box)[...] = drawn
            elif not any(touch(c.box, box) for c in step.changes) or not is_undone(shadow, step.changes):
                continue
            with self.messages.guard("undoing the decision"):
                self._take_back(step)
                self._undo.remove(step)
                self.decided.emit()
                return step
        return None
