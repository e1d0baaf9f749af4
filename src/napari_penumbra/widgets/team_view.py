"""A team at work: who has which case, whose strokes are not saved yet; taking a case back, leaving the team."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.session.together import CheckedOut, Crew, heard_words, unsaved_words
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.messages import MessageBar

_TAKE = "Take back"
_LEAVE = "Leave the team…"
_SURE_TO_LEAVE = "Leave now"
_ASKED = "The server is being asked; a moment."


class TeamView(QDialog):
    """Shows a team, and asks twice before anything is taken from anybody.

    Signals
    -------
    look_wished
        Ask the server again; the listener calls `show_crew`.
    taking_wished : (str)
        Free the named case of another reader.
    leaving_wished
        Move the index back into the folder.
    """

    look_wished = Signal()
    taking_wished = Signal(str)
    leaving_wished = Signal()

    def __init__(self, study: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("team_view")
        self.setWindowTitle(f"The team of {study}")
        self.resize(560, 340)
        self._crew = Crew("", [], [])
        self._waiting = False
        self._sure_of = ""
        self.head = QLabel(objectName="team_head", wordWrap=True)
        self.head.setTextFormat(Qt.TextFormat.PlainText)
        self.table = QTreeWidget(objectName="team_table", accessibleName="Cases that are checked out")
        self.table.setRootIsDecorated(False)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setHeaderLabels(["Case", "Reader", "Since", "Last heard of"])
        header = self.table.header()
        header.setStretchLastSection(False)
        for column in range(4):
            mode = QHeaderView.ResizeMode.Stretch if column == 0 else QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, mode)
        self.unsaved = QLabel(objectName="team_unsaved", wordWrap=True)
        self.unsaved.setTextFormat(Qt.TextFormat.PlainText)
        mute(self.unsaved)
        self.messages = MessageBar()
        self.take = ActionButton(
            _TAKE,
            "Frees the chosen case, for one whose machine died. Strokes that its reader has not saved are kept as a "
            "draft beside the others.",
            name="team_take",
        )
        self.look = ActionButton("Look again", "Asks the server once more.", name="team_look")
        self.leave = ActionButton(
            _LEAVE,
            "Moves the list of cases, labels and models back into the study's folder. Everybody else closes it first.",
            name="team_leave",
        )
        self.close_button = ActionButton("Close", "Closes this window.", name="team_close")
        self.buttons = QDialogButtonBox()
        self.buttons.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)
        self._lay_out()
        self.table.currentItemChanged.connect(lambda *_: self._choose())
        self.take.clicked.connect(self._take)
        self.leave.clicked.connect(self._leave)
        self.look.clicked.connect(self.look_wished)
        self.buttons.rejected.connect(self.reject)

    def _lay_out(self) -> None:
        actions = QHBoxLayout()
        actions.addWidget(self.take)
        actions.addWidget(self.look)
        actions.addStretch(1)
        actions.addWidget(self.leave)
        layout = QVBoxLayout(self)
        layout.addWidget(self.head)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.unsaved)
        layout.addWidget(self.messages)
        layout.addLayout(actions)
        layout.addWidget(self.buttons)

    def show_crew(self, crew: Crew) -> None:
        """Show who has what now; the chosen case stays chosen."""
        chosen = self.chosen()
        self._crew = crew
        self.head.setText(_head(crew))
        self.unsaved.setText("\n".join(map(unsaved_words, crew.unsaved)))
        self.unsaved.setVisible(bool(crew.unsaved))
        self.table.clear()
        for row in crew.held:
            self.table.addTopLevelItem(QTreeWidgetItem(_cells(row)))
        found = [n for n, row in enumerate(crew.held) if chosen is not None and row.case == chosen.case]
        self.table.setCurrentItem(self.table.topLevelItem(found[0] if found else 0))
        self._choose()

    def begin_asking(self) -> None:
        """Say that the server is being asked, and take no other wish until `end_asking`."""
        self._asking(True)

    def end_asking(self) -> None:
        """Take wishes again: the server has answered, or never will."""
        self._asking(False)

    def _asking(self, asking: bool) -> None:
        self._waiting = asking
        self.head.setText("Asking the server…" if asking else _head(self._crew))
        self.look.allow(_ASKED if asking else "")
        self.leave.allow(_ASKED if asking else "")
        self._allow_taking()

    def chosen(self) -> CheckedOut | None:
        """Return the case that is chosen in the table."""
        item = self.table.currentItem()
        place = -1 if item is None else self.table.indexOfTopLevelItem(item)
        return self._crew.held[place] if 0 <= place < len(self._crew.held) else None

    def _choose(self) -> None:
        self._not_sure()
        self._allow_taking()

    def _allow_taking(self) -> None:
        row = self.chosen()
        if self._waiting:
            self.take.allow(_ASKED)
        elif row is None:
            self.take.allow("Nobody has a case.")
        else:
            self.take.allow("It is yours: open another case, and it is free." if row.mine else "")

    def _not_sure(self) -> None:
        """Whatever was asked once is asked anew."""
        self._sure_of = ""
        self.take.setText(_TAKE)
        self.leave.setText(_LEAVE)
        self.messages.clear()

    def _take(self) -> None:
        row = self.chosen()
        if row is None:
            return
        if row.holder.expired or self._sure_of == row.case:
            self._not_sure()
            self.taking_wished.emit(row.case)
            return
        self._not_sure()
        self._sure_of = row.case
        self.take.setText("Take it back all the same")
        self.messages.show_notice(
            f"{row.holder.reader} was heard of {heard_words(row.holder)} and may be drawing on {row.case}. Ask "
            "first. If you take it back all the same, what is still drawn there is kept beside, as a draft of its own."
        )

    def _leave(self) -> None:
        if self.leave.text() == _SURE_TO_LEAVE:
            self._not_sure()
            self.leaving_wished.emit()
            return
        self._not_sure()
        self.leave.setText(_SURE_TO_LEAVE)
        self.messages.show_notice(
            "The index moves back into the folder and is compared row by row; from then on one reader at a time writes "
            "to this study. Everybody else closes it first. The server's index is kept under another name."
        )


def _head(crew: Crew) -> str:
    """Say where the index is and how many cases are out; nothing while the server has not answered yet."""
    if not crew.server:
        return ""
    count = len(crew.held)
    held = f"{count} case{'' if count == 1 else 's'} checked out." if count else "Every case is free."
    return f"The index is on {crew.server}. {held}"


def _cells(row: CheckedOut) -> list[str]:
    holder = row.holder
    reader = f"{holder.reader} (this window)" if row.mine else holder.reader
    return [row.case, reader, f"{holder.since.astimezone():%Y-%m-%d %H:%M}", heard_words(holder)]
