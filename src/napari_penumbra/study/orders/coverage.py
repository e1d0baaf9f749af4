"""Core-set diversity: the case least like any before it, by the network's features (Sener and Savarese, ICLR 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_penumbra.study.orders._base import Candidate, Order, Pool, Ranked, aged
from napari_penumbra.study.orders.doubt import without_figures
from napari_penumbra.study.summaries import Vector

Matrix = npt.NDArray[np.float32]


class MostDifferent(Order):
    """K-centre greedy: again and again the case that is farthest from all that are labelled or placed before it.

    Vectors of two trainings cannot be compared. A labelled case is therefore compared with the waiting ones in the
    newest run that has predicted both, in units of that run's usual distance. Cases painted before there was a model
    have no vector at all and count for nothing; with no labelled case to start from, the most typical one comes first.
    """

    title = "most different"
    summary = "Cases first that look least, to the network, like those labelled so far: covers all kinds in a cohort."
    needs_predictions = True

    def arrange(self, pool: Pool) -> list[Ranked]:
        """Walk greedily through the cases that the newest run with vectors has seen."""
        runs = [dict(run) for run in pool.vectors()]
        waiting = {c.id: c for c in pool.waiting}
        newest = next((run for run in runs if any(i in waiting for i in run)), {})
        ids = [i for i in waiting if i in newest]
        if not ids:
            return without_figures(pool, set())
        distances, usual = _between(newest, ids)
        nearest = _to_labelled(runs, ids, [c.id for c in pool.labelled])
        order, far = _greedy(distances / usual, nearest)
        ranked = [_ranked(waiting[ids[n]], d) for n, d in zip(order, far, strict=True)]
        return ranked + without_figures(pool, set(ids))


def _between(run: Mapping[int, Vector], ids: list[int]) -> tuple[Matrix, float]:
    """Distances between cases, and the median one: the unit that makes runs comparable."""
    matrix = distances(_stack(run, ids), _stack(run, ids))
    pairs = matrix[np.triu_indices(len(ids), 1)]
    usual = float(np.median(pairs)) if pairs.size else 0.0
    return matrix, usual if usual > 0 else 1.0


def _stack(run: Mapping[int, Vector], ids: list[int]) -> Matrix:
    return np.stack([run[i] for i in ids]).astype(np.float32)


def distances(a: Matrix, b: Matrix) -> Matrix:
    """Euclidean distances of all rows of (n, d) to all rows of (m, d), (n, m); by one product of matrices."""
    centre = a.mean(axis=0)
    a, b = a - centre, b - centre
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0))


def _to_labelled(runs: list[dict[int, Vector]], ids: list[int], labelled: list[int]) -> Matrix | None:
    """Distance of each case to the nearest labelled one, in usual distances; None when none can be compared."""
    nearest = np.full(len(ids), np.inf, dtype=np.float32)
    left = set(labelled)
    at = {i: n for n, i in enumerate(ids)}
    for run in runs:
        known, ours = [i for i in left if i in run], [i for i in ids if i in run]
        if not known or not ours:
            continue
        left -= set(known)
        _, usual = _between(run, ours)
        found = distances(_stack(run, ours), _stack(run, known)).min(axis=1) / usual
        places = [at[i] for i in ours]
        nearest[places] = np.minimum(nearest[places], found)
    return nearest if np.isfinite(nearest).any() else None


def _greedy(between: Matrix, nearest: Matrix | None) -> tuple[list[int], list[float | None]]:
    """Order of the cases and how far each was from everything before it (None where there was nothing before)."""
    order: list[int] = []
    far: list[float | None] = []
    if nearest is None:
        # Nothing to be far from: the one with the least distance to all others stands for most of them.
        first = int(between.sum(axis=1).argmin())
        order, far, nearest = [first], [None], between[first].copy()
    left = nearest.copy()
    left[order] = -1
    while len(order) < len(left):
        best = int(left.argmax())
        order.append(best)
        far.append(float(left[best]))
        np.minimum(left, between[best], out=left)
        left[order[-1]] = -1  # min() keeps earlier ones at -1
    return order, far


def _ranked(candidate: Candidate, distance: float | None) -> Ranked:
    if distance is None:
        return Ranked(candidate, aged(candidate, "the most typical case"))
    if not np.isfinite(distance):
        return Ranked(candidate, aged(candidate, "not comparable with what is labelled"))
    kind = "unlike" if distance > 1 else "not unlike" if distance > 0.5 else "much like"
    return Ranked(candidate, aged(candidate, f"{kind} those before: {distance:.1f} usual distances away"))
