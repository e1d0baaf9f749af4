"""A page that looks into a folder in another thread, shows the plan as a table, and carries out what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.study.importers.folder import FolderPlan
from napari_penumbra.widgets.add_branch import Branch, Outcome
from napari_penumbra.widgets.plan_view import PlanView
from napari_penumbra.widgets.worker_thread import Task

Seen = TypeVar("Seen")


class PlanBranch(Branch, Generic[Seen]):
    """Looks again shortly after anything was changed; an older look is dropped.

    A page says in `question` what to look for, and in `seen` what came of it.
    """

    def __init__(self, session: Session, name: str, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.view = PlanView(name)
        self._plan: FolderPlan | None = None
        self._adding = 0
        self._look: Task | None = None
        self._soon = QTimer(self, singleShot=True, interval=300)
        self._soon.timeout.connect(self.refresh)

    def soon(self) -> None:
        """Look again when the reader pauses typing."""
        self._plan = None
        self._soon.start()
        self.changed.emit()

    def question(self) -> Callable[[], Seen] | None:
        """Return what looks, with everything it needs from the widgets; None when there is nothing to look at yet."""
        raise NotImplementedError

    def seen(self, answer: Seen) -> FolderPlan:
        """Take the answer, in the window's thread; return the plan to show."""
        raise NotImplementedError

    def nothing(self) -> str:
        """Say what to do first."""
        raise NotImplementedError

    # ---------------------------------------------------------------- looking

    def refresh(self) -> None:
        """Look into the folder."""
        self._drop()
        self._plan = None
        question = self.question()
        if question is None:
            self.view.clear()
            self.changed.emit()
            return
        self.view.summary.setText("Looking into the folder…")
        task = Task(question, "looking into the folder")
        task.done.connect(self._on_seen)
        task.failed.connect(self._on_failed)
        self._look = task.start()
        self.changed.emit()

    def _on_seen(self, answer: Seen) -> None:
        self._look = None
        plan = self.seen(answer)
        shown = self.session.preview(plan)
        self._plan, self._adding = plan, shown.adding
        self.view.show_preview(shown)
        self.changed.emit()

    def _on_failed(self, error: PenumbraError) -> None:
        self._look = None
        self.view.clear(f"⚠ {error}")
        self.changed.emit()

    def _drop(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def leave(self) -> None:
        """Drop a look that is under way."""
        self._soon.stop()
        self._drop()

    # ---------------------------------------------------------------- adding

    def why_not(self) -> str:
        """Say what is missing."""
        if self.question() is None:
            return self.nothing()
        if self._plan is None:
            busy = self._look is not None or self._soon.isActive()
            return "Still looking into the folder." if busy else "There is nothing to add: see above."
        return "" if self._adding else "There is nothing new to add in this folder."

    def expected(self) -> int:
        """How many cases the plan adds."""
        return self._adding

    def work(self) -> Callable[[], Iterator[Outcome]]:
        """Carry out the plan that is shown."""
        plan = self._plan
        assert plan is not None  # why_not asked for it
        return lambda: self.session.add_planned(plan, gentle=True)
