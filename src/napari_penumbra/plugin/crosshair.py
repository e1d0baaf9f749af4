"""The crosshair on the large picture: two thin lines over the canvas that the mouse does not feel.

napari has no such overlay, and lines in a layer of their own would stand in the reader's list and cost a redraw of all
layers at every move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QWidget

from napari_penumbra.plugin.compat import camera

_GAP = 9.0
"""Pixels around the place itself that stay free: what lies there is what the reader wants to see."""
_INK = (QColor(0, 0, 0, 150), QColor(255, 255, 255, 190))


class Crosshair(QWidget):
    """Lines through a place of the world, as long as `follow` is on.

    Parameters
    ----------
    viewer
        A napari viewer with a window.
    place
        Asked for the place, (z, y, x) in mm.
    """

    def __init__(self, viewer: Any, place: Callable[[], tuple[float, float, float]]) -> None:
        canvas: QWidget = viewer.window._qt_viewer.canvas.native
        super().__init__(canvas)
        self.setObjectName("crosshair")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._viewer = viewer
        self._place = place
        self._events = (
            *(getattr(camera(viewer).events, name) for name in ("center", "zoom", "orientation")),
            *(getattr(viewer.dims.events, name) for name in ("order", "ndisplay")),
        )
        self._following = False
        canvas.installEventFilter(self)
        self.hide()

    def follow(self, on: bool) -> None:
        """Show it and move with the picture, or put it away."""
        if on != self._following:
            self._following = on
            for event in self._events:
                (event.connect if on else event.disconnect)(self.look)
        if on:
            self.resize(self.parentWidget().size())
            self.raise_()
        self.setVisible(on)
        self.look()

    def look(self, event: Any = None) -> None:
        """Draw at the present place."""
        self.update()

    def point(self) -> QPointF | None:
        """Pixel of the canvas at the place, None in 3D."""
        dims, view = self._viewer.dims, camera(self._viewer)
        if dims.ndisplay != 2 or dims.ndim < 3:
            return None
        down, across = (axis - dims.ndim + 3 for axis in dims.displayed)
        if min(down, across) < 0:
            return None
        place = self._place()
        _, vertical, horizontal = (str(v) for v in view.orientation)
        dy = (place[down] - view.center[-2]) * view.zoom * (1 if vertical == "down" else -1)
        dx = (place[across] - view.center[-1]) * view.zoom * (1 if horizontal == "right" else -1)
        return QPointF(self.width() / 2 + dx, self.height() / 2 + dy)

    def paintEvent(self, event: Any) -> None:
        """Draw two lines with a gap around the place."""
        at = self.point()
        if at is None:
            return
        painter = QPainter(self)
        right, bottom = float(self.width()), float(self.height())
        for ink, width in zip(_INK, (3.0, 1.0), strict=True):  # seen on bright and on dark
            painter.setPen(QPen(ink, width))
            painter.drawLine(QPointF(0, at.y()), QPointF(at.x() - _GAP, at.y()))
            painter.drawLine(QPointF(at.x() + _GAP, at.y()), QPointF(right, at.y()))
            painter.drawLine(QPointF(at.x(), 0), QPointF(at.x(), at.y() - _GAP))
            painter.drawLine(QPointF(at.x(), at.y() + _GAP), QPointF(at.x(), bottom))
        painter.end()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Cover the canvas when it changes its size."""
        if event is not None and event.type() == QEvent.Type.Resize and watched is self.parentWidget():
            self.resize(self.parentWidget().size())
        return bool(super().eventFilter(watched, event))
