"""Figures against float64 loops over point clouds, against MONAI where the definitions agree, and the empty cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.evaluation.metrics import score, surface

SPACING = (3.0, 0.7, 1.1)


def blobs(seed: int, shape: tuple[int, int, int] = (8, 14, 11)) -> np.ndarray:
    """Two classes in ragged pieces, some of them at the volume's edge."""
    rng = np.random.default_rng(seed)
    zyx = np.indices(shape).astype(float)
    labels = np.zeros(shape, np.uint8)
    for value in (1, 2, 1):
        center = rng.uniform(0, shape)[:, None, None, None]
        radius = rng.uniform(1.5, 4)
        labels[((zyx - center) ** 2).sum(0) < radius**2 + rng.normal(0, 2, shape)] = value
    return labels


def edge_by_loop(mask: np.ndarray) -> list[tuple[int, ...]]:
    """Surface voxels, one voxel and one neighbour at a time."""
    found = []
    for point in map(tuple, np.argwhere(mask)):
        for axis in range(3):
            for step in (-1, 1):
                other = list(point)
                other[axis] += step
                outside = not 0 <= other[axis] < mask.shape[axis]
                if outside or not mask[tuple(other)]:
                    found.append(point)
                    break
            else:
                continue
            break
    return found


def brute(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Every distance between two point clouds, in float64."""
    edges = [[tuple(c * s for c, s in zip(p, SPACING, strict=True)) for p in edge_by_loop(m)] for m in (a, b)]
    there = sorted(min(math.dist(p, q) for q in edges[1]) for p in edges[0])
    back = sorted(min(math.dist(p, q) for q in edges[0]) for p in edges[1])
    pooled = sorted(there + back)
    return {
        "dice": 2 * int((a & b).sum()) / int(a.sum() + b.sum()),
        "jaccard": int((a & b).sum()) / int((a | b).sum()),
        "hd": pooled[-1],
        "hd95": max(percentile95(there), percentile95(back)),
        "hd95_pooled": percentile95(pooled),
        "assd": sum(pooled) / len(pooled),
        "assd_mean_of_means": (sum(there) / len(there) + sum(back) / len(back)) / 2,
    }


def percentile95(ordered: list[float]) -> float:
    at = 0.95 * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


@pytest.mark.parametrize("seed", range(6))
def test_every_figure_equals_a_loop_over_point_clouds(seed: int) -> None:
    prediction, reference = blobs(seed), blobs(seed + 100)
    scores = score(prediction, reference, SPACING, (1, 2))
    compared = 0
    for value in (1, 2):
        a, b = prediction == value, reference == value
        if a.any() and b.any():
            for name, expected in brute(a, b).items():
                assert getattr(scores[value], name) == pytest.approx(expected, abs=1e-9), name
            compared += 1
    assert compared


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_hd_hd95_and_pooled_assd_are_monais(seed: int) -> None:
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    # Away from the edge, where MONAI's erosion has its own idea of what lies outside.
    a, b = (np.pad(blobs(s) == 1, 2) for s in (seed, seed + 50))
    if not (a.any() and b.any()):
        pytest.skip("this seed draws an empty mask")
    one_hot = [torch.from_numpy(m)[None, None].float() for m in (a, b)]
    options = {"include_background": True, "spacing": list(SPACING)}
    ours = score(a.astype(np.uint8), b.astype(np.uint8), SPACING, (1,))[1]
    hd = float(monai.compute_hausdorff_distance(*one_hot, **options))
    hd95 = float(monai.compute_hausdorff_distance(*one_hot, percentile=95, **options))
    assd = float(monai.compute_average_surface_distance(*one_hot, symmetric=True, **options))
    assert (ours.hd, ours.hd95, ours.assd) == pytest.approx((hd, hd95, assd), rel=1e-5)


def test_the_two_hd95_differ_when_one_side_has_few_far_voxels() -> None:
    a = np.zeros((3, 40, 40), np.uint8)
    b = a.copy()
    a[1, 5:35, 5:35] = 1
    b[1, 5:8, 5:8] = 1
    scores = score(a, b, (1, 1, 1), (1,))[1]
    assert scores.hd95_pooled < scores.hd95


def test_both_empty_is_perfect_and_has_no_distance() -> None:
    empty = np.zeros((3, 4, 5), np.uint8)
    scores = score(empty, empty, SPACING, (1,))[1]
    assert (scores.dice, scores.jaccard) == (1.0, 1.0)
    assert scores.hd is scores.hd95 is scores.assd is scores.hd95_pooled is None
    assert not scores.missed
    assert not scores.spurious


@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_costs_the_diagonal_and_is_counted(missed: bool) -> None:
    empty, full = np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4, 5), np.uint8)
    full[1, 2, 3] = 1
    scores = score(empty, full, SPACING, (1,))[1] if missed else score(full, empty, SPACING, (1,))[1]
    diagonal = math.sqrt((3 * 3.0) ** 2 + (4 * 0.7) ** 2 + (5 * 1.1) ** 2)
    assert (scores.dice, scores.jaccard) == (0.0, 0.0)
    assert (scores.hd, scores.hd95, scores.assd) == pytest.approx((diagonal,) * 3)
    assert (scores.missed, scores.spurious) == (missed, not missed)


@pytest.mark.parametrize("side", ["reference", "prediction"])
def test_unknown_voxels_belong_to_neither_mask(side: str) -> None:
    a = np.zeros((5, 9, 9), np.uint8)
    a[2, 2:6, 2:6] = 1
    b = a.copy()
    wrong = a.copy()
    wrong[2, 6:8, 2:6] = 1
    b[2, 6:8, 2:6] = UNKNOWN
    scores = score(wrong, b, (1, 1, 1), (1,)) if side == "reference" else score(b, wrong, (1, 1, 1), (1,))
    assert scores[1].dice == 1.0
    assert scores[1].hd == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_symmetric_bounded_and_ordered(one: int, two: int) -> None:
    a, b = blobs(one), blobs(two)
    for value, there in score(a, b, SPACING, (1, 2)).items():
        back = score(b, a, SPACING, (value,))[value]
        assert there.dice == back.dice
        assert there.hd95 == pytest.approx(back.hd95) if there.hd95 is not None else back.hd95 is None
        assert 0 <= there.jaccard <= there.dice <= 1
        if there.hd is not None and there.assd is not None and there.hd95 is not None:
            assert there.assd <= there.hd + 1e-9
            assert there.hd95 <= there.hd + 1e-9


def test_surface_of_a_full_volume_is_its_shell() -> None:
    shell = surface(np.ones((4, 5, 6), bool))
    assert shell.sum() == 4 * 5 * 6 - 2 * 3 * 4


def test_moving_by_whole_voxels_moves_the_distance_in_mm() -> None:
    a = np.zeros((10, 10, 10), np.uint8)
    b = a.copy()
    a[4, 4, 4] = b[6, 4, 4] = 1
    assert score(a, b, SPACING, (1,))[1].hd == pytest.approx(6.0)


def test_shapes_and_spacing_are_checked() -> None:
    a = np.zeros((3, 3, 3), np.uint8)
    with pytest.raises(ValueError, match="one shape"):
        score(a, a[:2], SPACING, (1,))
    with pytest.raises(ValueError, match="spacing"):
        score(a, a, (1.0, 0.0, 1.0), (1,))


def flat_blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping ragged discs in a picture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :31]

    def disc() -> np.ndarray:
        center, radius = rng.uniform((9, 11), (14, 18)), rng.uniform(4, 8)
        return ((y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2 + rng.normal(0, 4, y.shape))[None]

    return disc().astype(np.uint8), disc().astype(np.uint8)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("seed", range(5))
def test_a_picture_is_measured_along_its_contours(seed: int) -> None:
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    a, b = flat_blobs(seed)
    found = score(a, b, (1.0, 0.7, 1.1), [1])[1]

    def contour(mask: np.ndarray) -> list[tuple[float, float]]:
        plane = np.pad(mask[0], 1)
        return [
            (0.7 * y, 1.1 * x)
            for y, x in np.argwhere(plane)
            if not (plane[y - 1, x] and plane[y + 1, x] and plane[y, x - 1] and plane[y, x + 1])
        ]

    there = [min(math.dist(p, q) for q in contour(b)) for p in contour(a)]
    back = [min(math.dist(p, q) for q in contour(a)) for p in contour(b)]
    assert found.hd == pytest.approx(max(there + back))
    assert found.assd == pytest.approx(sum(there + back) / len(there + back))
    assert len(contour(a)) < 0.7 * a.sum()  # not every pixel is surface

    tensors = [torch.from_numpy(m[None]).float() for m in (a, b)]  # one picture, one channel
    options = {"include_background": True, "spacing": [0.7, 1.1]}
    assert found.hd == pytest.approx(float(monai.compute_hausdorff_distance(*tensors, **options)), rel=1e-4)
    directed = [float(monai.compute_average_surface_distance(*pair, **options)) for pair in (tensors, tensors[::-1])]
    assert found.assd_mean_of_means == pytest.approx(sum(directed) / 2, rel=1e-4)


def test_one_slice_of_a_volume_is_measured_as_before() -> None:
    a, b = flat_blobs(1)
    inside = [np.concatenate([np.zeros_like(m), m, np.zeros_like(m)]) for m in (a, b)]
    # In a volume of several slices every voxel of a one-slice mask has a neighbour outside, above and below.
    assert surface(inside[0].astype(bool)).sum() == a.sum()
    assert score(*inside, SPACING, [1])[1].assd != score(a, b, SPACING, [1])[1].assd
