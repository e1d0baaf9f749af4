"""Shows what a tool would change: outlines of the voxels that would become another class, in that class's colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray, LabelScheme
from napari_penumbra.domain.regions import Box
from napari_penumbra.plugin.compat import camera
from napari_penumbra.plugin.geometry import placement
from napari_penumbra.plugin.layers import as_outline, label_colormap
from napari_penumbra.plugin.outline import plane_of
from napari_penumbra.plugin.own_layers import OwnLayers

REMOVED_COLOR = "#ffffff"
"""Outline of what would be taken away: no class may be white on white, but all are told apart in words as well."""
LINE_PX = 2.0
FINEST = 4
_MOST_VOXELS = 12_000_000


class Preview:
    """The preview's layer, while there is one.

    Parameters
    ----------
    viewer
        A napari viewer.
    own
        Keeps the layers that are ours.
    """

    def __init__(self, viewer: Any, own: OwnLayers) -> None:
        self._viewer = viewer
        self._own = own
        self._layer: Any = None
        self._codes: npt.NDArray[np.uint8] | None = None
        self._box: Box = ((0, 0, 0), (1, 1, 1))
        self._grid: Grid | None = None
        self._drawn: tuple[tuple[int, ...], int, int] | None = None

    def show(
        self, case: str, grid: Grid, scheme: LabelScheme, box: Box, after: LabelArray, changed: npt.NDArray[np.bool_]
    ) -> None:
        """Outline the changed voxels of a box, in place of what is shown."""
        removed = next(v for v in range(UNKNOWN - 1, 0, -1) if v not in scheme.values)
        codes = np.where(after == BACKGROUND, removed, after) * changed
        self._codes, self._box, self._grid = codes.astype(np.uint8), box, grid
        if self._layer is None:
            self._layer = _layer(case, scheme, removed)
            active = self._viewer.layers.selection.active
            self._place()
            self._own.add(self._layer)
            self._viewer.layers.selection.active = active
        else:
            self._place()

    def hide(self) -> None:
        """Take the preview out of the picture."""
        layer = self._layer
        self.forget()
        if layer is not None:
            self._own.remove(layer)

    def forget(self) -> None:
        """The layer is gone, or goes with the case."""
        self._layer = self._codes = self._drawn = None

    def lost(self, layer: Any) -> bool:
        """Take note that a layer was deleted by hand; False when it is not this one."""
        if self._layer is None or layer is not self._layer:
            return False
        self.forget()
        return True

    def redraw(self) -> None:
        """Draw anew for another plane or zoom, if it makes a difference."""
        if self._layer is not None and self._drawn != self._wanted():
            self._place()

    def _wanted(self) -> tuple[tuple[int, ...], int, int]:
        """Choose the plane that is seen, the pieces of a voxel's edge, and the outline's thickness in such pieces."""
        plane = plane_of(self._viewer)
        if len(plane) != 2 or self._codes is None or self._grid is None:
            return (), 1, 1
        pixels = max(1e-6, min(self._grid.scale[axis] for axis in plane) * float(camera(self._viewer).zoom))
        wanted = int(np.clip(round(pixels / LINE_PX), 1, FINEST))
        size = self._codes.size
        parts = next(n for n in range(wanted, 0, -1) if n == 1 or size * n * n <= _MOST_VOXELS)
        return plane, parts, int(np.clip(round(LINE_PX * parts / pixels), 1, 8))

    def _place(self) -> None:
        """Fill the layer: voxels divided along the plane, so that the line hides little of what must be judged."""
        if self._codes is None or self._grid is None:
            return
        plane, parts, thickness = self._drawn = self._wanted()
        # An empty voxel around it closes the outline. Along the slider it would add a slice to a scan that has none.
        rim = [1 if axis in plane else 0 for axis in range(3)]
        data = np.pad(self._codes, [(n, n) for n in rim])
        for axis in plane:
            data = np.repeat(data, parts, axis=axis) if parts > 1 else data
        place = placement(self._grid)
        scale = tuple(s / parts if axis in plane else s for axis, s in enumerate(place["scale"]))
        # A layer is placed by the centre of its first voxel: half a coarse voxel back, half a fine one forward.
        translate = tuple(
            t + (low - n) * s - s / 2 + f / 2
            for t, s, f, low, n in zip(place["translate"], place["scale"], scale, self._box[0], rim, strict=True)
        )
        self._layer.data = data
        self._layer.editable = False  # napari allows it again with every new array
        self._layer.contour = thickness
        self._layer.scale, self._layer.translate, self._layer.units = scale, translate, place["units"]


def _layer(case: str, scheme: LabelScheme, removed: int) -> Any:
    from napari.layers import Labels
    from napari.utils.colormaps import DirectLabelColormap

    colors = dict(label_colormap(scheme).color_dict)
    colors[removed] = REMOVED_COLOR
    empty = np.zeros((1, 1, 1), dtype=np.uint8)
    layer = Labels(empty, name=f"{case} · preview", opacity=1.0, colormap=DirectLabelColormap(color_dict=colors))
    as_outline(layer)
    return layer
