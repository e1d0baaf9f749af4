"""What everything that is drawn over a case shares: it lies on top, goes with its case, and follows the view."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.plugin.compat import camera
from napari_penumbra.plugin.own_layers import OwnLayers

LINE_PX = 2.0
"""How wide a line should be on the screen."""
FINEST = 4
"""Parts that a voxel's edge is divided into, so that a line is thin and hides little of what must be judged."""
_MOST_VOXELS = 12_000_000


class Drawn(ABC):
    """Layers of a viewer that nobody paints on, while there are any.

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
        self._layers: tuple[Any, ...] = ()

    @abstractmethod
    def redraw(self) -> None:
        """Draw anew for what the viewer shows now, if it makes a difference."""

    def hide(self) -> None:
        """Take it out of the picture."""
        layers = self._layers
        self.forget()
        for layer in layers:
            self._own.remove(layer)

    def forget(self) -> None:
        """Let go of the layers, which are gone or go with the case."""
        self._layers = ()

    def lost(self, layer: Any) -> bool:
        """Take note that a layer was deleted by hand: all of these go with it. False when it is another."""
        if all(layer is not own for own in self._layers):
            return False
        self.hide()
        return True

    def _add(self, *layers: Any) -> None:
        """Put layers on top; napari selects what was added, but the reader goes on painting where they were."""
        selection = self._viewer.layers.selection
        active = selection.active
        self._layers = layers
        for layer in layers:
            self._own.add(layer)
        selection.active = active

    def _fineness(self, grid: Grid, plane: Sequence[int], voxels: int) -> tuple[int, float]:
        """Choose into how many pieces to divide a voxel's edge for thin lines at this zoom, as memory allows.

        Returns
        -------
        tuple
            Pieces, and pixels of the screen that a whole edge takes.
        """
        pixels = max(1e-6, min(grid.scale[axis] for axis in plane) * float(camera(self._viewer).zoom))
        wanted = int(np.clip(round(pixels / LINE_PX), 1, FINEST))
        return next(n for n in range(wanted, 0, -1) if n == 1 or voxels * n * n <= _MOST_VOXELS), pixels
