"""How far a confidence can be believed: reliability, expected calibration error, and ways to put it right.

A voxel counts as *right* when predicted and reference label agree. A confidence c is *calibrated* when, of all voxels
with that c, the share c is right.

* Expected calibration error (Naeini et al., AAAI 2015): the range 0 to 1 is cut into M equal bins,
  ``ECE = sum_m n_m / n * |right_m - c_m|`` with the bin's share of right voxels and its mean confidence.
* Temperature scaling (Guo et al., ICML 2017) for one number per voxel: ``c' = sigmoid(logit(c) / T)``. T minimises the
  negative log-likelihood on held-out voxels. T > 1 takes confidence back, T < 1 adds some; 0.5 stays where it is, so a
  confidence whose 0 means "a coin toss" (the lead p1 - p2) can only be mended in part.
* Isotonic regression (Zadrozny and Elkan, KDD 2002): the rising step function nearest to the share of right voxels, by
  pooling adjacent violators. It mends any monotone error, and needs more voxels.

Maps are stored in steps of 1/255, so a cohort is summed up exactly by two counts per step (`Tally`), whatever its size;
maps from elsewhere are rounded to these steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.labels import UNKNOWN

STEPS = 255
BINS = 15
NEAR_MM = 10.0
"""Figures are taken within this distance of predicted or true foreground: far from it everything is trivially right,
and the more air a scan has, the better its calibration would look."""

_LEVELS = np.arange(STEPS + 1) / STEPS
_CLIP = 0.5 / STEPS
"""Half a step: 0 and 1 as stored stand for anything that rounds to them, and their logits are finite."""
_COLDEST, _HOTTEST = 0.02, 50.0

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
BoolMap = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Tally:
    """Voxels by stored confidence, right and wrong ones apart; both arrays have 256 entries."""

    right: Counts
    wrong: Counts

    @classmethod
    def of(cls, confidence: npt.NDArray[np.floating], right: BoolMap) -> Tally:
        """Count voxels.

        Parameters
        ----------
        confidence
            Any shape, 0 to 1.
        right
            Of the same shape: whether the label is the reference's.

        Raises
        ------
        ValueError
            Shapes differ, or a confidence is not a number from 0 to 1.
        """
        if confidence.shape != right.shape:
            raise ValueError(f"confidence has the shape {confidence.shape}, right {right.shape}")
        if confidence.size and not (np.min(confidence) >= 0 and np.max(confidence) <= 1):  # also refuses NaN
            raise ValueError("a confidence lies outside 0 to 1")
        steps = np.rint(np.asarray(confidence, dtype=np.float64) * STEPS).astype(np.int64)
        return cls(_count(steps[right]), _count(steps[~right]))

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """Sum of several; empty for none."""
        right, wrong = np.zeros(STEPS + 1, np.int64), np.zeros(STEPS + 1, np.int64)
        for tally in tallies:
            right, wrong = right + tally.right, wrong + tally.wrong
        return cls(right, wrong)

    @property
    def n(self) -> int:
        """Number of voxels."""
        return int(self.right.sum() + self.wrong.sum())

    @property
    def mean_right(self) -> float | None:
        """Mean confidence of the right voxels, None without any."""
        return _mean(self.right)

    @property
    def mean_wrong(self) -> float | None:
        """Mean confidence of the wrong voxels, None without any."""
        return _mean(self.wrong)

    @property
    def tells(self) -> bool | None:
        """Whether right voxels have more confidence than wrong ones on average; None when one kind is missing."""
        right, wrong = self.mean_right, self.mean_wrong
        return None if right is None or wrong is None else right > wrong


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram: per bin its voxels, their mean confidence and the share that is right (NaN if empty)."""

    edges: Floats
    count: Counts
    confidence: Floats
    right: Floats

    @property
    def error(self) -> float | None:
        """Expected calibration error; None without voxels."""
        n = int(self.count.sum())
        if not n:
            return None
        gaps = np.where(self.count > 0, np.abs(self.right - self.confidence), 0.0)
        return float((self.count / n * gaps).sum())


def near_foreground(
    prediction: npt.NDArray[np.integer],
    reference: npt.NDArray[np.integer],
    spacing_zyx: Sequence[float],
    mm: float = NEAR_MM,
) -> BoolMap:
    """Voxels that count: known in both, and within a box of ``mm`` each way around foreground of either.

    Parameters
    ----------
    prediction, reference
        (z, y, x) label values.
    spacing_zyx
        Voxel edges in mm.
    """
    from scipy import ndimage

    known = (prediction != UNKNOWN) & (reference != UNKNOWN)
    near = (known & ((prediction > 0) | (reference > 0))).astype(np.uint8)
    for axis, step in enumerate(spacing_zyx):
        reach = min(int(mm / step), near.shape[axis])
        if reach:
            near = ndimage.maximum_filter1d(near, 2 * reach + 1, axis=axis, mode="constant")
    result: BoolMap = near.astype(bool) & known
    return result


def reliability(tally: Tally, bins: int = BINS, values: Floats | None = None) -> Reliability:
    """Draw the reliability diagram of a tally.

    Parameters
    ----------
    bins
        Equal bins; a confidence on an edge belongs to the upper bin, 1 to the last.
    values
        What each of the 256 stored confidences is taken for, for example `scaled`; by default itself.
    """
    levels = _LEVELS if values is None else values
    which = np.minimum((levels * bins).astype(np.int64), bins - 1)
    n = tally.right + tally.wrong
    count = np.bincount(which, n, bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(which, n * levels, bins) / count
        right = np.bincount(which, tally.right, bins) / count
    return Reliability(np.linspace(0, 1, bins + 1), count.astype(np.int64), confidence, right)


def fit_temperature(tally: Tally) -> float:
    """Temperature with the least negative log-likelihood; 1 when all voxels are right or all wrong, or there are none.

    The likelihood is convex in 1/T, so the minimum between 1/50 and 50 is the only one.
    """
    from scipy.optimize import minimize_scalar

    n_right, n_wrong = int(tally.right.sum()), int(tally.wrong.sum())
    if not n_right or not n_wrong:
        return 1.0
    logits = _logit(_LEVELS)

    def loss(inverse: float) -> float:
        z = logits * inverse
        # -log sigmoid(z) = log(1 + exp(-z)), written so that nothing overflows
        return float((tally.right * np.logaddexp(0, -z) + tally.wrong * np.logaddexp(0, z)).sum() / tally.n)

    found = minimize_scalar(loss, bounds=(1 / _HOTTEST, 1 / _COLDEST), method="bounded", options={"xatol": 1e-6})
    return float(1 / found.x)


def scaled(temperature: float) -> Floats:
    """What each of the 256 stored confidences becomes under a temperature."""
    if not temperature > 0:
        raise ValueError(f"a temperature is above 0, got {temperature}")
    result: Floats = 1 / (1 + np.exp(-_logit(_LEVELS) / temperature))
    return result


def fit_isotonic(tally: Tally) -> Floats:
    """What each of the 256 stored confidences becomes by isotonic regression on the share of right voxels.

    Levels that no voxel has are interpolated between those that have; all stay as they are without any voxel.
    """
    n = (tally.right + tally.wrong).astype(np.float64)
    used = np.flatnonzero(n)
    if not used.size:
        return _LEVELS.copy()
    blocks: list[tuple[float, float, int]] = []  # share of right voxels, voxels, levels
    for level in used:
        share, weight, size = tally.right[level] / n[level], n[level], 1
        while blocks and blocks[-1][0] >= share:
            before = blocks.pop()
            share = (share * weight + before[0] * before[1]) / (weight + before[1])
            weight, size = weight + before[1], size + before[2]
        blocks.append((share, weight, size))
    fitted = np.repeat([b[0] for b in blocks], [b[2] for b in blocks])
    result: Floats = np.interp(_LEVELS, _LEVELS[used], fitted)
    return result


def _logit(levels: Floats) -> Floats:
    clipped = np.clip(levels, _CLIP, 1 - _CLIP)
    result: Floats = np.log(clipped) - np.log1p(-clipped)
    return result


def _count(steps: npt.NDArray[np.int64]) -> Counts:
    return np.bincount(steps.ravel(), minlength=STEPS + 1).astype(np.int64)


def _mean(counts: Counts) -> float | None:
    n = int(counts.sum())
    return float((counts * _LEVELS).sum() / n) if n else None
