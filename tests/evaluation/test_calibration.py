"""Reliability, calibration error, temperature and isotonic regression against plain loops over voxels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_penumbra.evaluation.calibration import (
    STEPS,
    Tally,
    fit_isotonic,
    fit_temperature,
    near_foreground,
    reliability,
    scaled,
)

LEVELS = np.arange(STEPS + 1) / STEPS


def voxels(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Confidences in stored steps, and which are right: mostly those with much confidence, but too few of them."""
    random = np.random.default_rng(seed)
    confidence = random.integers(0, STEPS + 1, n) / STEPS
    return confidence, random.random(n) < 0.3 + 0.5 * confidence**2


def plain_error(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    """The definition, voxel by voxel."""
    total = 0.0
    for b in range(bins):
        inside = [
            (c, r) for c, r in zip(confidence, right, strict=True) if b == min(int(c * bins), bins - 1)
        ]  # fmt: skip
        if inside:
            gap = abs(sum(r for _, r in inside) / len(inside) - sum(c for c, _ in inside) / len(inside))
            total += len(inside) / len(confidence) * gap
    return total


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_is_the_loop_over_voxels(seed: int, bins: int) -> None:
    confidence, right = voxels(seed)
    found = reliability(Tally.of(confidence, right), bins)
    assert found.error == pytest.approx(plain_error(confidence, right, bins), abs=1e-12)
    assert found.count.sum() == confidence.size


def test_means_of_right_and_wrong_are_the_loop_over_voxels() -> None:
    confidence, right = voxels(5)
    tally = Tally.of(confidence, right)
    assert tally.mean_right == pytest.approx(np.mean([c for c, r in zip(confidence, right, strict=True) if r]))
    assert tally.mean_wrong == pytest.approx(np.mean([c for c, r in zip(confidence, right, strict=True) if not r]))
    assert tally.tells is True
    assert Tally.of(confidence, ~right).tells is False
    assert tally.n == 400


def test_a_calibrated_confidence_has_no_error() -> None:
    right, wrong = np.zeros(STEPS + 1, np.int64), np.zeros(STEPS + 1, np.int64)
    for level in range(STEPS + 1):
        right[level], wrong[level] = level * 10, (STEPS - level) * 10
    tally = Tally(right, wrong)
    assert reliability(tally).error == pytest.approx(0, abs=1e-12)
    assert fit_temperature(tally) == pytest.approx(1, abs=0.01)
    assert np.allclose(fit_isotonic(tally), LEVELS)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_that_made_it_is_found(true: float) -> None:
    chance = scaled(true)
    right = np.rint(100_000 * chance).astype(np.int64)
    tally = Tally(right, 100_000 - right)
    assert fit_temperature(tally) == pytest.approx(true, rel=0.01)
    assert reliability(tally, values=scaled(true)).error == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_temperature_is_the_best_of_a_fine_grid(seed: int) -> None:
    confidence, right = voxels(seed)

    def loss(temperature: float) -> float:
        total = 0.0
        for c, r in zip(confidence, right, strict=True):
            clipped = min(max(c, 0.5 / STEPS), 1 - 0.5 / STEPS)
            p = 1 / (1 + math.exp(-math.log(clipped / (1 - clipped)) / temperature))
            total -= math.log(p if r else 1 - p)
        return total

    best = min(np.geomspace(0.4, 40, 150), key=loss)
    found = fit_temperature(Tally.of(confidence, right))
    assert found == pytest.approx(best, rel=0.05)
    assert loss(found) <= loss(best) + 1e-6


def test_overconfidence_is_taken_back_and_underconfidence_mended() -> None:
    confidence = np.full(1000, 0.98)
    over = Tally.of(confidence, np.arange(1000) < 750)
    assert fit_temperature(over) > 2
    assert reliability(over, values=scaled(fit_temperature(over))).error < 0.03
    under = Tally.of(np.full(1000, 0.6), np.arange(1000) < 990)
    assert fit_temperature(under) < 0.2


@pytest.mark.parametrize("right", [np.ones(9, bool), np.zeros(9, bool), np.ones(0, bool)])
def test_nothing_can_be_fitted_on_one_kind_of_voxels(right: np.ndarray) -> None:
    tally = Tally.of(np.full(right.shape, 0.7), right)
    assert fit_temperature(tally) == 1.0
    assert tally.tells is None
    assert (reliability(tally).error is None) == (right.size == 0)


def plain_isotonic(levels: list[int], share: list[float], weight: list[float]) -> list[float]:
    """The min-max formula of isotonic regression: no pooling."""
    n = len(levels)
    return [
        max(
            min(sum(s * w for s, w in zip(share[a : b + 1], weight[a : b + 1], strict=True)) / sum(weight[a : b + 1])
                for b in range(i, n))
            for a in range(i + 1)
        )
        for i in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_isotonic_is_the_min_max_formula(seed: int) -> None:
    random = np.random.default_rng(seed)
    right, wrong = np.zeros(STEPS + 1, np.int64), np.zeros(STEPS + 1, np.int64)
    used = sorted(random.choice(STEPS + 1, 12, replace=False).tolist())
    right[used], wrong[used] = random.integers(0, 9, 12), random.integers(1, 9, 12)
    weight = [float(right[n] + wrong[n]) for n in used]
    expected = plain_isotonic(used, [right[n] / (right[n] + wrong[n]) for n in used], weight)
    found = fit_isotonic(Tally(right, wrong))
    assert np.allclose(found[used], expected)
    assert (np.diff(found) >= -1e-12).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_isotonic_without_voxels_changes_nothing() -> None:
    assert np.array_equal(fit_isotonic(Tally.total([])), LEVELS)


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)), st.floats(0.05, 40))
def test_scaling_keeps_the_order_and_the_middle(confidence: np.ndarray, temperature: float) -> None:
    values = scaled(temperature)
    assert (np.diff(values) >= 0).all()
    assert values.min() >= 0
    assert values.max() <= 1
    assert (values[127] < 0.5) & (values[128] > 0.5)
    tally = Tally.of(confidence, np.arange(confidence.size) % 2 == 0)
    error = reliability(tally, values=values).error
    assert error is not None
    assert 0 <= error <= 1


def test_sums_of_cases_are_the_sum_of_their_voxels() -> None:
    parts = [voxels(seed) for seed in range(3)]
    total = Tally.total(Tally.of(c, r) for c, r in parts)
    whole = Tally.of(np.concatenate([c for c, _ in parts]), np.concatenate([r for _, r in parts]))
    assert np.array_equal(total.right, whole.right)
    assert np.array_equal(total.wrong, whole.wrong)


@pytest.mark.parametrize("bad", [[1.01], [-0.01], [math.nan]])
def test_what_is_no_confidence_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        Tally.of(np.array(bad), np.array([True]))
    with pytest.raises(ValueError, match="shape"):
        Tally.of(np.zeros(2), np.zeros(3, bool))
    with pytest.raises(ValueError, match="above 0"):
        scaled(0)


def test_near_foreground_is_a_box_in_millimetres_around_either_mask() -> None:
    prediction, reference = np.zeros((9, 20, 20), np.uint8), np.zeros((9, 20, 20), np.uint8)
    prediction[4, 10, 10], reference[4, 10, 12] = 1, 2
    reference[:, 0:8, :] = 255
    near = near_foreground(prediction, reference, (5.0, 2.0, 1.0), mm=5.0)
    for z, y, x in np.ndindex(near.shape):
        around = any(abs(z - 4) * 5 <= 5 and abs(y - 10) * 2 <= 5 and abs(x - place) <= 5 for place in (10, 12))
        assert near[z, y, x] == (around and y >= 8), (z, y, x)
    nothing = np.zeros((2, 3, 4), np.uint8)
    assert not near_foreground(nothing, nothing, (1, 1, 1)).any()
