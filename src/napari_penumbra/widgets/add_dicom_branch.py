"""Adds DICOM: looks through a folder or a tree of patients and shows what it would become, for the reader to change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.dicom import Stopped, has_dicom
from napari_penumbra.session import Session
from napari_penumbra.study.importers.dicom import DicomPlan, check_cases
from napari_penumbra.widgets.add_branch import Branch, Outcome
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.dicom_table import DicomTable
from napari_penumbra.widgets.path_line import PathLine
from napari_penumbra.widgets.worker_thread import Task


class _Search:
    """A search in another thread, and how far it has come."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.stop = threading.Event()

    def progress(self, done: int, total: int) -> bool:
        """Note how far it is; False when nobody waits for it any more."""
        self.done, self.total = done, total
        return not self.stop.is_set()


class DicomBranch(Branch):
    """A folder of DICOM files."""

    title = "DICOM"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._task: Task | None = None
        self._search = _Search()
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=400)
        self._soon.timeout.connect(self.refresh)
        self._ticks = QTimer(self, interval=200)
        self._ticks.timeout.connect(self._tick)
        self.folder.line.textChanged.connect(lambda _: self._soon.start())
        self.table.changed.connect(self._changed)
        self.table.failed.connect(self.failed)
        self.show_folders.toggled.connect(self.table.show_folders)

    def _build(self) -> None:
        self.folder = PathLine("add_dicom", folder=True, hint="Folder of DICOM files, or of many patients")
        form = QFormLayout()
        form.addRow("Folder", self.folder)
        how = QLabel(
            "Each patient's exam becomes a case, each series may become a modality. Names, numbers and dates of the "
            "patient stay outside the study.",
            wordWrap=True,
        )
        mute(how)
        self.words = QLabel(objectName="dicom_words", wordWrap=True)
        self.stop = ActionButton(
            "Stop looking", "Stops looking through the folder; nothing is written.", name="dicom_stop"
        )
        self.stop.hide()
        self.stop.clicked.connect(self._stop)
        self.table = DicomTable(self.session.opened().modalities)
        self.table.setMinimumHeight(11 * self.fontMetrics().lineSpacing())
        self.keep = QCheckBox("Keep references to the source slices", objectName="dicom_keep")
        self.keep.setToolTip(
            "Needed to export DICOM segmentations that refer to the original series. It keeps the slices' UIDs and "
            "the folder's name in the study: with access to the archive, they lead back to the patient."
        )
        self.show_folders = QCheckBox("Show folders", objectName="dicom_folders")
        self.show_folders.setToolTip("Shows where each case's files lie, here only. Folder names may hold patients'.")
        line = QHBoxLayout()
        line.addWidget(self.words, 1)
        line.addWidget(self.stop)
        choices = QHBoxLayout()
        choices.addWidget(self.keep)
        choices.addWidget(self.show_folders)
        choices.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addWidget(how)
        layout.addLayout(form)
        layout.addLayout(line)
        layout.addWidget(self.table, 1)
        layout.addLayout(choices)

    # ---------------------------------------------------------------- what the dialog asks

    def fill(self, files: Sequence[Path]) -> bool:
        """Take a dropped folder with DICOM files in it."""
        if len(files) != 1 or not files[0].is_dir() or not has_dicom(files[0]):
            return False
        self.folder.set_path(files[0])
        return True

    def why_not(self) -> str:
        """Say why nothing can be added yet; empty when it can."""
        if self._task is not None:
            return "The folder is still being looked through."
        if self.folder.path() is None:
            return "Pick the folder with the DICOM files first."
        plan = self.table.plan
        if plan is None:
            return "There is no DICOM scan to add in this folder."
        if all(case.present for case in plan.cases):
            return "All of it is in the study already."
        return check_cases(plan.cases)

    def expected(self) -> int:
        """How many cases are to be added."""
        return sum(case.wanted for case in self.table.plan.cases) if self.table.plan else 0

    def work(self) -> Callable[[], Iterator[Outcome]]:
        """Add what the table shows."""
        cases = self.table.plan.cases if self.table.plan else ()
        kept = str(self.folder.path()) if self.keep.isChecked() else ""
        return lambda: self.session.add_dicom(cases, kept)

    def refresh(self) -> None:
        """Look through the folder anew."""
        self._search.stop.set()
        folder = self.folder.path()
        self.table.show_plan(None)
        if folder is None:
            self._task = None
            self.words.clear()
        else:
            self._look(folder)
        self.changed.emit()

    def leave(self) -> None:
        """Stop looking; the dialog closes."""
        self._search.stop.set()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._ticks.stop()

    # ---------------------------------------------------------------- looking

    def _look(self, folder: Path) -> None:
        if self._task is not None:
            self._task.cancel()
        search = self._search = _Search()
        task = Task(lambda: self.session.plan_dicom(folder, search.progress), "looking through the folder")
        task.done.connect(lambda plan: self._on_plan(plan, task))
        task.failed.connect(lambda error: self._on_failed(error, task))
        self._task = task
        self._tick()
        self.stop.show()
        self._ticks.start()
        task.start()

    def _tick(self) -> None:
        search = self._search
        self.words.setText(
            f"Looking: {search.done:,} of {search.total:,} files." if search.total else "Looking for files …"
        )

    def _stop(self) -> None:
        self._search.stop.set()

    def _on_plan(self, plan: DicomPlan, task: Task) -> None:
        if task is self._task:
            self._over()
            self.table.show_plan(plan)
            self._changed()
            self._widen()

    def _widen(self) -> None:
        """Give the sentences room, as far as a small screen has it."""
        window, screen = self.window(), self.screen()
        wanted = min(165 * self.fontMetrics().averageCharWidth(), int(0.85 * screen.availableGeometry().width()))
        if self.isVisible() and window.width() < wanted:
            window.resize(wanted, window.height())

    def _on_failed(self, error: PenumbraError, task: Task) -> None:
        if task is self._task:
            self._over()
            self.words.setText("Stopped; nothing was changed." if isinstance(error, Stopped) else "")
            if not isinstance(error, Stopped):
                self.failed.emit(error)
            self.changed.emit()

    def _over(self) -> None:
        self._task = None
        self._ticks.stop()
        self.stop.hide()

    def _changed(self) -> None:
        plan = self.table.plan
        if plan is not None:
            there = sum(bool(case.present) for case in plan.cases)
            parts = [f"{_cases(self.expected())} will be added."]
            if there:
                parts.append(f"{_cases(there)} {'is' if there == 1 else 'are'} in the study already.")
            self.words.setText(" ".join([*parts, *plan.notes]))
        self.changed.emit()


def _cases(count: int) -> str:
    return f"{count} case" + ("" if count == 1 else "s")
