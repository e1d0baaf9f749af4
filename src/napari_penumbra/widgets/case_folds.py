"""What can be done with any open case, predicted or not: compare, read again, look back, take back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_penumbra.session import Session
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.compare_box import CompareBox
from napari_penumbra.widgets.compare_controller import SCREEN, CompareController
from napari_penumbra.widgets.fold import Fold
from napari_penumbra.widgets.history_box import HistoryBox
from napari_penumbra.widgets.reader_controller import ReaderController
from napari_penumbra.widgets.readers_box import ReadersBox

FOLDED_MS = 1_000
"""What is folded away is brought up to date after a pause as long as this: verdicts follow each other faster."""
_NO_LIMIT = 16_777_215
"""Qt's QWIDGETSIZE_MAX."""
_TIPS = {
    "accept_region": "The place becomes the class that is drawn there; of two different ones the first's.",
    "reject_region": "The place becomes background.",
    "unknown_region": "Nobody can say: the place stays unknown and teaches nothing wrong.",
    "next_region": "Goes to the next place that is open.",
    "previous_region": "Goes to the open place before.",
    "undo_decision": "Takes the last settling back.",
    "accept_case": "Closes the case with the consensus as it stands; what is unknown stays unknown.",
}


class CaseFolds(QWidget):
    """Three folds, of which one is open at a time and then has the page to itself, and a button.

    Signals
    -------
    opened : (bool)
        A fold is open (and takes the room of the page), or none is any more.
    wish : (str)
        A page to show.
    """

    opened = Signal(bool)
    wish = Signal(str)

    def __init__(self, session: Session, canvas: Canvas, cases: CaseController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.cases = cases
        self.compare = CompareController(session, canvas, cases, self)
        self.readers = ReaderController(session, cases, self)
        self.compare_box = CompareBox(self.compare)
        self.readers_box = ReadersBox(self.readers)
        self.history_box = HistoryBox(self.readers)
        self.take_back = ActionButton(
            "Take back",
            "Takes the case back out of the labelled pool: it is a draft again. Can be undone.",
            name="take_back",
        )
        self.compare_fold = Fold("Compare", self.compare_box, "compare_fold")
        self.readers_fold = Fold("Second reader", self.readers_box, "readers_fold")
        self.history_fold = Fold("History", self.history_box, "history_fold")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.take_back, self.compare_fold, self.readers_fold, self.history_fold):
            layout.addWidget(widget)
        layout.addStretch(1)
        self._was: tuple[bool, bool] = (False, False)
        self._home: QLayout | None = None
        self._covered: list[QWidget] = []
        self._fit_soon = QTimer(self, singleShot=True, interval=0)
        self._fit_soon.timeout.connect(self._fit)
        self._folds = (self.compare_fold, self.readers_fold, self.history_fold)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        self.take_back.clicked.connect(lambda: self.readers.take_back(self.cases.name))
        self.compare_fold.toggled.connect(self.compare.activate)
        self.history_fold.toggled.connect(self.history_box.activate)
        for one in self._folds:
            # The fold would cut off what grows inside it (a wrapped line, a longer list): it is as high as it needs.
            one.content().layout().itemAt(0).widget().removeEventFilter(one)
            one.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            one.toggled.connect(partial(self._on_toggled, one))
        self.compare_box.jump.clicked.connect(self._open_compare)
        self._folded_soon = QTimer(self, singleShot=True, interval=FOLDED_MS)
        self._folded_soon.timeout.connect(partial(self._show, folded=True))
        self.readers_box.compare_wished.connect(lambda key: self.show_pair(SCREEN, key))
        self.history_box.compare_wished.connect(self.show_pair)
        self.readers.consensus_made.connect(self._on_consensus)
        self.readers.wish.connect(self.wish)
        self.compare.changed.connect(self._tell)
        self.cases.opened.connect(self.refresh)
        self.cases.cleared.connect(self.refresh)
        self.cases.changed.connect(self.refresh)
        self.session.case_changed.connect(self._on_case_changed, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to canvas and session."""
        self._folded_soon.stop()
        self.session.case_changed.disconnect(self._on_case_changed)
        self.compare.disconnect_all()

    # ---------------------------------------------------------------- one open at a time

    def any_open(self) -> bool:
        """Whether a fold is open."""
        return any(one.isExpanded() for one in self._folds)

    def _on_toggled(self, one: Fold, on: bool) -> None:
        one.content().setMaximumHeight(_NO_LIMIT if on else 0)
        if on:
            for other in self._folds:
                if other is not one and other.isExpanded():
                    other.collapse(animate=False)
        self.refresh()
        self._tell()
        self._fit()

    def _fit(self) -> None:
        """Let everything be as high as it needs to be now, from the inside out.

        By itself Qt does so one level per turn of the event loop, and what was open before stays that high meanwhile.
        """
        inside = [one.content().layout().itemAt(0).widget() for one in self._folds]
        for widget in (*inside, *(one.content() for one in self._folds), *self._folds, self, self.parentWidget()):
            layout = widget.layout() if widget is not None else None
            if layout is not None:
                widget.updateGeometry()
                layout.invalidate()
                layout.activate()

    def _tell(self) -> None:
        self._fit_soon.start()
        now = (self.any_open(), self.compare.resolving)
        if now != self._was:
            self._was = now
            self.opened.emit(now[0])

    # ---------------------------------------------------------------- showing

    def _on_case_changed(self, _name: str) -> None:
        """A verdict does not wait for what is folded away: the study is asked when the reader pauses."""
        if self.any_open():
            self.refresh()
        else:
            self._folded_soon.start()

    def refresh(self, _what: object = None) -> None:
        """Show what can be done with the case as it is now; what is folded away follows when the reader pauses."""
        self._show(folded=False)
        self._folded_soon.start()

    def _show(self, *, folded: bool) -> None:
        """Show what can be done, and what the folds hold: the open one, or those that are folded away."""
        row = self.cases.row()
        blind = self.session.is_blind(self.cases.name)
        self.setVisible(row is not None)
        self.take_back.setVisible(row is not None and row.state.labelled and not blind)
        self.take_back.allow(self.readers.why_readonly())
        if row is not None and self.isVisible():
            for one in self._folds:
                if one.isExpanded() != folded:
                    one.content().layout().itemAt(0).widget().refresh()

    def show_pair(self, first: str, second: str) -> None:
        """Open the fold with these two compared."""
        self.compare.pair = (first, second)
        if self.compare_fold.isExpanded():
            self.compare.set_pair((first, second))
        else:
            self.compare_fold.expand(animate=False)

    def _open_compare(self) -> None:
        """The key of the button works although the fold is shut: then it opens it first."""
        if not self.compare_fold.isExpanded():
            self.compare_fold.expand(animate=False)
            self.compare.jump()

    def _on_consensus(self, pair: tuple[str, str]) -> None:
        self.compare_fold.expand(animate=False)
        self.compare.start_resolving(pair)

    def move_to(self, layout: QLayout) -> None:
        """Stand at the end of this layout: a case without a prediction has another page."""
        if self._home is not layout:
            self._home = layout
            layout.addWidget(self)
            self.refresh()

    def cover(self, layout: QLayout, on: bool, but: Collection[QWidget] = ()) -> None:
        """Hide what else is in a layout while a fold is open, and show it again afterwards."""
        if on and not self._covered:
            self._covered = [w for w in _widgets(layout) if w is not self and w not in but and not w.isHidden()]
            for widget in self._covered:
                widget.hide()
        elif not on:
            for widget in self._covered:
                widget.show()
            self._covered = []

    # ---------------------------------------------------------------- the page's own buttons

    def press(self, name: str) -> bool:
        """Do what a button of the page means while a consensus is settled; False when it means its usual thing."""
        if not self.compare.resolving:
            return False
        compare = self.compare
        actions = {
            "accept_region": lambda: compare.take("labelled"),
            "reject_region": lambda: compare.take("background"),
            "unknown_region": lambda: compare.take("unknown"),
            "next_region": lambda: compare.jump(1),
            "previous_region": lambda: compare.jump(-1),
            "undo_decision": compare.undo,
            "redo_decision": lambda: None,
            "accept_case": compare.finish,
        }
        if name in actions:
            actions[name]()
        return name in actions

    def allow(self, buttons: Mapping[str, ActionButton]) -> None:
        """Enable the page's buttons for settling a consensus, while one is settled."""
        if not self.compare.resolving:
            return
        why = self.compare.why_not_take()
        edit = self.cases.why_not_edit()
        reasons = {
            "accept_region": why,
            "reject_region": why,
            "unknown_region": why,
            "next_region": "",
            "previous_region": "",
            "undo_decision": edit or ("" if self.compare.can_undo else "Nothing has been settled yet."),
            "redo_decision": edit or "A settling that was taken back is given again by its own button.",
            "accept_case": edit,
        }
        for name, reason in reasons.items():
            buttons[name].allow(reason)
            if not reason:
                buttons[name].setToolTip(_TIPS[name])
        buttons["accept_rest"].allow("Each place of a consensus wants a decision of its own.")


def _widgets(layout: QLayout) -> list[QWidget]:
    """Return the widgets of a layout and of those inside it."""
    found: list[QWidget] = []
    for n in range(layout.count()):
        item = layout.itemAt(n)
        if item.widget() is not None:
            found.append(item.widget())
        elif item.layout() is not None:
            found += _widgets(item.layout())
    return found
