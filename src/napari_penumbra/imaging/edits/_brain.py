"""Where the brain is, from the pictures alone, and what was assumed to say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.imaging.edits.boxes import Mask, Spacing

_STRIPPED = 0.15
"""A picture with more voxels than this share exactly at its lowest value has had its surroundings cut away."""
_OPEN_MM = 4.0


@dataclass(frozen=True, slots=True)
class Brain:
    """A brain mask (z, y, x) and a sentence on how it was found."""

    mask: Mask
    words: str


def brain_mask(images: Mapping[str, npt.NDArray[np.float32]], spacing: Spacing) -> Brain:
    """Find the brain in the pictures of a case.

    Where the surroundings were cut away (skull-stripped scans and maps), the brain is what was left. Otherwise it is
    the largest bright piece after thin bridges were cut, its holes filled: good enough to keep the air and most of
    the scalp out, but not a skull stripping.

    Parameters
    ----------
    images
        Modality to intensities; those whose surroundings were cut away decide if there are any.
    spacing
        Edges of a voxel along z, y, x in mm.
    """
    inside = [_not_padding(image) for image in images.values()]
    stripped = [mask for mask in inside if 0 < mask.mean() < 1 - _STRIPPED]
    if stripped:
        # What any of the maps has left: a map may be 0 in a voxel that belongs to the brain.
        return Brain(_solid(np.logical_or.reduce(stripped), spacing, 0.0), "Brain: where the maps are not empty.")
    mean = np.mean([_scaled(image) for image in images.values()], axis=0)
    if float(np.ptp(mean)) == 0:
        return Brain(np.ones(mean.shape, dtype=bool), "Brain: the whole scan; the maps show no head.")
    return Brain(_solid(_bright(mean), spacing, _OPEN_MM), "Brain: the largest bright piece; check its outline.")


def _not_padding(image: npt.NDArray[np.float32]) -> Mask:
    """Voxels that differ from the value that fills the surroundings (the lowest, or 0 if it occurs)."""
    lowest = float(image.min())
    counts = {value: float((image == value).mean()) for value in {lowest, 0.0}}
    padding = max(counts, key=lambda value: counts[value])
    return np.asarray((image != padding) & np.isfinite(image))


def _scaled(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = (float(v) for v in np.percentile(image, (1, 99)))
    return np.clip((image - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)


def _bright(image: npt.NDArray[np.floating]) -> Mask:
    from skimage.filters import threshold_otsu

    return np.asarray(image > threshold_otsu(image))


def _solid(mask: Mask, spacing: Spacing, open_mm: float) -> Mask:
    """The largest piece of a mask, thin bridges cut, the holes of each slice filled."""
    from scipy import ndimage

    cut = mask
    if open_mm > 0 and mask.any():
        deep = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1] > open_mm
        cut = deep if deep.any() else mask
    pieces, count = ndimage.label(cut)
    if count > 1:
        cut = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    if cut is not mask and open_mm > 0:  # grow back what the cutting took, but not over the bridges
        back = ndimage.distance_transform_edt(~cut, sampling=spacing) <= open_mm
        cut = back & mask
    return np.stack([ndimage.binary_fill_holes(plane) for plane in cut]) if cut.size else cut
