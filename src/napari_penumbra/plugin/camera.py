"""Moves slice and camera to a region."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_penumbra.domain.regions import Region
from napari_penumbra.plugin.compat import camera, canvas_size

SMALLEST_FIELD_MM = 60.0
"""Never closer than this: a reader needs the surroundings to judge a region."""
_FITS = (0.05, 0.6)
"""A region that takes this share of the canvas is seen well: the zoom stays, which is calmer for the eye."""
_MARGIN = 2.5


def go_to_region(viewer: Any, layer: Any, region: Region) -> bool:
    """Show a region: its centre's slice, the camera on it, the zoom changed only if it would not be seen well.

    Parameters
    ----------
    viewer
        A napari viewer.
    layer
        A layer on the case's grid, for the way from voxels to world.

    Returns
    -------
    bool
        Whether another slice is shown than before, so that all layers were sliced anew.
    """
    dims = viewer.dims
    before = tuple(dims.point)
    center = np.asarray(layer.data_to_world(region.center), dtype=np.float64)
    extra = dims.ndim - len(center)
    hidden = [d for d in dims.not_displayed if d >= extra]
    if hidden:
        dims.set_point(hidden, [float(center[d - extra]) for d in hidden])
    shown = [d - extra for d in dims.displayed if d >= extra]
    camera(viewer).center = (0.0, 0.0, 0.0)[: 3 - len(shown)] + tuple(float(center[a]) for a in shown)
    size = (np.array(region.box[1]) - np.array(region.box[0])) * np.asarray(layer.scale)
    zoom_to(viewer, [float(size[a]) for a in shown[-2:]])
    return tuple(dims.point) != before


def zoom_to(viewer: Any, size_mm: list[float]) -> None:
    """Choose a zoom for something of this height and width, unless the present one already suits it."""
    canvas = canvas_size(viewer)
    zoom = camera(viewer).zoom
    share = max(mm * zoom / px for mm, px in zip(size_mm, canvas, strict=True))
    field_mm = min(px / zoom for px in canvas)
    if share <= _FITS[1] and (share >= _FITS[0] or field_mm <= SMALLEST_FIELD_MM * 1.01):
        return
    wanted = [max(mm * _MARGIN, SMALLEST_FIELD_MM) for mm in size_mm]
    camera(viewer).zoom = min(px / mm for mm, px in zip(wanted, canvas, strict=True))
