"""The mid-sagittal plane of a head, found as the plane in which the picture mirrors itself best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.imaging.edits._brain import brain_mask
from napari_penumbra.imaging.edits.base import Report, silent
from napari_penumbra.imaging.edits.boxes import Spacing

COARSE_MM = 4.0
"""Voxels are averaged to about this size first: a plane is found to a fraction of it, and 60,000 voxels are enough."""
STEEPEST = 30.0
"""Degrees by which a head may be turned or tilted at most."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane in mm of the array (voxel index times spacing, order z, y, x).

    Attributes
    ----------
    point, normal
        A point of the plane, and its unit normal, which points along x.
    likeness
        Correlation of the picture with its mirror image, -1 to 1.
    """

    point: tuple[float, float, float]
    normal: tuple[float, float, float]
    likeness: float

    def mirrored(self, points: Points) -> Points:
        """Mirror points (3, …), in mm."""
        normal = np.array(self.normal)
        offset = np.array(self.point)
        away = np.tensordot(normal, points - offset.reshape(3, *([1] * (points.ndim - 1))), 1)
        return points - 2 * away[None] * normal.reshape(3, *([1] * (points.ndim - 1)))

    def words(self) -> str:
        """Say how the head lies."""
        turn, tilt = (np.degrees(np.arctan2(self.normal[n], self.normal[2])) for n in (1, 0))
        return f"turned by {abs(turn):.0f}° and tilted by {abs(tilt):.0f}°"


def find_plane(image: npt.NDArray[np.float32], spacing: Spacing, *, report: Report = silent) -> Plane:
    """Find the plane near the middle of x in which a head mirrors itself best.

    Starts from the middle of the brain with an upright head and from heads turned and tilted either way, and
    improves on the correlation of the picture with its mirror image. Intensities are ranked first, so that a bright
    lesion on one side counts no more than any other tissue.

    Parameters
    ----------
    image
        (z, y, x) on a canonical grid: x grows towards the patient's left.
    spacing
        Edges of a voxel along z, y, x in mm.
    """
    from scipy import ndimage, optimize

    coarse, edge, shift = _coarse(image, spacing)
    mask = brain_mask({"": coarse}, edge).mask
    if np.count_nonzero(mask) < 50:
        mask = np.ones(coarse.shape, dtype=bool)
    ranked = _ranked(coarse, mask)
    middle = (np.argwhere(mask) * edge).mean(axis=0)
    # The surroundings take part: that the outline mirrors itself says most about where the middle is.
    places = np.argwhere(ndimage.binary_dilation(mask, iterations=2)).T.astype(np.float64)
    # Off the grid, or planes that map the grid onto itself would win: interpolation blurs everywhere but there.
    places = places + np.random.default_rng(0).uniform(-0.5, 0.5, places.shape)
    places = np.clip(places, 0, np.array(coarse.shape).reshape(3, 1) - 1)
    here = ndimage.map_coordinates(ranked, places, order=1)
    points = places * np.array(edge).reshape(3, 1)
    measured = 0

    def unlike(parameters: npt.NDArray[np.float64]) -> float:
        nonlocal measured
        measured += 1
        if measured % 10 == 0:
            report(min(0.95, measured / 400))
        if np.abs(parameters[1:]).max() > STEEPEST:
            return 1.0 + float(np.abs(parameters[1:]).max() - STEEPEST)
        return -_likeness(ranked, edge, points, here, _plane(parameters, middle, 0.0))

    starts = [np.array([0.0, turn, tilt]) for turn, tilt in ((0, 0), (10, 0), (-10, 0), (0, 10), (0, -10))]
    start = min(starts, key=unlike)
    simplex = start + np.array([[0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 0, 5]], dtype=np.float64)
    options: dict[str, Any] = {"initial_simplex": simplex, "xatol": 0.1, "fatol": 1e-5, "maxfev": 300}
    best = optimize.minimize(unlike, start, method="Nelder-Mead", options=options)
    report(1.0)
    return _plane(np.asarray(best.x), middle + np.array(shift), float(-best.fun))


def _coarse(
    image: npt.NDArray[np.float32], spacing: Spacing
) -> tuple[npt.NDArray[np.float32], Spacing, tuple[float, ...]]:
    """Average whole blocks of voxels; also the blocks' edges and where the first block's centre lies, in mm."""
    by = [max(1, min(n, round(COARSE_MM / s))) for n, s in zip(image.shape, spacing, strict=True)]
    kept = [n // b * b for n, b in zip(image.shape, by, strict=True)]
    part = np.asarray(image[: kept[0], : kept[1], : kept[2]], dtype=np.float32)
    blocks = part.reshape(kept[0] // by[0], by[0], kept[1] // by[1], by[1], kept[2] // by[2], by[2])
    edge = tuple(s * b for s, b in zip(spacing, by, strict=True))
    shift = tuple(s * (b - 1) / 2 for s, b in zip(spacing, by, strict=True))
    return blocks.mean(axis=(1, 3, 5)), (edge[0], edge[1], edge[2]), shift


def _ranked(image: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Ranks of the intensities in the mask, 0.5 to 1.5, and 0 outside, so that the outline counts; slightly blurred."""
    from scipy import ndimage

    values = image[mask]
    order = values.argsort().argsort()
    ranked = np.zeros(image.shape, dtype=np.float32)
    ranked[mask] = 0.5 + order / max(1, values.size - 1)
    return np.asarray(ndimage.gaussian_filter(ranked, 1.0), dtype=np.float32)


def _plane(parameters: npt.NDArray[np.float64], middle: Points, likeness: float) -> Plane:
    """Build the plane that lies ``parameters[0]`` mm beside the middle, turned and tilted by degrees."""
    shift, turn, tilt = parameters
    normal = np.array([np.tan(np.radians(tilt)), np.tan(np.radians(turn)), 1.0])
    normal /= np.linalg.norm(normal)
    point = np.asarray(middle) + np.array([0.0, 0.0, shift])
    z, y, x = (float(v) for v in point)
    a, b, c = (float(v) for v in normal)
    return Plane((z, y, x), (a, b, c), likeness)


def _likeness(
    ranked: npt.NDArray[np.float32], edge: Spacing, points: Points, here: npt.NDArray[np.float32], plane: Plane
) -> float:
    """Correlation of the values at some points with those at their mirror places."""
    from scipy import ndimage

    there = plane.mirrored(points) / np.array(edge).reshape(3, 1)
    mirrored = ndimage.map_coordinates(ranked, there, order=1, mode="constant")
    # A scan ends in the middle of the head: what is mirrored beyond its first and last slice says nothing.
    seen = (there[0] >= 0) & (there[0] <= ranked.shape[0] - 1)
    if seen.mean() < 0.5:
        return -1.0
    a, b = here[seen] - here[seen].mean(), mirrored[seen] - mirrored[seen].mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
