"""What the reader sees and where the mouse is, in voxels of the case; and a click that is no stroke."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from napari_penumbra.imaging.edits import View
from napari_penumbra.plugin.compat import camera, canvas_size

Voxel = tuple[int, int, int]

FARTHEST_PX = 5
"""A press that moves farther before it is let go was a drag, and not a click."""


def view_of(viewer: Any, layer: Any) -> View:
    """Say what is on the screen.

    Parameters
    ----------
    viewer
        A napari viewer.
    layer
        The labels layer: its voxels are counted.
    """
    shape = np.array(layer.data.shape)
    dims = viewer.dims
    extra = dims.ndim - 3
    here = np.asarray(dims.point[extra:], dtype=np.float64)
    index = np.clip(np.rint(to_voxels(layer, here)), 0, shape - 1).astype(int)
    point = voxel_at(viewer, layer, viewer.cursor.position) if _mouse_is_over(viewer) else None
    if dims.ndisplay == 3:
        return View(None, int(index[0]), ((0, 0, 0), _triple(shape)), point)
    shown = [d - extra for d in dims.displayed]
    axis = next(a for a in range(3) if a not in shown)
    low, high = index.copy(), index + 1
    half = np.array(canvas_size(viewer)) / (2 * float(camera(viewer).zoom))
    for a, reach, middle in zip(shown, half, camera(viewer).center[-2:], strict=True):
        first, last = here.copy(), here.copy()
        first[a], last[a] = middle - reach, middle + reach
        low[a] = int(np.clip(np.floor(to_voxels(layer, first)[a] + 0.5), 0, shape[a]))
        high[a] = int(np.clip(np.ceil(to_voxels(layer, last)[a] + 0.5), 0, shape[a]))
    return View(axis, int(index[axis]), (_triple(low), _triple(high)), point)


def voxel_at(viewer: Any, layer: Any, position: Any) -> Voxel | None:
    """Find the voxel at a place of the world; None outside the scan and in a 3D view, where a click is a whole ray."""
    if viewer.dims.ndisplay == 3:
        return None
    voxel = np.rint(to_voxels(layer, np.asarray(position, dtype=np.float64)[-3:])).astype(int)
    inside = ((voxel >= 0) & (voxel < layer.data.shape)).all()
    return _triple(voxel) if inside else None


def to_voxels(layer: Any, world: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """World to voxels of a layer whose axes lie along the world's, as all of ours do."""
    return (world - np.asarray(layer.translate)) / np.asarray(layer.scale)


def _mouse_is_over(viewer: Any) -> bool:
    window = getattr(viewer, "window", None)
    qt_viewer = getattr(window, "_qt_viewer", None)
    return qt_viewer is not None and bool(qt_viewer.canvas.native.underMouse())


def _triple(values: Any) -> Voxel:
    z, y, x = (int(v) for v in values)
    return z, y, x


class ClickPicker:
    """Gives clicks on the picture to somebody else than the brush.

    While it listens, the labels layer pans and does not paint; afterwards it does again what it did before.

    Parameters
    ----------
    viewer
        A napari viewer.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Any = None
        self._before = ""
        self._on_point: Callable[[Voxel], None] | None = None
        self._callback = self._follow  # one object: napari finds it again by identity

    def start(self, layer: Any, on_point: Callable[[Voxel], None]) -> None:
        """Call ``on_point`` with each voxel that is clicked from now on."""
        if self._on_point is None:
            self._viewer.mouse_drag_callbacks.append(self._callback)
            self._layer, self._before = layer, str(layer.mode)
            layer.mode = "pan_zoom"
        self._on_point = on_point

    def stop(self) -> None:
        """Give the clicks back to the brush."""
        if self._on_point is None:
            return
        self._on_point = None
        if self._callback in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._callback)
        layer, self._layer = self._layer, None
        if layer.editable and str(layer.mode) == "pan_zoom":
            layer.mode = self._before

    def _follow(self, viewer: Any, event: Any) -> Iterator[None]:
        if event.button != 1:
            return
        start = np.asarray(event.pos, dtype=np.float64)
        farthest = 0.0
        yield
        while event.type == "mouse_move":
            farthest = max(farthest, float(np.abs(np.asarray(event.pos) - start).max()))
            yield
        if farthest <= FARTHEST_PX and self._on_point is not None and self._layer is not None:
            voxel = voxel_at(viewer, self._layer, event.position)
            if voxel is not None:
                self._on_point(voxel)
