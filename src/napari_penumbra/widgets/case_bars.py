"""Two bars above the pages: a second reading that goes on, and an acceptance that was just taken back."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout

from napari_penumbra.domain.case import Closing, OpenCase
from napari_penumbra.jobs.methods_info import method_title
from napari_penumbra.session.comparing import moment
from napari_penumbra.study.readings import Reading
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.reader_controller import ReaderController

_MOST_NAMED = 3


class _Bar(QFrame):
    """Words, and under them buttons; hidden until there is something to say."""

    def __init__(self, name: str, closable: bool) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.words = QLabel(objectName=f"{name}_words", wordWrap=True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        top = QHBoxLayout()
        top.addWidget(self.words, 1)
        if closable:
            close = QToolButton(objectName=f"{name}_close", accessibleName="Close")
            close.setText("✕")
            close.setToolTip("Closes this note. It can all be found under Review, History.")
            close.setAutoRaise(True)
            close.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            close.clicked.connect(self.hide)
            top.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.line = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.addLayout(top)
        layout.addLayout(self.line)
        self.hide()

    def add(self, button: ActionButton, action: Callable[[], object]) -> ActionButton:
        """Add a button."""
        button.clicked.connect(lambda: action())
        self.line.addWidget(button, 1)
        return button


class ReadingBar(_Bar):
    """Says that a second reading goes on, blind, and ends it.

    Signals
    -------
    compare_wished : (str)
        A finished reading was left: compare the annotation of this key with the case's own.
    """

    compare_wished = Signal(str)

    def __init__(self, control: ReaderController) -> None:
        super().__init__("reading_bar", closable=False)
        self.control = control
        self.leave = self.add(
            ActionButton("Leave", "Saves it and shows the case's own annotation again.", name="leave_reading"),
            self._on_leave,
        )
        control.changed.connect(self.refresh)
        control.cases.changed.connect(self.refresh)

    def refresh(self) -> None:
        """Show what goes on now."""
        name = self.control.cases.name
        blind = self.control.session.blind
        if blind is None or blind.case != name:
            self.hide()
            return
        done = self._finished() is not None
        if done:
            self.words.setText(f"{name}, read again as {blind.reader}: finished. Leave to compare it with the first.")
        else:
            self.words.setText(
                f"{name}, read again as {blind.reader}. Blind: nothing of others is shown, and nothing of theirs is "
                "changed. Case complete finishes it."
            )
        self.leave.setText("Leave and compare" if done else "Leave")
        self.show()

    def _on_leave(self) -> None:
        reading = self._finished()
        if self.control.leave() and reading is not None:
            self.compare_wished.emit(reading.key)

    def _finished(self) -> Reading | None:
        """Return the reading that goes on once it is closed."""
        blind = self.control.session.blind
        if blind is None:
            return None
        mine = next((r for r in self.control.session.readings(blind.case) if r.reader == blind.reader), None)
        return mine if mine is not None and mine.closing is not Closing.DRAFT else None


class TakenBackBar(_Bar):
    """After an acceptance was taken back: which models have learnt from it, the champion before, and the way back."""

    def __init__(self, control: ReaderController) -> None:
        super().__init__("taken_back_bar", closable=True)
        self.control = control
        self._name = ""
        self._recalled: str | None = None
        self.back = self.add(
            ActionButton("Put back", "Undoes it: the case teaches again, just as it was.", name="put_back"),
            lambda: control.undo_taking_back(self._name),
        )
        self.champion = self.add(ActionButton("Champion before", name="recall_champion"), self._on_champion)
        control.taken_back.connect(self.tell)
        control.put_back.connect(lambda _name: self.hide())
        control.cases.opened.connect(self._on_opened)
        control.cases.changed.connect(self._refresh)
        control.session.study_changed.connect(self._refresh, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self.control.session.study_changed.disconnect(self._refresh)

    def _on_opened(self, case: OpenCase) -> None:
        if case.name != self._name:
            self.hide()  # the reader has gone on; it is all in the history

    def tell(self, name: str) -> None:
        """Show what taking a case back means."""
        self._name, self._recalled = name, None
        self.show()
        self._refresh()

    def _refresh(self) -> None:
        session = self.control.session
        if self.isHidden():
            return
        if session.study is None or self._name not in {row.name for row in self.control.cases.rows()}:
            self.hide()
            return
        with self.control.messages.guard("looking for what has learnt from the case"):
            if session.opened().case(self._name).state.labelled:
                self.hide()  # it was closed again: nothing of this holds any more
                return
            self.words.setText(self._words())
            self.back.allow(self.control.why_readonly() or session.why_not_put_back(self._name))
            self._offer()

    def _words(self) -> str:
        session = self.control.session
        learnt = [one for one in session.learnt_from(self._name) if one.role == "labelled"]
        words = f"{self._name} has left the labelled pool; its labels are a draft again."
        if not learnt:
            return f"{words} No model has learnt from it."
        named = [
            f"{'★ ' if one.champion else ''}{method_title(one.method)} ({moment(one.created)})"
            for one in learnt[:_MOST_NAMED]
        ]
        more = f" and {len(learnt) - _MOST_NAMED} more" if len(learnt) > _MOST_NAMED else ""
        count = "1 model has" if len(learnt) == 1 else f"{len(learnt)} models have"
        return f"{words} {count} learnt from it: {', '.join(named)}{more}."

    def _offer(self) -> None:
        session = self.control.session
        run = self._recalled or session.champion_before(self._name)
        self.champion.setVisible(run is not None)
        if run is None or session.study is None:
            return
        method = next((method_title(row.method) for row in session.study.runs() if row.id == run), run)
        if self._recalled is not None:
            self.champion.setText("Newer champion again")
            self.champion.explain(f"{method} ({run}) predicts again.")
        else:
            self.champion.setText("Use the champion before")
            self.champion.explain(
                f"{method} ({run}), which has not learnt from {self._name}, predicts from now on. Predictions that "
                "are there stay until you predict again."
            )
        self.champion.allow(self.control.why_readonly())

    def _on_champion(self) -> None:
        run = self._recalled or self.control.session.champion_before(self._name)
        if run is not None:
            before = self.control.recall(run)
            self._recalled = None if self._recalled is not None else before
            self._refresh()
