"""Adds and removes the layers that are ours, and notices when somebody else removes one of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

from qtpy.QtCore import QTimer

from napari_penumbra.plugin.pointer import Pointer

_COLLECT_AFTER_MS = 1000
_NEXT_LAYER_MS = 150
"""Long enough for the picture to be drawn first, and between two layers for keys and the mouse to be answered."""


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
        self._waiting: list[Any] = []
        self._removing = False
        self.pointer = Pointer(viewer)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._add_next)
        viewer.layers.events.removed.connect(self._on_removed)

    def __contains__(self, layer: Any) -> bool:
        return any(own is layer for own in self._layers)

    def add(self, layer: Any) -> None:
        """Put a layer on top."""
        self._layers.append(layer)
        self._viewer.add_layer(layer)

    def add_later(self, layer: Any) -> None:
        """Put a layer on top as soon as the window is idle: `replace` says why."""
        self._layers.append(layer)
        self._waiting.append(layer)
        self._timer.start(_NEXT_LAYER_MS)

    def add_now(self, layer: Any) -> None:
        """Wait no longer with a layer of `add_later`."""
        if any(other is layer for other in self._waiting):
            self._waiting = [other for other in self._waiting if other is not layer]
            self._insert(layer)

    def remove(self, layer: Any) -> None:
        """Take one layer of ours out again; one that is gone already is let be."""
        self._layers = [own for own in self._layers if own is not layer]
        self._waiting = [other for other in self._waiting if other is not layer]
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def replace(self, layers: Iterable[Any]) -> None:
        """Take every layer of ours out and put others on top, in order, drawing once.

        Layers that are not visible wait: each costs napari 100 ms, and the reader waits for the picture. They follow
        one by one as soon as the window is idle, or all at once by `finish`.
        """
        mine, self._layers = self._layers, list(layers)
        names = [layer.name for layer in self._layers]
        self._waiting = [layer for layer in self._layers if not layer.visible]
        # napari collects garbage when layers go, 130 ms each time; frozen objects are not looked at. Later is enough.
        gc.freeze()
        try:
            with self._viewer.layers.batched_update():
                # New ones first: an empty viewer forgets its axes, and making its sliders anew costs 140 ms.
                for layer in self._layers:
                    if layer.visible:
                        self._viewer.add_layer(layer)
                self._removing = True
                for layer in mine:
                    if layer in self._viewer.layers:
                        self._viewer.layers.remove(layer)
        finally:
            gc.unfreeze()
            self._removing = False
        for layer, name in zip(self._layers, names, strict=True):
            if layer.name != name:  # napari numbers a name that was still there
                layer.name = name
        if mine:
            QTimer.singleShot(_COLLECT_AFTER_MS, gc.collect)
        if self._waiting:
            self._timer.start(_NEXT_LAYER_MS)

    def finish(self) -> None:
        """Add every layer that still waits, unless the window has gone."""
        if self._window_gone():
            self._waiting = []
        while self._waiting:
            self._insert(self._waiting.pop(0))

    def _add_next(self) -> None:
        if not self._waiting or self._window_gone():
            return
        # A layer that comes in the middle of a stroke would take the mouse away from it.
        if not self.pointer.held:
            self._insert(self._waiting.pop(0))
        if self._waiting:
            self._timer.start(_NEXT_LAYER_MS)

    def _insert(self, layer: Any) -> None:
        """Put a layer below those that come after it in our order; what was selected stays selected."""
        shown = self._viewer.layers
        above = self._layers[next(n for n, own in enumerate(self._layers) if own is layer) + 1 :]
        places = [shown.index(other) for other in above if other in shown]
        selected = shown.selection.active
        shown.insert(min(places, default=len(shown)), layer)
        if selected is not None:
            shown.selection.active = selected

    def bring_back(self, layer: Any) -> bool:
        """Add a layer again that was removed by hand; False when the window has gone meanwhile."""
        if self._window_gone() or layer in self._viewer.layers:
            return False
        self.add(layer)
        return True

    def _window_gone(self) -> bool:
        window = getattr(self._viewer, "window", None)
        return getattr(window, "_qt_window", None) is None

    def close(self) -> None:
        """Stop listening; the layers stay."""
        self._timer.stop()
        self._waiting = []
        self.pointer.close()
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if not self._removing and layer in self:
            self._layers = [own for own in self._layers if own is not layer]
            self._on_lost(layer)
