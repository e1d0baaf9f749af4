"""The Study page: which study, which cases, which is next."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QStackedLayout, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_penumbra.domain.case import PoolCounts
from napari_penumbra.session import Session
from napari_penumbra.study.team.errors import UnreachedError
from napari_penumbra.widgets.add_cases_dialog import AddCasesDialog
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.case_table import CaseTable
from napari_penumbra.widgets.check_page import CheckPage
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.empty_state import EmptyState
from napari_penumbra.widgets.export_dialog import ExportDialog
from napari_penumbra.widgets.fold import Fold
from napari_penumbra.widgets.new_study_dialog import NewStudyDialog
from napari_penumbra.widgets.order_box import OrderBox
from napari_penumbra.widgets.progress_box import ProgressBox
from napari_penumbra.widgets.team_controller import TeamController

SEARCH_FROM = 12
"""From how many cases on the search line is worth its room."""


class StudyPage(QWidget):
    """Opens and makes studies, adds cases, lists them.

    Signals
    -------
    case_opened
        A case was opened from this page: time to annotate or review it.
    """

    case_opened = Signal()

    def __init__(self, session: Session, cases: CaseController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.cases = cases
        self.messages = cases.messages
        self.setAcceptDrops(True)
        self._dialog: Any = None
        self._dialog_of: object = None
        self._build()
        # Many cases may change in one go (a prediction of the pool): one query for all of them.
        self._soon = QTimer(self, singleShot=True, interval=150)
        self._soon.timeout.connect(self.refresh)
        session.study_changed.connect(self._on_study, thread="main")
        session.case_changed.connect(self._refresh_soon, thread="main")
        session.team_changed.connect(self._on_team, thread="main")
        cases.opened.connect(self._on_shown)
        cases.cleared.connect(self._on_shown)

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self.checking.disconnect_all()
        self._close_dialog()
        self.session.study_changed.disconnect(self._on_study)
        self.session.case_changed.disconnect(self._refresh_soon)
        self.session.team_changed.disconnect(self._on_team)

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.title = QElidingLabel(objectName="study_title")
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.new = ActionButton("New…", "Makes a new study in a folder of its own.", name="new_study")
        self.open = ActionButton("Open…", "Opens the folder of a study.", name="open_study")
        self.add = ActionButton(
            "Add cases…",
            "Adds scans: a folder, or files per modality. Files can also be dragged here.",
            name="add_cases",
        )
        self.check = ActionButton(
            "Check…",
            "Looks whether every case is fit for use: files, grids, modalities that do not lie on each other, doubles.",
            name="check_cases",
        )
        self.checking = CheckPage(self.session, self.cases)
        self.export = ActionButton(
            "Export…", "Writes labels for other tools, a table of the cohort, or a report page.", name="export_cases"
        )
        self.team = ActionButton(
            "Team…", "Lets several readers work on this study at once, and says who has which case.", name="team"
        )
        self.teamwork = TeamController(self.session, self.cases, self._show_before, self)
        self.count_line = QLabel(objectName="study_counts", wordWrap=True)
        mute(self.count_line)
        self.search = QLineEdit(objectName="case_search", clearButtonEnabled=True)
        self.search.setPlaceholderText("Find a case by name or state")
        self.table = CaseTable()
        self.ordering = OrderBox(self.session)
        self.next, self.order = self.ordering.next, self.ordering.order
        self.progress = ProgressBox(self.session, self.messages)
        self._lay_out()
        self.new.clicked.connect(self.ask_new)
        self.open.clicked.connect(self.ask_open)
        self.add.clicked.connect(lambda: self.ask_add())
        self.check.clicked.connect(lambda: self.show_check(True))
        self.export.clicked.connect(self.ask_export)
        self.team.clicked.connect(self.ask_team)
        self.checking.left.connect(lambda: self.show_check(False))
        self.checking.opened.connect(self.open_case)
        self.next.clicked.connect(lambda: self._opened(self.cases.open_next(1)))
        self.table.opened.connect(self.open_case)
        self.search.textChanged.connect(self.table.filter.set_filter)
        self.table.pin_wished.connect(self.pin)
        self.ordering.changed.connect(self.refresh)
        self.progress.opened.connect(self.open_case)
        self.empty.pressed.connect(self._on_wish)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.new)
        head.addWidget(self.open)
        head.addWidget(self.team)
        layout.addLayout(head)
        layout.addWidget(self.count_line)
        acts = QHBoxLayout()
        for button in (self.check, self.export, self.add):
            acts.addWidget(button, 1)
        layout.addLayout(acts)
        self.filled = QWidget()
        filled = QVBoxLayout(self.filled)
        filled.setContentsMargins(0, 0, 0, 0)
        filled.addWidget(self.search)
        filled.addWidget(self.table, 1)
        filled.addWidget(self.ordering)
        filled.addWidget(Fold("Progress: minutes, corrections, when to stop", self.progress, "progress_fold"))
        self.empty = EmptyState("study_empty")
        self._stack = QStackedLayout()
        self._stack.addWidget(self.filled)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.checking)
        layout.addLayout(self._stack, 1)

    # ---------------------------------------------------------------- session → page

    def _refresh_soon(self, case: str = "") -> None:
        self._soon.start()

    def _on_team(self) -> None:
        self._soon.start()

    def _on_study(self) -> None:
        """Another study: what would be added or exported is none of its affairs."""
        if self._dialog_of is not self.session.study and isinstance(self._dialog, (AddCasesDialog, ExportDialog)):
            self._close_dialog()
        self.refresh()

    def showEvent(self, event: Any) -> None:
        """Catch up: a hidden page reads nothing."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Read the study anew, if anybody sees it."""
        if self.isVisible():
            with self.messages.guard("reading the study"):
                self._refresh()

    def _refresh(self) -> None:
        study = self.session.study
        rows = self.cases.rows()
        self.title.setText("No study open" if study is None else study.name + simulated(study.name, study.simulated))
        self.title.setToolTip("" if study is None else str(study.root))
        self.count_line.setText("" if study is None else count_words(self.session.counts()))
        self.count_line.setVisible(study is not None)
        self.add.allow("Open or make a study first." if study is None else self._why_readonly())
        self.add.setVisible(study is not None)
        self.export.setVisible(study is not None)
        self.team.setVisible(study is not None)
        self.team.allow(self._why_readonly())
        self.export.allow("" if rows else "There are no cases yet.")
        self.ordering.refresh(self.cases.order_words, bool(rows))
        self.progress.refresh()
        self.search.setVisible(len(rows) >= SEARCH_FROM or bool(self.search.text()))
        if study is not None:
            self.table.cases.set_rows(rows, study.root)
        else:
            self.table.cases.set_rows([], Path())
        self._on_shown()
        self.check.setVisible(bool(rows))
        if not rows or self._stack.currentWidget() is not self.checking:
            self._stack.setCurrentWidget(self.filled if rows else self.empty)
        if study is None:
            self.empty.say(
                "A study is a folder that holds your scans, your labels and the models that learn from them.\n\n"
                "Make a new one, open one, or try the sample: File > Open Sample.",
                "New study…",
                "new",
                "Makes a new study in a folder of its own.",
            )
        elif not rows:
            self.empty.say("No cases yet. Drag scans here, or:", "Add cases…", "add", "Adds scans to this study.")

    def show_check(self, wanted: bool) -> None:
        """Show the check in place of the list, or the list again."""
        self._stack.setCurrentWidget(self.checking if wanted else self.filled)
        if wanted:
            self.checking.begin()
        self.refresh()

    def _why_readonly(self) -> str:
        return "This study is open read-only: another window writes to it." if self.session.readonly else ""

    def _on_shown(self, _case: object = None) -> None:
        """Mark the case on the canvas, and go there when it is another one."""
        name = self.cases.name
        if self.table.cases.set_shown(name) and name is not None:
            self.table.select(name)

    # ---------------------------------------------------------------- page → session

    def open_case(self, name: str) -> None:
        """Open a case of the list; the shown one is saved first."""
        self._opened(self.cases.open(name))

    def pin(self, name: str, wanted: bool) -> None:
        """Put a case first, or let the order decide again."""
        with self.messages.guard(f"putting {name} first" if wanted else f"letting the order decide about {name}"):
            self.session.pin(name, wanted)

    def _opened(self, opened: bool) -> None:
        if opened:
            self.case_opened.emit()

    def open_folder(self, root: Path) -> bool:
        """Save what is shown, then open the study in a folder."""
        with self.messages.guard(f"opening the study in {root.name}"):
            self.cases.save_now()
            try:
                self.session.open(root)
            except UnreachedError as error:
                self.teamwork.ask_join(root, error)
                return False
            if self.session.notices and not self.session.readonly:
                self.messages.show_notice(" ".join(self.session.notices))
            return True
        return False

    def ask_open(self) -> None:
        """Ask for a study's folder."""
        folder = QFileDialog.getExistingDirectory(self, "Open a study: its folder")
        if folder:
            self.open_folder(Path(folder))

    def ask_new(self) -> None:
        """Show the dialog for a new study beside the window: painting can go on."""
        if self._has_dialog():
            return
        dialog = NewStudyDialog(self)
        dialog.wished.connect(self._make)
        self._show(dialog)

    def _make(self, wish: Any) -> None:
        dialog = self.sender()
        bar = dialog.messages if isinstance(dialog, NewStudyDialog) else self.messages
        with bar.guard("making the study"):
            self.cases.save_now()
            self.session.create(wish.root, wish.name, wish.modalities, wish.labels)
            if isinstance(dialog, NewStudyDialog):
                dialog.accept()

    def ask_add(self, files: list[Path] | None = None) -> None:
        """Show the dialog that adds cases, filled in with dropped files."""
        if self.session.study is None or self.session.readonly:
            self.messages.show_notice(self._why_readonly() or "Open or make a study first, then add cases.")
            return
        if self._has_dialog():
            if files and isinstance(self._dialog, AddCasesDialog):
                self._dialog.offer(files)
            return
        self._show(AddCasesDialog(self.session, files or [], self))

    def ask_export(self) -> None:
        """Save what is shown, then show the dialog that exports."""
        if self._has_dialog():
            return
        with self.messages.guard("opening the export"):
            self.cases.save_now()
            self._show(ExportDialog(self.session, self))

    def ask_team(self) -> None:
        """Show the team, or ask where it shall be."""
        if not self._has_dialog():
            self.teamwork.ask()

    def _show(self, dialog: Any) -> None:
        """Show a dialog beside the window: what it does may take an hour, and painting goes on meanwhile."""
        self._keep(dialog)
        dialog.show()

    def _show_before(self, dialog: Any) -> None:
        """Show a dialog that moves the study itself: the window behind it waits, and its event loop goes on."""
        self._keep(dialog)
        dialog.open()

    def _keep(self, dialog: Any) -> None:
        self._close_dialog()
        self._dialog, self._dialog_of = dialog, self.session.study
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.finished.connect(self._forget_dialog)

    def _has_dialog(self) -> bool:
        """Whether a dialog is open already; one at a time, so it comes to the front."""
        if self._dialog is not None:
            self._dialog.raise_()
            self._dialog.activateWindow()
        return self._dialog is not None

    def _close_dialog(self) -> None:
        dialog, self._dialog = self._dialog, None
        if dialog is not None:
            with suppress(RuntimeError):  # Qt may have deleted it with the window already
                dialog.reject()

    def _forget_dialog(self) -> None:
        if self.sender() is self._dialog:
            self._dialog = None

    def _on_wish(self, wish: str) -> None:
        {"new": self.ask_new, "add": self.ask_add}[wish]()

    # ---------------------------------------------------------------- drag and drop

    def dragEnterEvent(self, event: Any) -> None:
        """Take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:
        """Open a dropped study, or offer to add dropped files."""
        files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        if len(files) == 1 and (files[0] / "study.toml").exists():
            self.open_folder(files[0])
        elif files:
            self.ask_add(files)


def count_words(counts: PoolCounts) -> str:
    """Say the pools: ``24 cases · 4 labelled · 18 predicted · 2 validation``."""
    parts = [f"{counts.cases} case" + ("" if counts.cases == 1 else "s"), f"{counts.labelled} labelled"]
    if counts.predicted:
        parts.append(f"{counts.predicted} predicted")
    if counts.validation:
        parts.append(f"{counts.validation} validation")
    return " · ".join(parts)


def simulated(name: str, is_simulated: bool) -> str:
    """Say that a study is simulated, unless its name does."""
    return " (simulated)" if is_simulated and "simulated" not in name.lower() else ""
