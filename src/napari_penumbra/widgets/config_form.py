"""A form for a method's parameters, made by magicgui from the JSON schema that its pydantic config writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox, TupleEdit
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.widgets.buttons import ActionButton, narrow
from napari_penumbra.widgets.colors import mute

ELSEWHERE = frozenset({"steps"})
"""Parameters that the Train page asks for outside the form."""

_LARGEST = 1_000_000_000
_AUTOMATIC = "automatic"
_BESIDE = 24
"""A name of more average characters stands above its control: the dock is narrow."""


class ConfigForm(QWidget):
    """Shows every parameter with the preset's value; gives back only what the reader has changed.

    Signals
    -------
    changed
        A value has been changed (also by `reset`).
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("config_form")
        self._widgets: dict[str, ValueWidget] = {}
        self._given: dict[str, Any] = {}
        self._preset: dict[str, Any] = {}
        self._schema: dict[str, Any] = {}
        self._rows: QWidget | None = None
        self.summary = QLabel(objectName="config_summary")
        mute(self.summary)
        self.back = ActionButton(
            "Back to the preset", "Sets every parameter to the preset's value.", name="config_reset"
        )
        self.back.clicked.connect(self.reset)
        foot = QHBoxLayout()
        foot.addWidget(self.summary, 1)
        foot.addWidget(self.back)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(foot)

    def set_schema(self, schema: Mapping[str, Any], preset: Mapping[str, Any]) -> None:
        """Make the form anew.

        Parameters
        ----------
        schema
            ``Config.model_json_schema()``.
        preset
            The preset's values; a parameter it does not name has the schema's default.
        """
        self._drop()
        self._schema = dict(schema)
        self._preset = dict(preset)
        definitions = schema.get("$defs", {})
        for name, raw in schema.get("properties", {}).items():
            if name in ELSEWHERE:
                continue
            field = _resolve(raw, definitions)
            value = preset.get(name, field.get("default"))
            widget = _make(name, field, value)
            # What the widget reads right after it was filled is the value to compare with: 0.1 shown is 0.1 kept.
            self._widgets[name] = widget
            self._given[name] = _read(widget, field)
            widget.changed.connect(self._on_change)
        self._rows = self._lay_out()
        self._layout.insertWidget(0, self._rows)
        self._summarise()

    def _lay_out(self) -> QWidget:
        """Build one row per parameter; a long name goes above its control, so that a narrow dock needs no scrolling."""
        rows = QWidget()
        form = QFormLayout(rows)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for widget in self._widgets.values():
            label = QLabel(widget.label)
            label.setToolTip(widget.tooltip or "")
            widget.native.setAccessibleName(widget.label)
            if widget.native.layout() is None:  # a row of several numbers needs what they need
                narrow(widget.native)
            if label.sizeHint().width() <= _BESIDE * label.fontMetrics().averageCharWidth():
                form.addRow(label, widget.native)
                continue
            label.setWordWrap(True)  # or the longest name decides how wide the page is, folded away or not
            form.addRow(label)
            form.addRow(widget.native)
        return rows

    def changes(self) -> dict[str, Any]:
        """Return the parameters that differ from the preset; raises `UsageError` for text that cannot be read."""
        found = {}
        definitions = self._schema.get("$defs", {})
        for name, widget in self._widgets.items():
            value = _read(widget, _resolve(self._schema["properties"][name], definitions))
            if value != self._given[name]:
                found[name] = value
        return found

    def edited(self) -> bool:
        """Whether anything differs from the preset, also when it cannot be read."""
        try:
            return bool(self.changes())
        except UsageError:
            return True

    def set_changes(self, changes: Mapping[str, Any]) -> None:
        """Set parameters on top of the preset; unknown names are passed over."""
        for name, value in changes.items():
            if name in self._widgets:
                _write(self._widgets[name], value)

    def reset(self) -> None:
        """Go back to the preset's values."""
        for name, value in self._given.items():
            _write(self._widgets[name], value)
        self._on_change()

    def widget(self, name: str) -> ValueWidget:
        """Return the control of one parameter."""
        return self._widgets[name]

    def _on_change(self, _value: object = None) -> None:
        self._summarise()
        self.changed.emit()

    def _summarise(self) -> None:
        try:
            changed = self.changes()
        except UsageError as error:
            self.summary.setText(f"⚠ {error}")
            self.back.allow()
            return
        titles = [str(self._schema["properties"][name].get("title", name)) for name in changed]
        self.summary.setText(f"changed: {', '.join(titles)}" if titles else "as the preset")
        self.summary.setWordWrap(True)
        self.back.allow("" if titles else "Every parameter has the preset's value.")

    def _drop(self) -> None:
        self._widgets = {}
        self._given = {}
        if self._rows is not None:
            self._layout.removeWidget(self._rows)
            self._rows.hide()
            self._rows.deleteLater()
            self._rows = None


def _resolve(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Follow ``$ref`` and unwrap ``anyOf[..., null]``; a nullable field gets ``nullable: True``."""
    field = dict(field)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in field:
            options = field.pop(key)
            real = [o for o in options if o.get("type") != "null"]
            if len(real) < len(options):
                field["nullable"] = True
            if len(real) == 1:
                field = {**_resolve(real[0], definitions), **field}
    if "$ref" in field:
        target = definitions[str(field.pop("$ref")).rsplit("/", 1)[-1]]
        field = {**_resolve(target, definitions), **field}
    return field


def _make(name: str, field: Mapping[str, Any], value: Any) -> ValueWidget:
    unit = field.get("unit")
    title = str(field.get("title", name))
    common: dict[str, Any] = {
        "name": name,
        "label": f"{title} ({unit})" if unit else title,
        "tooltip": _tooltip(field, value),
    }
    kind = field.get("type")
    if "enum" in field:
        return ComboBox(choices=list(field["enum"]), value=value, **common)
    if "const" in field:
        return ComboBox(choices=[field["const"]], value=field["const"], **common)
    if field.get("nullable") or kind not in ("boolean", "integer", "number", "array", "string"):
        return _line(value, common)
    if kind == "boolean":
        return CheckBox(value=bool(value), text="", **common)
    if kind == "integer":
        low, high = _bounds(field, 1)
        return SpinBox(value=int(value), min=int(low), max=int(high), **common)
    if kind == "number":
        return _float(field, float(value), common)
    if kind == "array" and isinstance(value, list | tuple) and value and _plain(value):
        return _tuple(field, value, common)
    return _line(value, common)


def _line(value: Any, common: dict[str, Any]) -> ValueWidget:
    widget = LineEdit(value=_show(value), **common)
    widget.native.setPlaceholderText(_AUTOMATIC)
    return widget


def _float(field: Mapping[str, Any], value: float, common: dict[str, Any]) -> ValueWidget:
    """As many digits as the default needs and two more, steps of a tenth of its size."""
    size = math.floor(math.log10(abs(value))) if value else -1
    digits = max(2, 2 - size, _digits(value))
    low, high = _bounds(field, 10.0**-digits)
    step = 10.0 ** min(size - 1, 0) if value else 0.1
    widget = FloatSpinBox(value=value, min=low, max=high, step=step, **common)
    widget.native.setDecimals(digits)
    widget.value = value  # decimals had rounded it
    return widget


def _tuple(field: Mapping[str, Any], value: Any, common: dict[str, Any]) -> ValueWidget:
    items = field.get("prefixItems") or [field.get("items", {})]
    low, high = _bounds(items[0], 1)
    whole = all(isinstance(v, int) for v in value)
    options = {"min": int(low), "max": int(high)} if whole else {"min": low, "max": high}
    return TupleEdit(value=tuple(value), options=options, **common)


def _plain(value: Any) -> bool:
    """Whether a list is short and of numbers of one kind, so that a row of spin boxes can hold it."""
    kinds = {type(v) for v in value}
    return len(value) <= 4 and kinds <= {int, float} and len(kinds) == 1


def _bounds(field: Mapping[str, Any], smallest: float) -> tuple[float, float]:
    low = field.get("minimum")
    high = field.get("maximum")
    if "exclusiveMinimum" in field:
        low = field["exclusiveMinimum"] + smallest
    if "exclusiveMaximum" in field:
        high = field["exclusiveMaximum"] - smallest
    return (-_LARGEST if low is None else low), (_LARGEST if high is None else min(high, 2**31 - 1))


def _digits(value: float) -> int:
    """Decimals that ``value`` is written with."""
    text = f"{value:.12f}".rstrip("0")
    return len(text.partition(".")[2])


def _tooltip(field: Mapping[str, Any], value: Any) -> str:
    parts = [str(field.get("description", ""))]
    low, high = field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum", field.get("exclusiveMaximum"))
    if low is not None and high is not None:
        parts.append(f"From {low:g} to {high:g}.")
    elif low is not None:
        parts.append(f"From {low:g}.")
    elif high is not None:
        parts.append(f"Up to {high:g}.")
    parts.append(f"The preset has {_show(value) or _AUTOMATIC}.")
    return " ".join(filter(None, parts))


def _show(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _read(widget: ValueWidget, field: Mapping[str, Any]) -> Any:
    value = widget.value
    if isinstance(widget, LineEdit) and (field.get("type") != "string" or field.get("nullable")):
        return _parse(str(value).strip(), field)
    if isinstance(value, tuple):
        return list(value)
    return value


def _parse(text: str, field: Mapping[str, Any]) -> Any:
    if not text:
        return None
    if field.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        title = field.get("title", "A parameter")
        raise UsageError(f'{title}: "{text}" is not understood.', "Write a number, or a list like [1, 2].") from error


def _write(widget: ValueWidget, value: Any) -> None:
    if isinstance(widget, LineEdit):
        widget.value = _show(value)
    elif isinstance(widget, TupleEdit):
        widget.value = tuple(value)
    else:
        widget.value = value
