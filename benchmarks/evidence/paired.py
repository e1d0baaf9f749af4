"""Statistics of paired differences over seeds and cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 10_000
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def resamplings(seeds: int, cases: int, draws: int = DRAWS) -> tuple[Matrix, Matrix]:
    """How often each seed and each case is drawn in each resampling: (draws, seeds) and (draws, cases)."""
    random = np.random.default_rng(0)
    by_seed = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    by_case = random.multinomial(cases, np.full(cases, 1 / cases), size=draws)
    return by_seed.astype(float), by_case.astype(float)


def bootstrap(values: Matrix, draws: int = DRAWS) -> Interval:
    """Mean of a (seeds, cases) matrix with a hierarchical bootstrap interval over seeds and cases.

    Every seed is scored on the same cases, so a resampling draws seeds and cases, each with replacement, and takes the
    mean over all their pairs. NaN marks a figure that is not defined (no distance between two empty masks).
    """
    if values.ndim != 2 or not np.isfinite(values).any():
        raise ValueError(f"a matrix of seeds and cases with some figures is needed, got the shape {values.shape}")
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    by_seed, by_case = resamplings(values.shape[0], values.shape[1], draws)
    sums = ((by_seed @ filled) * by_case).sum(axis=1)
    weights = ((by_seed @ known) * by_case).sum(axis=1)
    means = sums[weights > 0] / weights[weights > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(filled.sum() / known.sum()), float(low), float(high))


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided exact sign test: the chance of so uneven a count of signs if both were equally likely; ties drop out.

    Five seeds that all point one way give 0.0625, three give 0.25: no smaller value is possible.
    """
    signs = [d > 0 for d in differences if d != 0 and math.isfinite(d)]
    n, most = len(signs), max(sum(signs), len(signs) - sum(signs))
    tail = sum(math.comb(n, k) for k in range(most, n + 1)) / 2**n
    return min(1.0, 2 * tail) if n else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's adjustment of several chances, in the order given."""
    order = sorted(range(len(chances)), key=lambda n: chances[n])
    adjusted, largest = [0.0] * len(chances), 0.0
    for rank, n in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[n]))
        adjusted[n] = largest
    return adjusted
