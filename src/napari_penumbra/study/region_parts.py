"""Connected voxels: numbered, merged over small gaps, and cut where they are too long for one look.

numpy and scipy only. Volumes are (z, y, x).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray

NEAR_MM = 10.0
"""How far from the prediction a weak spot still counts as beside it."""
GAP_MM = 3.0
"""Weak spots with no more than this between them, along an axis, are one place."""
LONGEST_MM = 60.0
"""A weak region longer than this along an axis is cut into blocks: a reader decides about places."""
BLOCK_MM = 40.0
"""Longest edge of those blocks."""
SMALLEST_ML = 0.05
"""Below this a place is not listed unasked: a lesion of 4.6 mm across has as much."""
FEWEST_VOXELS = 4
"""Nor is one of fewer voxels, however large they are."""
PICTURE_MM = (200.0, 5.0)
"""Long edge and thickness that a picture counts as here: its pixels have no millimetres, and may be very many."""

BoolMap = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]
Slices = tuple[slice, slice, slice]
_CONNECTED = np.ones((3, 3, 3), dtype=bool)


def section(grid: Grid) -> Grid:
    """Grid on which the limits of this module are meant; a picture counts as a section of `PICTURE_MM`."""
    if not grid.is_picture:
        return grid
    step = PICTURE_MM[0] / max(grid.shape)
    return Grid.of(grid.shape, np.diag([-step, -step, PICTURE_MM[1], 1.0]))


def smallest_voxels(grid: Grid) -> int:
    """Fewest voxels of a place that is listed unasked: `SMALLEST_ML`, but never below `FEWEST_VOXELS`."""
    return max(FEWEST_VOXELS, math.ceil(SMALLEST_ML / grid.voxel_ml - 1e-9))


def bounds(mask: BoolMap) -> Slices | None:
    """Smallest box around the True voxels; None without any."""
    found = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not hit.size:
            return None
        found.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return found[0], found[1], found[2]


def grown(box: Slices, mm: float, grid: Grid) -> Slices:
    """Widen a box by so many mm each way, and by one voxel, within the volume."""
    a, b, c = (
        slice(max(0, s.start - int(mm / step) - 1), min(size, s.stop + int(mm / step) + 1))
        for s, step, size in zip(box, grid.scale, grid.array_shape, strict=True)
    )
    return a, b, c


def near(foreground: BoolMap, grid: Grid, mm: float = NEAR_MM) -> BoolMap:
    """Grow the foreground along each axis: a box and not a ball, which takes a tenth of the time."""
    from scipy import ndimage

    result = foreground.view(np.uint8)
    for axis, step in enumerate(grid.scale):
        reach = min(int(mm / step), foreground.shape[axis])
        if reach:
            result = ndimage.maximum_filter1d(result, 2 * reach + 1, axis=axis, mode="constant")
    return result.astype(bool)


def number_by_class(labels: LabelArray, foreground: BoolMap) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Number the connected pieces of every class from 1, and count their voxels (index 0 unused)."""
    from scipy import ndimage

    numbered = np.zeros(labels.shape, dtype=np.int32)
    total = 0
    for value in np.unique(labels[foreground]):
        mine, count = ndimage.label(labels == value, structure=_CONNECTED)
        inside = mine > 0
        numbered[inside] = mine[inside] + total
        total += count
    return numbered, np.bincount(numbered.ravel(), minlength=total + 1).astype(np.int64)


def number_places_by_class(part: BoolMap, labels: LabelArray, grid: Grid) -> tuple[Numbers, int]:
    """`number_places` of each predicted class by itself, background among them.

    A verdict on a place is then about one thing: "reject" on background that may be a missed lesion never takes voxels
    away from the lesion beside it.
    """
    numbered = np.zeros(part.shape, dtype=np.int32)
    total = 0
    for value in np.unique(labels[part]):
        mine, count = number_places(part & (labels == value), grid)
        inside = mine > 0
        numbered[inside] = mine[inside] + total
        total += count
    return numbered, total


def number_places(part: BoolMap, grid: Grid) -> tuple[Numbers, int]:
    """Number places from 1: voxels that touch, or that lie within `GAP_MM` along an axis, belong to one.

    Parameters
    ----------
    part
        Which voxels are weak.

    Returns
    -------
    numbered
        0 where ``part`` is False.
    count
        Highest number.
    """
    from scipy import ndimage

    joined = part if max(_half_gap(step) for step in grid.scale) == 0 else _bridged(part, grid)
    numbered, count = ndimage.label(joined, structure=_CONNECTED)
    if joined is not part:
        numbered *= part
    return numbered, split_long(numbered, count, grid)


def _half_gap(step: float) -> int:
    return int(GAP_MM / 2 / step)


def _bridged(part: BoolMap, grid: Grid) -> BoolMap:
    from scipy import ndimage

    result = part.view(np.uint8)
    for axis, step in enumerate(grid.scale):
        reach = min(_half_gap(step), part.shape[axis])
        if reach:
            result = ndimage.maximum_filter1d(result, 2 * reach + 1, axis=axis, mode="constant")
    return result.astype(bool)


def split_long(numbered: Numbers, count: int, grid: Grid) -> int:
    """Cut places longer than `LONGEST_MM` into equal blocks, in place; returns the highest number then used."""
    from scipy import ndimage

    # A connected line of this length has at least so many voxels; most of thousands of specks have not.
    fewest = LONGEST_MM / (max(grid.scale) + GAP_MM)
    large = np.bincount(numbered.ravel(), minlength=count + 1) > fewest
    large[0] = False
    if not large.any():
        return count
    boxes = ndimage.find_objects(numbered)
    for n in np.flatnonzero(large).tolist():
        box = boxes[n - 1]
        extent = [(s.stop - s.start) * step for s, step in zip(box, grid.scale, strict=True)]
        if max(extent) <= LONGEST_MM:
            continue
        part = numbered[box]
        inside = np.nonzero(part == n)
        which = _blocks(inside, part.shape, extent, grid)
        # The first block keeps the number, the others get new ones.
        part[inside] = np.where(which == 0, n, count + which)
        count += int(which.max())
    return count


def _blocks(
    inside: tuple[npt.NDArray[np.intp], ...], shape: tuple[int, ...], extent: list[float], grid: Grid
) -> npt.NDArray[np.int64]:
    """Tell for every voxel of a long place which block it falls into, from 0; crumbs join the nearest real block."""
    block = np.zeros(inside[0].size, dtype=np.int64)
    for axis, length in enumerate(shape):
        parts = math.ceil(extent[axis] / BLOCK_MM)
        block = block * parts + inside[axis] * parts // length
    _, which = np.unique(block, return_inverse=True)
    sizes = np.bincount(which)
    crumbs = sizes < smallest_voxels(grid)
    if crumbs.any() and not crumbs.all():
        middles = np.stack(
            [np.bincount(which, along * step) / sizes for along, step in zip(inside, grid.scale, strict=True)]
        )
        real = np.flatnonzero(~crumbs)
        into = np.arange(sizes.size)
        for n in np.flatnonzero(crumbs):
            into[n] = real[np.argmin(((middles[:, real] - middles[:, n : n + 1]) ** 2).sum(axis=0))]
        _, which = np.unique(into[which], return_inverse=True)
    return which.astype(np.int64)
