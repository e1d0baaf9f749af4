"""A region: a connected piece of a prediction that wants a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import Verdict

Box = tuple[tuple[int, int, int], tuple[int, int, int]]

LEVELS = 256
"""Confidences are stored in steps of 1/255: so many different ones there are."""


@dataclass(frozen=True, slots=True)
class Region:
    """One place to look at.

    Attributes
    ----------
    box
        ((z0, y0, x0), (z1, y1, x1)) in voxels, end exclusive.
    mask
        Boolean, of the box's shape: which voxels belong to the region.
    value
        The predicted class of its voxels (0 for background).
    confidence
        Mean confidence of its voxels, 0 to 1.
    ml
        Volume in millilitres.
    benefit
        What a look at it is expected to settle, see `study.benefit.expected_benefit`. Regions are sorted by it.
    why
        In words: what makes it weak.
    verdict
        The reader's decision, or None.
    levels
        Voxels per stored confidence (256 entries, of 0/255 to 255/255), or None where nobody has counted.
    focus
        The voxel (z, y, x) to look at, as `center` finds it; None when it has not been sought yet.
    against
        In words: what speaks against its voxels, whatever the model's confidence. Such a region comes first.
    """

    box: Box
    mask: npt.NDArray[np.bool_]
    value: int
    confidence: float
    ml: float
    benefit: float
    why: str
    verdict: Verdict | None = None
    levels: npt.NDArray[np.int64] | None = None
    focus: tuple[int, int, int] | None = None
    against: str = ""

    @property
    def center(self) -> tuple[int, int, int]:
        """A voxel inside the region, the one nearest to its centre of mass (z, y, x).

        Takes time in proportion to the region unless ``focus`` is known: it is sought before the region is listed.
        """
        return center_of(self.mask, self.box) if self.focus is None else self.focus

    @property
    def voxels(self) -> int:
        """Number of its voxels."""
        return int(np.count_nonzero(self.mask)) if self.levels is None else int(self.levels.sum())

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in a (z, y, x) array."""
        (a, b, c), (d, e, f) = self.box
        return slice(a, d), slice(b, e), slice(c, f)


@dataclass(frozen=True, slots=True)
class Hidden:
    """Places that want a decision but are not listed: what they amount to.

    Attributes
    ----------
    regions, voxels
        How many.
    ml
        Their volume in millilitres.
    confidence
        Mean confidence of their voxels; None without any.
    """

    regions: int = 0
    voxels: int = 0
    ml: float = 0.0
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The regions of a prediction that are listed, in their order, and what is not listed."""

    regions: Sequence[Region] = ()
    hidden: Hidden = field(default_factory=Hidden)


def center_of(mask: npt.NDArray[np.bool_], box: Box) -> tuple[int, int, int]:
    """Find the voxel of a mask that is nearest to its centre of mass, in voxels of the volume that ``box`` is cut from.

    Parameters
    ----------
    mask
        Boolean (z, y, x) of the box's shape, with at least one True.
    """
    inside = np.nonzero(mask)
    off = sum((axis - axis.mean()) ** 2 for axis in inside)
    at = int(np.argmin(off))
    z, y, x = (int(axis[at]) + low for axis, low in zip(inside, box[0], strict=True))
    return z, y, x
