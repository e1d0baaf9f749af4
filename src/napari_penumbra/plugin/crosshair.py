"""The crosshair on the large picture: two thin lines over the canvas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QPointF
from qtpy.QtGui import QColor, QPainter, QPen

from napari_penumbra.plugin.canvas_cover import CanvasCover

_GAP = 9.0
"""Pixels around the place itself that stay free: what lies there is what the reader wants to see."""
_EDGE = 46.0
"""Pixels along the edges that stay free: there stand the letters of the patient's sides."""
_INK = (QColor(0, 0, 0, 150), QColor(255, 255, 255, 190))


class Crosshair(CanvasCover):
    """Lines through a place of the world.

    Parameters
    ----------
    viewer
        A napari viewer with a window.
    place
        Asked for the place, (z, y, x) in mm.
    """

    def __init__(self, viewer: Any, place: Callable[[], tuple[float, float, float]]) -> None:
        super().__init__(viewer, "crosshair")
        self._place = place

    def point(self) -> QPointF | None:
        """Pixel of the canvas at the place, None in 3D."""
        plane = self.plane()
        return None if plane is None else self.on_screen(self._place(), plane)

    def paintEvent(self, event: Any) -> None:
        """Draw two lines with a gap around the place."""
        at = self.point()
        if at is None:
            return
        painter = QPainter(self)
        right, bottom = self.width() - _EDGE, self.height() - _EDGE
        for ink, width in zip(_INK, (3.0, 1.0), strict=True):  # seen on bright and on dark
            painter.setPen(QPen(ink, width))
            painter.drawLine(QPointF(_EDGE, at.y()), QPointF(at.x() - _GAP, at.y()))
            painter.drawLine(QPointF(at.x() + _GAP, at.y()), QPointF(right, at.y()))
            painter.drawLine(QPointF(at.x(), _EDGE), QPointF(at.x(), at.y() - _GAP))
            painter.drawLine(QPointF(at.x(), at.y() + _GAP), QPointF(at.x(), bottom))
        painter.end()
