"""How the case is looked at: slices, planes, windows, and the two planes across. Part of the canvas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from psygnal import Signal

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.plugin import slices
from napari_penumbra.plugin.modalities import Modalities
from napari_penumbra.plugin.planes import Planes
from napari_penumbra.plugin.range_glow import RangeGlow
from napari_penumbra.plugin.tools import Tools
from napari_penumbra.plugin.window_drag import WindowDrag
from napari_penumbra.widgets.canvas import Plane


class CaseViews:
    """Implements `widgets.canvas.Views` with a napari viewer.

    Parameters
    ----------
    viewer
        A napari viewer.
    modalities, tools
        Of the same canvas.
    """

    planes_changed = Signal(bool)
    solid_changed = Signal(bool)

    def __init__(self, viewer: Any, modalities: Modalities, tools: Tools) -> None:
        self._viewer = viewer
        self._modalities = modalities
        self._tools = tools
        self._glow: RangeGlow | None = None
        self._glowing = True
        self.planes = Planes(viewer, self.planes_changed.emit)
        self._drag = WindowDrag(viewer, modalities.contrast, modalities.set_contrast, tools.hold)
        self._callback = self._on_press
        tools.limit_changed.connect(self._show_reach)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        viewer.mouse_drag_callbacks.append(self._callback)

    def close(self) -> None:
        """Let go of the viewer."""
        self._tools.limit_changed.disconnect(self._show_reach)
        self._drag.close()
        self._end_glow()
        self.planes.close()
        self._viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
        if self._callback in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._callback)

    def attach(self, labels: Any, scheme: LabelScheme, letters: Sequence[str]) -> None:
        """Take up a new case."""
        self.planes.attach(labels, scheme, letters)
        self.front_changed()
        self._show_reach()

    def detach(self) -> None:
        """Let the case go."""
        self.planes.detach()
        self._show_reach()

    def front_changed(self, _what: object = None) -> None:
        """Another modality is in front, or it is windowed differently."""
        self.planes.set_image(self._modalities.front_layer)

    def changed(self) -> None:
        """Voxels have changed."""
        self.planes.draw_soon()

    def _show_reach(self) -> None:
        """Tint what the tool in hand can change, on all planes that are seen."""
        labels = self.planes.labels
        reach = self._tools.reach() if self._glowing and labels is not None else None
        self.planes.set_reach(reach)
        if reach is not None and self._glow is None:
            self._glow = RangeGlow(self._viewer)
        if self._glow is not None:
            with suppress(RuntimeError):  # napari may have deleted its canvas already
                self._glow.show_reach(labels, reach)

    def _end_glow(self) -> None:
        glow, self._glow = self._glow, None
        if glow is not None:
            with suppress(RuntimeError):
                glow.show_reach(None, None)
                glow.deleteLater()

    def _on_ndisplay(self, event: Any = None) -> None:
        self.solid_changed.emit(self.solid())

    # ---------------------------------------------------------------- Views

    def solid(self) -> bool:
        """Whether the large picture is in 3D."""
        return int(self._viewer.dims.ndisplay) == 3

    def step(self, slices_on: int) -> None:
        """Go so many slices on."""
        slices.step_slice(self._viewer, slices_on)

    def end(self, last: bool) -> None:
        """Go to the first or last slice."""
        slices.end_slice(self._viewer, last)

    def show_plane(self, name: Plane) -> None:
        """Turn the large picture to a plane, at the crosshair."""
        labels = self.planes.labels
        if labels is not None:
            world = labels.data_to_world(self.planes.place)[-3:]
            slices.show_plane(self._viewer, name, (float(world[0]), float(world[1]), float(world[2])))

    def show_planes(self, on: bool) -> None:
        """Show or hide the two planes across."""
        self.planes.show(on)

    def planes_shown(self) -> bool:
        """Whether the two planes across are shown."""
        return self.planes.visible

    def show_range(self, on: bool) -> None:
        """Tint what brush and fill can change while they keep to a range, or not."""
        self._glowing = on
        self._show_reach()

    def windows(self) -> tuple[str, ...]:
        """Names of the windows for the modality in front."""
        return self._modalities.windows()

    def window(self) -> str:
        """Name of the one in use, empty when it was set by hand."""
        return self._modalities.window()

    def set_window(self, name: str) -> None:
        """Look through one of them."""
        self._modalities.set_window(name)

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """The crosshair goes where the reader works."""
        if viewer.dims.ndisplay == 2 and len(event.position) >= 3:
            self.planes.look_at([float(v) for v in event.position])
        yield
