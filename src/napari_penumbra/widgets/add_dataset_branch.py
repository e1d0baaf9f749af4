"""Adds a published data set by its recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.session import Session
from napari_penumbra.study.importers.folder import FolderPlan
from napari_penumbra.study.importers.recipes import RECIPES, recipe, recognise
from napari_penumbra.widgets.add_plan_branch import PlanBranch
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.path_line import PathLine


@dataclass(frozen=True, slots=True)
class _Seen:
    plan: FolderPlan
    key: str


class DatasetBranch(PlanBranch[_Seen]):
    """A recipe and a folder; the recipe is recognised unless one is chosen."""

    title = "A published data set"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, "dataset", parent)
        self.kind = QComboBox(objectName="dataset_recipe")
        self.kind.addItem("Recognise it", "")
        for one in RECIPES:
            self.kind.addItem(f"{one.title} ({one.key})", one.key)
        self.kind.setToolTip("Whose layout the folder has. Classes are matched to the study's by their names.")
        self.folder = PathLine("dataset_folder", folder=True, hint="The data set's folder, unpacked")
        self.about = QLabel(objectName="dataset_about", wordWrap=True)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        mute(self.about)
        form = QFormLayout()
        form.addRow("Folder", self.folder)
        form.addRow("Data set", self.kind)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.about)
        layout.addWidget(self.view, 1)
        self._describe("")
        self.folder.line.textChanged.connect(lambda _: self.soon())
        self.kind.currentIndexChanged.connect(self._on_kind)

    def _on_kind(self) -> None:
        self._describe(self.kind.currentData())
        self.soon()

    def _describe(self, key: str) -> None:
        if not key:
            self.about.setText(
                "Training cases come in labelled, test cases without labels; labels of test cases are kept apart in "
                "the study's folder reference, for measuring only."
            )
            return
        one = recipe(key)
        self.about.setText(f"Expected: {one.layout}. From {one.site}; licence: {one.licence}.")

    def question(self) -> Callable[[], _Seen] | None:
        """Look at the names in the folder."""
        folder, key = self.folder.path(), self.kind.currentData()
        return None if folder is None else lambda: _look(self.session, folder, key)

    def seen(self, answer: _Seen) -> FolderPlan:
        """Say which data set it is."""
        self._describe(answer.key)
        if not self.kind.currentData():
            self.about.setText(f"This is {recipe(answer.key).title}. {self.about.text()}")
        return answer.plan

    def nothing(self) -> str:
        """Say what to do first."""
        return "Pick the data set's folder first."


def _look(session: Session, folder: Path, key: str) -> _Seen:
    if not key:
        found = recognise(folder)
        if found is None:
            raise UsageError(
                f"{folder.name} has the layout of no data set that is known here.",
                "Choose the data set to see what is missing, or add it under My own files.",
            )
        key = found.key
    return _Seen(session.plan_dataset(key, folder), key)
