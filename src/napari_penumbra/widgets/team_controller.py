"""What the Study page does with teams: share a study, join one, look at it, take a case back, leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QDialog, QWidget

from napari_penumbra.domain.case import Annotation
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.session.servers import known_servers, remember_server
from napari_penumbra.session.together import Crew, team_address
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.team_dialog import JOIN, SHARE, TeamDialog
from napari_penumbra.widgets.team_view import TeamView
from napari_penumbra.widgets.worker_thread import Task


class TeamController(QObject):
    """Listens to the dialogs of a team.

    Parameters
    ----------
    session, cases
        What it works on: whatever is shown is saved first.
    show
        Shows a dialog beside the window.
    parent
        Parent of the dialogs.
    """

    def __init__(
        self, session: Session, cases: CaseController, show: Callable[[QDialog], None], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.session = session
        self.cases = cases
        self.messages = cases.messages
        self._show = show
        self._above = parent

    def ask(self) -> None:
        """Show the team; of a study without one, ask where the server is that shall hold its index."""
        with self.messages.guard("looking at the team"):
            if self.session.shared:
                self._show_team()
                return
            dialog = TeamDialog(SHARE, known_servers(), self._above)
            dialog.wished.connect(lambda url: self._share(dialog, url))
            self._show(dialog)

    def ask_join(self, root: Path, error: PenumbraError) -> None:
        """Ask how the server of a team's study is reached, saying why it was not."""
        with self.messages.guard("asking for the team's server"):
            address = team_address(root)
            own = [] if address is None else [address.url]
            dialog = TeamDialog(JOIN, list(dict.fromkeys([*own, *known_servers()])), self._above)
            dialog.wished.connect(lambda url: self._join(dialog, root, url))
            self._show(dialog)
            dialog.messages.show_error(error)

    def _join(self, dialog: TeamDialog, root: Path, url: str) -> None:
        with dialog.messages.guard("joining the team"):
            self.session.join(root, url)
            remember_server(url)
            dialog.accept()
            self.messages.clear()

    def _share(self, dialog: TeamDialog, url: str) -> None:
        with dialog.messages.guard("moving the index"):
            self.cases.save_now()
            moved = self.session.share(url)
            remember_server(url)
            dialog.accept()
            self.messages.show_notice(
                f"{moved.rows} rows were moved to the server and compared. The others open this folder as before; the "
                f"index from before is kept in {moved.kept}."
            )

    def _show_team(self) -> None:
        view = TeamView(self.session.opened().name, self._above)
        view.look_wished.connect(lambda: self._look(view))
        view.taking_wished.connect(lambda case: self._take(view, case))
        view.leaving_wished.connect(lambda: self._leave(view))
        self._show(view)
        self._look(view)

    def _look(self, view: TeamView) -> None:
        self._ask_server(view, self.session.crew, "asking the server", view.show_crew)

    def _take(self, view: TeamView, case: str) -> None:
        def free() -> tuple[list[Annotation], Crew]:
            return self.session.free_case(case), self.session.crew()

        def tell(found: tuple[list[Annotation], Crew]) -> None:
            kept, crew = found
            view.show_crew(crew)
            drafts = ", ".join(f"r{one.revision} of {one.author}" for one in kept)
            beside = f" Unsaved strokes are kept beside, as the draft {drafts}." if drafts else ""
            view.messages.show_notice(f"{case} is free.{beside}")

        self._ask_server(view, free, f"taking {case} back", tell)

    @staticmethod
    def _ask_server(view: TeamView, ask: Callable[[], Any], what: str, tell: Callable[[Any], None]) -> None:
        """Ask in another thread: a far server, and thousands of journal folders on a slow share, take their time."""
        task = Task(ask, what)
        task.done.connect(tell)
        task.failed.connect(view.messages.show_error)
        task.over.connect(view.end_asking)
        view.finished.connect(task.cancel)
        view.begin_asking()
        task.start()

    def _leave(self, view: TeamView) -> None:
        with view.messages.guard("leaving the team"):
            self.cases.save_now()
            left = self.session.leave()
            view.accept()
            drafts = ", ".join(f"{one.case} r{one.revision} of {one.author}" for one in left.drafts)
            beside = f" Unsaved strokes became drafts: {drafts}." if drafts else ""
            self.messages.show_notice(
                f"{left.moved.rows} rows were moved into the folder and compared. The server's index is kept "
                f"{left.moved.kept}.{beside}"
            )
