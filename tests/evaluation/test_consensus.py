"""Rules of a consensus, voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.evaluation.consensus import RULES, consensus

U = 255


def voxels(*rows: list[int]) -> list[np.ndarray]:
    """One array of (1, 1, n) per reader."""
    return [np.array([[row]], dtype=np.uint8) for row in rows]


# Per voxel: both nothing, both the same, only one, two classes, unknown against class, against nothing, both unknown.
FIRST = [0, 1, 1, 1, U, U, U]
SECOND = [0, 1, 0, 2, 1, 0, U]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("agree", [0, 1, U, U, U, U, U]),
        ("majority", [0, 1, U, U, 1, 0, U]),
        ("union", [0, 1, 1, U, 1, U, U]),
        ("intersection", [0, 1, 0, U, U, 0, U]),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_two_readers(rule: str, expected: list[int], turned: bool) -> None:
    readers = voxels(FIRST, SECOND)
    found = consensus(readers[::-1] if turned else readers, rule)
    assert found.dtype == np.uint8
    assert found.ravel().tolist() == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("agree", [1, U, U, U, 0]),
        ("majority", [1, 1, 0, U, 0]),
        ("union", [1, 1, 1, U, 0]),
        ("intersection", [1, 0, 0, 0, 0]),
    ],
)
def test_three_readers(rule: str, expected: list[int]) -> None:
    readers = voxels([1, 1, 1, 1, 0], [1, 1, 0, 2, 0], [1, 0, 0, 0, 0])
    assert consensus(readers, rule).ravel().tolist() == expected


def test_staple_trusts_the_two_that_agree() -> None:
    truth = np.zeros((8, 16, 16), np.uint8)
    truth[2:6, 4:12, 4:12] = 1
    truth[3:5, 6:10, 6:10] = 2
    careless = np.roll(truth, 4, axis=2)
    np.testing.assert_array_equal(consensus([truth, truth.copy(), careless], "staple"), truth)


@pytest.mark.parametrize("rule", RULES)
def test_all_the_same_is_itself(rule: str) -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(0, 3, (4, 6, 5)).astype(np.uint8)
    np.testing.assert_array_equal(consensus([one, one.copy(), one.copy()], rule), one)


@pytest.mark.parametrize("rule", RULES)
def test_nothing_at_all(rule: str) -> None:
    empty = np.zeros((2, 3, 4), np.uint8)
    assert not consensus([empty] * 3, rule).any()


@pytest.mark.parametrize(("rule", "there"), [("agree", U), ("union", U), ("majority", 0), ("intersection", 0)])
def test_slices_that_one_reader_left_unknown(rule: str, there: int) -> None:
    first = np.zeros((3, 4, 4), np.uint8)
    first[0, 0, 0] = 1
    second = first.copy()
    second[2] = U  # a partial reading: slices nobody touched
    found = consensus([first, second], rule)
    assert (found[2] == there).all()
    assert not found[1].any()


@pytest.mark.parametrize(("rule", "readers"), [("agree", 1), ("staple", 2), ("magic", 3)])
def test_refusals(rule: str, readers: int) -> None:
    with pytest.raises(UsageError):
        consensus([np.zeros((2, 2, 2), np.uint8)] * readers, rule)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes"):
        consensus([np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8)], "agree")
