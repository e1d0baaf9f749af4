"""Second readings, takings back and restorings of the shown case, each saved first and each undoable."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QObject, Signal

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.session import Session
from napari_penumbra.study.sources import SourceKind
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.worker_thread import Task


class ReaderController(QObject):
    """What changes whose labels are shown, or which of them count.

    Signals
    -------
    changed
        A second reading has begun or ended.
    taken_back : (str)
        A case has left the labelled pool.
    put_back : (str)
        It is in the pool again.
    consensus_made : (object)
        A consensus is on the screen; the keys of the two annotations whose differences are to be settled, or None when
        the readers agree everywhere.
    wish : (str)
        A page to show.
    """

    changed = Signal()
    taken_back = Signal(str)
    put_back = Signal(str)
    consensus_made = Signal(object)
    wish = Signal(str)

    def __init__(self, session: Session, cases: CaseController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.cases = cases
        self.messages = cases.messages
        self.working = False
        cases.opened.connect(self._on_case)
        cases.cleared.connect(self._on_case)
        cases.reopened.connect(self._on_reopened)

    def _on_case(self, _case: object = None) -> None:
        self.changed.emit()

    def _on_reopened(self, name: str) -> None:
        self.taken_back.emit(name)

    def why_readonly(self) -> str:
        """Say why nothing can be written to the study; empty when it can."""
        if self.session.study is None:
            return "No study is open."
        return "This study is open read-only: another window writes to it." if self.session.readonly else ""

    # ---------------------------------------------------------------- second readings

    def why_not_read_again(self) -> str:
        """Say why the shown case cannot be read again; empty when it can."""
        reason = self.cases.why_not_edit()
        if not reason and self.session.is_blind(self.cases.name):
            reason = "A second reading goes on: finish or leave it first."
        return reason

    def read_again(self, reader: str) -> bool:
        """Show the case blank for a second reader; what is shown is saved first."""
        name = self.cases.name
        if name is None or self.why_not_read_again():
            return False
        with self.messages.guard(f"reading {name} again"):
            self.cases.save_now()
            self.session.start_reading(name, reader)
            if not self.cases.open(name):
                self.session.stop_reading()
                return False
            self.changed.emit()
            self.wish.emit("annotate")
            return True
        return False

    def leave(self) -> bool:
        """Save the second reading and show the case's own annotation again."""
        name = self.cases.name
        if not self.session.is_blind(name) or name is None:
            return False
        with self.messages.guard("leaving the second reading"):
            self.cases.save_now()
            self.session.stop_reading()
            self.cases.open(name)
            self.changed.emit()
            return True
        return False

    # ---------------------------------------------------------------- consensus

    def readers(self) -> list[str]:
        """Keys of the annotations that a consensus is made of: the case's own and each second reader's closed one."""
        name = self.cases.name
        if name is None or self.session.study is None:
            return []
        closed = [r.key for r in self.session.readings(name) if r.closing is not Closing.DRAFT]
        own = [s.key for s in self.session.study.sources(name) if s.kind is SourceKind.ANNOTATION and s.current]
        return [*own, *closed] if own else closed

    def why_not_consensus(self) -> str:
        """Say why no consensus can be made; empty when one can."""
        reason = self.why_not_read_again()
        if not reason and self.working:
            reason = "The consensus is being made."
        if not reason and len(self.readers()) < 2:
            reason = "A consensus needs two readers: the case's own annotation and a finished second reading."
        return reason

    def make_consensus(self, rule: str) -> bool:
        """Make one annotation of all readers' as a new draft, and show it."""
        name = self.cases.name
        if name is None or self.why_not_consensus():
            return False
        with self.messages.guard("making the consensus"):
            self.cases.save_now()
            keys = self.readers()
            task = Task(lambda: self.session.consensus_of(name, keys, rule), "making the consensus")
            task.done.connect(lambda labels: self._on_consensus(name, keys, rule, labels))
            task.failed.connect(self.messages.show_error)
            task.over.connect(self._on_over)
            self.working = True
            task.start()
            self.changed.emit()
            return True
        return False

    def _on_over(self) -> None:
        self.working = False
        self.changed.emit()

    def _on_consensus(self, name: str, keys: Sequence[str], rule: str, labels: LabelArray) -> None:
        """Save it, in the window's thread like everything that is saved, and show it."""
        self.working = False
        if self.cases.name != name or self.session.is_blind(name):
            self.messages.show_notice(f"No consensus of {name} was made: you have gone on to something else.")
            return
        with self.messages.guard("making the consensus"):
            self.cases.save_now()
            if self.session.make_consensus(name, keys, rule, labels) is None:
                self.messages.show_notice(f"{name}: this is already the consensus.")
                return
            self.cases.open(name)
            self.consensus_made.emit((keys[0], keys[1]))

    # ---------------------------------------------------------------- back and forth

    def take_back(self, name: str | None) -> bool:
        """Take a case out of the labelled pool; the shown one is saved first."""
        if name is None:
            return False
        if name == self.cases.name:
            return self.cases.reopen()
        with self.messages.guard(f"taking {name} back"):
            self.session.take_back(name)
            self.taken_back.emit(name)
            return True
        return False

    def undo_taking_back(self, name: str) -> bool:
        """Put a case back into the pool, just as it was."""
        with self.messages.guard(f"putting {name} back"):
            if name == self.cases.name:
                self.cases.save_now()
            self.session.put_back(name)
            self._show_anew(name)
            self.put_back.emit(name)
            return True
        return False

    def restore(self, name: str, key: str) -> bool:
        """Make older labels the newest draft; what is shown is saved first and stays in the history."""
        with self.messages.guard(f"restoring {key} of {name}"):
            if name == self.cases.name:
                self.cases.save_now()
            if self.session.restore(name, key) is None:
                self.messages.show_notice(f"{name} has just these labels now.")
                return False
            self._show_anew(name)
            self.messages.show_notice(f"{name}: {key} is a new draft. What was there before stays in the history.")
            return True
        return False

    def _show_anew(self, name: str) -> None:
        if name == self.cases.name:
            self.cases.open(name)

    def recall(self, run: str) -> str | None:
        """Let an earlier champion predict again; returns the one before it."""
        with self.messages.guard("calling the champion back"):
            return self.session.recall_champion(run)
        return None
