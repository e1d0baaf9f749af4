"""A robot reader that works the real window: finds widgets by name, clicks, paints, waits, takes pictures.

It does nothing that a reader could not do by hand, and asks the window, not the code behind it. The demonstration and
the end-to-end test are both written with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QAbstractItemView, QApplication, QComboBox, QSpinBox, QWidget

from napari_penumbra.domain.errors import JobError
from napari_penumbra.plugin.compat import camera
from napari_penumbra.plugin.main_widget import PenumbraWidget

TICK_MS = 20


class Walkthrough:
    """Drive a `PenumbraWidget` in a napari viewer.

    Parameters
    ----------
    viewer
        A shown `napari.Viewer`.
    pictures
        Folder for screenshots; None takes none.

    Attributes
    ----------
    widget
        The dock's host, docked into the viewer's window.
    shots
        Screenshots taken so far: (file, what it shows).
    """

    def __init__(self, viewer: Any, pictures: Path | None = None) -> None:
        self.viewer = viewer
        self.pictures = pictures
        self.shots: list[tuple[Path, str]] = []
        _, widget = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
        self.widget: PenumbraWidget = widget
        self.settle()

    # ------------------------------------------------------------------ window

    def find(self, name: str, kind: type[Any] = QWidget) -> Any:
        """Find a widget of the dock by its object name."""
        found = self.widget.findChild(kind, name)
        if found is None:
            raise LookupError(f"the dock has no {kind.__name__} named {name}")
        return found

    def click(self, name: str) -> None:
        """Click a button with the mouse; a button that is disabled says why and stops the walk."""
        button = self.find(name, QAbstractButton)
        if not button.isEnabled():
            raise RuntimeError(f"{name} cannot be pressed: {button.toolTip()}")
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=button.rect().center())
        self.settle()

    def page(self, name: str) -> None:
        """Go to study, annotate, train or review."""
        self.click(f"tab_{name}")

    def settle(self, milliseconds: int = 60) -> None:
        """Let the window draw and answer for a moment."""
        QTest.qWait(milliseconds)

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 300) -> None:
        """Keep the window alive until ``ready``; raises ``TimeoutError`` naming what was waited for."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {seconds:.0f} s; the status line says: {self.status}")
            QTest.qWait(TICK_MS)

    @property
    def status(self) -> str:
        """What the status line says."""
        return str(self.widget.session.status)

    def picture(self, name: str, caption: str) -> Path | None:
        """Take a screenshot of the whole window."""
        if self.pictures is None:
            return None
        self.settle(250)
        path = self.pictures / f"{len(self.shots) + 1:02d}-{name}.png"
        self.viewer.window.screenshot(str(path), canvas_only=False, flash=False)
        self.shots.append((path, caption))
        return path

    # ------------------------------------------------------------------ cases

    def open_study(self, folder: Path) -> None:
        """Open a study and wait for its table."""
        self.widget.open_study(folder)
        self.page("study")
        self.wait("the case table", lambda: self.find("case_table").model().rowCount() > 0, 30)

    def open_case(self, name: str) -> None:
        """Double-click a case in the table."""
        self.page("study")
        table: QAbstractItemView = self.find("case_table")
        table.select(name)
        self.settle()
        index = table.currentIndex()
        table.scrollTo(index)
        at = table.visualRect(index).center()
        for event in (QTest.mouseClick, QTest.mouseDClick):
            event(table.viewport(), Qt.MouseButton.LeftButton, pos=at)
        self.wait(f"{name} on the canvas", lambda: self.widget.bridge.case == name, 30)
        self.settle()

    @property
    def labels_layer(self) -> Any:
        """The layer that is being painted."""
        return self.viewer.layers[f"{self.widget.bridge.case} · labels"]

    def paint(self, truth: npt.NDArray[np.uint8]) -> None:
        """Paint a mask slice by slice, class by class, as strokes of napari's own labels layer.

        ``truth`` is (z, y, x); only its painted slices are touched.
        """
        layer = self.labels_layer
        for z in np.flatnonzero(truth.any(axis=(1, 2))):
            self.viewer.dims.set_current_step(0, int(z))
            for value in np.unique(truth[z][truth[z] > 0]):
                y, x = np.nonzero(truth[z] == value)
                layer.data_setitem((np.full_like(y, z), y, x), int(value))
            self.settle(1)

    def drag(self, points: list[tuple[int, int, int]], value: int, size: int = 5) -> None:
        """Draw one stroke with the mouse through voxels (z, y, x) of one slice, on the picture itself."""
        layer = self.labels_layer
        self.viewer.dims.set_current_step(0, points[0][0])
        layer.mode, layer.brush_size, layer.selected_label = "paint", size, value
        self.settle()
        canvas = self.viewer.window._qt_viewer.canvas.native
        places = [self._on_canvas(canvas, layer.data_to_world(point)) for point in points]
        QTest.mouseMove(canvas, places[0])
        # The screen's own event of that move comes late; within the stroke it would draw a line back to its start.
        self.settle()
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
        for place in places[1:]:
            # QTest's own move carries no button, and a brush without one draws nothing.
            at, everywhere = QPointF(place), QPointF(canvas.mapToGlobal(place))
            left = Qt.MouseButton.LeftButton
            move = QMouseEvent(QEvent.Type.MouseMove, at, everywhere, left, left, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(canvas, move)
            self.settle(TICK_MS)
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[-1])
        self.settle()

    def _on_canvas(self, canvas: QWidget, world: Any) -> QPoint:
        """Pixel of the canvas where a place in the world is drawn, in a 2D view."""
        view = camera(self.viewer)
        offset = [(a - b) * view.zoom for a, b in zip(world[-2:], view.center[-2:], strict=True)]
        return QPoint(round(canvas.width() / 2 + offset[1]), round(canvas.height() / 2 + offset[0]))

    def press(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key, as for a shortcut."""
        self.widget.window().activateWindow()
        self.settle(TICK_MS)
        QTest.keyClick(self.widget, key, modifiers)
        self.settle()

    # ------------------------------------------------------------------ training

    def train(
        self,
        steps: int,
        *,
        method: str | None = None,
        preset: str = "laptop",
        changes: dict[str, Any] | None = None,
        wait: bool = True,
    ) -> str:
        """Fill the form, press Start, and wait for the end; returns the run's id.

        ``changes`` sets parameters of the method's form that differ from the preset.
        """
        self.page("train")
        methods: QComboBox = self.find("method", QComboBox)
        self.wait("the list of methods", lambda: methods.count() > 0, 120)
        if method is not None:
            methods.setCurrentIndex(methods.findData(method))
        self.find("preset", QComboBox).setCurrentText(preset)
        self.find("steps", QSpinBox).setValue(steps)
        self.find("config_form").set_changes(changes or {})
        before = {run.id for run in self.widget.session.runs()}
        self.wait("the Start button", lambda: bool(self.find("start", QAbstractButton).isEnabled()), 60)
        self.click("start")
        self.wait("a new run", lambda: bool({r.id for r in self.widget.session.runs()} - before), 30)
        run = next(r.id for r in self.widget.session.runs() if r.id not in before)
        if wait:
            self.wait_for(run)
        return str(run)

    def wait_for(self, run: str, seconds: float = 1200) -> None:
        """Wait until a run is over; raises `JobError` with its own words if it failed."""

        def info() -> Any:
            return next(r for r in self.widget.session.runs() if r.id == run)

        self.wait(f"run {run}", lambda: info().state.over, seconds)
        if info().state != "finished":
            raise JobError(f"Run {run} is {info().state}: {info().message}")

    def wait_for_predictions(self, names: list[str], seconds: float = 600) -> None:
        """Wait until each of these cases has a prediction in the study."""
        session = self.widget.session
        study = session.opened()
        self.wait("predictions", lambda: all(study.prediction(name) is not None for name in names), seconds)
        self.wait("the background to be done", lambda: session.active is None and not session.measuring, seconds)
        self.settle(400)
