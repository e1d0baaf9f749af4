"""Adds and removes the layers that are ours, and notices when somebody else removes one of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

from qtpy.QtCore import QTimer

_COLLECT_AFTER_MS = 1000


class OwnLayers:
    """The layers that the canvas put into the viewer; all others are left alone.

    Parameters
    ----------
    viewer
        A napari viewer (not the plugin proxy: layers are told apart by identity).
    on_lost
        Called with a layer of ours that was removed by anybody but us.
    """

    def __init__(self, viewer: Any, on_lost: Callable[[Any], None]) -> None:
        self._viewer = viewer
        self._on_lost = on_lost
        self._layers: list[Any] = []
        self._removing = False
        viewer.layers.events.removed.connect(self._on_removed)

    def __contains__(self, layer: Any) -> bool:
        return any(own is layer for own in self._layers)

    def add(self, layer: Any) -> None:
        """Put a layer on top."""
        self._layers.append(layer)
        self._viewer.add_layer(layer)

    def add_all(self, layers: Iterable[Any]) -> None:
        """Put layers on top, in order."""
        for layer in layers:
            self.add(layer)

    def bring_back(self, layer: Any) -> bool:
        """Add a layer again that was removed by hand; False when the window has gone meanwhile."""
        window = getattr(self._viewer, "window", None)
        if getattr(window, "_qt_window", None) is None or layer in self._viewer.layers:
            return False
        self.add(layer)
        return True

    def remove_all(self) -> None:
        """Take every layer of ours out of the viewer."""
        mine, self._layers = self._layers, []
        if not mine:
            return
        self._removing = True
        # napari collects garbage after each removal, 130 ms apiece; frozen objects are not looked at. Once is enough.
        gc.freeze()
        try:
            for layer in mine:
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
        finally:
            gc.unfreeze()
            self._removing = False
        QTimer.singleShot(_COLLECT_AFTER_MS, gc.collect)

    def close(self) -> None:
        """Stop listening; the layers stay."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if not self._removing and layer in self:
            self._layers = [own for own in self._layers if own is not layer]
            self._on_lost(layer)
