"""Two annotations compared: figures by hand, places, unknown voxels, bounding boxes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.evaluation import agreement as module
from napari_penumbra.evaluation.agreement import agreement, foreground_box
from napari_penumbra.evaluation.metrics import score

GRID = Grid.of((20, 16, 10), np.diag([-1.0, -2.0, 5.0, 1.0]))  # 10 mm3, 0.01 ml
SHAPE = GRID.array_shape


def box(z: slice, y: slice, x: slice, value: int = 1) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[z, y, x] = value
    return labels


A = box(slice(2, 6), slice(4, 8), slice(4, 8))  # 64 voxels
B = box(slice(4, 8), slice(4, 8), slice(4, 8))  # 64 voxels, 32 of them shared


def test_figures_by_hand() -> None:
    (found,) = agreement(A, B, GRID, (1,)).classes
    assert found.scores.dice == pytest.approx(0.5)
    assert (found.first_ml, found.second_ml) == pytest.approx((0.64, 0.64))
    assert (found.agreed_ml, found.only_first_ml, found.only_second_ml) == pytest.approx((0.32, 0.32, 0.32))


def test_the_bounding_box_changes_no_figure() -> None:
    rng = np.random.default_rng(0)
    a, b = A.copy(), B.copy()
    a[rng.random(SHAPE) < 0.02] = 2
    b[rng.random(SHAPE) < 0.02] = 2
    whole = score(a, b, GRID.scale, (1, 2))
    assert {c.value: c.scores for c in agreement(a, b, GRID, (1, 2)).classes} == whole


def test_places_are_sorted_and_never_join_two_kinds() -> None:
    second = A.copy()
    second[2, 4:8, 4:8] = 0  # 16 voxels only in the first
    second[1, 4:6, 4:8] = 1  # 8 only in the second, touching them
    second[5, 4, 4] = 2  # 1 of another class
    found = agreement(A, second, GRID, (1, 2))
    assert [(p.first, p.second, round(p.region.ml, 3)) for p in found.places] == [
        (1, 0, 0.16),
        (0, 1, 0.08),
        (1, 2, 0.01),
    ]
    first = found.places[0].region
    assert first.box == ((2, 4, 4), (3, 8, 8))
    assert first.mask.all()
    assert found.disagreed_ml == pytest.approx(0.25)
    # Every disagreeing voxel is in exactly one place.
    seen = np.zeros(SHAPE, int)
    for place in found.places:
        seen[place.region.slices] += place.region.mask
    np.testing.assert_array_equal(seen, (second != A).astype(int))


def test_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    second = np.zeros(SHAPE, np.uint8)
    second[0, ::4, ::4] = 1
    count = int(np.count_nonzero(second))
    found = agreement(np.zeros(SHAPE, np.uint8), second, GRID, (1,))
    assert (len(found.places), found.more) == (2, count - 2)
    assert found.more_ml == pytest.approx((count - 2) * 0.01)
    assert found.disagreed_ml == pytest.approx(count * 0.01)


@pytest.mark.parametrize("swapped", [False, True])
def test_unknown_is_no_disagreement(swapped: bool) -> None:
    partial = B.copy()
    partial[:4] = UNKNOWN  # the first has 32 voxels there
    pair = (partial, A) if swapped else (A, partial)
    found = agreement(*pair, GRID, (1,))
    assert found.unknown_ml == pytest.approx(0.32)
    (only,) = found.classes
    assert only.scores.dice == pytest.approx(2 * 32 / (32 + 64))
    volumes = (only.second_ml, only.first_ml) if swapped else (only.first_ml, only.second_ml)
    assert volumes == pytest.approx((0.64, 0.64))
    missing = (only.only_second_ml, only.only_first_ml) if swapped else (only.only_first_ml, only.only_second_ml)
    assert missing == pytest.approx((0.0, 0.32))


@pytest.mark.parametrize("value", [0, UNKNOWN])
def test_nothing_anywhere(value: int) -> None:
    empty = np.full(SHAPE, value, np.uint8)
    found = agreement(empty, empty, GRID, (1, 2))
    assert found.places == ()
    assert [(c.scores.dice, c.scores.hd95, c.first_ml) for c in found.classes] == [(1.0, None, 0.0)] * 2


def test_one_is_empty() -> None:
    found = agreement(A, np.zeros(SHAPE, np.uint8), GRID, (1,)).classes[0]
    assert (found.scores.dice, found.scores.spurious, found.scores.missed) == (0.0, True, False)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="grid"):
        agreement(A, A[1:], GRID, (1,))


def test_box_of_several() -> None:
    assert foreground_box(A, B) == (slice(2, 8), slice(4, 8), slice(4, 8))
    assert foreground_box(np.zeros(SHAPE, np.uint8)) == (slice(0, 1),) * 3
