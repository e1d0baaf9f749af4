"""Knows whether a mouse button is held down on the picture: what would disturb a stroke waits until it is let go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

LONGEST_REST_S = 5.0
"""A press without any movement for longer is taken for one whose release got lost (it went to another window)."""


class Pointer:
    """Follows the mouse through the picture's own callbacks.

    Qt's ``QApplication.mouseButtons()`` is no measure of a stroke: it also tells of presses on other widgets, and it
    stays "pressed" when a release never comes, as after a double-click whose second release another window got.

    Parameters
    ----------
    viewer
        A napari viewer.
    clock
        Seconds that only grow.
    """

    def __init__(self, viewer: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._viewer = viewer
        self._clock = clock
        self._press: object | None = None
        self._moved = 0.0
        self._callback = self._follow  # one object: napari finds it again by identity
        viewer.mouse_drag_callbacks.append(self._callback)

    @property
    def held(self) -> bool:
        """Whether a button is down on the picture and has moved lately."""
        return self._press is not None and self._clock() - self._moved <= LONGEST_REST_S

    def close(self) -> None:
        """Stop following."""
        self._press = None
        if self._callback in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._callback)

    def _follow(self, viewer: Any, event: Any) -> Iterator[None]:
        mine = self._press = object()
        self._moved = self._clock()
        try:
            yield
            while event.type == "mouse_move":
                self._moved = self._clock()
                yield
        finally:
            if self._press is mine:  # napari drops this generator when a new press comes before a release
                self._press = None
