"""The options of a computing tool as a form, read off the tool's own description of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_penumbra.imaging.edits import Options
from napari_penumbra.imaging.edits.base import choices_of, extra_of, limits_of
from napari_penumbra.widgets.fold import free_fold

_PIXELS = {"mm": "px", "ml": "1,000 px"}


class EditForm(QWidget):
    """One row per option: sliders for numbers, lists for choices; what is rarely changed is folded away.

    Parameters
    ----------
    options
        The tool's model.
    values
        To begin with, by name; the model's defaults where one is missing.
    modalities, classes
        What the case has, for options that choose among them; classes as value and name.
    pixels
        The case is a picture without millimetres.

    Signals
    -------
    changed
        Another value.
    """

    changed = Signal()

    def __init__(
        self,
        options: type[Options],
        values: Mapping[str, Any],
        modalities: Sequence[str],
        classes: Mapping[int, str],
        *,
        pixels: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._options = options
        self._modalities = tuple(modalities)
        self._classes = dict(classes)
        self._pixels = pixels
        self.controls: dict[str, QWidget] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        plain, more = _rows(), _rows()
        for name, field in options.model_fields.items():
            extra = extra_of(field)
            form: QFormLayout = (more if extra["more"] else plain).layout()
            self._add(form, name, field, values.get(name, field.default))
        layout.addWidget(plain)
        if more.layout().rowCount():
            self.more = free_fold("More", more, "edit_more")
            layout.addWidget(self.more)
            if self._incomplete():
                self.more.expand(animate=False)

    def values(self) -> dict[str, Any]:
        """Return the value of every option."""
        return {name: _read(control) for name, control in self.controls.items()}

    def read(self) -> Options:
        """Return the options as the tool takes them."""
        return self._options(**self.values())

    def _incomplete(self) -> bool:
        """Whether something folded away has to be chosen first."""
        return any(
            isinstance(control, QComboBox) and control.currentData() in ("", 0)
            for name, control in self.controls.items()
            if extra_of(self._options.model_fields[name])["more"]
        )

    def _add(self, form: QFormLayout, name: str, field: FieldInfo, value: Any) -> None:
        control = self._make(field, value)
        control.setObjectName(f"edit_option_{name}")
        title, unit = str(field.title), extra_of(field)["unit"]
        if unit:
            title = f"{title} ({_PIXELS.get(unit, unit) if self._pixels else unit})"
        control.setAccessibleName(title)
        control.setToolTip(str(field.description))
        self.controls[name] = control
        if isinstance(control, QCheckBox):
            control.setText(title)
            form.addRow(control)
            return
        label = QLabel(title)
        label.setToolTip(str(field.description))
        form.addRow(label, control)

    def _make(self, field: FieldInfo, value: Any) -> QWidget:
        kind = extra_of(field)["kind"]
        if kind == "modality":
            return self._choice([(name, name) for name in self._modalities], value, field)
        if kind == "class":
            return self._choice([(name, number) for number, name in self._classes.items()], value, field)
        if isinstance(value, bool):
            box = QCheckBox()
            box.setChecked(value)
            box.toggled.connect(self._on_change)
            return box
        choices = choices_of(field.annotation)
        if choices:
            return self._choice([(str(choice), choice) for choice in choices], value, field)
        return self._slider(field, float(value))

    def _choice(self, entries: Sequence[tuple[str, Any]], value: Any, field: FieldInfo) -> QComboBox:
        combo = QComboBox()
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(6)
        none = extra_of(field)["none"]
        if none:
            combo.addItem(none, 0 if isinstance(value, int) else "")
        for text, data in entries:
            combo.addItem(text, data)
        known = [combo.itemData(n) for n in range(combo.count())]
        combo.setCurrentIndex(known.index(value) if value in known else 0)
        combo.currentIndexChanged.connect(self._on_change)
        return combo

    def _slider(self, field: FieldInfo, value: float) -> QLabeledDoubleSlider:
        low, high = limits_of(field)
        slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        slider.setDecimals(0 if high > 150 else 1)
        slider.setRange(low, high)
        slider.setSingleStep(10 if high > 150 else 0.5)
        slider.setPageStep(50 if high > 150 else 1)
        slider.setValue(value)
        slider.setMinimumWidth(80)  # the narrowest dock has room for no more beside the longest name
        slider.valueChanged.connect(self._on_change)
        return slider

    def _on_change(self, _value: object = None) -> None:
        self.changed.emit()


def _rows() -> QWidget:
    rows = QWidget()
    # Words that wrap need more height than they say: it must not be taken from the sliders.
    rows.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    form = QFormLayout(rows)
    form.setContentsMargins(0, 0, 0, 0)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return rows


def _read(control: QWidget) -> Any:
    if isinstance(control, QCheckBox):
        return control.isChecked()
    if isinstance(control, QComboBox):
        return control.currentData()
    return float(control.value())
