"""The case's modalities side by side, and the window of the one in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QFlowLayout, QLabeledDoubleRangeSlider


class ModalityStrip(QWidget):
    """Buttons that bring a modality to the front; a slider for its window edges.

    Signals
    -------
    picked : (str)
        Bring this modality to the front.
    window_changed : (float, float)
        Lower and upper window edge, in intensity.
    preset_picked : (str)
        Look through this named window.
    """

    picked = Signal(str)
    window_changed = Signal(float, float)
    preset_picked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        self._row = QWidget(objectName="modality_strip")
        self._flow = QFlowLayout(self._row)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self.window_slider = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.window_slider.setObjectName("window_level")
        self.window_slider.setAccessibleName("Window edges")
        self.window_slider.setToolTip("Darkest and brightest intensity shown of the modality in front.")
        self.window_slider.setHandleLabelPosition(QLabeledDoubleRangeSlider.LabelPosition.NoLabel)
        self.window_slider.setEdgeLabelMode(QLabeledDoubleRangeSlider.EdgeLabelMode.NoLabel)
        self._edges = QLabel()
        self.preset = QComboBox(objectName="window_preset", accessibleName="Named window")
        self.preset.setPlaceholderText("by hand")
        self.preset.setMinimumContentsLength(8)
        self.preset.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.preset.setToolTip(
            "Named windows for this modality; the next cases open with it, too.\n"
            "On the picture: Shift and drag, sideways for contrast, up and down for brightness."
        )
        row = QHBoxLayout()
        row.addWidget(QLabel("Window"))
        row.addWidget(self.window_slider, 1)
        row.addWidget(self._edges)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._row)
        layout.addLayout(row)
        layout.addWidget(self.preset)
        self.preset.textActivated.connect(self.preset_picked)
        self.window_slider.valueChanged.connect(self._on_window)

    def set_modalities(self, names: Sequence[str], missing: Sequence[str] = ()) -> None:
        """Show the modalities of a case; missing ones are shown disabled, with the reason."""
        while self._flow.count():
            widget = self._flow.takeAt(0).widget()
            widget.hide()  # without a parent, the layout's delayed "show" would make a window of it
            widget.deleteLater()
        self.buttons = {}
        for name in (*names, *missing):
            button = QPushButton(name, checkable=True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setEnabled(name not in missing)
            button.setToolTip(
                f"This case has no {name}."
                if name in missing
                else f"Brings {name} to the front. Tab flips through them."
            )
            button.clicked.connect(lambda _, chosen=name: self.picked.emit(chosen))
            self._flow.addWidget(button)
            self.buttons[name] = button
        self._row.setMinimumHeight(self._flow.heightForWidth(self.width()))

    def resizeEvent(self, event: Any) -> None:
        """Keep room for all rows of buttons: a layout asks a flow of buttons for one row only."""
        super().resizeEvent(event)
        self._row.setMinimumHeight(self._flow.heightForWidth(self.width()))

    def show_windows(self, names: Sequence[str], current: str) -> None:
        """Offer the named windows of the modality in front, and show which is in use: none if it was set by hand."""
        self.preset.clear()
        self.preset.addItems(list(names))
        self.preset.setCurrentIndex(self.preset.findText(current))
        self.preset.setEnabled(bool(names))

    def show_modality(self, name: str | None, contrast: tuple[float, float, float, float] | None) -> None:
        """Show which modality is in front, and its range and window edges."""
        for key, button in self.buttons.items():
            button.setChecked(key == name)
        self.window_slider.setEnabled(contrast is not None)
        if contrast is None:
            self._edges.clear()
            return
        low, high, lower, upper = contrast
        self.window_slider.blockSignals(True)
        self.window_slider.setRange(low, max(high, low + 1e-6))
        self.window_slider.setValue((lower, upper))
        self.window_slider.blockSignals(False)
        self._edges.setText(f"{lower:.4g} to {upper:.4g}")

    def _on_window(self, edges: tuple[float, float]) -> None:
        lower, upper = edges
        self._edges.setText(f"{lower:.4g} to {upper:.4g}")
        self.window_changed.emit(float(lower), float(upper))
