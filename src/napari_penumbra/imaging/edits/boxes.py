"""Boxes of voxels, ((z0, y0, x0), (z1, y1, x1)), end exclusive: every tool works inside the smallest one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.regions import Box

Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]


def whole(shape: tuple[int, ...]) -> Box:
    """Box of a whole array."""
    z, y, x = shape
    return (0, 0, 0), (int(z), int(y), int(x))


def slices_of(box: Box) -> tuple[slice, slice, slice]:
    """Index of a box in a (z, y, x) array."""
    (a, b, c), (d, e, f) = box
    return slice(a, d), slice(b, e), slice(c, f)


def box_around(mask: Mask) -> Box | None:
    """Smallest box around the True voxels of a mask (z, y, x), None when there are none."""
    low, high = [], []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not hit.size:
            return None
        low.append(int(hit[0]))
        high.append(int(hit[-1]) + 1)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def widen(box: Box, mm: float, spacing: Spacing, shape: tuple[int, ...], voxels: int = 0) -> Box:
    """Widen a box by a distance on every side, at least to whole voxels and by ``voxels`` more, within the array."""
    by = [int(np.ceil(mm / s - 1e-9)) + voxels for s in spacing]
    low = [max(0, int(a) - n) for a, n in zip(box[0], by, strict=True)]
    high = [min(size, int(b) + n) for b, n, size in zip(box[1], by, shape, strict=True)]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def size_of(box: Box) -> int:
    """Voxels in a box."""
    return int(np.prod([b - a for a, b in zip(*box, strict=True)]))
