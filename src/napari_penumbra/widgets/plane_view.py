"""A slice of the case as a plain Qt widget, with the labels over it and a crosshair: small, cheap, two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QImage, QPainter, QPen
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Slice:
    """What a plane shows.

    Attributes
    ----------
    title
        Name of the plane.
    grey
        (rows, columns) uint8, or (rows, columns, 3) in colour.
    overlay
        (rows, columns, 4) uint8, red, green, blue, opacity.
    spacing
        Height and width of a pixel in mm.
    flip
        Whether rows grow upwards on the screen, and columns to the left.
    letters
        Patient directions at the left, right, top and bottom edge; empty for a picture.
    cross
        Row and column that the crosshair goes through.
    """

    title: str
    grey: Pixels
    overlay: Pixels
    spacing: tuple[float, float]
    flip: tuple[bool, bool]
    letters: str
    cross: tuple[float, float]


class PlaneView(QWidget):
    """Draws one slice as large as it fits, its millimetres true.

    Signals
    -------
    moved : (float, float)
        The reader wants the crosshair at this row and column.
    stepped : (int)
        The reader turns the wheel: so many slices of this plane on.
    """

    moved = Signal(float, float)
    stepped = Signal(int)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName("Slice across the one in the large picture")
        self.setToolTip("Click or drag to move the crosshair; the wheel goes through the slices.")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(QSize(120, 110))
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.slice: Slice | None = None

    def sizeHint(self) -> QSize:
        """Say a size at which a head can be read."""
        return QSize(300, 190)

    def show_slice(self, shown: Slice | None) -> None:
        """Draw another slice, nothing if None."""
        self.slice = shown
        self.update()

    def frame(self) -> QRectF:
        """Where the slice is drawn, in pixels of the widget."""
        if self.slice is None:
            return QRectF()
        rows, columns = self.slice.grey.shape[:2]
        height, width = rows * self.slice.spacing[0], columns * self.slice.spacing[1]
        zoom = min(self.height() / height, self.width() / width)
        size = (width * zoom, height * zoom)
        return QRectF((self.width() - size[0]) / 2, (self.height() - size[1]) / 2, *size)

    def place_of(self, row: float, column: float) -> QPointF:
        """Pixel of the widget where the middle of a voxel lies."""
        assert self.slice is not None
        frame, (rows, columns) = self.frame(), self.slice.grey.shape[:2]
        down, across = (row + 0.5) / rows, (column + 0.5) / columns
        up, left = self.slice.flip
        return QPointF(
            frame.left() + (1 - across if left else across) * frame.width(),
            frame.top() + (1 - down if up else down) * frame.height(),
        )

    def voxel_at(self, place: QPointF) -> tuple[float, float]:
        """Row and column under a pixel of the widget, inside the slice."""
        assert self.slice is not None
        frame, (rows, columns) = self.frame(), self.slice.grey.shape[:2]
        across, down = (place.x() - frame.left()) / frame.width(), (place.y() - frame.top()) / frame.height()
        up, left = self.slice.flip
        row = (1 - down if up else down) * rows - 0.5
        column = (1 - across if left else across) * columns - 0.5
        return min(max(row, 0.0), rows - 1.0), min(max(column, 0.0), columns - 1.0)

    def paintEvent(self, event: Any) -> None:
        """Draw slice, labels, crosshair and letters."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        shown = self.slice
        if shown is None:
            painter.end()
            return
        frame = self.frame()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(frame, _image(shown.grey, shown.flip))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(frame, _image(shown.overlay, shown.flip))
        self._draw_cross(painter, frame, shown)
        self._draw_words(painter, shown)
        painter.end()

    def _draw_cross(self, painter: QPainter, frame: QRectF, shown: Slice) -> None:
        at = self.place_of(*shown.cross)
        gap = 6.0
        edge = self.fontMetrics().height() + 2.0  # where the letters stand
        free = QRectF(self.rect()).adjusted(edge, edge, -edge, -edge)
        frame = frame.intersected(free)
        for color, width in (("black", 3.0), ("white", 1.0)):  # seen on bright and on dark
            painter.setPen(QPen(QColor(color), width))
            painter.drawLine(QPointF(frame.left(), at.y()), QPointF(at.x() - gap, at.y()))
            painter.drawLine(QPointF(at.x() + gap, at.y()), QPointF(frame.right(), at.y()))
            painter.drawLine(QPointF(at.x(), frame.top()), QPointF(at.x(), at.y() - gap))
            painter.drawLine(QPointF(at.x(), at.y() + gap), QPointF(at.x(), frame.bottom()))

    def _draw_words(self, painter: QPainter, shown: Slice) -> None:
        font = QFont(self.font())
        font.setBold(True)
        painter.setFont(font)
        inside = self.rect().adjusted(4, 2, -4, -2)
        flag = Qt.AlignmentFlag
        places = (
            flag.AlignLeft | flag.AlignVCenter,
            flag.AlignRight | flag.AlignVCenter,
            flag.AlignTop | flag.AlignHCenter,
            flag.AlignBottom | flag.AlignHCenter,
        )
        words = [*zip(shown.letters, places, strict=False), (shown.title, flag.AlignTop | flag.AlignLeft)]
        for color, shift in (("black", 1), ("white", 0)):  # read on bright and on dark
            painter.setPen(QColor(color))
            for text, place in words:
                painter.drawText(inside.translated(shift, shift), int(place), text)

    def mousePressEvent(self, event: Any) -> None:
        """Move the crosshair there."""
        if self.slice is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.moved.emit(*self.voxel_at(event.position()))

    def mouseMoveEvent(self, event: Any) -> None:
        """Take the crosshair along."""
        self.mousePressEvent(event)

    def wheelEvent(self, event: Any) -> None:
        """Go through the slices of this plane."""
        turned = event.angleDelta().y()
        if turned:
            self.stepped.emit(1 if turned > 0 else -1)
        event.accept()


class PlanesPanel(QWidget):
    """Two planes side by side.

    Signals
    -------
    shown : (bool)
        It shows, or not any more, by whatever means.
    """

    shown = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("planes_panel")
        self.views = (PlaneView("plane_1"), PlaneView("plane_2"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for view in self.views:
            layout.addWidget(view, 1)

    def showEvent(self, event: Any) -> None:
        """Tell."""
        super().showEvent(event)
        self.shown.emit(True)

    def hideEvent(self, event: Any) -> None:
        """Tell: the reader may have closed the dock by its own buttons."""
        super().hideEvent(event)
        self.shown.emit(False)

    def show_slices(self, slices: Sequence[Slice | None]) -> None:
        """Draw both."""
        for view, shown in zip(self.views, slices, strict=True):
            view.show_slice(shown)


def _image(pixels: Pixels, flip: tuple[bool, bool]) -> QImage:
    """Make a QImage of its own of an array."""
    up, left = flip
    turned = np.ascontiguousarray(pixels[:: -1 if up else 1, :: -1 if left else 1])
    rows, columns = turned.shape[:2]
    channels = 1 if turned.ndim == 2 else turned.shape[2]
    kinds = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}
    return QImage(turned.data, columns, rows, columns * channels, kinds[channels]).copy()
