"""Bring a volume onto another grid, and say how far two grids lie apart."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np

from napari_penumbra.domain.case import Volume
from napari_penumbra.domain.grid import AnyArray, FloatArray, Grid

Order = Literal["linear", "nearest"]

# ijk <-> zyx for a homogeneous voxel index.
_REVERSE = np.eye(4)[[2, 1, 0, 3]]


def resample(volume: Volume, onto: Grid, order: Order, fill: float = 0.0) -> Volume:
    """Sample a volume at the voxel centres of another grid; skewed and oblique grids included.

    A voxel is taken as a box: samples up to half a voxel beyond the outermost centres still take the outermost value.
    scipy does the work: one affine map covers every grid, where SimpleITK needs right-angled ones.

    Parameters
    ----------
    volume
        Any real dtype.
    onto
        The grid wanted.
    order
        ``linear`` for intensities (result float32), ``nearest`` for labels (dtype and exact values kept).
    fill
        Value where ``volume`` has nothing to say.

    Returns
    -------
    Volume
        (z, y, x) on ``onto``.
    """
    from scipy import ndimage

    if order not in ("linear", "nearest"):
        raise ValueError(f"order must be linear or nearest, not {order!r}")
    data = volume.data if order == "nearest" else volume.data.astype(np.float32, copy=False)
    if onto.same_place(volume.grid, 1e-6):
        return Volume(data.copy(), onto)
    to_source = np.linalg.inv(volume.grid.matrix) @ onto.matrix
    zyx = _REVERSE @ to_source @ _REVERSE
    # Whole-voxel shifts must not lose a border slice to the last bit of a floating-point inverse.
    zyx = np.where(np.abs(zyx - np.rint(zyx)) < 1e-9, np.rint(zyx), zyx)
    sampled = ndimage.affine_transform(
        data,
        zyx[:3, :3],
        zyx[:3, 3],
        output_shape=onto.array_shape,
        order=1 if order == "linear" else 0,
        mode="nearest",
        prefilter=False,
    )
    sampled[_outside(zyx, onto.array_shape, data.shape)] = fill
    return Volume(sampled, onto)


def displacement_mm(a: Grid, b: Grid) -> float:
    """How far the outer corner of one volume lies from the same corner of the other, at most, in mm.

    0 for the same box in space, however finely it is divided; the thickness of a slice when one slice is missing; the
    size of the volume when it is flipped. Corners are matched in canonical order, so files of different axis order but
    of the same place give 0.
    """
    return float(np.linalg.norm(_corners(a) - _corners(b), axis=0).max())


def _corners(grid: Grid) -> FloatArray:
    target = grid.reorientation().target
    index = np.array(list(product(*[(-0.5, n - 0.5) for n in target.shape], [1.0]))).T
    corners: FloatArray = (target.matrix @ index)[:3]
    return corners


def _outside(zyx: FloatArray, shape: tuple[int, ...], source: tuple[int, ...]) -> AnyArray:
    """Where the samples lie more than half a voxel outside the source's centres."""
    outside = np.zeros(shape, dtype=bool)
    steps = np.ogrid[tuple(slice(0, n) for n in shape)]
    for axis, size in enumerate(source):
        # Zero terms are left out, so that an unrotated grid costs one vector per axis instead of a volume.
        terms = [zyx[axis, n] * steps[n] for n in range(3) if zyx[axis, n] != 0]
        coordinate = sum(terms, start=np.array(zyx[axis, 3]))
        outside |= (coordinate < -0.5 - 1e-6) | (coordinate > size - 0.5 + 1e-6)
    return outside
