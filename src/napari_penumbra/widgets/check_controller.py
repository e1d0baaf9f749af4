"""Checking and putting right, off the window's thread: what runs, what was found, what waits for the reader's yes."""

from __future__ import annotations

import time

from qtpy.QtCore import QObject, Signal

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.session.checking import asks
from napari_penumbra.study.checking import Step
from napari_penumbra.study.checks import Finding, Offer
from napari_penumbra.study.fix_records import Done
from napari_penumbra.study.fixing import Prepared
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.worker_thread import Task

TELL_EVERY = 0.25
"""Seconds between two looks at how far a check is."""


class CheckController(QObject):
    """Between a `CheckPage` and the session.

    Signals
    -------
    changed
        Something runs or has ended, or other findings are there.
    picture : (Finding, bytes | None)
        The picture of the finding that was asked for last.
    proposed : (Prepared, bytes | None)
        A fix waits for the reader's yes; the picture shows before and after.
    """

    changed = Signal()
    picture = Signal(object, object)
    proposed = Signal(object, object)

    def __init__(self, session: Session, cases: CaseController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.cases = cases
        self.messages = cases.messages
        self.step: Step | None = None
        self.pending: Prepared | None = None
        self.last: Done | None = None
        self._told = 0.0
        self.working = ""
        """What is being worked out, in words; empty when nothing is."""
        self._check: Task | None = None
        self._drawing: Task | None = None
        self._fixing: Task | None = None
        session.study_changed.connect(self._on_study, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the session; drop what runs."""
        self.session.study_changed.disconnect(self._on_study)
        self.refuse()
        self._drop()

    def _drop(self) -> None:
        for task in (self._check, self._drawing, self._fixing):
            if task is not None:
                task.cancel()
        self._check = self._drawing = self._fixing = None
        self.working = ""

    def _on_study(self) -> None:
        """Another study or other cases: what was found is of before."""
        self._drop()
        self.step = self.pending = self.last = None
        self.changed.emit()

    # ---------------------------------------------------------------- check

    @property
    def checking(self) -> bool:
        """Whether a check runs."""
        return self._check is not None

    def start(self) -> None:
        """Check all cases; what was measured before is not measured again."""
        if self._check is not None or self.session.study is None:
            return
        task = Task(self.session.check, "checking the cases")
        task.step.connect(self._on_step)
        task.failed.connect(self.messages.show_error)
        task.over.connect(lambda: self._on_over(task))
        self._check = task
        task.start()
        self.changed.emit()

    def stop(self) -> None:
        """Stop after the case that is being read; what was found stays."""
        if self._check is not None:
            self._check.stop()

    def _on_step(self, step: Step) -> None:
        self.step = step
        # Cases whose figures are kept come by the thousand a second; the list is made anew for each.
        if step.over or time.monotonic() - self._told > TELL_EVERY:
            self._told = time.monotonic()
            self.changed.emit()

    def _on_over(self, task: Task) -> None:
        if self._check is task:
            self._check = None
            self.changed.emit()

    # ---------------------------------------------------------------- look

    def draw(self, finding: Finding) -> None:
        """Draw a finding; the newest wish wins."""
        if self._drawing is not None:
            self._drawing.cancel()
        task = Task(lambda: self.session.picture_of(finding), "drawing the finding")
        task.done.connect(lambda data: self.picture.emit(finding, data))
        task.failed.connect(lambda _: self.picture.emit(finding, None))
        self._drawing = task.start()

    # ---------------------------------------------------------------- fix

    def why_not_fix(self, name: str) -> str:
        """Say why a case cannot be put right now; empty when it can."""
        if self.session.study is None:
            return "No study is open."
        reason = self.session.why_not_write(name)
        if not reason and self.working:
            reason = f"{self.working} first."
        if not reason and self.pending is not None:
            reason = "Use or refuse what is proposed first."
        return reason

    def fix(self, name: str, offer: Offer) -> None:
        """Work a fix out; it counts at once, or after the reader's yes where the result should be looked at."""
        if self.why_not_fix(name):
            return
        self.working = f"Working on {name}"
        task = Task(lambda: self._work_out(name, offer), f"putting {name} right")
        task.done.connect(self._on_prepared)
        task.failed.connect(self._on_failed)
        self._fixing = task.start()
        self.changed.emit()

    def _work_out(self, name: str, offer: Offer) -> tuple[Prepared, bytes | None]:
        prepared = self.session.prepare_fix(name, offer)
        return prepared, self.session.before_and_after(prepared) if asks(offer) else None

    def _on_failed(self, error: PenumbraError) -> None:
        self.working = ""
        self.messages.show_error(error)
        self.changed.emit()

    def _on_prepared(self, result: tuple[Prepared, bytes | None]) -> None:
        prepared, picture = result
        self.working = ""
        if asks(prepared.offer):
            self.pending = prepared
            self.proposed.emit(prepared, picture)
            self.changed.emit()
        else:
            self._apply(prepared)

    def accept(self) -> None:
        """Use what is proposed."""
        prepared, self.pending = self.pending, None
        if prepared is not None:
            self._apply(prepared)

    def refuse(self) -> None:
        """Leave the case as it is."""
        prepared, self.pending = self.pending, None
        if prepared is not None:
            with self.messages.guard("removing what was worked out"):
                self.session.refuse_fix(prepared)
            self.changed.emit()

    def _apply(self, prepared: Prepared) -> None:
        with self.messages.guard(f"putting {prepared.case} right"):
            self.cases.save_now()
            self.last = self.session.apply_fix(prepared)
            self._show_anew(prepared.case)
        self.changed.emit()
        self.start()

    def undo(self) -> None:
        """Take the last fix back."""
        last = self.last
        if last is None:
            return
        with self.messages.guard(f"taking back what was done to {last.case}"):
            self.cases.save_now()
            self.session.undo_fix(last.case)
            self.last = None
            self._show_anew(last.case)
        self.changed.emit()
        self.start()

    def _show_anew(self, name: str) -> None:
        if name == self.cases.name:
            self.cases.open(name)
