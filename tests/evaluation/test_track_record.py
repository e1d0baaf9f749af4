"""Shares of right voxels, checked against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from napari_penumbra.evaluation.calibration import BINS, STEPS, Tally
from napari_penumbra.evaluation.track_record import FEWEST_CASES, FEWEST_VOXELS, Share, TrackRecord


def voxels(seed: int, n: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Confidences in stored steps, right more often the higher they are but less often than they claim."""
    rng = np.random.default_rng(seed)
    sure = rng.integers(12, 52, n) * 5 / STEPS
    return sure, rng.uniform(size=n) < 0.2 + 0.6 * sure


def record(cases: int = 4, n: int = 6000) -> tuple[TrackRecord, list[tuple[np.ndarray, np.ndarray]]]:
    drawn = [voxels(seed, n) for seed in range(cases)]
    return TrackRecord({f"p{k}": Tally.of(*pair) for k, pair in enumerate(drawn)}), drawn


def plain_isotonic(drawn: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """The largest of the smallest means: the textbook formula for isotonic regression, level by level."""
    n, right = [0] * (STEPS + 1), [0] * (STEPS + 1)
    for sure, was_right in drawn:
        for c, r in zip(sure, was_right, strict=True):
            level = round(float(c) * STEPS)
            n[level] += 1
            right[level] += int(r)
    used = [level for level in range(STEPS + 1) if n[level]]
    fitted = {}
    for i, level in enumerate(used):
        best = -1.0
        for a in range(i + 1):
            smallest = min(
                sum(right[k] for k in used[a : b + 1]) / sum(n[k] for k in used[a : b + 1]) for b in range(i, len(used))
            )
            best = max(best, smallest)
        fitted[level] = best
    return [float(np.interp(level, used, [fitted[k] for k in used])) for level in range(STEPS + 1)]


def test_shares_are_those_of_a_plain_loop() -> None:
    made, drawn = record(3, 700)
    expected = plain_isotonic(drawn)
    np.testing.assert_allclose(made.isotonic, expected, atol=1e-9)
    for confidence in (0.3, 0.5, 0.72, 1.0):
        level = round(confidence * STEPS)
        count = 0
        for sure, _ in drawn:
            for c in sure:
                theirs = min(int(float(c) * BINS + 1e-9), BINS - 1)
                count += theirs == min(int(level / STEPS * BINS + 1e-9), BINS - 1)
        found = made.at(confidence)
        if count < FEWEST_VOXELS:
            assert found is None
        else:
            assert found == Share(pytest.approx(expected[level], abs=1e-9), count, 3)


@pytest.mark.parametrize("confidence", [0.0, 0.4, 0.73, 1.0])
def test_above_counts_voxels_at_least_this_sure(confidence: float) -> None:
    made, drawn = record()
    right = total = 0
    for sure, was_right in drawn:
        for c, r in zip(sure, was_right, strict=True):
            if c >= confidence - 1e-9:
                total += 1
                right += int(r)
    found = made.above(confidence)
    assert found is None if total < FEWEST_VOXELS else found == Share(pytest.approx(right / total), total, 4)


def test_expected_is_the_mean_over_the_voxels_in_question() -> None:
    made, _ = record()
    asked = np.zeros(STEPS + 1, np.int64)
    asked[[100, 101, 240]] = (3, 5, 2)
    found = made.expected(asked)
    assert found is not None
    total = sum(made.isotonic[level] * n for level, n in ((100, 3), (101, 5), (240, 2)))
    assert found.right == pytest.approx(total / 10)
    assert found.cases == 4
    per_bin = [0] * BINS
    for level in range(STEPS + 1):
        per_bin[min(level * BINS // STEPS, BINS - 1)] += int(made.counts[level])
    assert found.voxels == per_bin[100 * BINS // STEPS] + per_bin[240 * BINS // STEPS]
    assert made.expected(np.zeros(STEPS + 1, np.int64)) is None


def test_nothing_is_said_below_the_sensible_counts() -> None:
    few, _ = record(FEWEST_CASES - 1)
    assert few.at(0.8) is few.above(0.5) is few.expected(few.counts) is None
    enough, _ = record(FEWEST_CASES)
    assert enough.at(0.8) is not None
    assert enough.at(0.05) is None, "no voxel was ever this unsure"
    asked = np.zeros(STEPS + 1, np.int64)
    asked[[10, 200]] = (2, 8)
    assert enough.expected(asked) is None, "a fifth of them have a confidence that nobody has corrected yet"
    asked[10] = 0
    assert enough.expected(asked) is not None
    thin, _ = record(FEWEST_CASES, 20)
    assert thin.at(0.8) is None
    assert thin.above(0.0) is None


def test_errors_before_and_after_are_those_of_a_plain_loop() -> None:
    made, drawn = record()
    n = gap = 0.0
    for m in range(BINS):
        inside = [
            (float(c), bool(r))
            for sure, was_right in drawn
            for c, r in zip(sure, was_right, strict=True)
            if min(int(float(c) * BINS + 1e-9), BINS - 1) == m
        ]
        if inside:
            n += len(inside)
            gap += abs(sum(r for _, r in inside) - sum(c for c, _ in inside))
    assert made.errors.ece == pytest.approx(gap / n)
    assert made.errors.ece_isotonic is not None
    assert made.errors.ece_isotonic < 0.5 * made.errors.ece


def test_an_empty_record_says_nothing() -> None:
    empty = TrackRecord()
    assert empty.at(0.5) is None
    assert empty.errors.ece is None
    assert not empty.enough_cases
    assert empty.total.n == 0
