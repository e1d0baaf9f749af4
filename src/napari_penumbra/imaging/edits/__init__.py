"""Tools that compute an edit of the labels. Each is one file: a function on arrays, its options, and its `Tool`.

A further tool is one new file and one line in `TOOLS`.
"""

from napari_penumbra.imaging.edits import (
    holes,
    interpolate,
    margin,
    mirror,
    mismatch,
    pieces,
    prediction,
    seeds,
    smart_fill,
    smoothing,
    walker,
)
from napari_penumbra.imaging.edits.base import Edit, Options, Over, Report, Scene, Stopped, Tool, View

TOOLS: tuple[Tool, ...] = (
    interpolate.TOOL,
    seeds.TOOL,
    smart_fill.TOOL,
    walker.TOOL,
    pieces.TOOL,
    holes.TOOL,
    smoothing.TOOL,
    margin.TOOL,
    mirror.TOOL,
    prediction.TOOL,
    mismatch.TOOL,
)
"""In the order in which the window offers them."""

__all__ = ["TOOLS", "Edit", "Options", "Over", "Report", "Scene", "Stopped", "Tool", "View"]
