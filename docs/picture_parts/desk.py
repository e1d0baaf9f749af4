"""A robot reader at the real window, with a camera."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from qtpy.QtCore import QEvent, QPoint, QPointF, QRect, Qt
from qtpy.QtGui import QCursor, QImage, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_penumbra.imaging.files import read_labels
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import REFERENCE
from picture_parts.studies import Studies

SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
WIDTH, HEIGHT = 1366, 768
"""A small laptop's screen: who has a larger one sees more."""


class Desk(Walkthrough):
    """Reaches a state by mouse and keys, then takes one picture of it.

    Parameters
    ----------
    viewer
        A shown `napari.Viewer`.
    studies
        What can be opened.
    room
        An empty folder for this picture's files.
    target
        The picture to write.
    """

    def __init__(self, viewer: Any, studies: Studies, room: Path, target: Path) -> None:
        super().__init__(viewer)
        self.studies, self.room, self.target = studies, room, target
        self.root = room
        self.widget.session.auto_predict = False

    @property
    def window(self) -> Any:
        """Napari's window."""
        return self.viewer.window._qt_window

    # ---------------------------------------------------------------- reaching a state

    def use(self, study: str) -> None:
        """Open a copy of one of the `Studies`."""
        self.root = self.studies.copy(study, self.room / "study")
        self.open_study(self.root)

    def open_case(self, name: str) -> None:
        """Open a case from the list, once the list has its place: it moves while the page fills."""
        self.page("study")
        self.find("case_table").select(name)
        self.settle(600)
        super().open_case(name)

    def truth(self, case: str) -> npt.NDArray[np.uint8]:
        """Read what the simulation says a case is, (z, y, x)."""
        return np.asarray(read_labels(self.root / REFERENCE / f"{case}.nii.gz").volume.data, np.uint8)

    def go_to(self, z: int) -> None:
        """Show a slice."""
        self.viewer.dims.set_current_step(0, int(z))
        self.settle()

    def unfold(self, name: str) -> None:
        """Press the headline of a fold."""
        QTest.mouseClick(self.find(name).toggleButton(), Qt.MouseButton.LeftButton)
        self.settle(300)

    def stroke(self, voxels: list[tuple[int, int, int]]) -> None:
        """Draw through voxels (z, y, x) of the shown slice with the tool in hand as it is set."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        places = [self._on_canvas(canvas, self.labels_layer.data_to_world(voxel)) for voxel in voxels]
        left = Qt.MouseButton.LeftButton
        QTest.mousePress(canvas, left, pos=places[0])
        for place in places[1:]:
            at, everywhere = QPointF(place), QPointF(canvas.mapToGlobal(place))
            move = QMouseEvent(QEvent.Type.MouseMove, at, everywhere, left, left, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(canvas, move)
            self.settle(20)
        QTest.mouseRelease(canvas, left, pos=places[-1])
        self.settle()

    # ---------------------------------------------------------------- pictures

    def shoot(self, place: QRect | None = None) -> None:
        """Write what the screen shows of the window, or of a part of it."""
        # Away from everything that would light up or tell its tip.
        QCursor.setPos(self.window.screen().geometry().bottomRight())
        self.settle(600)
        seen = place or self.place_of(self.window)
        pixels = self.window.screen().grabWindow(0, seen.x(), seen.y(), seen.width(), seen.height())
        _write(pixels.toImage(), self.target)

    def shoot_widget(self, widget: QWidget) -> None:
        """Write a widget by itself, whole even where the page has to be scrolled."""
        self.settle(600)
        _write(widget.grab().toImage(), self.target)

    def place_of(self, widget: QWidget) -> QRect:
        """Where a widget stands on the screen."""
        return QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())

    def canvas_and_dock(self) -> QRect:
        """The picture and the dock beside it, without napari's own lists, menu and status bar."""
        window = self.place_of(self.window)
        window.setLeft(self.place_of(self.window.centralWidget()).left())
        window.setTop(self.place_of(self.window.menuBar()).bottom() + 1)
        window.setBottom(self.place_of(self.window.statusBar()).top() - 1)
        return window


def _write(image: QImage, target: Path) -> None:
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    lines = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
    lines = lines.reshape(image.height(), image.bytesPerLine())[:, : image.width() * 3]
    made = Image.fromarray(lines.reshape(image.height(), image.width(), 3).copy())
    target.parent.mkdir(parents=True, exist_ok=True)
    made.save(target, optimize=True)


@contextmanager
def desk(studies: Studies, room: Path, target: Path) -> Iterator[Desk]:
    """Open a window of its own for one picture."""
    import napari

    viewer = napari.Viewer(show=True, title="napari")
    viewer.window.resize(WIDTH, HEIGHT)
    made = Desk(viewer, studies, room, target)
    try:
        yield made
    finally:
        made.widget.shut()
        viewer.close()
        QApplication.processEvents()
