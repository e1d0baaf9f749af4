"""Adds one's own files: a folder, a pattern of their names, and a table of what that makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_penumbra.domain.colour import PICTURE, sources
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.imaging.dicom import has_dicom
from napari_penumbra.session import Session
from napari_penumbra.session.importing import Ask
from napari_penumbra.study.importers.folder import FolderPlan
from napari_penumbra.study.importers.splitting import Spacing, Split
from napari_penumbra.widgets.add_plan_branch import PlanBranch
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.path_line import PathLine

_MOST_GUESSES = 6
_SPLITS = (
    ("Refuse them", Split.REFUSE, "Nothing is guessed: a case with such a file is refused, and says so."),
    ("Each volume is a modality", Split.CHANNELS, "The first volume is the first modality, and so on."),
    ("Each volume is a case", Split.TIME, "Time points, for example: each becomes a case with a number behind it."),
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found: the plan, and guesses of patterns when the folder is a new one."""

    plan: FolderPlan
    pattern: str
    guessed: tuple[str, ...] | None


class FolderBranch(PlanBranch[_Seen]):
    """A folder of scans, perhaps one of masks, and how their names are to be read."""

    title = "My own files"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, "add", parent)
        self._sources = sources(session.opened().modalities)
        self._known: Path | None = None
        self._build()
        for line in (self.images.line, self.labels.line, self.spacing):
            line.textChanged.connect(lambda _: self.soon())
        self.pattern.editTextChanged.connect(lambda _: self.soon())
        self.split.currentIndexChanged.connect(lambda _: self.soon())

    def _build(self) -> None:
        self.images = PathLine("add_images", folder=True, hint="Folder with the scans")
        self.labels = PathLine("add_labels", folder=True, hint="Folder with masks, if they lie elsewhere (optional)")
        self.pattern = QComboBox(objectName="add_pattern")
        self.pattern.setEditable(True)
        self.pattern.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.pattern.lineEdit().setPlaceholderText("guessed from the names; empty: the usual names")
        self.pattern.setToolTip(
            "How the files are named, from the folder on: {case} is the case's name, {modality} one of "
            f"{', '.join(self._sources)} (or 0000, 0001 …; seg, mask or label for a mask), * anything, "
            ".* any format. The table follows while you type."
        )
        self.split = QComboBox(objectName="add_split")
        for words, split, tip in _SPLITS:
            self.split.addItem(words, split)
            self.split.setItemData(self.split.count() - 1, tip, 3)  # Qt.ItemDataRole.ToolTipRole
        self.split.setToolTip("What becomes of files that hold several volumes (4D).")
        self.spacing = QLineEdit(objectName="add_spacing")
        self.spacing.setPlaceholderText("x, y, z in mm; empty: 1 mm is assumed")
        self.spacing.setToolTip("Voxel size of files that do not say theirs, such as most TIFF stacks.")
        form = self.form = QFormLayout()
        form.addRow("Images", self.images)
        form.addRow("Masks", self.labels)
        form.addRow("Names", self.pattern)
        form.addRow("4D files", self.split)
        form.addRow("Voxel size", self.spacing)
        form.setRowVisible(self.split, False)
        form.setRowVisible(self.spacing, False)
        how = QLabel(_how(self._sources), wordWrap=True)
        mute(how)
        layout = QVBoxLayout(self)
        layout.addWidget(how)
        layout.addLayout(form)
        layout.addWidget(self.view, 1)

    def fill(self, files: Sequence[Path]) -> bool:
        """Take a dropped folder."""
        if len(files) != 1 or not files[0].is_dir() or has_dicom(files[0]):
            return False
        self.images.set_path(files[0])
        return True

    # ---------------------------------------------------------------- looking

    def question(self) -> Callable[[], _Seen] | None:
        """Look at names and headers; guess the pattern when the folder is a new one."""
        images = self.images.path()
        if images is None:
            return None
        new = images != self._known
        pattern = "" if new else self.pattern.currentText()
        ask = Ask(images, self.labels.path(), pattern, self.split.currentData(), _spacing(self.spacing.text()))
        return lambda: _look(self.session, ask, guess=new)

    def seen(self, answer: _Seen) -> FolderPlan:
        """Show the guessed patterns, and ask what the files do not say."""
        if answer.guessed is not None:
            self._known = self.images.path()
            self.pattern.blockSignals(True)
            self.pattern.clear()
            self.pattern.addItems(list(answer.guessed))
            self.pattern.setCurrentText(answer.pattern)
            self.pattern.blockSignals(False)
        several = any("volumes" in note for note in (*answer.plan.notes, *(c.problem for c in answer.plan.cases)))
        split = any(case.hints.frames for case in answer.plan.cases)
        self.form.setRowVisible(self.split, several or split)
        unsized = any("how large the voxels are" in note for note in answer.plan.notes)
        self.form.setRowVisible(self.spacing, unsized or bool(self.spacing.text()))
        return answer.plan

    def nothing(self) -> str:
        """Say what to do first."""
        return "Pick the folder with the scans first."


def _look(session: Session, ask: Ask, *, guess: bool) -> _Seen:
    """Plan with the pattern; of a new folder with the best guess, unless the usual names explain more of it."""
    if not guess:
        return _Seen(session.plan_files(ask), ask.pattern, None)
    guessed = tuple(session.guess_patterns(ask.images)[:_MOST_GUESSES])
    best: tuple[FolderPlan, str] | None = None
    problem: PenumbraError | None = None
    for pattern in (*guessed[:1], ""):
        try:
            plan = session.plan_files(replace(ask, pattern=pattern))
        except PenumbraError as error:
            problem = problem or error
            continue
        if best is None or _explained(plan) > _explained(best[0]):
            best = plan, pattern
    if best is None:
        raise problem or UsageError(f"Nothing was found in {ask.images}.", "Pick another folder.")
    return _Seen(*best, guessed)


def _explained(plan: FolderPlan) -> tuple[int, int, int]:
    images = sum(len(case.images) for case in plan.cases)
    return images, sum(case.masked for case in plan.cases), -len(plan.unused)


def _spacing(text: str) -> Spacing | None:
    """Three lengths, or None while they are being typed."""
    try:
        x, y, z = (float(part) for part in text.replace(";", ",").split(","))
    except ValueError:
        return None
    return (x, y, z) if min(x, y, z) > 0 else None


def _how(modalities: Sequence[str]) -> str:
    if tuple(modalities) == (PICTURE,):
        return (
            "One picture per case (PNG, JPEG, TIFF, BMP); its name becomes the case's. One pixel counts as 1 mm. A "
            "mask has the picture's size; white (255) is read as the class when the study has one."
        )
    if len(modalities) == 1:
        return f"One file per case ({modalities[0]}): NIfTI, NRRD, MHA, Analyze or a TIFF stack."
    return f"A file per case and modality ({', '.join(modalities)}): NIfTI, NRRD, MHA, Analyze or a TIFF stack."
