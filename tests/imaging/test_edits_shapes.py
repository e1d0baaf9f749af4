"""Keep pieces, fill holes, smooth, grow and shrink, copy a prediction: what needs no picture."""

from __future__ import annotations

import numpy as np
import pytest
from edit_scenes import SPACING, ball, dice, keeps_to_the_rules
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.edits.base import Over
from napari_penumbra.imaging.edits.holes import fill_holes
from napari_penumbra.imaging.edits.margin import move_margin
from napari_penumbra.imaging.edits.pieces import keep_pieces
from napari_penumbra.imaging.edits.prediction import copy_prediction
from napari_penumbra.imaging.edits.smoothing import smooth

SHAPE = (14, 44, 56)
ANY = hnp.arrays(np.uint8, (5, 6, 7), elements=st.sampled_from([0, 0, 1, 2, 255]))
OVER = st.sampled_from(list(Over))
MAY = {Over.BACKGROUND: (0, 1), Over.CLASSES: (0, 1, 2), Over.EVERYTHING: (0, 1, 2, 255)}


def three_pieces() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:8, 5:25, 5:25] = 1  # 2400 voxels of 6 mm³: 14.4 ml
    labels[2:4, 30:40, 30:40] = 1  # 200: 1.2 ml
    labels[10, 40, 50] = 1  # 0.006 ml
    labels[11, 2:9, 2:9] = 2
    return labels


# ---------------------------------------------------------------- pieces


def test_keeps_the_largest_piece():
    labels = three_pieces()
    after = keeps_to_the_rules(labels, keep_pieces(labels, SPACING, 1), (1,))
    assert np.count_nonzero(after == 1) == 2400
    assert np.count_nonzero(after == 2) == 49


@pytest.mark.parametrize(("ml", "left"), [(0.0, 2601), (0.006, 2601), (0.5, 2600), (1.3, 2400), (15.0, 0)])
def test_keeps_pieces_above_a_volume(ml, left):
    labels = three_pieces()
    edit = keep_pieces(labels, SPACING, 1, keep="all above a size", smallest_ml=ml)
    assert np.count_nonzero(keeps_to_the_rules(labels, edit, (1,)) == 1) == left


def test_keeps_the_piece_that_is_clicked():
    labels = three_pieces()
    edit = keep_pieces(labels, SPACING, 1, keep="the one I click", point=(3, 35, 35))
    assert np.count_nonzero(keeps_to_the_rules(labels, edit, (1,)) == 1) == 200
    assert edit.notes == ("1 of 3 pieces stays.",)
    for point in ((3, 28, 28), (0, 0, 0), (11, 3, 3), None):
        with pytest.raises(UsageError, match="not on a piece"):
            keep_pieces(labels, SPACING, 1, keep="the one I click", point=point)


def test_corners_hold_together():
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[2, 2, 2] = 1
    assert keep_pieces(labels, SPACING, 1).empty


# ---------------------------------------------------------------- holes


def test_fills_a_cavity_in_3d_and_a_tunnel_only_on_slices():
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:9, 5:25, 5:25] = 1
    labels[4:6, 10:14, 10:14] = 0  # a cavity of 32 voxels
    labels[2:9, 18:20, 18:20] = 0  # a tunnel along z of 28
    inside = keeps_to_the_rules(labels, fill_holes(labels, SPACING, 1))
    assert np.count_nonzero(inside) - np.count_nonzero(labels) == 32
    slices = keeps_to_the_rules(labels, fill_holes(labels, SPACING, 1, axis=0))
    assert np.count_nonzero(slices) - np.count_nonzero(labels) == 60
    across = keeps_to_the_rules(labels, fill_holes(labels, SPACING, 1, axis=1))
    assert np.count_nonzero(across) - np.count_nonzero(labels) == 32


def test_what_is_painted_inside_a_hole_stays_and_closes_holes_too():
    labels = np.zeros(SHAPE, np.uint8)
    labels[4, 5:25, 5:25] = 1
    labels[4, 10:20, 10:20] = 0
    labels[4, 12:15, 12:15] = 2
    labels[4, 5:25, 5] = 2  # one side of the frame is of the other class
    labels[4, 17, 17] = 255
    after = keeps_to_the_rules(labels, fill_holes(labels, SPACING, 1, axis=0))
    assert np.count_nonzero(after == 2) == np.count_nonzero(labels == 2)
    assert after[4, 17, 17] == 255
    assert (after[4, 5:25, 5:25] > 0).all()


def test_a_hole_of_another_class_and_a_large_hole_stay_open():
    labels = np.zeros(SHAPE, np.uint8)
    labels[4, 5:15, 5:15], labels[4, 8:12, 8:12] = 1, 0  # 16 voxels: 0.096 ml
    labels[4, 5:15, 25:35], labels[4, 8:12, 28:32] = 2, 0
    after = keeps_to_the_rules(labels, fill_holes(labels, SPACING, 1, axis=0))
    assert np.count_nonzero(after) - np.count_nonzero(labels) == 16
    assert fill_holes(labels, SPACING, 1, axis=0, largest_ml=0.09).empty
    assert not fill_holes(labels, SPACING, 1, axis=0, largest_ml=0.1).empty


@settings(max_examples=60, deadline=None)
@given(ANY, st.sampled_from([None, 0, 1, 2]))
def test_holes_only_ever_fill_background(labels, axis):
    if not (labels == 1).any():
        return
    after = keeps_to_the_rules(labels, fill_holes(labels, SPACING, 1, axis=axis))
    assert set(np.unique(after[after != labels])) <= {1}


# ---------------------------------------------------------------- smooth


def test_smoothing_takes_bumps_off_and_keeps_the_volume():
    clean = ball(SHAPE, (28, 33, 28), 18)
    rng = np.random.default_rng(1)
    rim = ndimage.binary_dilation(clean) & ~ndimage.binary_erosion(clean)
    labels = np.where(rim, rng.random(SHAPE) < 0.5, clean).astype(np.uint8)
    edit = smooth(labels, SPACING, (1,), 4.0)
    after = keeps_to_the_rules(labels, edit, (0, 1))
    assert np.count_nonzero(after) == pytest.approx(np.count_nonzero(labels), rel=0.002)
    assert dice(after > 0, clean) > dice(labels > 0, clean) + 0.02
    assert _surface(after) < 0.85 * _surface(labels)


def _surface(labels: np.ndarray) -> int:
    return sum(int(np.count_nonzero(np.diff(labels > 0, axis=axis))) for axis in range(3))


def test_without_keeping_the_volume_a_speck_goes():
    labels = np.zeros(SHAPE, np.uint8)
    labels[5, 20, 20] = 1
    assert not keeps_to_the_rules(labels, smooth(labels, SPACING, (1,), 6.0, keep_volume=False), (1,)).any()


def test_all_classes_together_leave_no_gap():
    labels = np.zeros(SHAPE, np.uint8)
    labels[ball(SHAPE, (28, 33, 28), 20)] = 1
    labels[:, :, 28:][labels[:, :, 28:] == 1] = 2
    alone = keeps_to_the_rules(labels, smooth(labels, SPACING, (1,), 6.0), (0, 1))
    assert (alone[labels == 2] == 2).all()
    both = keeps_to_the_rules(labels, smooth(labels, SPACING, (1, 2), 6.0, over=Over.CLASSES), (0, 1, 2))
    middle = both[7, 15:30, 20:36]
    assert (middle > 0).all()


def test_smoothing_is_in_mm():
    """A plate one voxel thick across z (4 mm) withstands what a plate across x (1 mm) does not."""
    thick, thin = np.zeros((2, *SHAPE), np.uint8)
    thick[7, 10:34, 10:46] = 1
    thin[:, :, 28] = 1
    assert np.count_nonzero(keeps_to_the_rules(thick, smooth(thick, SPACING, (1,), 3.0, keep_volume=False), (0, 1)))
    assert not keeps_to_the_rules(thin, smooth(thin, SPACING, (1,), 3.0, keep_volume=False), (0, 1)).any()


@settings(max_examples=40, deadline=None)
@given(ANY, OVER, st.floats(0.5, 10), st.booleans())
def test_smoothing_keeps_to_what_it_may_write_over(labels, over, mm, keep):
    if (labels == 1).any():
        keeps_to_the_rules(labels, smooth(labels, SPACING, (1,), mm, keep_volume=keep, over=over), MAY[over])


# ---------------------------------------------------------------- grow and shrink


@pytest.mark.parametrize("mm", [1.0, 3.0, 5.0, 9.0])
def test_growing_reaches_so_many_mm_along_every_axis(mm):
    labels = np.zeros(SHAPE, np.uint8)
    labels[7, 22, 28] = 1
    after = keeps_to_the_rules(labels, move_margin(labels, SPACING, 1, mm))
    np.testing.assert_array_equal(after > 0, ball(SHAPE, (28, 33, 28), mm))


def test_shrinking_undoes_growing_of_a_box_and_spares_the_scans_edge():
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:10, 14:30, 16:40] = 1
    grown = keeps_to_the_rules(labels, move_margin(labels, SPACING, 1, 4.0))
    shrunk = keeps_to_the_rules(grown, move_margin(grown, SPACING, 1, -4.0), (1,))
    np.testing.assert_array_equal(shrunk, labels)
    full = np.ones(SHAPE, np.uint8)
    assert move_margin(full, SPACING, 1, -3.0).empty


def test_on_the_slices_only_and_a_step_too_short_are_told():
    labels = np.zeros(SHAPE, np.uint8)
    labels[7, 20:24, 26:30] = 1
    flat = move_margin(labels, SPACING, 1, 5.0, axis=0)
    after = keeps_to_the_rules(labels, flat)
    assert set(np.argwhere(after)[:, 0]) == {7}
    assert flat.notes == ()
    short = move_margin(labels, SPACING, 1, 1.2)
    assert short.notes == ("1.2 mm is less than one voxel along z (4 mm) and y (1.5 mm): nothing moves there.",)
    with pytest.raises(UsageError, match="Nothing is painted as scar"):
        move_margin(labels, SPACING, 4, 2.0, name="scar")


@settings(max_examples=60, deadline=None)
@given(ANY, OVER, st.floats(-8, 8))
def test_the_outline_moves_only_over_what_it_may(labels, over, mm):
    if (labels == 1).any():
        after = keeps_to_the_rules(labels, move_margin(labels, SPACING, 1, mm, over=over), MAY[over])
        assert (np.count_nonzero(after == 1) >= np.count_nonzero(labels == 1)) == (mm >= 0) or (after == labels).all()


# ---------------------------------------------------------------- prediction


def test_copies_inside_the_box_only():
    predicted = np.zeros(SHAPE, np.uint8)
    predicted[2:10, 10:30, 10:40] = 1
    predicted[4:8, 15:25, 15:30] = 2
    labels = np.zeros(SHAPE, np.uint8)
    labels[5, 12, 12] = 2
    labels[5, 13, 13] = 255
    labels[5, 35, 45] = 1  # not predicted
    box = ((4, 0, 0), (7, 44, 56))
    after = keeps_to_the_rules(labels, copy_prediction(labels, predicted, box, values=(1, 2)))
    assert not after[:4].any()
    assert not after[7:].any()
    assert (after[5, 12, 12], after[5, 13, 13], after[5, 35, 45]) == (2, 255, 1)
    assert (after[4:7, 15:25, 15:30] == 2).all()
    one = keeps_to_the_rules(labels, copy_prediction(labels, predicted, box, values=(2,)))
    assert np.count_nonzero(one == 1) == 1
    erased = copy_prediction(labels, predicted, box, values=(1, 2), erase=True)
    kept = keeps_to_the_rules(labels, erased, (0, 1, 2))
    assert (kept[5, 12, 12], kept[5, 13, 13], kept[5, 35, 45]) == (1, 255, 0)
    with pytest.raises(UsageError, match="on the screen"):
        copy_prediction(labels, predicted, ((4, 0, 0), (4, 44, 56)), values=(1,))


@settings(max_examples=40, deadline=None)
@given(ANY, ANY, OVER, st.booleans())
def test_copying_keeps_to_the_rules(labels, predicted, over, erase):
    edit = copy_prediction(labels, predicted, ((1, 1, 1), (4, 5, 7)), values=(1, 2), erase=erase, over=over)
    may = {Over.BACKGROUND: (0, 1, 2) if erase else (0,), Over.CLASSES: (0, 1, 2), Over.EVERYTHING: (0, 1, 2, 255)}
    after = keeps_to_the_rules(labels, edit, may[over])
    changed = np.argwhere(after != labels)
    assert ((changed >= (1, 1, 1)) & (changed < (4, 5, 7))).all()
