"""Grow or shrink a class by millimetres, whatever the voxels' shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.imaging.edits.base import (
    Edit,
    Options,
    Over,
    Report,
    Scene,
    Tool,
    edit_of,
    need_painted,
    option,
    over_option,
)
from napari_penumbra.imaging.edits.boxes import Mask, Spacing, slices_of, widen


class MarginOptions(Options):
    """What the reader may choose."""

    how: Literal["grow", "shrink"] = option("grow", "The class shall", "Which way the outline moves.")
    mm: float = option(3.0, "By", "How far the outline moves.", unit="mm", ge=0.1, le=30)
    flat: bool = option(False, "On the slices only", "The outline moves within the shown slices, not through them.")
    over: Over = over_option()


def move_margin(
    labels: LabelArray,
    spacing: Spacing,
    value: int,
    mm: float,
    *,
    axis: int | None = None,
    over: Over = Over.BACKGROUND,
    name: str = "",
    names: Mapping[int, str] | None = None,
) -> Edit:
    """Grow a class by ``mm``, or shrink it when that is negative.

    A voxel is taken when its centre lies within ``mm`` of the centre of a voxel of the class, and given up when it
    lies within ``mm`` of one outside. The scan's edge is no outline: nothing shrinks from there.

    Parameters
    ----------
    labels
        (z, y, x) uint8, not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    value
        The class; voxels that it gives up become background.
    axis
        Do not move the outline along this axis.

    Raises
    ------
    UsageError
        Nothing is painted.
    """
    painted = need_painted(labels, value, name or f"class {value}")
    box = widen(painted, max(mm, 0.0), spacing, labels.shape, voxels=1)
    before = labels[slices_of(box)]
    mask = before == value
    if mm >= 0:
        wanted = np.where(_distance(~mask, spacing, axis) <= mm, value, before)
    else:
        wanted = np.where(mask & (_distance(mask, spacing, axis) <= -mm), BACKGROUND, before)
    notes = _still(abs(mm), spacing, axis)
    return edit_of(labels, box, wanted.astype(np.uint8), over=over, own=(value,), names=names, notes=notes)


def _distance(mask: Mask, spacing: Spacing, axis: int | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Distance in mm to the nearest voxel that is not in the mask; infinite where there is none."""
    from scipy import ndimage

    def measure(part: Mask, edges: tuple[float, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        if part.all():
            return np.full(part.shape, np.inf)
        return np.asarray(ndimage.distance_transform_edt(part, sampling=edges))

    if axis is None:
        return measure(mask, spacing)
    flat = tuple(s for n, s in enumerate(spacing) if n != axis)
    return np.moveaxis(np.stack([measure(plane, flat) for plane in np.moveaxis(mask, axis, 0)]), 0, axis)


def _still(mm: float, spacing: Spacing, axis: int | None) -> tuple[str, ...]:
    """Say along which axes a step is longer than the way: there, nothing moves."""
    long = [f"{letter} ({s:.3g} mm)" for n, (letter, s) in enumerate(zip("zyx", spacing, strict=True))
            if s > mm and n != axis]  # fmt: skip
    if not long:
        return ()
    return (f"{mm:.3g} mm is less than one voxel along {' and '.join(long)}: nothing moves there.",)


def _run(scene: Scene, options: MarginOptions, report: Report) -> Edit:
    shown = scene.view.axis if scene.view.axis is not None else 0
    return move_margin(
        scene.labels,
        scene.spacing,
        scene.value,
        options.mm if options.how == "grow" else -options.mm,
        axis=shown if options.flat else None,
        over=options.over,
        name=scene.classes.get(scene.value, ""),
        names=scene.classes,
    )


TOOL = Tool(
    key="margin",
    title="Grow or shrink",
    tip="Moves the outline of the picked class outwards or inwards by millimetres.",
    options=MarginOptions,
    run=_run,
    shortcut="Shift+E",
)
