"""Shows what a tool would change: outlines of the voxels that would become another class, in that class's colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray, LabelScheme
from napari_penumbra.domain.regions import Box
from napari_penumbra.plugin.drawn import LINE_PX, Drawn
from napari_penumbra.plugin.geometry import placement_of_part
from napari_penumbra.plugin.layers import as_outline, label_colormap
from napari_penumbra.plugin.outline import plane_of
from napari_penumbra.plugin.own_layers import OwnLayers

REMOVED_COLOR = "#ffffff"
"""Outline of what would be taken away: no class may be white on white, but all are told apart in words as well."""


class Preview(Drawn):
    """The preview's layer, while there is one."""

    def __init__(self, viewer: Any, own: OwnLayers) -> None:
        super().__init__(viewer, own)
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
        if self._layers:
            self._place(self._layers[0])
        else:
            layer = _layer(case, scheme, removed)
            self._place(layer)
            self._add(layer)

    def forget(self) -> None:
        """Let go of the layer and of what it shows."""
        super().forget()
        self._codes = self._drawn = None

    def redraw(self) -> None:
        """Draw anew for another plane or zoom, if it makes a difference."""
        if self._layers and self._drawn != self._wanted():
            self._place(self._layers[0])

    def _wanted(self) -> tuple[tuple[int, ...], int, int]:
        """Choose the plane that is seen, the pieces of a voxel's edge, and the outline's thickness in such pieces."""
        plane = plane_of(self._viewer)
        if len(plane) != 2 or self._codes is None or self._grid is None:
            return (), 1, 1
        parts, pixels = self._fineness(self._grid, plane, self._codes.size)
        return plane, parts, int(np.clip(round(LINE_PX * parts / pixels), 1, 8))

    def _place(self, layer: Any) -> None:
        """Fill the layer: voxels divided along the plane, so that the line hides little of what must be judged."""
        if self._codes is None or self._grid is None:
            return
        plane, parts, thickness = self._drawn = self._wanted()
        # An empty voxel around it closes the outline. Along the slider it would add a slice to a scan that has none.
        rim = [1 if axis in plane else 0 for axis in range(3)]
        data = np.pad(self._codes, [(n, n) for n in rim])
        for axis in plane:
            data = np.repeat(data, parts, axis=axis) if parts > 1 else data
        first = [low - n for low, n in zip(self._box[0], rim, strict=True)]
        place = placement_of_part(self._grid, first, plane, parts)
        layer.data = data
        layer.editable = False  # napari allows it again with every new array
        layer.contour = thickness
        layer.scale, layer.translate, layer.units = place["scale"], place["translate"], place["units"]


def _layer(case: str, scheme: LabelScheme, removed: int) -> Any:
    from napari.layers import Labels
    from napari.utils.colormaps import DirectLabelColormap

    colors = dict(label_colormap(scheme).color_dict)
    colors[removed] = REMOVED_COLOR
    empty = np.zeros((1, 1, 1), dtype=np.uint8)
    layer = Labels(empty, name=f"{case} · preview", opacity=1.0, colormap=DirectLabelColormap(color_dict=colors))
    as_outline(layer)
    return layer
