"""The region that is being decided: slice and camera go there, and a thin outline marks it."""

from __future__ import annotations

from typing import Any

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.regions import Region
from napari_penumbra.plugin.camera import go_to_region
from napari_penumbra.plugin.outline import make_outline, move_outline, plane_of
from napari_penumbra.plugin.own_layers import OwnLayers


class RegionMark:
    """The outline layer of a viewer, once a region has been gone to.

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
        self._shown: tuple[Grid, Region] | None = None

    def show(self, case: str, grid: Grid, labels: Any, region: Region) -> None:
        """Go to a region and mark it; ``labels`` is the layer that says where voxels lie in the world."""
        self._shown = (grid, region)
        if self._layer is None:
            go_to_region(self._viewer, labels, region)
            self._add(case, grid, region)
            return
        # Moved first, it is sliced once, with all other layers; on the same slice nobody else is.
        move_outline(self._viewer, self._layer, grid, region, plane_of(self._viewer))
        if not go_to_region(self._viewer, labels, region):
            self._layer.refresh()

    def redraw(self) -> None:
        """Mark the same region in another plane."""
        if self._layer is not None and self._shown is not None:
            move_outline(self._viewer, self._layer, *self._shown, plane_of(self._viewer))
            self._layer.refresh()

    def forget(self) -> None:
        """Let go of the layer, which goes with its case."""
        self._layer = self._shown = None

    def lost(self, layer: Any) -> bool:
        """Whether a layer that was deleted by hand was the outline; the next region gets a new one."""
        if self._layer is None or layer is not self._layer:
            return False
        self._layer = None
        return True

    def _add(self, case: str, grid: Grid, region: Region) -> None:
        selection = self._viewer.layers.selection
        active = selection.active
        self._layer = make_outline(case, grid, region, plane_of(self._viewer))
        self._own.add(self._layer)
        selection.active = active  # napari selects what was added: the reader goes on painting where they were
