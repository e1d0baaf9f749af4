"""Grow from seeds, random walker and smart fill: what follows the edges of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from edit_scenes import SPACING, ball, dice, keeps_to_the_rules
from scipy import ndimage

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.edits import seeds, smart_fill, walker
from napari_penumbra.imaging.edits.base import Over

SHAPE = (14, 44, 56)
CENTER = (28.0, 33.0, 28.0)
MIDDLE = (7, 22, 28)


@pytest.fixture
def truth() -> np.ndarray:
    return ball(SHAPE, CENTER, 14)


@pytest.fixture
def image(truth) -> np.ndarray:
    """A bright ball in noise, with a second one beside it that does not touch it."""
    rng = np.random.default_rng(0)
    clean = 100.0 + 60 * truth + 60 * ball(SHAPE, (28, 33, 52), 5)
    return (ndimage.gaussian_filter(clean, (0.2, 0.5, 0.7)) + rng.normal(0, 4, SHAPE)).astype(np.float32)


@pytest.fixture
def painted() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[6:9] = ball(SHAPE, CENTER, 7)[6:9]
    return labels


@pytest.mark.parametrize("grow", [seeds.grow_from_seeds, walker.random_walk])
def test_grows_to_the_edge_and_no_farther(grow, image, truth, painted):
    after = keeps_to_the_rules(painted, grow(painted, image, SPACING, values=(1,), reach_mm=11.0))
    assert dice(after == 1, truth) > 0.9
    assert (after[painted == 1] == 1).all()


@pytest.mark.parametrize("grow", [seeds.grow_from_seeds, walker.random_walk])
def test_two_classes_meet_at_the_edge_between_them(grow):
    rng = np.random.default_rng(1)
    image = (100 + 80 * (np.arange(56) >= 28) + rng.normal(0, 4, SHAPE)).astype(np.float32)
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, :, 18:22], labels[:, :, 36:40] = 1, 2
    labels[7, 22, 26] = 255
    after = keeps_to_the_rules(labels, grow(labels, image, SPACING, values=(1, 2), reach_mm=10.0))
    assert after[7, 22, 26] == 255
    assert not (after[..., :27] == 2).any()
    assert not (after[..., 29:] == 1).any()
    for value, side in ((1, slice(22, 27)), (2, slice(29, 36))):
        between = after[7, 15:29, side]
        assert np.mean(between == value) > 0.9, "up to the edge, from both sides"


@pytest.mark.parametrize("grow", [seeds.grow_from_seeds, walker.random_walk])
def test_the_reach_is_in_mm(grow, painted):
    flat = np.zeros(SHAPE, np.float32)
    after = keeps_to_the_rules(painted, grow(painted, flat, SPACING, values=(1,), reach_mm=5.0))
    distance = ndimage.distance_transform_edt(painted == 0, sampling=SPACING)
    assert distance[after == 1].max() <= 5.0


@pytest.mark.parametrize("grow", [seeds.grow_from_seeds, walker.random_walk])
def test_other_classes_are_walls(grow, image, painted):
    painted[:, :, 30:] = np.where(painted[:, :, 30:] == 0, 2, painted[:, :, 30:])
    after = keeps_to_the_rules(painted, grow(painted, image, SPACING, values=(1,), reach_mm=11.0))
    assert np.count_nonzero(after == 2) == np.count_nonzero(painted == 2)


@pytest.mark.parametrize("grow", [seeds.grow_from_seeds, walker.random_walk])
def test_without_seeds_it_says_so(grow, image):
    with pytest.raises(UsageError, match="no seeds"):
        grow(np.zeros(SHAPE, np.uint8), image, SPACING, values=(1,))


@pytest.mark.parametrize(
    ("module", "grow"), [(seeds, seeds.grow_from_seeds), (walker, walker.random_walk)], ids=["seeds", "walker"]
)
def test_a_box_that_is_too_large_is_refused(module, grow, image, painted, monkeypatch):
    monkeypatch.setattr(module, "MOST_VOXELS", 1000)
    with pytest.raises(UsageError, match="Lower the reach"):
        grow(painted, image, SPACING, values=(1,))


@pytest.mark.parametrize("grow", [seeds.grow_from_seeds, walker.random_walk])
def test_a_picture_of_one_slice(grow):
    rng = np.random.default_rng(2)
    truth = ball((1, 60, 60), (0, 30, 30), 14, (1, 1, 1))
    image = (100 + 60 * truth + rng.normal(0, 4, truth.shape)).astype(np.float32)
    labels = ball((1, 60, 60), (0, 30, 30), 6, (1, 1, 1)).astype(np.uint8)
    after = keeps_to_the_rules(labels, grow(labels, image, (1, 1, 1), values=(1,), reach_mm=15.0))
    assert dice(after == 1, truth) > 0.9


# ---------------------------------------------------------------- smart fill


def test_fills_the_structure_that_was_clicked(image, truth):
    labels = np.zeros(SHAPE, np.uint8)
    edit = smart_fill.smart_fill(labels, image, SPACING, MIDDLE, 2, reach_mm=25.0)
    after = keeps_to_the_rules(labels, edit)
    assert dice(after == 2, truth) > 0.93
    assert not after[7, 22, 52], "the neighbour of the same brightness is not connected"
    assert ndimage.label(after)[1] == 1


def test_the_fills_reach_is_in_mm_and_holds():
    labels = np.zeros(SHAPE, np.uint8)
    flat = np.full(SHAPE, 7.0, np.float32)
    after = keeps_to_the_rules(labels, smart_fill.smart_fill(labels, flat, SPACING, MIDDLE, 1, reach_mm=9.0))
    assert not (after & ~ball(SHAPE, CENTER, 9.0)).any()
    assert dice(after > 0, ball(SHAPE, CENTER, 9.0)) > 0.8


@pytest.mark.parametrize("tolerance", [1.0, 2.0, 4.0])
def test_more_tolerance_never_fills_less(image, tolerance):
    labels = np.zeros(SHAPE, np.uint8)
    strict = smart_fill.smart_fill(labels, image, SPACING, MIDDLE, 1, tolerance=tolerance)
    loose = smart_fill.smart_fill(labels, image, SPACING, MIDDLE, 1, tolerance=2 * tolerance)
    assert np.count_nonzero(loose.after) >= np.count_nonzero(strict.after) > 0


def test_the_fill_leaves_other_classes_alone_unless_asked(image):
    labels = np.zeros(SHAPE, np.uint8)
    labels[7, 20:25, 20:36] = 2
    labels[8, 22, 28] = 255
    keeps_to_the_rules(labels, smart_fill.smart_fill(labels, image, SPACING, MIDDLE, 1))
    over = smart_fill.smart_fill(labels, image, SPACING, MIDDLE, 1, over=Over.CLASSES)
    assert keeps_to_the_rules(labels, over, (0, 2))[8, 22, 28] == 255


def test_a_click_at_the_corner_and_one_outside(image):
    labels = np.zeros(SHAPE, np.uint8)
    edit = smart_fill.smart_fill(labels, image, SPACING, (0, 0, 0), 1, reach_mm=6.0)
    assert keeps_to_the_rules(labels, edit)[0, 0, 0] == 1
    for seed in ((-1, 0, 0), (0, 44, 0)):
        with pytest.raises(UsageError, match="outside the scan"):
            smart_fill.smart_fill(labels, image, SPACING, seed, 1)


def test_the_fill_works_on_a_picture_of_one_slice():
    truth = ball((1, 60, 60), (0, 30, 30), 14, (1, 1, 1))
    image = (100 + 60 * truth + np.random.default_rng(3).normal(0, 4, truth.shape)).astype(np.float32)
    labels = np.zeros(truth.shape, np.uint8)
    edit = smart_fill.smart_fill(labels, image, (1, 1, 1), (0, 30, 30), 1, reach_mm=30.0)
    assert dice(keeps_to_the_rules(labels, edit) > 0, truth) > 0.93
