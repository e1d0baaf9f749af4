"""Seeds and surroundings for the tools that let painted voxels grow: which box, which markers, which image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.imaging.edits.boxes import Mask, Spacing, box_around, size_of, slices_of, widen

FAR = UNKNOWN
"""Marker of what lies beyond the reach: background that the classes compete with. No class can have this value."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """What grows, and within what.

    Attributes
    ----------
    box
        The painted voxels and the reach around them.
    markers
        int32 of the box's shape: 0 to be decided, label values where they are painted, `FAR` beyond the reach.
    """

    box: Box
    markers: npt.NDArray[np.int32]

    @property
    def open(self) -> Mask:
        """Voxels that are to be decided."""
        return np.asarray(self.markers == 0)


def seeds_of(
    labels: LabelArray, values: tuple[int, ...], spacing: Spacing, reach_mm: float, limit: int, what: str
) -> Seeds:
    """Take what is painted as seeds.

    Parameters
    ----------
    values
        Classes that grow. Other classes and unknown neither grow nor are grown over.
    reach_mm
        How far from a seed a voxel may be taken. What is farther away is background and holds against the classes.
    limit
        Most voxels the box may have.
    what
        The tool's name for the error.

    Raises
    ------
    UsageError
        Nothing painted, or a box that is too large.
    """
    from scipy import ndimage

    painted = np.isin(labels, values)
    box = box_around(painted)
    if box is None:
        raise UsageError("There are no seeds.", "Paint a little of every class that shall grow, then try again.")
    # One voxel more than the reach: the rim that stands for everything outside.
    box = widen(box, reach_mm, spacing, labels.shape, voxels=1)
    if size_of(box) > limit:
        raise UsageError(
            f"{what} would look at {size_of(box) / 1e6:.1f} million voxels; {limit / 1e6:.1f} are the most.",
            "Lower the reach, or paint seeds nearer to each other.",
        )
    inside = labels[slices_of(box)]
    seeds = painted[slices_of(box)]
    markers = np.where(seeds, inside, 0).astype(np.int32)
    distance = ndimage.distance_transform_edt(~seeds, sampling=spacing)
    markers[(distance > reach_mm) & ~seeds] = FAR
    markers[(inside != BACKGROUND) & ~seeds] = FAR
    if not (markers == FAR).any() and len(set(np.unique(markers)) - {0}) < 2:
        raise UsageError(
            "The seeds reach everywhere: there is nothing that they could stop at.",
            "Lower the reach, or paint a second class.",
        )
    return Seeds(box, markers)


def edges(image: npt.NDArray[np.float32], spacing: Spacing, smooth_mm: float) -> npt.NDArray[np.float32]:
    """Steepness of an image in intensity per mm, (z, y, x), after smoothing by ``smooth_mm`` (standard deviation)."""
    smooth = smoothed(image, spacing, smooth_mm)
    # A voxel of an axis one slice thick has no neighbours to differ from.
    axes = [axis for axis in range(3) if smooth.shape[axis] > 1]
    total = np.zeros(smooth.shape, dtype=np.float32)
    for axis in axes:
        total += np.gradient(smooth, spacing[axis], axis=axis).astype(np.float32) ** 2
    return np.sqrt(total)


def smoothed(image: npt.NDArray[np.float32], spacing: Spacing, mm: float) -> npt.NDArray[np.float32]:
    """Gaussian smoothing by a standard deviation in mm."""
    from scipy import ndimage

    if mm <= 0:
        return image
    return np.asarray(ndimage.gaussian_filter(image, [mm / s for s in spacing], mode="nearest", truncate=3.0))


def noise_of(image: npt.NDArray[np.float32]) -> float:
    """Robust spread of an image's noise: of the differences between neighbours in a row (0 for a flat image)."""
    if image.shape[2] < 2:
        return 0.0
    steps = np.diff(image, axis=2).ravel()
    return float(1.4826 * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2))
