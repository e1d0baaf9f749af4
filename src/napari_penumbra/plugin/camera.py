"""Moves slice and camera to a region."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.regions import Region
from napari_penumbra.plugin.compat import camera, canvas_size

SMALLEST_FIELD_MM = 60.0
"""Never closer than this: a reader needs the surroundings to judge a region."""
_FITS = (0.05, 0.6)
"""A region that takes this share of the canvas is seen well: the zoom stays, which is calmer for the eye."""
_MARGIN = 2.5
_RIM = 1.1
"""Farther away than the whole slice with a rim there is nothing to see."""

Millimetres = npt.NDArray[np.float64]
"""Height and width of something on the screen."""


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
    scale = np.asarray(layer.scale)
    size = (np.array(region.box[1]) - np.array(region.box[0])) * scale
    whole = np.array(layer.data.shape) * scale
    if zoom_to(viewer, size[shown[-2:]], whole[shown[-2:]]):
        middle = np.asarray(layer.data_to_world((np.array(layer.data.shape) - 1) / 2), dtype=np.float64)
        center[shown] = middle[shown]
    camera(viewer).center = (0.0, 0.0, 0.0)[: 3 - len(shown)] + tuple(float(center[a]) for a in shown)
    return tuple(dims.point) != before


def zoom_to(viewer: Any, size_mm: Millimetres, whole_mm: Millimetres) -> bool:
    """Choose a zoom for something of this height and width, unless the present one already suits it.

    Returns
    -------
    bool
        Whether the zoom was chosen so that the whole slice is seen: what is looked at takes most of it.
    """
    canvas = np.array(canvas_size(viewer), dtype=np.float64)
    zoom = camera(viewer).zoom
    share = float((size_mm * zoom / canvas).max())
    field_mm = float((canvas / zoom).min())
    if share <= _FITS[1] and (share >= _FITS[0] or field_mm <= SMALLEST_FIELD_MM * 1.01):
        return False
    wanted = size_mm * _MARGIN
    whole = bool((wanted > whole_mm * _RIM).any())
    field = whole_mm * _RIM if whole else np.maximum(wanted, SMALLEST_FIELD_MM)
    camera(viewer).zoom = float((canvas / field).min())
    return whole
