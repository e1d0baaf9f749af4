"""Adds and removes the layers that are ours, and notices when somebody else removes one of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
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

    def replace(self, layers: Iterable[Any]) -> None:
        """Take every layer of ours out and put others on top, in order, drawing once."""
        mine, self._layers = self._layers, []
        self._removing = True
        # napari collects garbage when layers go, 130 ms each time; frozen objects are not looked at. Later is enough.
        gc.freeze()
        try:
            with self._drawn_once():
                for layer in mine:
                    if layer in self._viewer.layers:
                        self._viewer.layers.remove(layer)
                self._removing = False
                for layer in layers:
                    self.add(layer)
        finally:
            gc.unfreeze()
            self._removing = False
        if mine:
            QTimer.singleShot(_COLLECT_AFTER_MS, gc.collect)

    def _drawn_once(self) -> AbstractContextManager[Any]:
        batch = getattr(self._viewer.layers, "batched_update", None)  # since napari 0.9
        return nullcontext() if batch is None else batch()

    def bring_back(self, layer: Any) -> bool:
        """Add a layer again that was removed by hand; False when the window has gone meanwhile."""
        window = getattr(self._viewer, "window", None)
        if getattr(window, "_qt_window", None) is None or layer in self._viewer.layers:
            return False
        self.add(layer)
        return True

    def close(self) -> None:
        """Stop listening; the layers stay."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if not self._removing and layer in self:
            self._layers = [own for own in self._layers if own is not layer]
            self._on_lost(layer)
