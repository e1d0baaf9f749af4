"""Goes through the slices, turns to another plane, and keeps the place that the reader looks at."""

from __future__ import annotations

from typing import Any

from napari_penumbra.plugin.compat import camera
from napari_penumbra.widgets.canvas import Plane

ORDERS: dict[Plane, tuple[int, int, int]] = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""For (z, y, x): the axis that the slider goes through, then the one shown vertically, then the one across."""


def slice_axis(viewer: Any) -> int | None:
    """Axis of the viewer that its slider goes through, None in 3D or with another layer's axes on the screen."""
    dims = viewer.dims
    hidden = [axis for axis in dims.not_displayed if axis >= dims.ndim - 3]
    return int(hidden[0]) if dims.ndisplay == 2 and len(hidden) == 1 else None


def step_slice(viewer: Any, steps: int) -> None:
    """Go this many slices on; stays at the first and the last."""
    axis = slice_axis(viewer)
    if axis is not None:
        last = int(viewer.dims.nsteps[axis]) - 1
        viewer.dims.set_current_step(axis, min(max(int(viewer.dims.current_step[axis]) + steps, 0), last))


def end_slice(viewer: Any, last: bool) -> None:
    """Go to the first or the last slice."""
    axis = slice_axis(viewer)
    if axis is not None:
        viewer.dims.set_current_step(axis, int(viewer.dims.nsteps[axis]) - 1 if last else 0)


def plane(viewer: Any) -> Plane | None:
    """Name the plane on the screen; None in 3D."""
    dims = viewer.dims
    if dims.ndisplay != 2 or dims.ndim < 3:
        return None
    order = tuple(axis - dims.ndim + 3 for axis in dims.order[-3:])
    return next((name for name, known in ORDERS.items() if known[0] == order[0]), None)


def show_plane(viewer: Any, name: Plane, point: tuple[float, float, float]) -> None:
    """Turn to a plane, at this place of the world (z, y, x in mm), which comes to the middle of the canvas."""
    dims = viewer.dims
    extra = dims.ndim - 3
    dims.ndisplay = 2
    dims.order = (*range(extra), *(axis + extra for axis in ORDERS[name]))
    viewer.reset_view()
    through, down, across = ORDERS[name]
    dims.set_point(through + extra, point[through])
    camera(viewer).center = (0.0, point[down], point[across])
