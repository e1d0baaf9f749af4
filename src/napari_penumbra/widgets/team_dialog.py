"""Asks where a team's server is: to move a study's index there, or to reach a study that is there already."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study.team.address import with_password
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.messages import MessageBar

SHARE = (
    "Work on this study together",
    "The list of cases, labels and models moves to a PostgreSQL server; scans and labels stay in the study's folder, "
    "which all readers must reach. Everybody else closes the study first. From then on, everybody opens the folder as "
    "always; leaving the team moves the list back.",
    "Share this study",
    "Copies the list to the server, compares every row, and opens the study again.",
)
JOIN = (
    "Join a team's study",
    "The list of this study's cases is on a PostgreSQL server. Say how this computer reaches it.",
    "Join",
    "Opens the study with this address. The study's folder goes on naming its own.",
)


class TeamDialog(QDialog):
    """A form for a server's address and a password, which is kept in memory only.

    Parameters
    ----------
    words
        `SHARE` or `JOIN`: title, what will happen, the button and its tooltip.
    urls
        Addresses to choose from; the first is filled in.

    Signals
    -------
    wished : (str)
        The button was pressed: the address, with the password if one was given. The listener calls ``accept``, or
        shows why not in ``messages``.
    """

    wished = Signal(str)

    def __init__(self, words: tuple[str, str, str, str], urls: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        title, what, action, tip = words
        self.setObjectName("team_dialog")
        self.setWindowTitle(title)
        self.what = QLabel(what, wordWrap=True)
        self.what.setTextFormat(Qt.TextFormat.PlainText)
        self.url = QComboBox(objectName="team_url", accessibleName="Server", editable=True)
        self.url.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.url.setMinimumContentsLength(44)
        self.url.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.url.addItems(list(urls))
        self._line.setPlaceholderText("postgresql://user@host/database")
        self.password = QLineEdit(objectName="team_password", echoMode=QLineEdit.EchoMode.Password)
        self.password.setPlaceholderText("Empty if ~/.pgpass or the server knows you")
        self.kept = QLabel("The password is kept in memory until napari is closed, and written nowhere.", wordWrap=True)
        mute(self.kept)
        self.messages = MessageBar()
        self.missing = QLabel(objectName="team_missing", wordWrap=True)
        mute(self.missing)
        self.cancel = ActionButton("Cancel", "Closes this window; nothing is changed.", name="team_cancel")
        self.buttons = QDialogButtonBox()
        self.buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        self.go = ActionButton(action, tip, name="team_go")
        self.buttons.addButton(self.go, QDialogButtonBox.ButtonRole.ActionRole)
        self._lay_out()
        self.go.clicked.connect(self._wish)
        self.buttons.rejected.connect(self.reject)
        self.url.editTextChanged.connect(self._check)
        self._check()

    @property
    def _line(self) -> QLineEdit:
        line = self.url.lineEdit()
        assert line is not None  # it is editable
        return line

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Server", self.url)
        form.addRow("Password", self.password)
        layout = QVBoxLayout(self)
        layout.addWidget(self.what)
        layout.addLayout(form)
        layout.addWidget(self.kept)
        layout.addWidget(self.missing)
        layout.addWidget(self.messages)
        layout.addWidget(self.buttons)

    def event(self, event: QEvent | None) -> bool:
        """Grow with the words: Qt lets a dialog keep a height that cuts wrapped lines off."""
        if event is None or event.type() != QEvent.Type.LayoutRequest:
            return super().event(event)
        done = super().event(event)
        layout = self.layout()
        if layout is not None:
            self.resize(self.width(), max(self.height(), layout.totalHeightForWidth(self.width())))
        return done

    def address(self) -> str:
        """Read the form; raises `UsageError` when the address is none."""
        return with_password(self.url.currentText(), self.password.text())

    def _check(self) -> None:
        why = ""
        try:
            self.address()
        except PenumbraError as error:
            why = str(error)
        self.missing.setText(why)
        self.missing.setVisible(bool(why))
        self.go.allow(why)

    def _wish(self) -> None:
        self.messages.clear()
        with self.messages.guard("reading the address"):
            self.wished.emit(self.address())
