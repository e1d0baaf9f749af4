"""Keeps the layers of a case on their millimetres: napari lets a hand move, turn and stretch any layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

_PLACE = ("scale", "translate", "rotate", "shear", "affine")
"""What composes into where a layer lies; each is also the name of the event that tells of its change."""


class Placed:
    """Puts layers back where they were when `hold` was called, whatever moves them.

    A picture that lies beside its labels would be painted on at the wrong place, and no file would tell.

    Parameters
    ----------
    on_moved
        Called once for each `hold`, the first time that a layer has been put back.
    """

    def __init__(self, on_moved: Callable[[], None]) -> None:
        self._on_moved = on_moved
        self._held: list[tuple[Any, dict[str, Any]]] = []
        self._told = False

    def hold(self, layers: Iterable[Any]) -> None:
        """Hold these layers, and let go of those before."""
        self.release()
        self._told = False
        for layer in layers:
            self._held.append((layer, {name: _value(layer, name) for name in _PLACE}))
            for name in _PLACE:
                getattr(layer.events, name).connect(self._put_back)

    def release(self) -> None:
        """Let go of all layers."""
        for layer, _ in self._held:
            for name in _PLACE:
                getattr(layer.events, name).disconnect(self._put_back)
        self._held = []

    def _put_back(self, event: Any) -> None:
        place = next((place for layer, place in self._held if layer is event.source), {})
        moved = [name for name, value in place.items() if not np.array_equal(_value(event.source, name), value)]
        for name in moved:  # each comes back here, and is in its place then
            setattr(event.source, name, place[name])
        if moved and not self._told:
            self._told = True
            self._on_moved()


def _value(layer: Any, name: str) -> Any:
    """One part of a layer's place as a plain array: napari's own may be changed in place."""
    value = getattr(layer, name)
    return np.array(getattr(value, "affine_matrix", value), dtype=np.float64)
