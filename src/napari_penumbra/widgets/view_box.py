"""Which plane the picture shows, and whether the other two stand beside it."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QGridLayout, QWidget

from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.canvas import PLANES, Views

_TIPS = {
    "axial": "Turns the picture to axial slices, at the place that was clicked last.",
    "coronal": "Turns the picture to coronal slices, at the place that was clicked last.",
    "sagittal": "Turns the picture to sagittal slices, at the place that was clicked last.",
}


class ViewBox(QWidget):
    """Buttons for the planes.

    Parameters
    ----------
    views
        The canvas's.
    """

    def __init__(self, views: Views, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("view_box")
        self.views = views
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        self.planes = {}
        for n, name in enumerate(PLANES):
            button = ActionButton(name.capitalize(), _TIPS[name], f"Alt+{n + 1}", f"plane_{name}")
            button.clicked.connect(partial(self._show_plane, n))
            self.planes[name] = button
            grid.addWidget(button, n // 2, n % 2)
        self.beside = ActionButton(
            "3 planes", "Shows the other two planes below the picture, with a crosshair.", "O", "planes_on"
        )
        self.beside.setCheckable(True)
        self.beside.clicked.connect(views.show_planes)
        grid.addWidget(self.beside, 1, 1)
        views.planes_changed.connect(self._on_planes)

    def disconnect_all(self) -> None:
        """Stop listening to the canvas."""
        self.views.planes_changed.disconnect(self._on_planes)

    def _on_planes(self, on: bool) -> None:
        self.beside.setChecked(on)

    def _show_plane(self, n: int, _checked: bool = False) -> None:
        self.views.show_plane(PLANES[n])
