"""What napari has moved from one release to the next, and may move again, asked for in one place."""

from __future__ import annotations

from typing import Any


def camera(viewer: Any) -> Any:
    """The viewer's camera."""
    return viewer.scene.camera


def scale_bar(viewer: Any) -> Any:
    """The viewer's scale bar."""
    return canvas_overlays(viewer)["scale_bar"]


def canvas_overlays(viewer: Any) -> Any:
    """What can be laid over the canvas, by name."""
    return viewer.canvas.overlays


def canvas_size(viewer: Any) -> tuple[float, float]:
    """Height and width of the canvas in pixels."""
    height, width = viewer.canvas.size
    return float(max(height, 1)), float(max(width, 1))
