"""Compares two annotations of the shown case: figures, contours, and a walk along the places where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.evaluation.agreement import Agreement, Disagreement
from napari_penumbra.session import Session
from napari_penumbra.session.agreement_words import Units
from napari_penumbra.session.comparing import Choice
from napari_penumbra.study.sources import SourceKind
from napari_penumbra.study.store import Study
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.worker_thread import Task

SCREEN = "screen"
"""Key of the labels on the canvas, saved or not."""
AGAIN_MS = 700
"""After the last stroke, until a comparison with the labels on the screen is made anew."""

Take = Literal["first", "second", "background", "unknown", "labelled"]


@dataclass(frozen=True, slots=True)
class _Settled:
    """One settling: which place, whether voxels changed, and whether it had been left unknown on purpose before."""

    place: int
    changed: bool
    left: bool


class CompareController(QObject):
    """The pair that is compared, what came of it, and the place that is looked at.

    Signals
    -------
    changed
        Another pair, another result, or a comparison has begun or ended.
    current_changed
        Another place is looked at, or one has been settled.
    """

    changed = Signal()
    current_changed = Signal()

    def __init__(self, session: Session, canvas: Canvas, cases: CaseController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.canvas = canvas
        self.cases = cases
        self.pair: tuple[str, str] | None = None
        self.result: Agreement | None = None
        self.current: int | None = None
        self.active = False
        self.contours = True
        self.resolving = False
        self._arrays: tuple[LabelArray, LabelArray] | None = None
        self._task: Task | None = None
        self._jump_then = False
        self._left: set[int] = set()
        self._steps: list[_Settled] = []
        self._name: str | None = None
        self._known: tuple[Study | None, str, list[Choice]] | None = None
        self._again = QTimer(self, singleShot=True, interval=AGAIN_MS)
        self._again.timeout.connect(self.run)
        cases.opened.connect(self._on_opened)
        cases.cleared.connect(self._on_opened)
        canvas.stroke.connect(self._on_stroke)
        session.case_changed.connect(self.ask_again, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the canvas and the session."""
        self.session.case_changed.disconnect(self.ask_again)
        self._again.stop()
        self._drop()
        self.canvas.stroke.disconnect(self._on_stroke)

    # ---------------------------------------------------------------- what can be compared

    @property
    def busy(self) -> bool:
        """Whether a comparison is being made."""
        return self._task is not None

    def why_not(self) -> str:
        """Say why nothing can be compared; empty when something can."""
        name = self.cases.name
        if self.session.study is None or name is None:
            return "No case is open."
        if self.session.is_blind(name):
            return "A second reading goes on: what others have drawn is not shown until you leave it."
        return "" if self._kept(name) else "There is nothing to compare with yet."

    def choices(self) -> list[Choice]:
        """List what can be compared: the labels on the screen, and everything that the study keeps of the case."""
        name = self.cases.name
        if name is None or self.why_not():
            return []
        screen = Choice(SCREEN, "On the screen now", "on screen", SourceKind.ANNOTATION)
        return [screen, *self._kept(name)]

    def _kept(self, name: str) -> list[Choice]:
        """What the study keeps of a case: asked once, and again after `ask_again`. One look at the box asks often."""
        study = self.session.study
        if self._known is None or self._known[:2] != (study, name):
            self._known = (study, name, self.session.compare_choices(name))
        return self._known[2]

    def ask_again(self, _name: str = "") -> None:
        """The study may keep something else now."""
        self._known = None

    def _usual_pair(self) -> tuple[str, str] | None:
        """Pair to begin with: the screen with another reader, else with the newest prediction, else with the rest."""
        others = self.choices()[1:]
        for kind in (SourceKind.READING, SourceKind.PREDICTION, SourceKind.ANNOTATION):
            found = next((choice.key for choice in others if choice.kind is kind), None)
            if found is not None:
                return SCREEN, found
        return None

    # ---------------------------------------------------------------- compare

    def activate(self, on: bool) -> None:
        """Compare while the reader looks; take the contours away when not."""
        self.active = on
        if not on:
            self._again.stop()
            self._drop()
            self.stop_resolving()
            self.canvas.hide_contours()
        elif self.pair is None:
            self.set_pair(self._usual_pair())
        else:
            self.run()

    def set_pair(self, pair: tuple[str, str] | None) -> None:
        """Compare these two (keys of `choices`)."""
        self.pair, self.result, self.current, self._arrays = pair, None, None, None
        self.stop_resolving()
        self.run()

    def show_contours(self, on: bool) -> None:
        """Draw both as contours, or not."""
        self.contours = on
        self._draw()

    def run(self) -> None:
        """Make the comparison anew, in another thread."""
        self._drop()
        name, pair = self.cases.name, self.pair
        if not self.active or name is None or pair is None or self.why_not():
            self.changed.emit()
            return
        on_screen = np.array(self.canvas.labels(), dtype=np.uint8) if SCREEN in pair else None
        study = self.session.opened()

        def work() -> tuple[LabelArray, LabelArray, Agreement]:
            first, second = (
                on_screen if key == SCREEN and on_screen is not None else study.read_source(name, key) for key in pair
            )
            return first, second, self.session.compare(name, first, second)

        task = Task(work, "comparing")
        task.done.connect(self._on_done)
        task.failed.connect(self._on_failed)
        self._task = task.start()
        self.changed.emit()

    def _on_done(self, answer: Any) -> None:
        self._task = None
        first, second, result = answer
        self._arrays, self.result, self.current = (first, second), result, None
        self._draw()
        self.changed.emit()
        self.current_changed.emit()
        if self._jump_then:
            self._jump_then = False
            self.jump()

    def _on_failed(self, error: PenumbraError) -> None:
        self._task, self._jump_then = None, False
        self.result = self._arrays = None
        self.cases.messages.show_error(error)
        self.changed.emit()

    def _drop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _draw(self) -> None:
        if self._arrays is None or not self.active or not self.contours:
            self.canvas.hide_contours()
            return
        self.canvas.show_contours(*self._arrays, self.names())

    def names(self) -> tuple[str, str]:
        """Short names of the pair."""
        short = {choice.key: choice.short for choice in self.choices()}
        first, second = self.pair or ("", "")
        return short.get(first, first), short.get(second, second)

    def units(self) -> Units | None:
        """Say how volumes and distances of the shown case are told."""
        case = self.cases.shown
        return None if case is None else Units.of(case.grid)

    def _on_opened(self, _case: object = None) -> None:
        """Another case: begin from the start. The same one anew (restored, or a consensus of it): the pair stays."""
        self._drop()
        self.ask_again()
        self.result, self.current, self._arrays = None, None, None
        if self._name != self.cases.name:
            self._name, self.pair = self.cases.name, None
            self.stop_resolving()
        if self.active:
            self.activate(True)
        self.changed.emit()

    def _on_stroke(self, _box: object, _after: object) -> None:
        if self.active and self.pair is not None and SCREEN in self.pair:
            self._again.start()
        elif self.resolving:
            self.current_changed.emit()

    # ---------------------------------------------------------------- walk

    @property
    def places(self) -> tuple[Disagreement, ...]:
        """Where the two differ, the largest first."""
        return () if self.result is None else self.result.places

    def go(self, n: int) -> None:
        """Look at a place."""
        if 0 <= n < len(self.places):
            self.current = n
            self.canvas.go_to(self.places[n].region)
            self.current_changed.emit()

    def jump(self, step: int = 1) -> None:
        """Look at the largest disagreement, then at the next smaller one with every call, and round again.

        While a consensus is resolved, settled places are passed over.
        """
        if self.result is None:
            if self.active and not self.busy:
                self.run()  # the last try has failed
            self._jump_then = self.busy
            return
        open_ones = [n for n in range(len(self.places)) if not self.resolving or not self.settled(n)]
        if not open_ones:
            return
        at = -1 if self.current is None else self.current
        ahead = [n for n in open_ones if (n > at if step > 0 else n < at)]
        self.go((ahead or open_ones)[0 if step > 0 else -1])

    # ---------------------------------------------------------------- settle

    def start_resolving(self, pair: tuple[str, str]) -> None:
        """Walk along the places where the parents of a consensus differ and settle each."""
        self.set_pair(pair)
        self.resolving, self._jump_then = True, True
        self._left, self._steps = set(), []
        self.changed.emit()

    def stop_resolving(self) -> None:
        """Go back to looking only."""
        if self.resolving:
            self.resolving = False
            self._left, self._steps = set(), []
            self.changed.emit()

    def settled(self, n: int) -> str:
        """Say how a place was settled on the screen; empty while it is unknown and not left so on purpose."""
        if n in self._left:
            return "left unknown"
        place = self.places[n]
        values = np.unique(self.canvas.labels()[place.region.slices][place.region.mask])
        if UNKNOWN in values:
            return ""
        if values.size > 1:
            return "drawn"
        value = int(values[0])
        return "as —" if value == place.first else "as ┅" if value == place.second else "drawn"

    def unsettled(self) -> int:
        """Count the places that want a decision."""
        return sum(not self.settled(n) for n in range(len(self.places)))

    def why_not_take(self) -> str:
        """Say why the place that is looked at cannot be settled; empty when it can."""
        reason = self.cases.why_not_edit() or self.why_not()
        return reason or ("Pick a place first: press J." if self.current is None else "")

    def take(self, what: Take) -> bool:
        """Write a value into the place that is looked at, as one step of undo, and go on to the next.

        ``labelled`` takes the class that somebody has drawn there; of two different ones the first's.
        """
        if self.current is None or self.why_not_take():
            return False
        n, place = self.current, self.places[self.current]
        values = {
            "first": place.first,
            "second": place.second,
            "background": BACKGROUND,
            "unknown": UNKNOWN,
            "labelled": place.first or place.second,
        }
        with self.cases.messages.guard("settling the place"):
            region = place.region
            before = self.canvas.labels()[region.slices]
            after = np.where(region.mask, values[what], before).astype(np.uint8)
            changes = not np.array_equal(after, before)
            if changes:
                self.canvas.set_labels(region.box, after)
            if self.resolving:
                self._steps.append(_Settled(n, changes, n in self._left))
                self._left.discard(n)
                if what == "unknown":
                    self._left.add(n)
                self.current_changed.emit()
                self.jump()
            return True
        return False

    @property
    def can_undo(self) -> bool:
        """Whether a settling can be taken back."""
        return bool(self._steps)

    def undo(self) -> bool:
        """Take the last settling back and look at its place again."""
        if not self._steps:
            return False
        step = self._steps.pop()
        if step.changed:
            self.canvas.undo()
        self._left.discard(step.place)
        if step.left:
            self._left.add(step.place)
        self.go(step.place)
        return True

    def finish(self) -> bool:
        """Close the case with the consensus as it stands: unknown voxels stay unknown and teach nothing wrong."""
        if not self.cases.close_case(Closing.COMPLETE):
            return False
        self.stop_resolving()
        return True
