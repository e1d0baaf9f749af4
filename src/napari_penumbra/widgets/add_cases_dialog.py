"""The dialog that adds cases: a page per way in (`BRANCHES`), one progress bar, one Cancel, one report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QListWidget, QProgressBar, QTabWidget, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.widgets.add_branch import Branch
from napari_penumbra.widgets.add_case_branch import CaseBranch
from napari_penumbra.widgets.add_dataset_branch import DatasetBranch
from napari_penumbra.widgets.add_dicom_branch import DicomBranch
from napari_penumbra.widgets.add_folder_branch import FolderBranch
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.worker_thread import Task

B = TypeVar("B", bound=Branch)

BRANCHES: tuple[type[Branch], ...] = (FolderBranch, DicomBranch, DatasetBranch, CaseBranch)
"""The pages, from left to right; a new way in is a new file and one entry."""


class AddCasesDialog(QDialog):
    """Says what will be added before anything is; adds in another thread, with progress and Cancel.

    Parameters
    ----------
    session
        Its study takes the cases.
    files
        Files or a folder to start with (dropped on the page).
    """

    def __init__(self, session: Session, files: Sequence[Path] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("add_cases_dialog")
        self.setWindowTitle("Add cases")
        self.session = session
        self._task: Task | None = None
        self._added = 0
        self.branches = [kind(session) for kind in BRANCHES]
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=300)
        self._soon.timeout.connect(self._refresh)
        self.tabs.currentChanged.connect(lambda _: self._allow())
        self.fill(files)
        self._allow()

    def branch(self, kind: type[B]) -> B:
        """Return the page of a kind."""
        return next(page for page in self.branches if isinstance(page, kind))

    @property
    def current(self) -> Branch:
        """The page in front."""
        return self.branches[self.tabs.currentIndex()]

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.messages = MessageBar()
        self.tabs = QTabWidget()
        for page in self.branches:
            self.tabs.addTab(page, page.title)
            page.changed.connect(self._allow)
            page.failed.connect(self.messages.show_error)
        self.progress = QProgressBar(objectName="add_progress")
        self.progress.hide()
        self.report = QListWidget(objectName="add_report")
        self.report.setWordWrap(True)
        self.report.hide()
        self.add = ActionButton(
            "Add", "Copies the scans into the study; the files themselves stay as they are.", name="add"
        )
        self.cancel = ActionButton(
            "Cancel", "Stops; cases that were added stay, none is left half-added.", name="add_cancel"
        )
        self.close_button = ActionButton("Close", "Closes this window.", name="add_close")
        buttons = QDialogButtonBox()
        buttons.addButton(self.add, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)
        layout = QVBoxLayout(self)
        for widget in (self.tabs, self.progress, self.report, self.messages, buttons):
            layout.addWidget(widget)
        letter = self.fontMetrics().averageCharWidth()
        self.setMinimumWidth(60 * letter)
        self.resize(110 * letter, 34 * self.fontMetrics().lineSpacing())  # tables want room; fits 1366x768
        self.add.clicked.connect(self._add)
        self.cancel.clicked.connect(self._cancel)
        self.close_button.clicked.connect(self.reject)

    def fill(self, files: Sequence[Path]) -> None:
        """Hand dropped files to the first page that takes them."""
        for n, page in enumerate(self.branches):
            if files and page.fill(files):
                self.tabs.setCurrentIndex(n)
                break
        if len(files) > 1 and len(self.session.opened().modalities) == 1:
            self.messages.show_notice("Several files for one modality: put them into a folder and add the folder.")

    def offer(self, files: Sequence[Path]) -> None:
        """Take files that are dropped while the dialog is open, unless cases are being added."""
        if self._task is None:
            self.fill(files)
            self._allow()

    def _allow(self) -> None:
        running = self._task is not None
        self.add.allow("Cases are being added." if running else self.current.why_not())
        self.cancel.setVisible(running)
        self.tabs.setEnabled(not running)

    # ---------------------------------------------------------------- add

    def _add(self) -> None:
        self.messages.clear()
        self.report.clear()
        self.report.show()
        self._added = 0
        self.progress.setRange(0, self.current.expected())
        self.progress.setValue(0)
        self.progress.show()
        self.cancel.allow()
        task = Task(self.current.work(), "adding cases")
        task.step.connect(self._on_step)
        task.failed.connect(self.messages.show_error)
        task.over.connect(self._on_over)
        self._task = task.start()
        self._allow()

    def _on_step(self, item: tuple[str, list[str] | PenumbraError]) -> None:
        name, outcome = item
        self.progress.setValue(self.progress.value() + 1)
        if isinstance(outcome, PenumbraError):
            self.report.addItem(f"✗ {name}: {outcome}")
            return
        self._added += 1
        self.report.addItem(f"✓ {name}" + (f": ⚠ {' '.join(outcome)}" if outcome else ""))
        self.report.scrollToBottom()

    def _on_over(self) -> None:
        self._task = None
        self.progress.hide()
        count = f"{self._added} case" + ("" if self._added == 1 else "s")
        self.report.addItem(f"{count} added.")
        self.report.scrollToBottom()
        self._soon.start()
        self._allow()

    def _refresh(self) -> None:
        for page in self.branches:
            page.refresh()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.stop()
            self.cancel.allow("It stops after the case that is being added.")

    def done(self, result: int) -> None:
        """Stop adding when the window is closed; what comes after has nowhere to be shown."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for page in self.branches:
            page.leave()
        super().done(result)
