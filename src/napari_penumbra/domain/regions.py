"""A region: a connected piece of a prediction that wants a decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import Verdict

Box = tuple[tuple[int, int, int], tuple[int, int, int]]


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
        The predicted class that most of its voxels have (0 for background).
    confidence
        Mean confidence of its voxels, 0 to 1.
    ml
        Volume in millilitres.
    benefit
        Expected number of wrong voxels that a look would settle: the sum of 1 - confidence. Regions are sorted by it.
    why
        In words: what makes it weak.
    verdict
        The reader's decision, or None.
    """

    box: Box
    mask: npt.NDArray[np.bool_]
    value: int
    confidence: float
    ml: float
    benefit: float
    why: str
    verdict: Verdict | None = None

    @property
    def center(self) -> tuple[int, int, int]:
        """A voxel inside the region, the one nearest to its centre of mass (z, y, x)."""
        inside = np.argwhere(self.mask)
        nearest = inside[np.argmin(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))]
        z, y, x = (int(a + b) for a, b in zip(self.box[0], nearest, strict=True))
        return z, y, x

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in a (z, y, x) array."""
        (a, b, c), (d, e, f) = self.box
        return slice(a, d), slice(b, e), slice(c, f)
