"""Adds cases: a whole folder with a preview, or one case with a file per modality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.domain.colour import PICTURE, has_colour, sources
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.study.importers.folder import PlannedCase
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.worker_thread import Task

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_FILTER = f"Images ({' '.join(f'*{suffix}' for suffix in SUFFIXES)});;All files (*)"


class PathLine(QWidget):
    """A line for a file or folder, with a button that browses for it."""

    def __init__(self, name: str, *, folder: bool, hint: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self.line = QLineEdit(objectName=name)
        self.line.setPlaceholderText(hint)
        self.browse = ActionButton(
            "Browse…", "Picks the folder." if folder else "Picks the file.", name=f"{name}_browse"
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.browse)
        self.browse.clicked.connect(self._browse)

    def path(self) -> Path | None:
        """Return what is written there."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def set_path(self, path: Path) -> None:
        """Write a path there."""
        self.line.setText(str(path))

    def _browse(self) -> None:
        if self._folder:
            found = QFileDialog.getExistingDirectory(self, "Pick a folder")
        else:
            found, _ = QFileDialog.getOpenFileName(self, "Pick an image", filter=_FILTER)
        if found:
            self.line.setText(found)


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
        self._modalities: tuple[str, ...] = tuple(session.opened().modalities)
        self._sources = sources(self._modalities)
        self._task: Task | None = None
        self._added = 0
        self._expected = 0
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=300)
        self._soon.timeout.connect(self._preview)
        for line in (self.images.line, self.labels.line):
            line.textChanged.connect(lambda _: self._soon.start())
        for line in (self.name, *(path.line for path in self.files.values()), self.label.line):
            line.textChanged.connect(lambda _: self._allow())
        self.tabs.currentChanged.connect(lambda _: self._allow())
        self.fill(files)
        self._allow()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.addTab(self._folder_tab(), "A folder")
        self.tabs.addTab(self._case_tab(), "One case")
        self.progress = QProgressBar(objectName="add_progress")
        self.progress.hide()
        self.messages = MessageBar()
        self.report = QListWidget(objectName="add_report")
        self.report.setWordWrap(True)
        self.report.hide()
        self.add = ActionButton(
            "Add", "Copies the scans into the study; the files themselves stay as they are.", name="add"
        )
        self.cancel = ActionButton(
            "Cancel", "Stops after the case that is being added; what was added stays.", name="add_cancel"
        )
        self.close_button = ActionButton("Close", "Closes this window.", name="add_close")
        buttons = QDialogButtonBox()
        buttons.addButton(self.add, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)
        layout = QVBoxLayout(self)
        for widget in (self.tabs, self.progress, self.report, self.messages, buttons):
            layout.addWidget(widget)
        self.setMinimumWidth(60 * self.fontMetrics().averageCharWidth())
        self.add.clicked.connect(self._add)
        self.cancel.clicked.connect(self._cancel)
        self.close_button.clicked.connect(self.reject)

    def _folder_tab(self) -> QWidget:
        tab = QWidget()
        self.images = PathLine("add_images", folder=True, hint="Folder with the scans")
        self.labels = PathLine("add_labels", folder=True, hint="Folder with masks (optional)")
        form = QFormLayout()
        form.addRow("Images", self.images)
        form.addRow("Masks", self.labels)
        how = QLabel(wordWrap=True)
        if self._sources == (PICTURE,):
            how.setText(
                "One picture per case (PNG, JPEG, TIFF, BMP); its name becomes the case's. One pixel counts as 1 mm. A "
                "mask has the picture's size; white (255) is read as the class when the study has one."
            )
        elif len(self._sources) == 1:
            how.setText(f"One file per case ({self._sources[0]}); its name becomes the case's.")
        else:
            how.setText(
                f"Files named like p007_{self._sources[0]}.nii.gz, or a folder per case with "
                f"{self._sources[0]}.nii.gz, {self._sources[1]}.nii.gz …"
            )
        mute(how)
        self.plan_words = QLabel(objectName="add_plan_words", wordWrap=True)
        self.plan = QListWidget(objectName="add_plan")
        self.plan.setMinimumHeight(8 * self.fontMetrics().lineSpacing())
        layout = QVBoxLayout(tab)
        layout.addWidget(how)
        layout.addLayout(form)
        layout.addWidget(self.plan_words)
        layout.addWidget(self.plan, 1)
        return tab

    def _case_tab(self) -> QWidget:
        tab = QWidget()
        self.name = QLineEdit(objectName="add_name")
        self.name.setPlaceholderText("p007")
        self.files: dict[str, PathLine] = {}
        form = QFormLayout()
        form.addRow("Name", self.name)
        for modality in self._sources:
            line = PathLine(f"add_file_{modality}", folder=False, hint="missing")
            self.files[modality] = line
            form.addRow("Colour picture" if modality == PICTURE and has_colour(self._modalities) else modality, line)
        self.label = PathLine("add_label", folder=False, hint="none: to be painted")
        form.addRow("Mask", self.label)
        layout = QVBoxLayout(tab)
        layout.addLayout(form)
        layout.addStretch(1)
        return tab

    def fill(self, files: Sequence[Path]) -> None:
        """Put dropped files where they most likely belong; the reader sees and may change it."""
        if not files:
            return
        if len(files) == 1 and files[0].is_dir():
            self.images.set_path(files[0])
            return
        self.tabs.setCurrentIndex(1)
        rest = [path for path in files if path.name.lower().endswith(SUFFIXES)]
        for modality, line in self.files.items():
            for path in rest:
                if names_modality(path, modality) or len(self.files) == len(rest) == 1:
                    line.set_path(path)
                    rest.remove(path)
                    break
        if len(self.files) == 1 and len(files) > 1:
            self.messages.show_notice("Several files for one modality: put them into a folder and add the folder.")
        first = next((line.path() for line in self.files.values() if line.path()), None)
        if first is not None:
            self.name.setText(case_name(first, self._sources))

    # ---------------------------------------------------------------- preview

    def _preview(self) -> None:
        """Show what the folder would add."""
        self.plan.clear()
        self._expected = 0
        images, labels = self.images.path(), self.labels.path()
        self.messages.clear()
        if images is None:
            self.plan_words.clear()
        else:
            with self.messages.guard("looking into the folder"):
                plan = self.session.opened().plan_folder(images, labels)
                planned = plan.cases
                self._expected = len(planned)
                for item in planned:
                    self.plan.addItem(plan_line(item, self._modalities))
                for name in plan.unused:
                    self.plan.addItem(f"⚠ {name} belongs to no case: left out")
                masks = sum(item.label is not None for item in planned)
                count = f"{len(planned)} case" + ("" if len(planned) == 1 else "s")
                self.plan_words.setText(
                    f"{count} will be added, {masks} with a mask." if planned else "Nothing to add here."
                )
        self._allow()

    def _allow(self) -> None:
        running = self._task is not None
        self.add.allow("Cases are being added." if running else self._why_not())
        self.cancel.setVisible(running)
        self.tabs.setEnabled(not running)

    def _why_not(self) -> str:
        if self.tabs.currentIndex() == 0:
            if self.images.path() is None:
                return "Pick the folder with the scans first."
            return "" if self._expected else "There is nothing to add in this folder."
        if not self.name.text().strip():
            return "The case needs a name."
        return "" if any(line.path() for line in self.files.values()) else "Give at least one image."

    # ---------------------------------------------------------------- add

    def _add(self) -> None:
        self.messages.clear()
        self.report.clear()
        self.report.show()
        self._added = 0
        self.progress.setRange(0, self._expected if self.tabs.currentIndex() == 0 else 0)
        self.progress.setValue(0)
        self.progress.show()
        if self.tabs.currentIndex() == 0:
            images, labels = self.images.path(), self.labels.path()
            if images is None:
                return
            task = Task(lambda: self.session.add_folder(images, labels), "adding cases")
        else:
            name = self.name.text().strip()
            files = {m: path for m, line in self.files.items() if (path := line.path()) is not None}
            label = self.label.path()
            task = Task(lambda: iter([(name, self.session.add_case(name, files, label))]), "adding the case")
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

    def _on_over(self) -> None:
        self._task = None
        self.progress.hide()
        count = f"{self._added} case" + ("" if self._added == 1 else "s")
        self.report.addItem(f"{count} added.")
        self.report.scrollToBottom()
        self._soon.start()
        self._allow()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.stop()
            self.cancel.allow("It stops after the case that is being added.")

    def done(self, result: int) -> None:
        """Stop adding when the window is closed; what comes after has nowhere to be shown."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        super().done(result)


def plan_line(item: PlannedCase, modalities: Sequence[str]) -> str:
    """Say one planned case: name, modalities found, what is missing, whether it has a mask."""
    missing = [m for m in modalities if m not in item.images]
    parts = [item.name, " ".join(item.images)]
    if missing:
        parts.append(f"⚠ without {', '.join(missing)}")
    parts.append("with mask" if item.label is not None else "no mask")
    return " · ".join(parts)


def bare_name(path: Path) -> str:
    """File name without its image suffix."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def names_modality(path: Path, modality: str) -> bool:
    """Whether a file's name says that it is of a modality: ``p007_DWI.nii.gz`` or ``dwi.nii``."""
    name, wanted = bare_name(path).lower(), modality.lower()
    return name == wanted or name.endswith((f"_{wanted}", f"-{wanted}", f" {wanted}"))


def case_name(path: Path, modalities: Sequence[str]) -> str:
    """Guess a case's name from one of its files: without the modality, else the folder's name."""
    name = bare_name(path)
    for modality in modalities:
        if name.lower() == modality.lower():
            return path.parent.name
        if names_modality(path, modality):
            return name[: -len(modality) - 1]
    return name
