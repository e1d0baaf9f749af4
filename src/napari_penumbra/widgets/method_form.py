"""Which method, with which preset, for how many steps, with which parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QSpinBox, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_penumbra.domain.spec import MAX_STEPS
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.config_form import ConfigForm

FIRST_PRESET = "laptop"
"""What a reader who has chosen nothing gets: it runs everywhere."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the form asks for. ``steps`` is None where it is the preset's own."""

    method: str
    preset: str
    steps: int | None
    config: dict[str, Any]
    reference: bool


class MethodForm(QWidget):
    """Read off the methods' own descriptions.

    Signals
    -------
    changed
        Another choice; `choice` may raise `UsageError` while a parameter cannot be read.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.infos: dict[str, MethodInfo] = {}
        self.method = QComboBox(objectName="method", accessibleName="Method")
        self.preset = QComboBox(objectName="preset", accessibleName="Preset")
        for combo in (self.method, self.preset):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(12)
        self.method.setToolTip("How the network learns from labelled and unlabelled cases.")
        self.preset.setToolTip("“paper” is faithful to the publication; “laptop” runs without a graphics card.")
        self.summary = QLabel(objectName="method_summary", wordWrap=True)
        mute(self.summary)
        self.steps = QSpinBox(objectName="steps", accessibleName="Steps")
        self.steps.setRange(1, MAX_STEPS)
        self.steps.setSingleStep(100)
        self.steps.setGroupSeparatorShown(True)
        self.steps.setToolTip("Optimiser steps in all. More steps take longer and learn more, up to a point.")
        self.reference = QCheckBox("Draw the labels-only line", objectName="reference")
        self.reference.setChecked(True)
        self.reference.setToolTip(
            "Trains a second network on the labels alone, to show what the unlabelled cases gain."
        )
        self.parameters = ConfigForm()
        self.fold = fold("Parameters", self.parameters, "parameters")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Method", self.method)
        form.addRow("Preset", self.preset)
        form.addRow("Steps", self.steps)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        for widget in (self.summary, self.reference, self.fold):
            layout.addWidget(widget)
        self.method.currentIndexChanged.connect(self._on_method)
        self.preset.currentIndexChanged.connect(self._on_preset)
        self.steps.valueChanged.connect(lambda _: self.changed.emit())
        self.parameters.changed.connect(self.changed)

    def set_methods(self, infos: Sequence[MethodInfo]) -> None:
        """Offer methods, the first one chosen."""
        self.infos = {info.name: info for info in infos}
        self.method.blockSignals(True)
        self.method.clear()
        for info in infos:
            self.method.addItem(info.title, info.name)
            self.method.setItemData(self.method.count() - 1, info.paper, Qt.ItemDataRole.ToolTipRole)
        self.method.blockSignals(False)
        self._on_method()

    def choice(self) -> Choice | None:
        """Return what is asked for, None while no method is known.

        Raises
        ------
        UsageError
            A parameter cannot be read.
        """
        info = self._info()
        if info is None:
            return None
        preset, steps = self.preset.currentText(), int(self.steps.value())
        return Choice(
            info.name,
            preset,
            None if steps == info.steps(preset) else steps,
            self.parameters.changes(),
            self.reference.isChecked() and info.uses_unlabelled,
        )

    def _info(self) -> MethodInfo | None:
        return self.infos.get(str(self.method.currentData()))

    def _on_method(self) -> None:
        info = self._info()
        if info is None:
            return
        self.summary.setText(info.summary)
        self.summary.setToolTip(info.paper)
        self.reference.setVisible(info.uses_unlabelled)
        kept = self.preset.currentText()
        self.preset.blockSignals(True)
        self.preset.clear()
        self.preset.addItems(list(info.presets))
        self.preset.setCurrentIndex(max(0, self.preset.findText(kept if kept in info.presets else FIRST_PRESET)))
        self.preset.blockSignals(False)
        self._on_preset()

    def _on_preset(self) -> None:
        info, preset = self._info(), self.preset.currentText()
        if info is None or preset not in info.presets:
            return
        self.steps.blockSignals(True)
        self.steps.setValue(info.steps(preset))
        self.steps.blockSignals(False)
        self.parameters.set_schema(info.schema, info.presets[preset])
        self.changed.emit()


def fold(title: str, content: QWidget, name: str) -> QCollapsible:
    """Put a widget under a headline that folds it away."""
    group = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    group.setObjectName(name)
    group.setDuration(0)
    group.content().layout().setContentsMargins(0, 0, 0, 0)
    group.addWidget(content)
    group.collapse(animate=False)
    return group
