"""The dock: four pages, the error bar, the status line, the keys, and the clock that polls the session."""

from __future__ import annotations

from typing import Any

from psygnal import emit_queued
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.domain.case import CaseState, OpenCase
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.progress import Progress
from napari_penumbra.session import Session
from napari_penumbra.widgets import worker_thread
from napari_penumbra.widgets.annotate_page import AnnotatePage
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_bars import ReadingBar, TakenBackBar
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.case_menu import CaseMenu
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.page_keys import bind_page_keys
from napari_penumbra.widgets.read_ahead import ReadAheadKeeper
from napari_penumbra.widgets.review_controller import ReviewController
from napari_penumbra.widgets.review_page import ReviewPage
from napari_penumbra.widgets.shortcut_file import keys_file
from napari_penumbra.widgets.shortcut_sheet import KeySheet
from napari_penumbra.widgets.shortcuts import Shortcuts
from napari_penumbra.widgets.status_line import StatusLine
from napari_penumbra.widgets.study_page import StudyPage
from napari_penumbra.widgets.team_bar import TeamBar
from napari_penumbra.widgets.train_page import TrainPage

POLL_MS = 250
WIDTH, NARROWEST = 420, 360

TABS = {
    "study": ("≡ Study", "Which cases there are, and which is next."),
    "annotate": ("✎ Annotate", "Paint on the open case."),
    "train": ("⟳ Train", "Learn in the background."),
    "review": ("✓ Review", "Decide about what the model has predicted."),
}


class Dock(QWidget):
    """Everything the reader sees of the plugin but the picture.

    Parameters
    ----------
    session
        The study's half; the dock polls it but does not own it.
    canvas
        The picture's half.
    """

    def __init__(self, session: Session, canvas: Canvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("penumbra_dock")
        self.session = session
        self.canvas = canvas
        self.messages = MessageBar()
        self.cases = CaseController(session, canvas, self.messages, self)
        self.review = ReviewController(session, canvas, self.cases, self)
        self.study_page = StudyPage(session, self.cases)
        self.annotate_page = AnnotatePage(session, canvas, self.cases)
        self.train_page = TrainPage(session, self.cases)
        self.review_page = ReviewPage(session, canvas, self.cases, self.review)
        self.ahead = ReadAheadKeeper(self.cases, self._next_name, self)
        self.status = StatusLine()
        readers = self.review_page.folds.readers
        self.reading_bar, self.taken_back_bar = ReadingBar(readers), TakenBackBar(readers)
        self.team_bar = TeamBar(session, self.cases)
        self.case_menu = CaseMenu(self.study_page.table, readers)
        self.reading_bar.compare_wished.connect(self._on_compare_reading)
        self._closed = False
        self._lay_out()
        self._bind_keys()
        self._connect()
        self._poll = QTimer(self, interval=POLL_MS)
        self._poll.timeout.connect(self.poll)
        self._poll.start()
        self.show_page("study")
        self._on_study()
        self._on_status(session.status)

    # ---------------------------------------------------------------- layout

    def _lay_out(self) -> None:
        self.tabs = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(2)
        self.pages = QStackedWidget()
        self._names = list(TABS)
        for n, (name, (text, tip)) in enumerate(TABS.items()):
            button = QPushButton(text, objectName=f"tab_{name}", checkable=True)
            button.setToolTip(tip)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.tabs.addButton(button, n)
            row.addWidget(button, 1)
            self.pages.addWidget(getattr(self, f"{name}_page"))
        self.help = QPushButton("?", objectName="key_sheet_button")
        self.help.setToolTip("Shows every key, and lets you change it.")
        self.help.setAccessibleName("All keys (?)")
        self.help.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.help.setFixedWidth(self.fontMetrics().horizontalAdvance("?") + 18)
        row.addWidget(self.help)
        self.banner = QLabel(objectName="readonly_banner", wordWrap=True)
        self.banner.setTextFormat(Qt.TextFormat.PlainText)
        font = self.banner.font()
        font.setBold(True)
        self.banner.setFont(font)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.banner)
        layout.addWidget(self.team_bar)
        layout.addWidget(self.reading_bar)
        layout.addWidget(self.taken_back_bar)
        layout.addWidget(self.pages, 1)
        layout.addWidget(self.messages)
        layout.addWidget(self.status)
        self.setMinimumWidth(NARROWEST)
        # napari puts a stretch below a dock whose height may not grow; this one uses all there is.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Wide enough for the case table, as high as napari allows."""
        return QSize(WIDTH, 640)

    def _connect(self) -> None:
        session = self.session
        self.tabs.idClicked.connect(lambda n: self.show_page(self._names[n]))
        self.study_page.case_opened.connect(self._on_case_opened)
        self.annotate_page.wish.connect(self._on_wish)
        self.annotate_page.volumes_told.connect(self.review_page.volumes.show_volumes)
        self.train_page.wish.connect(self._on_wish)
        self.review_page.wish.connect(self._on_wish)
        self.cases.closed.connect(self._on_closed)
        self.status.clicked.connect(self._on_status_clicked)
        self.status.stopped.connect(self.train_page.stop_run)
        session.study_changed.connect(self._on_study, thread="main")
        session.status_changed.connect(self._on_status, thread="main")
        session.run_event.connect(self._on_event, thread="main")
        session.failed.connect(self._on_failed, thread="main")
        QApplication.instance().aboutToQuit.connect(self.shut_down)

    def _bind_keys(self) -> None:
        bind_page_keys(self)
        pages = {"Study": self.study_page, "Annotate": self.annotate_page}
        pages |= {"Train": self.train_page, "Review": self.review_page}
        self.shortcuts = Shortcuts(self, pages, keys_file())
        self.key_sheet = KeySheet(self.shortcuts, self)
        self.help.clicked.connect(self.key_sheet.open_beside)

    # ---------------------------------------------------------------- pages

    def show_page(self, name: str) -> None:
        """Show ``study``, ``annotate``, ``train`` or ``review``."""
        n = self._names.index(name)
        self.tabs.button(n).setChecked(True)
        for button in self.tabs.buttons():
            font = button.font()
            font.setBold(button.isChecked())  # not by colour alone
            button.setFont(font)
        self.pages.setCurrentIndex(n)

    def page(self) -> str:
        """Return the name of the page that is shown."""
        return self._names[self.pages.currentIndex()]

    def _on_case_opened(self) -> None:
        """A case opened from the table: go where it is worked on."""
        case: OpenCase | None = self.cases.shown
        reviewable = case is not None and case.state in (CaseState.PREDICTED, CaseState.IN_REVIEW)
        self.show_page("review" if reviewable else "annotate")

    def _next_name(self) -> str | None:
        """Name the case that the shown page would open next."""
        return self.review_page.next_predicted() if self.page() == "review" else self.cases.next_name()

    def step_case(self, step: int) -> None:
        """Save, then open the next (1) or previous (-1) case."""
        if self.session.study is not None and self.cases.open_next(step) and self.page() == "study":
            self._on_case_opened()

    def _on_wish(self, wish: str) -> None:
        if wish in TABS:
            self.show_page(wish)
        elif wish == "next" and self.cases.open_next(1):
            self._on_case_opened()
        elif wish == "next_review":
            self.review_page.open_next_predicted()
        elif wish == "predict":
            with self.messages.guard("starting the prediction"):
                self.session.predict(first=self._first_to_predict())

    def _on_compare_reading(self, key: str) -> None:
        """A second reading is finished: show how it differs from the first."""
        self.show_page("review")
        self.review_page.folds.show_pair("screen", key)

    def _first_to_predict(self) -> str | None:
        """Name the case on screen if it may be predicted."""
        row = self.cases.row()
        return row.name if row is not None and not row.state.labelled else None

    def _on_closed(self, name: str) -> None:
        self.messages.clear()

    # ---------------------------------------------------------------- session → dock

    def poll(self) -> None:
        """Ask the session what its workers have said."""
        emit_queued()
        with self.messages.guard("following the background process"):
            self.session.poll()

    def _on_study(self) -> None:
        study = self.session.study
        locked = study is not None and self.session.readonly
        self.banner.setVisible(locked)
        if locked:
            owner = study.owner() if study is not None else None
            who = f"in use by {owner}" if owner else "in use in another window"
            self.banner.setText(f"⚠ Read-only: this study is {who}. You can look, but nothing is saved.")

    def _on_status(self, words: str) -> None:
        active = self.session.active
        hangs = active is not None and self.session.hangs(active)
        why = self.session.why_not_end(active) if active is not None and hangs else ""
        self.status.show_status(words, running=active is not None, hangs=hangs, why_not=why)

    def _on_event(self, run: str, event: Progress) -> None:
        if run == self.session.active:
            self.status.show_progress(event.step, event.steps)

    def _on_failed(self, error: PenumbraError) -> None:
        self.status.show_error(error)
        self.messages.show_error(error)

    def _on_status_clicked(self) -> None:
        run = self.status.run()
        self.status.acknowledge()
        self.session.acknowledge()
        if self.session.study is not None and self.session.runs():
            self.show_page("train")
            self.train_page.open_log(run)

    # ---------------------------------------------------------------- end

    def closeEvent(self, event: Any) -> None:
        """Save before the window goes."""
        self.shut_down()
        super().closeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Let go before being deleted, even when nobody has closed the dock."""
        if event.type() == QEvent.Type.DeferredDelete:
            self.shut_down()
        return bool(super().event(event))

    def shut_down(self) -> None:
        """Save what is dirty, stop the clock, let go of session and canvas. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._poll.stop()
        self.cases.save()
        QApplication.instance().aboutToQuit.disconnect(self.shut_down)
        self.shortcuts.stop()
        session = self.session
        session.study_changed.disconnect(self._on_study)
        session.status_changed.disconnect(self._on_status)
        session.run_event.disconnect(self._on_event)
        session.failed.disconnect(self._on_failed)
        self.taken_back_bar.disconnect_all()
        self.team_bar.disconnect_all()
        self.ahead.disconnect_all()
        for part in (self.study_page, self.annotate_page, self.train_page, self.review_page, self.review, self.cases):
            part.disconnect_all()
        worker_thread.finish()
