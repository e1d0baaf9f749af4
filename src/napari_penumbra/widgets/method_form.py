"""Which method, with which preset, for how many steps, with which parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from napari_penumbra.domain.spec import MAX_STEPS
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.session.recommend import AUTO, Recommendation
from napari_penumbra.widgets.buttons import narrow
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.config_form import ConfigForm
from napari_penumbra.widgets.eliding_combo import ElidingCombo
from napari_penumbra.widgets.fold import Fold

FIRST_PRESET = "laptop"
"""What a method gets when neither the reader nor a recommendation has named a preset: it runs everywhere."""


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
        self.advice: Recommendation | None = None
        self._picked = False
        self.method = ElidingCombo("method", "Method")
        self.preset = QComboBox(objectName="preset", accessibleName="Preset")
        for combo in (self.method, self.preset):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(12)
            narrow(combo)
        self.method.setToolTip("How the network learns from labelled and unlabelled cases.")
        self.preset.setToolTip("“paper” is faithful to the publication; “laptop” runs without a graphics card.")
        self.reason = QLabel(objectName="method_reason", wordWrap=True)
        self.reason.setTextFormat(Qt.TextFormat.PlainText)
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
        self.fold = Fold("Parameters", self.parameters, "parameters")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Method", self.method)
        form.addRow(self.reason)
        form.addRow("Preset", self.preset)
        form.addRow("Steps", self.steps)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        for widget in (self.summary, self.reference, self.fold):
            layout.addWidget(widget)
        self.method.currentIndexChanged.connect(self._on_picked)
        self.preset.currentIndexChanged.connect(self._on_preset)
        self.steps.valueChanged.connect(lambda _: self.changed.emit())
        self.parameters.changed.connect(self.changed)

    def set_methods(self, infos: Sequence[MethodInfo], advice: Recommendation | None = None) -> None:
        """Offer methods: what is recommended on top and chosen, or the first one while nothing is recommended."""
        self.infos = {info.name: info for info in infos}
        self.advice = None
        self.method.blockSignals(True)
        self.method.clear()
        for info in infos:
            self.method.addItem(info.title, info.name)
            self.method.setItemData(self.method.count() - 1, info.paper, Qt.ItemDataRole.ToolTipRole)
        self.method.blockSignals(False)
        if advice is None or advice.method not in self.infos:
            self._on_method()
        else:
            self._recommend(advice, choose=True)

    def set_advice(self, advice: Recommendation) -> None:
        """Take another recommendation, as the study has changed.

        What the reader has set by hand is never thrown away: with parameters or steps changed, the method stays, under
        its own name.
        """
        if advice.method not in self.infos or advice == self.advice:
            return
        following = self.method.currentData() == AUTO or (self.advice is None and not self._picked)
        before = self.advice
        same = before is not None and (before.method, before.preset) == (advice.method, advice.preset)
        if following and not same and self._edited():
            self.method.blockSignals(True)
            self.method.setCurrentIndex(self.method.findData(before.method if before is not None else None))
            self.method.blockSignals(False)
            following = False
        if not same:
            self._recommend(advice, choose=following)
            return
        self.advice = advice
        self._say_reason()

    def _recommend(self, advice: Recommendation, choose: bool) -> None:
        self.advice = advice
        words = f"Recommended: {self.infos[advice.method].title}"
        self.method.blockSignals(True)
        at = self.method.findData(AUTO)
        if at < 0:
            self.method.insertItem(0, words, AUTO)
        else:
            self.method.setItemText(at, words)
        self.method.setItemData(0, advice.reason, Qt.ItemDataRole.ToolTipRole)
        if choose:
            self.method.setCurrentIndex(0)
        self.method.blockSignals(False)
        if choose:
            self._on_method()
        else:
            self._say_reason()

    def _edited(self) -> bool:
        """Whether the reader has changed a parameter, the preset or the steps."""
        info, advice = self._info(), self.advice
        if info is None or advice is None:
            return False
        preset = self.preset.currentText()
        return self.parameters.edited() or preset != advice.preset or int(self.steps.value()) != info.steps(preset)

    def _say_reason(self) -> None:
        advised = self.method.currentData() == AUTO and self.advice is not None
        self.reason.setText(self.advice.reason if advised and self.advice is not None else "")
        self.reason.setVisible(advised)

    def take(self, method: str, preset: str, changes: Mapping[str, Any]) -> None:
        """Choose a method that is installed, a preset and what differs from it, as a model was trained."""
        at = self.method.findData(method)
        if at < 0:
            return
        self.method.setCurrentIndex(at)
        self.preset.setCurrentText(preset)
        self.parameters.set_changes(changes)

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
        name = str(self.method.currentData())
        if name == AUTO and self.advice is not None:
            name = self.advice.method
        return self.infos.get(name)

    def _on_picked(self) -> None:
        self._picked = True
        self._on_method()

    def _on_method(self) -> None:
        info = self._info()
        if info is None:
            return
        self._say_reason()
        self.summary.setText(info.summary)
        self.summary.setToolTip(info.paper)
        self.reference.setVisible(info.uses_unlabelled)
        kept = self.preset.currentText()
        if self.advice is not None and self.method.currentData() == AUTO:
            kept = self.advice.preset
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
