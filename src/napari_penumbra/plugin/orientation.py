"""Patient directions on the canvas, and the canvas turned so that heads are up and the patient's right is on the left.

In all three planes a reader expects what a workstation shows: axial with the front up, coronal and sagittal with the
head up. In 3D the depth axis must also point the right way, or the patient is shown mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_penumbra.plugin.compat import camera, canvas_overlays
from napari_penumbra.plugin.geometry import OPPOSITE, ras_of

_EDGES = ("left", "right", "top", "bottom")
_POSITIONS = {"left": "middle_left", "right": "middle_right", "top": "top_center", "bottom": "bottom_center"}
_PREFIX = "penumbra_"
_FONT_SIZE = 14


class OrientationLetters:
    """Keeps the letters and the camera's orientation in step with the viewer's axes.

    Parameters
    ----------
    viewer
        A napari viewer.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._growing: tuple[str, ...] = ()
        self._before: Any = None
        self._connected = False

    def show(self, growing: Sequence[str]) -> None:
        """Show the letters of a case whose z, y and x grow towards these patient directions."""
        self._growing = tuple(growing)
        if not self._connected:
            self._before = camera(self._viewer).orientation
            self._connected = True
            self._viewer.dims.events.order.connect(self._on_order)
            self._viewer.dims.events.ndisplay.connect(self._on_order)
            self._viewer.dims.events.ndim.connect(self._on_order)
            camera(self._viewer).events.orientation.connect(self._draw)
        self._on_order()

    def clear(self) -> None:
        """Take the letters away and give the camera its orientation back."""
        if not self._connected:
            return
        self._connected = False
        self._growing = ()
        self._viewer.dims.events.order.disconnect(self._on_order)
        self._viewer.dims.events.ndisplay.disconnect(self._on_order)
        self._viewer.dims.events.ndim.disconnect(self._on_order)
        camera(self._viewer).events.orientation.disconnect(self._draw)
        camera(self._viewer).orientation = self._before
        self._write({})

    def letters(self) -> dict[str, str]:
        """Letter at each edge of the canvas; empty in 3D, where the edges follow the mouse."""
        shown = self._displayed()
        if self._viewer.dims.ndisplay != 2 or len(shown) != 2:
            return {}
        down, right = shown
        _, vertical, horizontal = (str(v) for v in camera(self._viewer).orientation)
        bottom = down if vertical == "down" else OPPOSITE[down]
        edge = right if horizontal == "right" else OPPOSITE[right]
        return {"left": OPPOSITE[edge], "right": edge, "top": OPPOSITE[bottom], "bottom": bottom}

    def _displayed(self) -> list[str]:
        """Patient direction in which each displayed axis grows; empty when the viewer shows other axes."""
        dims = self._viewer.dims
        extra = dims.ndim - len(self._growing)
        axes = [d - extra for d in dims.displayed]
        return [self._growing[a] for a in axes] if self._growing and min(axes) >= 0 else []

    def _on_order(self, event: Any = None) -> None:
        shown = self._displayed()
        if shown:
            camera(self._viewer).orientation = upright(shown)
        self._draw()

    def _draw(self, event: Any = None) -> None:
        self._write(self.letters())

    def _write(self, letters: dict[str, str]) -> None:
        overlays = canvas_overlays(self._viewer)
        from napari.components.overlays import TextOverlay

        for edge in _EDGES:
            key = _PREFIX + edge
            if edge not in letters:
                if key in overlays:
                    overlays[key].visible = False
                continue
            if key not in overlays:
                overlays[key] = TextOverlay(position=_POSITIONS[edge], font_size=_FONT_SIZE)
            overlays[key].text = letters[edge]
            overlays[key].visible = True


def upright(displayed: Sequence[str]) -> tuple[str, str, str]:
    """Camera orientation of napari (depth, vertical, horizontal) for axes that grow in these patient directions.

    Parameters
    ----------
    displayed
        Letters of the displayed axes, vertical then horizontal, with the depth axis before them in 3D.

    Returns
    -------
    tuple
        Head or front up; patient's right, else front, on the left; depth so that nothing is mirrored.
    """
    *rest, vertical, horizontal = displayed
    up = vertical in "SA"
    leftwards = horizontal in "RA"
    depth = rest[0] if rest else _third(vertical, horizontal)
    screen_right = np.array(ras_of(horizontal)) * (-1 if leftwards else 1)
    screen_up = np.array(ras_of(vertical)) * (1 if up else -1)
    towards_reader = np.cross(screen_right, screen_up)
    towards = bool(np.dot(towards_reader, ras_of(depth)) > 0)
    return "towards" if towards else "away", "up" if up else "down", "left" if leftwards else "right"


def _third(a: str, b: str) -> str:
    """Canonical direction (L, P or S) of the axis that is neither of two."""
    return next(c for c in "LPS" if not {a, b} & {c, OPPOSITE[c]})
