"""Shift and drag on the picture: brighter and darker, more and less contrast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

PIXELS = 300.0
"""A drag of so many pixels doubles the window's width (to the right) or moves it by its whole width (upwards)."""
_NARROWEST = 1e-3


class WindowDrag:
    """Changes a window by dragging with Shift held, in 2D; nothing is painted meanwhile.

    Napari's own right-drag draws contours on labels, so the key goes with the left button.

    Parameters
    ----------
    viewer
        A napari viewer.
    contrast, set_contrast
        Read lowest and highest intensity and the window's edges (None if there is nothing to window), set the edges.
    hold
        Called with True when a drag begins, before napari's tools hear of the press, and with False at its end.
    """

    def __init__(
        self,
        viewer: Any,
        contrast: Callable[[], tuple[float, float, float, float] | None],
        set_contrast: Callable[[float, float], None],
        hold: Callable[[bool], None],
    ) -> None:
        self._viewer = viewer
        self._contrast = contrast
        self._set_contrast = set_contrast
        self._hold = hold
        self._callback = self._drag  # one object: napari finds it again by identity
        viewer.mouse_drag_callbacks.append(self._callback)

    def close(self) -> None:
        """Stop listening."""
        if self._callback in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._callback)

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        start = self._contrast()
        modifiers = [str(getattr(key, "name", key)) for key in event.modifiers]
        if start is None or modifiers != ["Shift"] or event.button != 1 or viewer.dims.ndisplay != 2:
            return
        x, y = event.pos
        self._hold(True)
        try:
            yield
            while event.type == "mouse_move":
                dx, dy = event.pos[0] - x, event.pos[1] - y
                self._set_contrast(*moved(start, dx, dy))
                yield
        finally:
            self._hold(False)


def moved(start: tuple[float, float, float, float], dx: float, dy: float) -> tuple[float, float]:
    """Return the window's edges after a drag.

    Parameters
    ----------
    start
        Lowest and highest intensity, lower and upper edge when the drag began.
    dx, dy
        Pixels to the right and downwards. To the right widens; upwards brightens, which lowers the window.
    """
    least, most, low, high = start
    narrowest = max((most - least) * _NARROWEST, 1e-12)
    width = max((high - low) * 2 ** (dx / PIXELS), narrowest)
    middle = (low + high) / 2 + (high - low) * dy / PIXELS
    return middle - width / 2, middle + width / 2
