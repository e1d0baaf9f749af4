"""Adds a whole folder of files, with a preview of the cases that are found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFormLayout, QLabel, QListWidget, QVBoxLayout, QWidget

from napari_penumbra.domain.colour import PICTURE, sources
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.study.importers.folder import PlannedCase
from napari_penumbra.widgets.add_branch import Branch, Outcome
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.path_line import PathLine


class FolderBranch(Branch):
    """A folder of scans and perhaps one of masks."""

    title = "A folder"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._modalities: tuple[str, ...] = tuple(session.opened().modalities)
        self._sources = sources(self._modalities)
        self._expected = 0
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=300)
        self._soon.timeout.connect(self.refresh)
        for line in (self.images.line, self.labels.line):
            line.textChanged.connect(lambda _: self._soon.start())

    def _build(self) -> None:
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
        layout = QVBoxLayout(self)
        layout.addWidget(how)
        layout.addLayout(form)
        layout.addWidget(self.plan_words)
        layout.addWidget(self.plan, 1)

    def fill(self, files: Sequence[Path]) -> bool:
        """Take a dropped folder."""
        if len(files) != 1 or not files[0].is_dir():
            return False
        self.images.set_path(files[0])
        return True

    def refresh(self) -> None:
        """Show what the folder would add."""
        self.plan.clear()
        self._expected = 0
        images, labels = self.images.path(), self.labels.path()
        if images is None:
            self.plan_words.clear()
        else:
            try:
                plan = self.session.opened().plan_folder(images, labels)
            except PenumbraError as error:
                self.failed.emit(error)
            else:
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
        self.changed.emit()

    def why_not(self) -> str:
        """Say what is missing."""
        if self.images.path() is None:
            return "Pick the folder with the scans first."
        return "" if self._expected else "There is nothing to add in this folder."

    def expected(self) -> int:
        """How many cases the folder holds."""
        return self._expected

    def work(self) -> Callable[[], Iterator[Outcome]]:
        """Add the folder."""
        images, labels = self.images.path(), self.labels.path()
        assert images is not None  # why_not asked for it
        return lambda: self.session.add_folder(images, labels)


def plan_line(item: PlannedCase, modalities: Sequence[str]) -> str:
    """Say one planned case: name, modalities found, what is missing, whether it has a mask."""
    missing = [m for m in modalities if m not in item.images]
    parts = [item.name, " ".join(item.images)]
    if missing:
        parts.append(f"⚠ without {', '.join(missing)}")
    parts.append("with mask" if item.label is not None else "no mask")
    return " · ".join(parts)
