"""Fill the slices between painted ones by blending signed distances.

Between two painted slices each voxel gets the mean of its signed distances to the outline on either side, weighted by
how near they are; it belongs to the structure where that mean is positive (shape-based interpolation: Raya and Udupa,
IEEE Transactions on Medical Imaging 9, 1990). Pieces that overlap from slice to slice are blended where they are. Those
that do not, as of a vessel that runs aslant, are moved towards each other first; a piece without a partner tapers off
half-way. Several classes are blended together and each voxel goes to the one that is deepest there, so that they
neither overlap nor leave a seam.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.imaging.edits._matching import Pair, match
from napari_penumbra.imaging.edits.base import (
    Edit,
    Options,
    Over,
    Report,
    Scene,
    Tool,
    edit_of,
    option,
    over_option,
    silent,
)
from napari_penumbra.imaging.edits.boxes import Mask, Spacing

Distances = npt.NDArray[np.float32]
AXES = {"the slices shown": None, "z": 0, "y": 1, "x": 2}


class InterpolateOptions(Options):
    """What the reader may choose."""

    classes: Literal["all classes", "picked class"] = option(
        "all classes", "Classes", "All classes that are painted on a slice together, or the picked one alone."
    )
    along: Literal["the slices shown", "z", "y", "x"] = option(
        "the slices shown", "Across", "Across which slices: those you are turning through, or a fixed axis."
    )
    over: Over = over_option()


def interpolate(
    labels: LabelArray,
    spacing: Spacing,
    *,
    axis: int = 0,
    classes: tuple[int, ...] | None = None,
    over: Over = Over.BACKGROUND,
    names: Mapping[int, str] | None = None,
    report: Report = silent,
) -> Edit:
    """Fill every slice that lies between two painted ones and is not painted itself.

    Parameters
    ----------
    labels
        (z, y, x) uint8, not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    axis
        Across which slices: 0 z, 1 y, 2 x.
    classes
        Which classes; None takes all but background and unknown. A slice counts as painted when it holds any of
        them, so that a class that is absent from a painted slice ends before it.
    over
        What may be written over.

    Returns
    -------
    Edit
        Never outside the slices between the first and the last painted one, and never on a painted one.

    Raises
    ------
    UsageError
        Fewer than two painted slices, or none between them.
    """
    values = _values(labels, classes)
    painted = np.flatnonzero(np.isin(labels, values).any(axis=tuple(a for a in range(3) if a != axis)))
    gaps = [(int(a), int(b)) for a, b in pairwise(painted) if b - a > 1]
    if not gaps:
        raise UsageError(
            "There is no gap to fill: it takes two painted slices with empty ones between them.",
            "Paint the structure on some slices, leave out those between, then try again.",
        )
    flat = tuple(s for n, s in enumerate(spacing) if n != axis)
    stack = np.moveaxis(labels, axis, 0)
    first, last = gaps[0][0], gaps[-1][1]
    wanted = stack[first : last + 1].copy()
    todo = sum(b - a - 1 for a, b in gaps)
    done = 0
    for a, b in gaps:
        for z, plane in _between(stack[a], stack[b], b - a, values, flat):
            found = plane != BACKGROUND
            wanted[a + z - first][found] = plane[found]
            done += 1
            report(done / todo)
    low, high = [0, 0, 0], list(labels.shape)
    low[axis], high[axis] = first, last + 1
    box = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    filled = f"{todo} slice{'s' if todo > 1 else ''} between {len(painted)} painted ones."
    return edit_of(labels, box, np.moveaxis(wanted, 0, axis), over=over, names=names, notes=(filled,))


def _values(labels: LabelArray, classes: tuple[int, ...] | None) -> tuple[int, ...]:
    if classes is not None:
        return classes
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    return tuple(int(v) for v in present if v not in (BACKGROUND, UNKNOWN))


def _between(
    lower: LabelArray, upper: LabelArray, steps: int, values: tuple[int, ...], spacing: tuple[float, ...]
) -> Iterator[tuple[int, LabelArray]]:
    """Give the slices between two painted ones as (number from the lower, labels)."""
    pieces = [
        (pair, _values_in(pair, lower, upper, values))
        for pair in match(np.isin(lower, values), np.isin(upper, values), spacing)
    ]
    shapes = [_distances(pair, lower, upper, present, spacing) for pair, present in pieces]
    for step in range(1, steps):
        share = step / steps
        best = np.zeros(lower.shape, dtype=np.float32)
        plane = np.zeros(lower.shape, dtype=np.uint8)
        for (pair, present), (ours, theirs) in zip(pieces, shapes, strict=True):
            blended = [_blend(a, b, share, pair.move) for a, b in zip(ours, theirs, strict=True)]
            inside = blended[0] > best[pair.place]
            deepest = np.argmax(np.stack(blended[1:]), axis=0) if len(present) > 1 else np.zeros_like(inside, np.intp)
            plane[pair.place][inside] = np.array(present, dtype=np.uint8)[deepest][inside]
            best[pair.place][inside] = blended[0][inside]
        yield step, plane


def _values_in(pair: Pair, lower: LabelArray, upper: LabelArray, values: tuple[int, ...]) -> tuple[int, ...]:
    """Name the classes that a pair of pieces is made of."""
    found = {*np.unique(lower[pair.place][pair.lower]), *np.unique(upper[pair.place][pair.upper])}
    return tuple(value for value in values if value in found)


def _distances(
    pair: Pair, lower: LabelArray, upper: LabelArray, values: tuple[int, ...], spacing: tuple[float, ...]
) -> tuple[list[Distances], list[Distances]]:
    """Signed distances of a pair of pieces on both slices: of the whole first, then of each class if several."""
    both = []
    for labels, piece in ((lower, pair.lower), (upper, pair.upper)):
        inside = labels[pair.place]
        masks = [piece, *(piece & (inside == value) for value in values if len(values) > 1)]
        both.append([_signed(mask, spacing) for mask in masks])
    for ours, theirs in zip(*both, strict=True):
        # What is absent on one side is as far away there as it is deep here: it ends half-way.
        depths = float(ours.max()), float(theirs.max())
        for mine, here, there in ((ours, *depths), (theirs, *depths[::-1])):
            if np.isneginf(here):
                mine[:] = -there
    return both[0], both[1]


def _signed(mask: Mask, spacing: tuple[float, ...]) -> Distances:
    """Distance to the outline in mm, positive inside; minus infinity everywhere for an empty mask."""
    from scipy import ndimage

    if not mask.any():
        return np.full(mask.shape, -np.inf, dtype=np.float32)
    padded = np.pad(mask, 1)  # a piece that fills its slice would have no outline to measure to
    inside = ndimage.distance_transform_edt(padded, sampling=spacing)
    outside = ndimage.distance_transform_edt(~padded, sampling=spacing)
    return np.asarray((inside - outside)[1:-1, 1:-1], dtype=np.float32)


def _blend(lower: Distances, upper: Distances, share: float, move: tuple[float, float]) -> Distances:
    """Mix two maps, ``share`` of the way from the lower to the upper; pieces that do not overlap meet on the way."""
    if any(move):
        from scipy import ndimage

        lower = ndimage.shift(lower, [share * m for m in move], order=1, mode="nearest")
        upper = ndimage.shift(upper, [(share - 1) * m for m in move], order=1, mode="nearest")
    return np.asarray((1 - share) * lower + share * upper, dtype=np.float32)


def _run(scene: Scene, options: InterpolateOptions, report: Report) -> Edit:
    axis = AXES[options.along]
    if axis is None:
        axis = scene.view.axis if scene.view.axis is not None else 0
    classes = (scene.value,) if options.classes == "picked class" else tuple(scene.classes)
    if options.classes == "picked class" and scene.value not in scene.classes:
        raise UsageError("Unknown and background are not interpolated.", "Pick a class above.")
    return interpolate(
        scene.labels, scene.spacing, axis=axis, classes=classes, over=options.over, names=scene.classes, report=report
    )


TOOL = Tool(
    key="interpolate",
    title="Interpolate",
    tip="Fills the slices between the painted ones.",
    options=InterpolateOptions,
    run=_run,
    shortcut="Shift+I",
)
