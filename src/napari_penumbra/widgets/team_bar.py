"""A bar above the pages in a team's study: another reader has the shown case; and what happens when two have met."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_penumbra.session import Session
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.case_bars import _Bar
from napari_penumbra.widgets.case_controller import CaseController

_AGAIN_MS = 250


class TeamBar(_Bar):
    """Says who has the shown case, and takes it by one click when it is free.

    Parameters
    ----------
    session
        Tells what the team does.
    cases
        What is shown, and its way to the disk.
    """

    def __init__(self, session: Session, cases: CaseController) -> None:
        super().__init__("team_bar", closable=False)
        self.session = session
        self.cases = cases
        self.edit = self.add(
            ActionButton("Edit this case", name="edit_now"), lambda: cases.open(cases.name) if cases.name else False
        )
        session.team_changed.connect(self.refresh, thread="main")
        session.team_told.connect(self._on_told, thread="main")
        session.case_overtaken.connect(self._on_overtaken, thread="main")
        session.server_back.connect(self._on_back, thread="main")
        cases.opened.connect(self.refresh)
        cases.changed.connect(self.refresh)
        cases.cleared.connect(self.refresh)

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        session = self.session
        session.team_changed.disconnect(self.refresh)
        session.team_told.disconnect(self._on_told)
        session.case_overtaken.disconnect(self._on_overtaken)
        session.server_back.disconnect(self._on_back)

    def refresh(self, _case: object = None) -> None:
        """Show what holds now."""
        session, name = self.session, self.cases.name
        why = "" if name is None or not session.shared or session.readonly else session.why_not_write(name)
        if name is None or not why:
            self.hide()
            return
        free = session.free(name)
        self.words.setText(f"{name} is free now; it is shown as it was when you opened it." if free else f"⚠ {why}")
        self.edit.explain("Checks the case out and shows its newest labels.")
        self.edit.allow("" if free else f"{why} It can be edited as soon as it is given back.")
        self.show()

    def _on_told(self, words: str) -> None:
        self.cases.messages.show_notice(words)

    def _on_back(self) -> None:
        self.cases.autosave()

    def _on_overtaken(self, name: str) -> None:
        """Save what was drawn (it goes beside), then show what the other reader has made of the case."""
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:  # a stroke is going on
            QTimer.singleShot(_AGAIN_MS, lambda: self._on_overtaken(name))
            return
        if name == self.cases.name and not self.session.is_blind(name):
            with self.cases.messages.guard(f"reading {name} again"):
                self.cases.save_now()
                self.cases.open(name)
