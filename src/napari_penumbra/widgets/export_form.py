"""What to export and how: the fields of the export dialog, of which each kind shows those that it knows."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QVBoxLayout, QWidget

from napari_penumbra.session.exporting import ExportKind
from napari_penumbra.study.exporters import NONE, ExportOptions
from napari_penumbra.widgets.buttons import allow
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.paragraph import Paragraph
from napari_penumbra.widgets.path_line import PathLine

_UNKNOWN = {
    "keep": "stay unknown (255, or a segment of their own)",
    "background": "become background (0)",
    "ignore": "get an ignore label above the highest class",
}
_PLACES = {
    NONE: "are left out",
    "imagesTs": "leave as images to predict (imagesTs)",
    "imagesUn": "leave as unlabelled images (imagesUn)",
}


class ExportForm(QWidget):
    """Fields; says `changed` when any of them does.

    Parameters
    ----------
    kinds
        What can be exported.
    """

    changed = Signal()

    def __init__(self, kinds: list[ExportKind], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kinds = kinds
        self.kind = QComboBox(objectName="export_kind")
        for kind in kinds:
            self.kind.addItem(kind.title)
        self.kind.setToolTip("Which files are written.")
        self.readers = Paragraph("export_readers")
        mute(self.readers)
        self.folder = PathLine("export_folder", folder=True, hint="An empty folder, or a new one")
        self.drafts = _box("export_drafts", "Also drafts that nobody has closed", "Takes what was saved last.")
        self.predictions = _box(
            "export_predictions", "Also predictions that nobody has accepted", "Cases that only a model has labelled."
        )
        self.unknown = QComboBox(objectName="export_unknown")
        self.unknown.setToolTip("What voxels that were left unknown become in the files.")
        self.confidence = _box("export_confidence", "Confidence maps beside", "A file more per case, from 0 to 1.")
        self.images = _box("export_images", "Copy the images too", "As they lie in the study.")
        self.places = QComboBox(objectName="export_unlabelled")
        self.places.setToolTip("Where the images of cases without labels go.")
        self.dicom = PathLine("export_dicom", folder=True, hint="Folder of the series the cases came from")
        self.references = PathLine("export_references", folder=True, hint="Folder of reference labels (optional)")
        self.overwrite = _box(
            "export_overwrite",
            "Replace what an earlier export left there",
            "Files of the same name are replaced; files of an earlier export that this one does not write are removed.",
        )
        self._images_wished = False  # a format that needs them does not make the next one copy them
        self._lay_out()
        self._connect()
        self._show_kind()

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.addRow("What", self.kind)
        self._form.addRow("", self.readers)
        self._form.addRow("Folder", self.folder)
        self._form.addRow("", self.overwrite)
        self._form.addRow("Cases", self.drafts)
        self._form.addRow("", self.predictions)
        self._form.addRow("Without labels", self.places)
        self._form.addRow("Unknown voxels", self.unknown)
        self._form.addRow("", self.confidence)
        self._form.addRow("", self.images)
        self._form.addRow("DICOM", self.dicom)
        self._form.addRow("References", self.references)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)

    def _connect(self) -> None:
        self.kind.currentIndexChanged.connect(lambda _: self._show_kind())
        self.images.toggled.connect(self._wish_images)
        for line in (self.folder, self.dicom, self.references):
            line.line.textChanged.connect(lambda _: self.changed.emit())
        for box in (self.drafts, self.predictions, self.confidence, self.images, self.overwrite):
            box.toggled.connect(lambda _: self.changed.emit())
        for combo in (self.unknown, self.places):
            combo.currentIndexChanged.connect(lambda _: self.changed.emit())

    def current(self) -> ExportKind:
        """Return the kind that is chosen."""
        return self._kinds[self.kind.currentIndex()]

    def choose(self, name: str) -> None:
        """Choose a kind by name."""
        self.kind.setCurrentIndex([kind.name for kind in self._kinds].index(name))

    def target(self) -> Path | None:
        """Return the folder to write to."""
        return self.folder.path()

    def options(self) -> ExportOptions:
        """Return what is asked for; fields that the kind does not know count as not asked."""
        kind = self.current()
        return ExportOptions(
            drafts=self.drafts.isChecked(),
            predictions=self.predictions.isChecked(),
            confidence=kind.confidence and self.confidence.isChecked(),
            unknown=str(self.unknown.currentData() or "") if kind.unknown else "",
            images=kind.images and not kind.images_needed and self.images.isChecked(),
            unlabelled=str(self.places.currentData() or NONE),
            dicom=self.dicom.path() if kind.dicom else None,
            overwrite=self.overwrite.isChecked(),
        )

    def reference_folder(self) -> Path | None:
        """Return the folder of reference labels, for kinds that compare."""
        return self.references.path() if self.current().references else None

    def _wish_images(self, wished: bool) -> None:
        self._images_wished = wished

    # ---------------------------------------------------------------- kind → fields

    def _show_kind(self) -> None:
        kind = self.current()
        self.readers.setText(f"Read by: {kind.readers}")
        self._refill(self.unknown, _UNKNOWN if kind.unknown else {}, kind.unknown)
        self._refill(self.places, {place: _PLACES.get(place, place) for place in kind.places}, NONE)
        for field, shown in (
            (self.unknown, bool(kind.unknown)),
            (self.places, len(kind.places) > 1),
            (self.confidence, kind.confidence),
            (self.images, kind.images),
            (self.dicom, kind.dicom),
            (self.references, kind.references),
        ):
            self._form.setRowVisible(field, shown)
        needed = f"{kind.title} always has the images." if kind.images_needed else ""
        allow(self.images, needed, "As they lie in the study.")
        self.images.blockSignals(True)
        self.images.setChecked(kind.images_needed or self._images_wished)
        self.images.blockSignals(False)
        self.changed.emit()

    def _refill(self, combo: QComboBox, entries: dict[str, str], habit: str) -> None:
        combo.blockSignals(True)
        combo.clear()
        for value, words in entries.items():
            combo.addItem(words, value)
        if habit in entries:
            combo.setCurrentIndex(list(entries).index(habit))
        combo.blockSignals(False)


def _box(name: str, words: str, tip: str) -> QCheckBox:
    box = QCheckBox(words, objectName=name)
    box.setToolTip(tip)
    return box
