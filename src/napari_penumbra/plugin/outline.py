"""Marks the region that is being decided with a thin white outline."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.regions import Region
from napari_penumbra.plugin.drawn import FINEST
from napari_penumbra.plugin.geometry import placement_of_part
from napari_penumbra.plugin.layers import as_outline

_MOST_VOXELS = 4_000_000


def outline_of(region: Region, grid: Grid, plane: Sequence[int]) -> tuple[Any, dict[str, Any]]:
    """Make the picture of a region's outline: a small mask and the layer arguments that put it over its region.

    The outline is a contour inside a small layer of its own: its cost does not depend on the size of the scan.

    Parameters
    ----------
    plane
        The two axes (of z, y, x) that are seen; voxels are divided along these only, or napari's slider would go
        through the parts of a slice one by one. Empty in 3D.

    Returns
    -------
    data
        uint8, the region's mask with one empty voxel around it in the plane, voxels divided along ``plane``.
    place
        ``scale``, ``translate`` and ``units`` of the layer.
    """
    # Along the slider an empty voxel would add a slice to the scan; in 3D (no plane) the outline closes all around.
    rim = [1 if axis in plane or not plane else 0 for axis in range(3)]
    padded = np.pad(region.mask.astype(np.uint8), [(n, n) for n in rim])
    parts = next(n for n in range(FINEST, 0, -1) if n == 1 or padded.size * n ** len(plane) <= _MOST_VOXELS)
    data = padded
    for axis in plane:
        data = np.repeat(data, parts, axis=axis)
    first = [low - n for low, n in zip(region.box[0], rim, strict=True)]
    return data, placement_of_part(grid, first, plane, parts)


def make_outline(name: str, grid: Grid, region: Region, plane: Sequence[int]) -> Any:
    """Make the outline's layer."""
    from napari.layers import Labels
    from napari.utils.colormaps import DirectLabelColormap

    data, place = outline_of(region, grid, plane)
    colors = DirectLabelColormap(color_dict={1: "white", 0: "transparent", None: "transparent"})
    layer = Labels(data, name=f"{name} · region", opacity=1.0, colormap=colors, **place)
    as_outline(layer)
    return layer


def move_outline(viewer: Any, layer: Any, grid: Grid, region: Region, plane: Sequence[int]) -> None:
    """Let an outline's layer show another region. It has no history that could be mixed up: nobody paints on it.

    The layer is left to be refreshed by the caller, who may be about to change the slice of all layers anyway.
    """
    data, place = outline_of(region, grid, plane)
    scaled = tuple(layer.scale) != tuple(place["scale"])
    with ExitStack() as quiet:
        quiet.enter_context(layer._block_refresh())  # or it would be sliced and drawn once for each of these
        # It lies inside the case, whose extent stays; told of every step, napari would slice and measure all layers
        # each time. In another plane the slider has other steps: then it must measure.
        if extent := getattr(layer.events, "extent", None):
            quiet.enter_context(extent.blocker())
        for event in () if scaled else (layer.events.data, layer.events.translate):
            quiet.enter_context(event.blocker(viewer._on_layers_change))
        layer.data = data
        layer.editable = False  # napari allows it again with every new array
        if scaled:
            layer.scale = place["scale"]
        layer.translate = place["translate"]


def plane_of(viewer: Any) -> tuple[int, ...]:
    """Axes (of the last three: z, y, x) that the viewer shows in 2D; none in 3D."""
    dims = viewer.dims
    return tuple(d - dims.ndim + 3 for d in dims.displayed if d >= dims.ndim - 3) if dims.ndisplay == 2 else ()
