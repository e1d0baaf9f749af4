"""The two planes across the large picture, kept in step with it: slice, crosshair, labels, window.

They are not napari canvases: each of those would hold every layer a second time on the graphics card and be redrawn
at every change of a slice. A slice cut out of the array and drawn by Qt takes about two milliseconds, waits until the
large picture is drawn, and costs nothing while the panel is away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt, QTimer

from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, UNKNOWN_COLOR, LabelScheme
from napari_penumbra.plugin.brush import Reach
from napari_penumbra.plugin.crosshair import Crosshair
from napari_penumbra.plugin.geometry import OPPOSITE
from napari_penumbra.plugin.layers import LABELS_OPACITY
from napari_penumbra.plugin.range_glow import TINT
from napari_penumbra.plugin.slices import ORDERS, plane
from napari_penumbra.widgets.canvas import Plane
from napari_penumbra.widgets.plane_view import PlanesPanel, Slice

_SOON_MS = 25
"""After the large picture, and once for all that a mouse move changes."""
TITLE = "Planes"


class Planes:
    """Shows the other two planes of a case in a panel of the window.

    Parameters
    ----------
    viewer
        A napari viewer.
    on_shown
        Called when the panel shows, and when it is put away, also by its own buttons.
    """

    def __init__(self, viewer: Any, on_shown: Callable[[bool], None]) -> None:
        self._viewer = viewer
        self._on_shown = on_shown
        self.panel: PlanesPanel | None = None
        self.crosshair: Crosshair | None = None
        self._dock: Any = None
        self.labels: Any = None
        self._image: Any = None
        self._reach: Reach | None = None
        self._letters: tuple[str, str, str] | None = None
        self._colors: npt.NDArray[np.uint8] = np.zeros((256, 4), np.uint8)
        self._spots: list[float] = [0.0, 0.0, 0.0]
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self.draw)
        viewer.dims.events.point.connect(self.draw_soon)
        viewer.dims.events.order.connect(self.draw_soon)
        viewer.dims.events.ndisplay.connect(self.draw_soon)

    # ---------------------------------------------------------------- what is shown

    def attach(self, labels: Any, scheme: LabelScheme, letters: Sequence[str]) -> None:
        """Take up a case's labels layer; ``letters`` are the directions in which z, y, x grow, none for a picture."""
        self.labels = labels
        self._letters = (letters[0], letters[1], letters[2]) if letters else None
        self._colors = _colors(scheme)
        self._spots = _interesting(labels.data)
        if self.crosshair is not None:
            self.crosshair.follow(self.visible)
        self.draw_soon()

    def detach(self) -> None:
        """Let the case go."""
        if self.crosshair is not None:
            with suppress(RuntimeError):  # napari may have deleted its canvas already
                self.crosshair.follow(False)
        self.labels = self._image = None
        if self.panel is not None:
            self.panel.show_slices((None, None))

    def set_image(self, layer: Any) -> None:
        """Show this modality's layer."""
        self._image = layer
        self.draw_soon()

    def set_reach(self, reach: Reach | None) -> None:
        """Tint what the tool in hand can change; None ends it."""
        if reach is not self._reach:
            self._reach = reach
            self.draw_soon()

    @property
    def visible(self) -> bool:
        """Whether the panel shows."""
        return self.panel is not None and self.panel.isVisible()

    def show(self, on: bool) -> None:
        """Show the panel below the picture, or put it away."""
        if on and self.panel is None:
            self.panel = self._make_panel()
        if self.panel is None:
            return
        if on and self.panel.parentWidget() is None:  # new, or its dock was closed by its own x
            self._dock = self._viewer.window.add_dock_widget(self.panel, name=TITLE, area="bottom")
            _keep_sides_tall(self._viewer.window)
        if self.panel.parentWidget() is not None:
            self._dock.setVisible(on)
        self.draw_soon()

    def _make_panel(self) -> PlanesPanel:
        panel = PlanesPanel()
        for n, view in enumerate(panel.views):
            view.moved.connect(lambda row, column, n=n: self._on_moved(n, row, column))
            view.stepped.connect(lambda steps, n=n: self._on_stepped(n, steps))
        panel.shown.connect(self._on_panel)
        return panel

    def _on_panel(self, on: bool) -> None:
        """The panel shows or not: so does the crosshair on the large picture."""
        if on and self.crosshair is None:
            self.crosshair = Crosshair(self._viewer, self._world)
        if self.crosshair is not None:
            with suppress(RuntimeError):  # napari may have deleted its canvas already
                self.crosshair.follow(on and self.labels is not None)
        self._on_shown(on)

    def _world(self) -> tuple[float, float, float]:
        """Crosshair in mm."""
        z, y, x = (float(v) for v in self.labels.data_to_world(self.place)[-3:])
        return z, y, x

    def close(self) -> None:
        """Stop drawing."""
        self._soon.stop()
        events = self._viewer.dims.events
        for event in (events.point, events.order, events.ndisplay):
            event.disconnect(self.draw_soon)
        self.labels = self._image = None
        if self.panel is not None and self.panel.parentWidget() is None:
            self.panel.deleteLater()  # nobody else will
        if self.crosshair is not None:
            with suppress(RuntimeError):
                self.crosshair.follow(False)
                self.crosshair.deleteLater()
        self.panel = self.crosshair = None

    # ---------------------------------------------------------------- place

    @property
    def place(self) -> tuple[float, float, float]:
        """Crosshair in voxels (z, y, x): along the slider where the slider is, else where the reader clicked last."""
        if self.labels is None:
            return 0.0, 0.0, 0.0
        at = list(self._spots)
        name = plane(self._viewer)
        if name is not None:
            through = ORDERS[name][0]
            world = np.zeros(self._viewer.dims.ndim)
            world[-3:] = self._viewer.dims.point[-3:]
            at[through] = float(self.labels.world_to_data(world)[-3:][through])
        clipped = [min(max(v, 0.0), n - 1.0) for v, n in zip(at, self.labels.data.shape, strict=True)]
        return clipped[0], clipped[1], clipped[2]

    def look_at(self, world: Sequence[float]) -> None:
        """Move the crosshair to a place of the world (mm), as after a click on the large picture."""
        if self.labels is not None:
            self._spots = [float(v) for v in self.labels.world_to_data(world)[-3:]]
            self.draw_soon()

    def _others(self) -> list[Plane]:
        """Name the two planes that the large picture does not show."""
        shown = plane(self._viewer) or "axial"
        return [name for name in ORDERS if name != shown]

    def _on_moved(self, n: int, row: float, column: float) -> None:
        if self.labels is None:
            return
        _, down, across = ORDERS[self._others()[n]]
        self._spots = list(self.place)
        self._spots[down], self._spots[across] = row, column
        self._follow()

    def _on_stepped(self, n: int, steps: int) -> None:
        if self.labels is None:
            return
        through = ORDERS[self._others()[n]][0]
        self._spots = list(self.place)
        last = self.labels.data.shape[through] - 1.0
        self._spots[through] = min(max(round(self._spots[through]) + steps, 0.0), last)
        self._follow()

    def _follow(self) -> None:
        """Take the large picture's slice along."""
        name = plane(self._viewer)
        dims = self._viewer.dims
        if name is not None:
            through = ORDERS[name][0]
            spots = [float(round(v)) for v in self._spots]
            dims.set_point(dims.ndim - 3 + through, float(self.labels.data_to_world(spots)[-3:][through]))
        self.draw_soon()

    # ---------------------------------------------------------------- drawing

    def draw_soon(self, event: Any = None) -> None:
        """Draw when the large picture has been drawn, if anybody sees it."""
        if self.visible and not self._soon.isActive():
            self._soon.start()

    def draw(self) -> None:
        """Draw both planes now."""
        if self.panel is not None and self.labels is not None:
            self.panel.show_slices([self._slice(name) for name in self._others()])
            if self.crosshair is not None:
                self.crosshair.look()

    def _slice(self, name: Plane) -> Slice:
        through, down, across = ORDERS[name]
        place = self.place
        cut: list[Any] = [slice(None)] * 3
        cut[through] = round(place[through])
        scale = [abs(float(s)) for s in self.labels.scale[-3:]]
        letters, flip = "", (False, False)
        if self._letters is not None:
            up, left = self._letters[down] in "SA", self._letters[across] in "RA"
            flip = (up, left)
            top = self._letters[down] if up else OPPOSITE[self._letters[down]]
            west = self._letters[across] if left else OPPOSITE[self._letters[across]]
            letters = west + OPPOSITE[west] + top + OPPOSITE[top]
        return Slice(
            name.capitalize(),
            self._grey(tuple(cut)),
            self._over(tuple(cut)),
            (scale[down], scale[across]),
            flip,
            letters,
            (place[down], place[across]),
        )

    def _over(self, cut: tuple[Any, ...]) -> npt.NDArray[np.uint8]:
        """Colours to lay over a slice: the labels, and the tint."""
        colors = self._colors[self.labels.data[cut]]
        if self._reach is not None:
            inside = self._reach.inside(self.labels.data, cut)
            colors[inside & (colors[..., 3] == 0)] = TINT
        return colors

    def _grey(self, cut: tuple[Any, ...]) -> npt.NDArray[np.uint8]:
        layer = self._image
        if layer is None:
            return np.zeros(self.labels.data[cut].shape, np.uint8)
        if layer.rgb:
            return np.asarray(layer.data[cut][..., :3], np.uint8)
        low, high = (float(v) for v in layer.contrast_limits)
        values = (np.asarray(layer.data[cut], np.float32) - low) * (255.0 / max(high - low, 1e-12))
        return np.nan_to_num(values, nan=0.0).clip(0, 255).astype(np.uint8)


def _keep_sides_tall(window: Any) -> None:
    """Let the panel take room from the picture only: the docks at its sides have none to spare on a low screen."""
    main = getattr(window, "_qt_window", None)
    if main is not None:
        main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        main.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)


def _interesting(labels: npt.NDArray[np.uint8]) -> list[float]:
    """Voxel to begin at: amid the labels of the slice that has most of them, else the middle of the scan."""
    middle = [n // 2 for n in labels.shape]
    painted = (labels != BACKGROUND) & (labels != UNKNOWN)
    z = int(np.count_nonzero(painted, axis=(1, 2)).argmax())
    inside = np.argwhere(painted[z])
    at = [z, *inside.mean(axis=0)] if len(inside) else middle
    return [float(round(v)) for v in at]


def _colors(scheme: LabelScheme) -> npt.NDArray[np.uint8]:
    """Colour of every label value, (256, 4) uint8."""
    table = np.zeros((256, 4), np.uint8)
    known = {c.value: c.color for c in scheme.classes} | {UNKNOWN: UNKNOWN_COLOR}
    for value, color in known.items():
        table[value] = (*bytes.fromhex(color.lstrip("#")), round(255 * LABELS_OPACITY))
    return table
