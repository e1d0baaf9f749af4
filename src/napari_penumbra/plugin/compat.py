"""The few names that differ between napari 0.7 and 0.9, asked for in one place."""

from __future__ import annotations

from typing import Any


def camera(viewer: Any) -> Any:
    """The viewer's camera: part of the scene since 0.9."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def scale_bar(viewer: Any) -> Any:
    """The viewer's scale bar: an overlay of the canvas since 0.9."""
    overlays = canvas_overlays(viewer)
    return viewer.scale_bar if overlays is None else overlays["scale_bar"]


def canvas_overlays(viewer: Any) -> Any:
    """What can be laid over the canvas by name, or None before 0.9."""
    return getattr(getattr(viewer, "canvas", None), "overlays", None)


def canvas_size(viewer: Any) -> tuple[float, float]:
    """Height and width of the canvas in pixels."""
    canvas = getattr(viewer, "canvas", None)
    height, width = viewer._canvas_size if canvas is None else canvas.size
    return float(max(height, 1)), float(max(width, 1))
