"""What is drawn over the canvas by Qt, and never touches a layer: a sheet that the mouse does not feel.

napari has no such overlay, and a layer of its own would stand in the reader's list, could be painted on or saved by
mistake, and would cost a redraw of all layers at every move.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, QPointF, Qt
from qtpy.QtWidgets import QWidget

from napari_penumbra.plugin.compat import camera


class CanvasCover(QWidget):
    """Covers the canvas and moves with the picture, as long as `follow` is on.

    Parameters
    ----------
    viewer
        A napari viewer with a window.
    name
        Object name.
    """

    def __init__(self, viewer: Any, name: str) -> None:
        canvas: QWidget = viewer.window._qt_viewer.canvas.native
        super().__init__(canvas)
        self.setObjectName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewer = viewer
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
        """Draw anew with the next picture."""
        self.update()

    def plane(self) -> tuple[int, int] | None:
        """Axes (of z, y, x) that are shown downwards and across, None in 3D or with other axes on the screen."""
        dims = self.viewer.dims
        if dims.ndisplay != 2 or dims.ndim < 3:
            return None
        down, across = (int(axis) - dims.ndim + 3 for axis in dims.displayed)
        return None if min(down, across) < 0 else (down, across)

    def on_screen(self, world: Sequence[float], plane: tuple[int, int]) -> QPointF:
        """Pixel of the canvas at a place of the world, (z, y, x) in mm."""
        view = camera(self.viewer)
        _, vertical, horizontal = (str(v) for v in view.orientation)
        dy = (world[plane[0]] - view.center[-2]) * view.zoom * (1 if vertical == "down" else -1)
        dx = (world[plane[1]] - view.center[-1]) * view.zoom * (1 if horizontal == "right" else -1)
        return QPointF(self.width() / 2 + dx, self.height() / 2 + dy)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Cover the canvas when it changes its size."""
        if event is not None and event.type() == QEvent.Type.Resize and watched is self.parentWidget():
            self.resize(self.parentWidget().size())
        return bool(super().eventFilter(watched, event))
