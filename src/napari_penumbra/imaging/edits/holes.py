"""Fill holes of a class, slice by slice or in 3D."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.imaging.edits.base import Edit, Options, Over, Report, Scene, Tool, edit_of, need_painted, option
from napari_penumbra.imaging.edits.boxes import Mask, Spacing, slices_of, widen


class HolesOptions(Options):
    """What the reader may choose."""

    where: Literal["on each slice", "in 3D"] = option(
        "on each slice",
        "Closed",
        "On each slice: an area with the class all around it on that slice. In 3D: a cavity closed on all sides.",
    )
    largest_ml: float = option(0.0, "Largest hole", "Holes above it stay open. 0 fills all.", unit="ml", ge=0, le=50)


def fill_holes(
    labels: LabelArray,
    spacing: Spacing,
    value: int,
    *,
    axis: int | None = None,
    largest_ml: float = 0.0,
    name: str = "",
    names: Mapping[int, str] | None = None,
) -> Edit:
    """Fill the background that a class encloses.

    Other classes close a hole as well, but only holes that the class itself borders on are filled, and what is
    painted or unknown inside them stays.

    Parameters
    ----------
    labels
        (z, y, x) uint8, not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    value
        The class.
    axis
        Fill slice by slice across this axis; None fills cavities closed on all sides.
    largest_ml
        Holes above this volume stay; 0 fills all. Counted as pieces in 3D, also of holes closed on slices.

    Raises
    ------
    UsageError
        Nothing is painted.
    """
    from scipy import ndimage

    box = widen(need_painted(labels, value, name or f"class {value}"), 0.0, spacing, labels.shape, voxels=1)
    before = labels[slices_of(box)]
    wall = before != BACKGROUND
    holes = _enclosed(wall, axis) & ~wall
    pieces, count = ndimage.label(holes)
    if count:
        beside = ndimage.binary_dilation(before == value) & holes
        fill = np.zeros(count + 1, dtype=bool)
        fill[np.unique(pieces[beside])] = True
        if largest_ml > 0:
            fill &= np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing)) / 1000 <= largest_ml
        fill[0] = False
        holes = fill[pieces]
        count = int(fill.sum())
    wanted = np.where(holes, value, before).astype(np.uint8)
    notes = (f"{count} hole{'' if count == 1 else 's'}.",)
    return edit_of(labels, box, wanted, over=Over.BACKGROUND, own=(), names=names, notes=notes)


def _enclosed(wall: Mask, axis: int | None) -> Mask:
    """A mask with everything it encloses."""
    from scipy import ndimage

    if axis is None:
        return np.asarray(ndimage.binary_fill_holes(wall))
    planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(wall, axis, 0)]
    return np.moveaxis(np.stack(planes), 0, axis)


def _run(scene: Scene, options: HolesOptions, report: Report) -> Edit:
    shown = scene.view.axis if scene.view.axis is not None else 0
    return fill_holes(
        scene.labels,
        scene.spacing,
        scene.value,
        axis=shown if options.where == "on each slice" else None,
        largest_ml=options.largest_ml,
        name=scene.classes.get(scene.value, ""),
        names=scene.classes,
    )


TOOL = Tool(
    key="holes",
    title="Fill holes",
    tip="Fills the gaps that the picked class encloses.",
    options=HolesOptions,
    run=_run,
    shortcut="Shift+H",
)
