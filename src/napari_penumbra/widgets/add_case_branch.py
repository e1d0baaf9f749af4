"""Adds one case, with a file per modality."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from qtpy.QtWidgets import QFormLayout, QLineEdit, QVBoxLayout, QWidget

from napari_penumbra.domain.colour import PICTURE, has_colour, sources
from napari_penumbra.imaging.files import suffix_of
from napari_penumbra.session import Session
from napari_penumbra.widgets.add_branch import Branch, Outcome
from napari_penumbra.widgets.path_line import PathLine


class CaseBranch(Branch):
    """A name, a file per modality and perhaps a mask."""

    title = "One case"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        modalities = session.opened().modalities
        self._sources = sources(modalities)
        self.name = QLineEdit(objectName="add_name")
        self.name.setPlaceholderText("p007")
        self.files: dict[str, PathLine] = {}
        form = QFormLayout()
        form.addRow("Name", self.name)
        for modality in self._sources:
            line = PathLine(f"add_file_{modality}", folder=False, hint="missing")
            self.files[modality] = line
            form.addRow("Colour picture" if modality == PICTURE and has_colour(modalities) else modality, line)
        self.label = PathLine("add_label", folder=False, hint="none: to be painted")
        form.addRow("Mask", self.label)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addStretch(1)
        for edit in (self.name, *(path.line for path in self.files.values()), self.label.line):
            edit.textChanged.connect(lambda _: self.changed.emit())

    def fill(self, files: Sequence[Path]) -> bool:
        """Put dropped files where they most likely belong; the reader sees and may change it."""
        if not files or (len(files) == 1 and files[0].is_dir()):
            return False
        rest = [path for path in files if suffix_of(path)]
        for modality, line in self.files.items():
            for path in rest:
                if names_modality(path, modality) or len(self.files) == len(rest) == 1:
                    line.set_path(path)
                    rest.remove(path)
                    break
        first = next((line.path() for line in self.files.values() if line.path()), None)
        if first is not None:
            self.name.setText(case_name(first, self._sources))
        return True

    def why_not(self) -> str:
        """Say what is missing."""
        if not self.name.text().strip():
            return "The case needs a name."
        return "" if any(line.path() for line in self.files.values()) else "Give at least one image."

    def work(self) -> Callable[[], Iterator[Outcome]]:
        """Add the case."""
        name = self.name.text().strip()
        files = {m: path for m, line in self.files.items() if (path := line.path()) is not None}
        label = self.label.path()
        return lambda: iter([(name, self.session.add_case(name, files, label))])


def bare_name(path: Path) -> str:
    """File name without its image suffix."""
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.stem


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
