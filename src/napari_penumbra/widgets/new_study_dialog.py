"""Asks what a new study needs: a name, a folder, modalities, label classes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.domain.colour import COLOUR, expand
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.messages import MessageBar


@dataclass(frozen=True, slots=True)
class NewStudy:
    """What was asked for."""

    root: Path
    name: str
    modalities: tuple[str, ...]
    labels: LabelScheme


class NewStudyDialog(QDialog):
    """A form whose Create button says what is still missing.

    Signals
    -------
    wished : (NewStudy)
        Create was pressed. The listener makes the study and calls ``accept``, or shows why not in ``messages``.
    """

    wished = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("new_study_dialog")
        self.setWindowTitle("New study")
        self.name = QLineEdit(objectName="new_name")
        self.name.setPlaceholderText("Stroke cohort 2026")
        self.folder = QLineEdit(objectName="new_folder")
        self.folder.setPlaceholderText("An empty or new folder")
        self.browse = ActionButton("Browse…", "Picks the folder that will hold the study's folder.", name="new_browse")
        self.modalities = QLineEdit(objectName="new_modalities")
        self.modalities.setPlaceholderText("DWI, T2, Tmax: the first is the reference")
        self.colour = ActionButton(
            "Colour pictures",
            "Fills in Red, Green, Blue: for photographs and endoscopy. Each picture is one file; it is split into the "
            "three.",
            name="new_colour",
        )
        self.labels = QPlainTextEdit(objectName="new_labels")
        self.labels.setPlaceholderText("One class a line:\n1=penumbra\n2=core")
        self.labels.setFixedHeight(5 * self.fontMetrics().lineSpacing())
        self.labels.setTabChangesFocus(True)
        self.understood = QLabel(wordWrap=True)
        self.understood.setTextFormat(Qt.TextFormat.PlainText)
        self.messages = MessageBar()
        self.missing = QLabel(objectName="new_missing", wordWrap=True)
        mute(self.missing)
        self.cancel = ActionButton("Cancel", "Closes this window; nothing is changed.", name="new_cancel")
        self.buttons = QDialogButtonBox()
        self.buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        self.create = ActionButton("Create study", "Makes the folder and opens the study.", name="new_create")
        self.buttons.addButton(self.create, QDialogButtonBox.ButtonRole.ActionRole)
        self._lay_out()
        self.create.clicked.connect(self._wish)
        self.buttons.rejected.connect(self.reject)
        self.browse.clicked.connect(self._browse)
        self.colour.clicked.connect(lambda: self.modalities.setText(", ".join(COLOUR)))
        for signal in (
            self.name.textChanged,
            self.folder.textChanged,
            self.modalities.textChanged,
            self.labels.textChanged,
        ):
            signal.connect(self._check)
        self._check()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Name", self.name)
        folder = QHBoxLayout()
        folder.addWidget(self.folder, 1)
        folder.addWidget(self.browse)
        form.addRow("Folder", folder)
        modalities = QHBoxLayout()
        modalities.addWidget(self.modalities, 1)
        modalities.addWidget(self.colour)
        form.addRow("Modalities", modalities)
        form.addRow("Label classes", self.labels)
        form.addRow("", self.understood)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.missing)
        layout.addWidget(self.messages)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(60 * self.fontMetrics().averageCharWidth())

    def read(self) -> NewStudy:
        """Read the form; raises `UsageError` that says what is missing."""
        name = self.name.text().strip()
        if not name:
            raise UsageError("The study needs a name.")
        folder = self.folder.text().strip()
        if not folder:
            raise UsageError("The study needs a folder.")
        root = Path(folder).expanduser()
        if root.is_file():
            raise UsageError(f"{root.name} is a file.", "Give a folder.")
        if root.is_dir() and any(root.iterdir()):
            raise UsageError(f"The folder {root.name} is not empty.", "Give an empty or new one.")
        words = filter(None, (text.strip() for text in re.split(r"[,;\n]", self.modalities.text())))
        modalities = expand(list(words))
        if not modalities:
            raise UsageError("The study needs at least one modality.", "For example DWI.")
        if len(set(modalities)) < len(modalities):
            raise UsageError("A modality is named twice.")
        return NewStudy(root, name, modalities, self.scheme())

    def scheme(self) -> LabelScheme:
        """Read the label classes; a line without a number gets its place in the list."""
        lines = [line.strip() for line in self.labels.toPlainText().splitlines() if line.strip()]
        return LabelScheme.parse([line if "=" in line else f"{n}={line}" for n, line in enumerate(lines, 1)])

    def _check(self) -> None:
        why = ""
        try:
            self.read()
        except PenumbraError as error:
            why = str(error)
        except OSError:
            why = "The folder cannot be read."
        self.missing.setText(why)
        self.create.allow(why)
        self._show_classes()

    def _show_classes(self) -> None:
        try:
            classes = self.scheme().classes
        except PenumbraError:
            classes = ()
        self.understood.setText("Will be: " + ", ".join(f"{c.value} {c.name}" for c in classes))
        self.understood.setVisible(bool(classes))

    def _browse(self) -> None:
        parent = QFileDialog.getExistingDirectory(self, "Where shall the study's folder lie?")
        if parent:
            plain = re.sub(r"[^\w -]+", "", self.name.text()).strip().replace(" ", "-").lower()
            self.folder.setText(str(Path(parent) / (plain or "study")))

    def _wish(self) -> None:
        with self.messages.guard("reading the form"):
            self.wished.emit(self.read())
