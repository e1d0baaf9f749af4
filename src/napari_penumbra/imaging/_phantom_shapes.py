"""Shapes and scanners that the simulated cohorts share: soft solids on a millimetre grid, noise, shading, poses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging._phantom_lesion import smooth_noise

Field = npt.NDArray[np.float64]
"""(z, y, x); a signed distance is in mm, negative inside."""


def millimetres(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Field:
    """Voxel centres as (3, z, y, x) in mm around the middle of the volume, along S, P, L."""
    axes = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True))
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def centred_grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    """Grid of such a volume, its middle at the origin; axes grow towards L, P, S."""
    z, y, x = spacing
    affine = np.diag([-x, -y, z, 1.0])
    affine[:3, 3] = (x * (shape[2] - 1) / 2, y * (shape[1] - 1) / 2, -z * (shape[0] - 1) / 2)
    return Grid.of(shape[::-1], affine)


def posed(
    rng: Generator, mm: Field, degrees: float, shift: float, scale: tuple[float, float], warp: float, width: float
) -> Field:
    """Places in the body for voxels in the scanner: turned, shifted, scaled and smoothly warped at random.

    Parameters
    ----------
    mm
        (3, z, y, x), see `millimetres`.
    degrees, shift
        Standard deviations of the rotation about each axis and of the shift in mm along each.
    scale
        Least and largest size of the body.
    warp, width
        Largest spread of the displacement in mm, and over how many mm it is correlated.
    """
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rng.normal(0, degrees, 3))):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    matrix = turn / rng.uniform(*scale)
    spacing = tuple(float(mm[n].flat[-1] - mm[n].flat[0]) / max(mm.shape[n + 1] - 1, 1) for n in range(3))
    bent = np.stack([smooth_noise(rng, mm.shape[1:], spacing, width) for _ in range(3)])
    moved = np.tensordot(matrix, mm, 1) + rng.normal(0, shift, 3).reshape(3, 1, 1, 1)
    return np.asarray(moved + bent * rng.uniform(0.3, 1.0) * warp)


def ellipsoid(mm: Field, centre: npt.ArrayLike, radii: npt.ArrayLike) -> Field:
    """Signed distance to an ellipsoid, near enough close to its surface."""
    c, r = (np.asarray(v, dtype=np.float64).reshape(3, 1, 1, 1) for v in (centre, radii))
    scaled = np.sqrt((((mm - c) / r) ** 2).sum(axis=0))
    slope = np.sqrt((((mm - c) / r**2) ** 2).sum(axis=0))
    return np.asarray(scaled * (scaled - 1) / np.maximum(slope, 1e-6))


def tube(mm: Field, points: Sequence[npt.ArrayLike], radii: Sequence[float]) -> tuple[Field, Field]:
    """Signed distance to a tube along a polyline, and how far along it (mm) the nearest point lies."""
    best, along = np.full(mm.shape[1:], np.inf), np.zeros(mm.shape[1:])
    walked = 0.0
    for (a, b), (ra, rb) in zip(pairwise(points), pairwise(radii), strict=True):
        start, way = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
        length = float(np.linalg.norm(way))
        offset = mm - start.reshape(3, 1, 1, 1)
        t = np.clip(np.tensordot(way / length**2, offset, 1), 0, 1)
        distance = np.linalg.norm(offset - t * way.reshape(3, 1, 1, 1), axis=0) - (ra + t * (rb - ra))
        nearer = distance < best
        best, along = np.where(nearer, distance, best), np.where(nearer, walked + t * length, along)
        walked += length
    return best, along


def joined(a: Field, b: Field, blend: float) -> Field:
    """Union of two solids whose crease is rounded over ``blend`` mm."""
    h = np.clip(0.5 + 0.5 * (b - a) / blend, 0, 1)
    return np.asarray(b + (a - b) * h - blend * h * (1 - h))


def soft(distance: Field, width: float = 0.8) -> Field:
    """Share of a voxel inside a solid, 0 to 1, from its signed distance; one half on the surface."""
    return np.asarray(1 / (1 + np.exp(np.clip(distance / width * 2, -30, 30))))


def over(image: Field, distance: Field, value: Field | float, width: float = 0.8) -> Field:
    """Lay a solid of a value over an image."""
    share = soft(distance, width)
    return np.asarray(image * (1 - share) + share * value)


def scanned(
    rng: Generator,
    signal: Field,
    spacing: tuple[float, float, float],
    snr: tuple[float, float],
    shading: tuple[float, float],
    gain: tuple[float, float],
    blur: float = 0.6,
) -> ImageArray:
    """What a scanner adds: blur, coil shading, Rician noise, an arbitrary gain; stored in whole numbers.

    Parameters
    ----------
    signal
        About 0 to 1.
    snr, shading, gain
        Ranges: bright signal over noise, spread of the shading's logarithm, what 1 becomes.
    blur
        Largest blur within and, half again, between slices, in voxels.
    """
    from scipy import ndimage

    coil = np.exp(rng.uniform(*shading) * smooth_noise(rng, signal.shape, spacing, 40.0))
    sharpness = rng.uniform(0.2, blur)
    seen = ndimage.gaussian_filter(signal * coil, (1.5 * sharpness, sharpness, sharpness), mode="nearest")
    sigma = 1.0 / np.exp(rng.uniform(np.log(snr[0]), np.log(snr[1])))
    grain = [ndimage.gaussian_filter(rng.normal(0, 1, signal.shape), (0.0, 0.45, 0.45)) for _ in range(2)]
    first, second = (g / g.std() * sigma for g in grain)
    noisy = np.hypot(seen + first, second)
    return np.rint(noisy * np.exp(rng.uniform(np.log(gain[0]), np.log(gain[1])))).astype(np.float32)
