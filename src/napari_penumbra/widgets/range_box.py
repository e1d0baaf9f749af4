"""Paint only between two intensities: which modality, from where to where, for painting, erasing or both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledDoubleRangeSlider

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.session.switches import SHOW_RANGE, remember, remembered
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.canvas import Range

_STEPS = 1000
Intensities = Callable[[str], "tuple[float, float] | None"]


class RangeBox(QWidget):
    """A switch that unfolds a modality and a range slider; what it says holds at once, also while the slider moves.

    A handle at the end of the slider is no limit. Each modality keeps its range from case to case.

    Signals
    -------
    changed : (Range | None)
        What to keep to from now on; None for nothing.
    shown_changed : (bool)
        Tint in the picture what lies in the range, or not.
    """

    changed = Signal(object)
    shown_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("range_box")
        self._ask: Intensities = lambda modality: None
        self._ends: tuple[float, float] | None = None
        self._kept: dict[str, tuple[float, float]] = {}
        self.switch = ActionButton(
            "Only in range", "Brush and fill then change only voxels between two intensities.", "L", "range_on"
        )
        self.switch.setCheckable(True)
        self.modality = QComboBox(objectName="range_modality", accessibleName="Modality of the range")
        self.modality.setToolTip("The modality whose intensities count; it need not be the one in front.")
        self.modality.setMinimumContentsLength(4)
        self.modality.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.slider = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("range_slider")
        self.slider.setAccessibleName("Lowest and highest intensity to paint")
        self.slider.setHandleLabelPosition(QLabeledDoubleRangeSlider.LabelPosition.NoLabel)
        self.slider.setEdgeLabelMode(QLabeledDoubleRangeSlider.EdgeLabelMode.NoLabel)
        self.slider.setToolTip("Voxels outside stay as they are. A handle at the end is no limit.")
        self.words = QLabel(objectName="range_words")
        self.paint = QCheckBox("Paint, fill", objectName="range_paint", checked=True)
        self.paint.setToolTip("Painting and filling keep to the range.")
        self.erase = QCheckBox("Erase", objectName="range_erase")
        self.erase.setToolTip("Erasing keeps to the range, too.")
        self.shown = QCheckBox("Show", objectName="range_shown", checked=remembered(SHOW_RANGE))
        self.shown.setToolTip("Tints the voxels in the range while a tool keeps to it; no label is changed by that.")
        self._lay_out()
        self.switch.toggled.connect(self._on_switch)
        self.modality.currentTextChanged.connect(self._on_modality)
        self.slider.valueChanged.connect(self._on_slider)
        for box in (self.paint, self.erase):
            box.toggled.connect(self.send)
        self.shown.toggled.connect(self._on_shown)
        self._on_switch()

    def _lay_out(self) -> None:
        head, line, uses = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        head.addWidget(self.switch)
        head.addWidget(self.modality, 1)
        line.addWidget(self.slider, 1)
        line.addWidget(self.words)
        for widget in (QLabel("for"), self.paint, self.erase):
            uses.addWidget(widget)
        uses.addStretch(1)
        uses.addWidget(self.shown)
        self.options = QWidget()
        inner = QVBoxLayout(self.options)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addLayout(line)
        inner.addLayout(uses)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self.options)

    def set_case(self, modalities: Sequence[str], front: str | None, intensities: Intensities) -> None:
        """Offer the modalities of a case; ``intensities`` gives the lowest and highest of one, None if it has none.

        The modality that was chosen stays if the case has it; else it is the one in front.
        """
        self._ask = intensities
        before = self.modality.currentText()
        self.modality.blockSignals(True)
        self.modality.clear()
        self.modality.addItems(list(modalities))
        chosen = before if before in modalities else front
        self.modality.setCurrentIndex(max(0, self.modality.findText(chosen or "")))
        self.modality.blockSignals(False)
        if self.switch.isChecked():
            self._on_modality()
        else:
            self._ends = None

    def range(self) -> Range | None:
        """Return what to keep to, None for nothing."""
        if not self.switch.isChecked() or self._ends is None:
            return None
        low, high = self.slider.value()
        least, most = self._ends
        return Range(
            self.modality.currentText(),
            -math.inf if low <= least else float(low),
            math.inf if high >= most else float(high),
            self.paint.isChecked(),
            self.erase.isChecked(),
        )

    def send(self, _what: object = None) -> None:
        """Say what to keep to."""
        self.changed.emit(self.range())

    def _on_shown(self, on: bool) -> None:
        with suppress(DiskError):  # then it is as before the next time: not worth a word now
            remember(SHOW_RANGE, on)
        self.shown_changed.emit(on)

    def _on_switch(self, _on: object = None) -> None:
        on = self.switch.isChecked()
        self.options.setVisible(on)
        self.modality.setVisible(on)
        if on:
            self._on_modality()
        else:
            self.send()

    def _on_modality(self, _name: object = None) -> None:
        name = self.modality.currentText()
        self._ends = self._ask(name) if name else None
        self.slider.setEnabled(self._ends is not None)
        self.words.setVisible(self._ends is not None)
        if self._ends is not None:
            low, high = self._ends
            wide = max(high, low + 1e-6)
            kept = self._kept.get(name, (low, wide))
            self.slider.blockSignals(True)
            self.slider.setRange(low, wide)
            self.slider.setSingleStep((wide - low) / _STEPS)
            self.slider.setValue((max(low, min(kept[0], wide)), max(low, min(kept[1], wide))))
            self.slider.blockSignals(False)
            self._ends = (low, wide)
        self._say()
        self.send()

    def _on_slider(self, edges: tuple[float, float]) -> None:
        if self._ends is None:
            return
        least, most = self._ends
        low, high = edges
        self._kept[self.modality.currentText()] = (
            -math.inf if low <= least else float(low),
            math.inf if high >= most else float(high),
        )
        self._say()
        self.send()

    def _say(self) -> None:
        now = self.range()
        if now is not None:
            self.words.setText(range_words(now.low, now.high))


def range_words(low: float, high: float) -> str:
    """Say a range in words: ``600 and less``, ``6 and more``, ``6 to 12``."""
    if math.isinf(low) and math.isinf(high):
        return "no limit"
    if math.isinf(low):
        return f"{high:.4g} and less"
    if math.isinf(high):
        return f"{low:.4g} and more"
    return f"{low:.4g} to {high:.4g}"
