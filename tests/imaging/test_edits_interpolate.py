from __future__ import annotations

import time

import numpy as np
import pytest
from edit_scenes import SPACING, ball, dice, keeps_to_the_rules
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.edits.base import Over, Stopped
from napari_penumbra.imaging.edits.interpolate import interpolate

SHAPE = (15, 40, 50)


def sparse(truth: np.ndarray, axis: int, every: int) -> np.ndarray:
    """Every n-th slice of a truth, as a reader paints it."""
    kept = np.zeros_like(truth)
    moved, source = np.moveaxis(kept, axis, 0), np.moveaxis(truth, axis, 0)
    moved[::every] = source[::every]
    return kept


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_ball_comes_back_from_every_third_slice_along_each_axis(axis):
    truth = ball(SHAPE, (28, 30, 25), 19).astype(np.uint8)
    painted = sparse(truth, axis, 3)
    after = keeps_to_the_rules(painted, interpolate(painted, SPACING, axis=axis))
    planes = np.flatnonzero(painted.any(axis=tuple(a for a in range(3) if a != axis)))
    between = np.zeros(SHAPE[axis], bool)
    between[planes[0] : planes[-1] + 1] = True
    moved, was = np.moveaxis(after, axis, 0), np.moveaxis(truth, axis, 0)
    assert not moved[~between].any(), "nothing outside the first and the last painted slice"
    assert dice(moved[between] > 0, was[between] > 0) > 0.94
    np.testing.assert_array_equal(moved[planes], np.moveaxis(painted, axis, 0)[planes])


def test_equal_slices_give_the_same_between():
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 5:20, 10:30] = labels[9, 5:20, 10:30] = 1
    after = keeps_to_the_rules(labels, interpolate(labels, SPACING))
    assert (after[2:10, 5:20, 10:30] == 1).all()
    assert np.count_nonzero(after) == 8 * 15 * 20


def test_classes_neither_overlap_nor_leave_a_seam():
    truth = np.zeros(SHAPE, np.uint8)
    truth[ball(SHAPE, (28, 30, 25), 19)] = 1
    truth[ball(SHAPE, (24, 34, 25), 13)] = 2
    painted = sparse(truth, 0, 4)
    after = keeps_to_the_rules(painted, interpolate(painted, SPACING))
    for value in (1, 2):
        assert dice(after[4:9] == value, truth[4:9] == value) > 0.78
    together = interpolate((painted > 0).astype(np.uint8), SPACING)
    seamless = keeps_to_the_rules((painted > 0).astype(np.uint8), together)
    np.testing.assert_array_equal(after > 0, seamless > 0)


def test_a_class_that_is_not_on_the_other_slice_ends_half_way():
    labels = np.zeros((11, 40, 40), np.uint8)
    labels[0, 5:35, 5:35] = labels[10, 5:35, 5:35] = 1
    labels[0, 15:25, 15:25] = 2
    after = keeps_to_the_rules(labels, interpolate(labels, (1.0, 1.0, 1.0)))
    core = np.count_nonzero(after == 2, axis=(1, 2))
    assert (np.diff(core) <= 0).all(), "it tapers"
    assert core[2] > 0
    assert core[6] == 0
    assert (after[:, 5:35, 5:35] > 0).all(), "the class around it takes its place"


def test_two_pieces_that_join_do_so_without_moving():
    labels = np.zeros((5, 30, 60), np.uint8)
    labels[0, 10:20, 5:20] = labels[0, 10:20, 40:55] = 1
    labels[4, 10:20, 5:55] = 1
    after = keeps_to_the_rules(labels, interpolate(labels, (1.0, 1.0, 1.0)))
    assert (after[1:4, 10:20, 5:20] == 1).all()
    assert (after[1:4, 10:20, 40:55] == 1).all()
    assert not after[1, 10:20, 28:32].any()
    assert after[3, 14:16, 22:38].all()


def test_a_vessel_that_runs_aslant_is_followed():
    labels = np.zeros((7, 40, 60), np.uint8)
    labels[0], labels[6] = ball((1, 40, 60), (0, 20, 12), 5, (1, 1, 1))[0], ball((1, 40, 60), (0, 20, 36), 5, (1, 1, 1))
    after = keeps_to_the_rules(labels, interpolate(labels, (1.0, 1.0, 1.0)))
    for z in range(1, 6):
        x = np.argwhere(after[z])[:, 1]
        assert x.mean() == pytest.approx(12 + 4 * z, abs=0.6)
        assert after[z].sum() == pytest.approx(81, rel=0.15)


def test_two_lesions_far_apart_are_not_joined():
    labels = np.zeros((7, 40, 90), np.uint8)
    labels[0, 18:22, 5:9] = labels[6, 18:22, 80:84] = 1
    after = keeps_to_the_rules(labels, interpolate(labels, (1.0, 1.0, 1.0)))
    assert not after[3].any()
    assert not after[:, :, 20:70].any()


def test_in_plane_spacing_is_respected():
    """On long voxels the outline moves in mm, not in voxels."""
    spacing = (1.0, 4.0, 1.0)
    labels = np.zeros((3, 21, 80), np.uint8)
    labels[0] = ball((1, 21, 80), (0, 40, 40), 8, spacing)[0]
    labels[2] = ball((1, 21, 80), (0, 40, 40), 24, spacing)[0]
    after = keeps_to_the_rules(labels, interpolate(labels, spacing))
    y, x = (np.ptp(v) + 1 for v in np.nonzero(after[1]))
    assert y * 4 == pytest.approx(32, abs=4)
    assert x == pytest.approx(32, abs=3)


def test_painted_and_unknown_voxels_stay_and_are_told():
    labels = np.zeros((7, 30, 30), np.uint8)
    labels[0, 10:20, 10:20] = labels[6, 10:20, 10:20] = 1
    labels[3, 12, 12] = 255
    labels[2, 14, 14] = 3
    edit = interpolate(labels, SPACING, classes=(1,), names={3: "scar"})
    after = keeps_to_the_rules(labels, edit)
    assert after[3, 12, 12] == 255
    assert after[2, 14, 14] == 3
    assert "1 voxel of scar stays." in edit.notes
    assert "1 voxel of unknown stays." in edit.notes
    over = keeps_to_the_rules(labels, interpolate(labels, SPACING, classes=(1,), over=Over.CLASSES), (0, 3))
    assert (over[2, 14, 14], over[3, 12, 12]) == (1, 255)
    every = keeps_to_the_rules(labels, interpolate(labels, SPACING, classes=(1,), over=Over.EVERYTHING), (0, 3, 255))
    assert (every[2, 14, 14], every[3, 12, 12]) == (1, 1)


@pytest.mark.parametrize("slices", [[], [4], [4, 5, 6]])
def test_without_a_gap_it_says_what_to_do(slices):
    labels = np.zeros((9, 20, 20), np.uint8)
    labels[slices, 5:9, 5:9] = 1
    with pytest.raises(UsageError, match="no gap"):
        interpolate(labels, SPACING)


def test_a_piece_that_fills_its_slice():
    labels = np.zeros((4, 6, 7), np.uint8)
    labels[0] = labels[3] = 2
    assert (keeps_to_the_rules(labels, interpolate(labels, SPACING)) == 2).all()


def test_reports_and_stops():
    labels = np.zeros((9, 20, 20), np.uint8)
    labels[0, 5:9, 5:9] = labels[8, 5:9, 5:9] = 1
    shares: list[float] = []
    interpolate(labels, SPACING, report=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def enough(share: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        interpolate(labels, SPACING, report=enough)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.uint8, (6, 7, 8), elements=st.sampled_from([0, 0, 0, 1, 2, 255])),
    st.integers(0, 2),
    st.sets(st.integers(0, 5), max_size=4),
)
def test_whatever_is_painted_the_rules_hold(labels, axis, emptied):
    np.moveaxis(labels, axis, 0)[list(emptied)] = 0
    before = labels.copy()
    try:
        edit = interpolate(labels, SPACING, axis=axis)
    except UsageError:
        return
    np.testing.assert_array_equal(labels, before)
    after = np.moveaxis(keeps_to_the_rules(labels, edit), axis, 0)
    moved = np.moveaxis(labels, axis, 0)
    painted = np.isin(moved, (1, 2)).any(axis=(1, 2))
    np.testing.assert_array_equal(after[painted], moved[painted])
    for z in np.flatnonzero(~painted):
        # Only where the structure is on the painted slice before or after, or on the way between two of its pieces.
        below, above = np.flatnonzero(painted[:z]), np.flatnonzero(painted[z:])
        if not below.size or not above.size:
            np.testing.assert_array_equal(after[z], moved[z])


def test_ten_slices_of_512_within_a_second_of_the_processor():
    labels = np.zeros((12, 512, 512), np.uint8)
    labels[0] = ball((1, 512, 512), (0, 250, 250), 150, (1, 1, 1))[0]
    labels[11] = ball((1, 512, 512), (0, 270, 240), 90, (1, 1, 1))[0] * 2 | 0
    labels[0, 230:280, 230:280] = 2
    best = min(_seconds(labels) for _ in range(3))
    assert best < 1.0


def _seconds(labels: np.ndarray) -> float:
    start = time.process_time()
    edit = interpolate(labels, (3.0, 0.5, 0.5))
    assert not edit.empty
    return time.process_time() - start
