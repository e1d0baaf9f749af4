"""Tool, class and brush: kept from case to case, and followed when napari's own controls change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psygnal import Signal

from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelScheme
from napari_penumbra.plugin.brush import Brush, Limit, Reach
from napari_penumbra.widgets.canvas import Tool

MODES: dict[Tool, str] = {"paint": "paint", "erase": "erase", "fill": "fill", "pick": "pick", "pan": "pan_zoom"}
_TOOL_OF_MODE: dict[str, Tool] = {mode: tool for tool, mode in MODES.items()}
DEFAULT_BRUSH_MM = 5.0
_WRITING = ("paint", "fill", "erase", "polygon")
"""Modes of napari's that keep to a limit."""


class Tools:
    """What the reader paints with.

    Parameters
    ----------
    on_class, on_tool
        Called with the new value when it changes, by whatever means.

    Signals
    -------
    limit_changed
        What `reach` answers may have changed.
    """

    limit_changed = Signal()

    def __init__(self, on_class: Callable[[int], None], on_tool: Callable[[str], None]) -> None:
        self._on_class = on_class
        self._on_tool = on_tool
        self._layer: Any = None
        self._brush: Brush | None = None
        self._allowed: tuple[int, ...] = ()
        self._value: int | None = None
        self._tool: Tool = "paint"
        self._brush_mm = DEFAULT_BRUSH_MM
        self._three_d = False
        self._held_value = BACKGROUND

    def attach(self, layer: Any, scheme: LabelScheme) -> None:
        """Take up a new case's labels layer with the tool, class and brush of the last one."""
        self.detach()
        self._layer = layer
        self._allowed = tuple(sorted({BACKGROUND, *scheme.values, UNKNOWN}))
        if self._value not in self._allowed:
            self._value = scheme.values[0]
        layer.selected_label = self._value
        self._brush = Brush(layer)
        self._size_brush()
        self.select_tool(self._tool)
        layer.events.selected_label.connect(self._on_selected_label)
        layer.events.mode.connect(self._on_mode)

    def detach(self) -> None:
        """Let the layer go."""
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self._on_selected_label)
            self._layer.events.mode.disconnect(self._on_mode)
            self._layer = None
        if self._brush is not None:
            self._brush.close()
            self._brush = None

    def select_class(self, value: int) -> None:
        """Paint with a value of the scheme, 0 or 255; any other is ignored."""
        if self._layer is not None and value in self._allowed:
            self._layer.selected_label = value

    def select_tool(self, name: Tool) -> None:
        """Take up a tool; a layer that may not be edited keeps to panning."""
        if self._layer is None:
            self._tool = name
        elif self._layer.editable or name in ("pan", "pick"):
            self._layer.mode = MODES[name]  # heard by `_on_mode`

    def set_brush(self, mm: float, three_d: bool) -> None:
        """Brush diameter in mm; a ball through the slices or a disc on the slice."""
        self._brush_mm = max(float(mm), 0.0)
        self._three_d = three_d
        self._size_brush()

    def plane_changed(self) -> None:
        """Another plane is shown: napari counts the brush in its finest spacing, which may differ there."""
        self._size_brush()

    def set_limit(self, limit: Limit | None) -> None:
        """Paint only where this holds; everywhere if None. It ends with the case."""
        if self._brush is not None:
            self._brush.limit = limit
            self.limit_changed.emit()

    def reach(self) -> Reach | None:
        """What the tool in hand can change; None when it may write everywhere, or writes nothing."""
        if self._brush is None or self._brush.limit is None or str(self._layer.mode) not in _WRITING:
            return None
        value = BACKGROUND if str(self._layer.mode) == "erase" else int(self._layer.selected_label)
        limit = self._brush.limit
        return Reach(limit, value) if limit.narrow and limit.holds_for(value) else None

    def hold(self, on: bool) -> None:
        """Let a press on the picture change nothing for a while: it means something else."""
        if self._brush is None or self._layer is None:
            return
        self._brush.held = on
        if on:
            self._held_value = self._layer.selected_label  # the picker would take up another one
        else:
            self._layer.selected_label = self._held_value

    def _size_brush(self) -> None:
        if self._brush is not None:
            self._brush.set_size(self._brush_mm, self._three_d)

    def _on_selected_label(self, event: Any = None) -> None:
        """Follow napari's controls, but never to a value that the study's files could not hold."""
        value = int(self._layer.selected_label)
        if value not in self._allowed:
            # The + and - keys step by one: go on to the next class in that direction.
            upwards = self._value is None or value > self._value
            beyond = [v for v in self._allowed if (v > value if upwards else v < value)]
            value = (beyond[0] if upwards else beyond[-1]) if beyond else self._allowed[0]
            self._layer.selected_label = value  # comes back here with a value that is allowed
            return
        if value != self._value:
            self._value = value
            self._on_class(value)
        self.limit_changed.emit()

    def _on_mode(self, event: Any = None) -> None:
        tool = _TOOL_OF_MODE.get(str(self._layer.mode))
        if tool is not None and tool != self._tool:
            self._tool = tool
            self._on_tool(tool)
        self.limit_changed.emit()
