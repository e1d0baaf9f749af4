"""Tints the voxels that the brush can change, while it keeps to a range of intensities.

Drawn over the canvas: what is tinted is no layer, so it can neither be painted on nor saved, and undo knows nothing of
it. Only the shown slice is compared, in about a millisecond, so it follows a slider and the slices at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QImage, QPainter

from napari_penumbra.plugin.brush import Mask, Reach
from napari_penumbra.plugin.canvas_cover import CanvasCover
from napari_penumbra.plugin.viewpoint import to_voxels

TINT = (0, 255, 210, 64)
"""Red, green, blue and opacity: a hue that neither a class nor another overlay has, and faint enough to see through."""

Cut = tuple[Any, ...]


class RangeGlow(CanvasCover):
    """The tint over the large picture; nothing until it is given a limit."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer, "range_glow")
        self._events = (*self._events, viewer.dims.events.point)
        self._labels: Any = None
        self._reach: Reach | None = None
        self._drawn: tuple[Cut, bool, QImage] | None = None

    def show_reach(self, labels: Any, reach: Reach | None) -> None:
        """Tint what strokes on a labels layer can change; None ends it."""
        if labels is not self._labels:
            for layer, connect in ((self._labels, False), (labels, True)):
                for event in () if layer is None else (layer.events.labels_update, layer.events.set_data):
                    (event.connect if connect else event.disconnect)(self._on_labels)
        self._labels, self._reach, self._drawn = labels, reach, None
        self.follow(labels is not None and reach is not None)

    def _on_labels(self, event: Any = None) -> None:
        """Voxels were drawn, or another slice was cut: also in the middle of a stroke."""
        if self._reach is not None:
            self._drawn = None
            self.look()

    def mask(self) -> Mask | None:
        """Voxels of the shown slice that a stroke would change, as on the screen; None when no slice is shown."""
        place, reach = self._place(), self._reach
        if place is None or reach is None:
            return None
        inside = reach.inside(self._labels.data, place[0])
        return inside.T if place[1] else inside

    def _place(self) -> tuple[Cut, bool] | None:
        """Slice that is shown, and whether its axes are the other way round on the screen."""
        plane = self.plane()
        if plane is None or self._labels is None:
            return None
        through = 3 - sum(plane)
        here = np.asarray(self.viewer.dims.point[-3:], dtype=np.float64)
        index = round(float(to_voxels(self._labels, here)[through]))
        if not 0 <= index < self._labels.data.shape[through]:
            return None
        return tuple(index if axis == through else slice(None) for axis in range(3)), plane[0] > plane[1]

    def _image(self) -> QImage | None:
        """Make the tint of the shown slice once: it is drawn again with every movement of the picture."""
        place = self._place()
        if self._drawn is None or self._drawn[:2] != place:
            mask = self.mask()
            if mask is None or place is None:
                return None
            self._drawn = (*place, tinted(mask))
        return self._drawn[2]

    def paintEvent(self, event: Any) -> None:
        """Lay the slice's tint over the slice."""
        plane, image = self.plane(), self._image()
        if plane is None or image is None:
            return
        # A voxel is placed by its centre: its edges lie half a voxel around it.
        corner, beyond = (self.on_screen(self._labels.data_to_world((at, at, at)), plane) for at in (-0.5, 0.5))
        painter = QPainter(self)
        painter.translate(corner)
        painter.scale(beyond.x() - corner.x(), beyond.y() - corner.y())
        painter.drawImage(0, 0, image)
        painter.end()


def tinted(mask: npt.NDArray[np.bool_]) -> QImage:
    """Make a picture of one pixel per voxel, tinted where the mask holds and transparent elsewhere."""
    rows, columns = mask.shape
    red, green, blue, opacity = TINT
    ink = opacity << 24 | sum((part * opacity // 255) << shift for part, shift in ((red, 16), (green, 8), (blue, 0)))
    pixels = np.where(mask, np.uint32(ink), np.uint32(0)).astype(np.uint32, order="C")
    image = QImage(pixels.tobytes(), columns, rows, 4 * columns, QImage.Format.Format_ARGB32_Premultiplied)
    return image.copy()  # the bytes go with this call
