"""Marks the region that is being decided with a thin white outline."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.regions import Region
from napari_penumbra.plugin.geometry import placement
from napari_penumbra.plugin.layers import as_outline


def outline_data(region: Region) -> tuple[Any, tuple[int, int, int]]:
    """Return the region's mask with one empty voxel around it, and the voxel index of its first corner.

    The outline is a contour inside a small layer of its own: its cost does not depend on the size of the scan.
    """
    padded = np.pad(region.mask.astype(np.uint8), 1)
    z, y, x = region.box[0]
    return padded, (z - 1, y - 1, x - 1)


def outline_place(grid: Grid, corner: tuple[int, int, int]) -> dict[str, Any]:
    """Layer arguments that put the outline over its region."""
    place = placement(grid)
    moved = (t + c * s for t, c, s in zip(place["translate"], corner, place["scale"], strict=True))
    return {**place, "translate": tuple(moved)}


def make_outline(name: str, grid: Grid, region: Region) -> Any:
    """Make the outline's layer."""
    from napari.layers import Labels
    from napari.utils.colormaps import DirectLabelColormap

    data, corner = outline_data(region)
    colors = DirectLabelColormap(color_dict={1: "white", 0: "transparent", None: "transparent"})
    layer = Labels(data, name=f"{name} · region", opacity=1.0, colormap=colors, **outline_place(grid, corner))
    as_outline(layer)
    return layer
