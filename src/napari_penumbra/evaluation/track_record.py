"""How often voxels of a confidence have turned out right, in cases that a reader has looked at.

Everything is counted over voxels near foreground (`calibration.near_foreground`) whose truth is known, by stored
confidence (`calibration.Tally`). The share that is right rises with confidence if the model knows anything, so it is
smoothed by isotonic regression: each share is that of a run of neighbouring confidences, pooled until it rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_penumbra.evaluation.calibration import (
    BINS,
    STEPS,
    Floats,
    Reliability,
    Tally,
    fit_isotonic,
    fit_temperature,
    reliability,
)
from napari_penumbra.evaluation.confidence import CaseConfidence, ConfidenceTable

FEWEST_CASES = 3
"""Corrected cases below which nothing is said: the voxels of one case go right and wrong together."""
FEWEST_VOXELS = 200
"""Corrected voxels of about a confidence below which nothing is said about it."""
COVERED = 0.9
"""Share of the voxels in question that must have such a confidence for anything to be said about all of them."""

_BIN = np.minimum(np.arange(STEPS + 1) * BINS // STEPS, BINS - 1)
"""Which of the `BINS` bins each stored confidence falls into."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """A share of voxels that were right.

    Attributes
    ----------
    right
        0 to 1.
    voxels
        Corrected voxels that it was taken from.
    cases
        Corrected cases that it was taken from.
    """

    right: float
    voxels: int
    cases: int


@dataclass(frozen=True)
class TrackRecord:
    """What confidence was worth so far.

    Attributes
    ----------
    cases
        Case to its voxels: right and wrong ones by confidence.
    """

    cases: Mapping[str, Tally] = field(default_factory=dict)

    @cached_property
    def total(self) -> Tally:
        """All voxels."""
        return Tally.total(self.cases.values())

    @cached_property
    def counts(self) -> Counts:
        """Voxels per stored confidence (256 entries)."""
        return self.total.right + self.total.wrong

    @cached_property
    def isotonic(self) -> Floats:
        """Share of right voxels per stored confidence (256 entries), never falling."""
        return fit_isotonic(self.total)

    @cached_property
    def temperature(self) -> float:
        """Temperature that fits all voxels best, for comparison."""
        return fit_temperature(self.total)

    @cached_property
    def before(self) -> Reliability:
        """Reliability diagram as predicted."""
        return reliability(self.total)

    @cached_property
    def errors(self) -> CaseConfidence:
        """Calibration errors: as predicted, and mended by a fit on the *other* cases of each case."""
        return ConfidenceTable(self.cases).everything

    @property
    def enough_cases(self) -> bool:
        """Whether there are `FEWEST_CASES`."""
        return len(self.cases) >= FEWEST_CASES

    @cached_property
    def _known(self) -> npt.NDArray[np.bool_]:
        """Per stored confidence: whether enough voxels of about this confidence were corrected."""
        in_bin = np.bincount(_BIN, self.counts, BINS)
        return np.asarray(in_bin[_BIN] >= FEWEST_VOXELS)

    def at(self, confidence: float) -> Share | None:
        """Share of voxels of this confidence that were right; None below `FEWEST_CASES` or `FEWEST_VOXELS`.

        Parameters
        ----------
        confidence
            0 to 1. Counted are the voxels of its bin, one of `BINS` equal ones.
        """
        level = round(min(1.0, max(0.0, confidence)) * STEPS)
        if not self.enough_cases or not self._known[level]:
            return None
        voxels = int(self.counts[_BIN[level] == _BIN].sum())
        return Share(float(self.isotonic[level]), voxels, len(self.cases))

    def above(self, confidence: float) -> Share | None:
        """Share of voxels at least this sure that were right; None below `FEWEST_CASES` or `FEWEST_VOXELS`."""
        first = int(np.ceil(min(1.0, max(0.0, confidence)) * STEPS - 1e-9))
        voxels = int(self.counts[first:].sum())
        if not self.enough_cases or voxels < FEWEST_VOXELS:
            return None
        return Share(float(self.total.right[first:].sum() / voxels), voxels, len(self.cases))

    def expected(self, levels: Counts) -> Share | None:
        """Share of voxels with the same confidences as the given ones that were right.

        Parameters
        ----------
        levels
            Voxels in question per stored confidence (256 entries).

        Returns
        -------
        Share or None
            The mean of the shares of their confidences; None without a voxel, below `FEWEST_CASES`, or where less than
            `COVERED` of them have a confidence of which `FEWEST_VOXELS` voxels were corrected.
        """
        n = int(levels.sum())
        if not n or not self.enough_cases or int(levels[self._known].sum()) < COVERED * n:
            return None
        used = np.isin(_BIN, _BIN[np.flatnonzero(levels)])
        return Share(float((levels * self.isotonic).sum() / n), int(self.counts[used].sum()), len(self.cases))
