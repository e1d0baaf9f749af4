"""The region that is being decided: slice and camera go there, and a thin outline marks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.regions import Region
from napari_penumbra.plugin.camera import go_to_region
from napari_penumbra.plugin.drawn import Drawn
from napari_penumbra.plugin.outline import make_outline, move_outline, plane_of
from napari_penumbra.plugin.own_layers import OwnLayers


class RegionMark(Drawn):
    """The outline layer, once a region has been gone to."""

    def __init__(self, viewer: Any, own: OwnLayers) -> None:
        super().__init__(viewer, own)
        self._shown: tuple[Grid, Region, tuple[int, ...]] | None = None

    def prepare(self, case: str, grid: Grid, region: Region) -> None:
        """Make the layer before it is wanted, while the window is idle: that takes napari a third of a second.

        Nothing is drawn on it until `show`.
        """
        if self._layers:
            return
        plane = plane_of(self._viewer)
        self._shown = (grid, _nothing_of(region), plane)
        self._layers = (make_outline(case, *self._shown),)
        self._own.add_later(*self._layers)

    def show(self, case: str, grid: Grid, labels: Any, region: Region) -> None:
        """Go to a region and mark it; ``labels`` is the layer that says where voxels lie in the world."""
        plane = plane_of(self._viewer)
        self._shown = (grid, region, plane)
        for layer in self._layers:
            self._own.add_now(layer)
        if not self._layers:
            go_to_region(self._viewer, labels, region)
            self._add(make_outline(case, grid, region, plane))
            return
        # Moved first, it is sliced once, with all other layers; on the same slice nobody else is.
        move_outline(self._viewer, self._layers[0], grid, region, plane)
        if not go_to_region(self._viewer, labels, region):
            self._layers[0].refresh()

    def redraw(self) -> None:
        """Mark the same region in another plane."""
        plane = plane_of(self._viewer)
        if not self._layers or self._shown is None or self._shown[2] == plane:
            return
        self._shown = (*self._shown[:2], plane)
        move_outline(self._viewer, self._layers[0], *self._shown)
        self._layers[0].refresh()


def _nothing_of(region: Region) -> Region:
    """A region of no voxels where another one is."""
    z, y, x = region.center
    return replace(region, box=((z, y, x), (z + 1, y + 1, x + 1)), mask=np.zeros((1, 1, 1), dtype=bool))
