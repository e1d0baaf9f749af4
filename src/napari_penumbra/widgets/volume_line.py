"""The volume of every class of the shown case in one line, for pages without the list of classes."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.widgets.class_list import ml_words


class VolumeLine(QLabel):
    """Says ``penumbra 13.1 ml · core 6.96 ml``; unknown voxels only where there are some."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("volume_line")
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setToolTip("Volumes of the labels as they now stand.")

    def show_volumes(self, scheme: LabelScheme, amounts: Mapping[int, float], pixels: bool = False) -> None:
        """Show volumes in millilitres, or ``pixels`` of a picture, by label value."""
        words = [volume_words(cls.name, amounts.get(cls.value, 0.0), pixels) for cls in scheme.classes]
        words += [volume_words("unknown", amount, pixels) for amount in [amounts.get(255, 0.0)] if amount]
        self.setText(" · ".join(words))


def volume_words(name: str, amount: float, pixels: bool) -> str:
    """Say one class's volume."""
    return f"{name} {amount:,.0f} px" if pixels else f"{name} {ml_words(amount)} ml"
