"""The paper's Eqs. 11 to 14 and 17, voxel by voxel in loops."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_penumbra.methods._base import IGNORE
from napari_penumbra.methods._mixing import (
    Cut,
    draw_box,
    largest_components,
    masked_mse,
    mix_across,
    mix_images,
    mix_labelled,
    mix_labels,
    outside_mask,
    pseudo_label,
)

SPACES = pytest.mark.parametrize("space", [(3, 4, 5), (4, 5)], ids=["3D", "2D"])


def voxels(space):
    return itertools.product(*map(range, space))


@settings(deadline=None, max_examples=60)
@given(
    shape=st.lists(st.integers(1, 20), min_size=2, max_size=3),
    share=st.floats(0.05, 0.95),
    below=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_box_lies_inside_and_has_its_share_of_every_edge(shape, share, below, seed):
    torch.manual_seed(seed)
    box = draw_box(shape, Cut(share, below))
    assert len(box) == len(shape)
    for axis, (part, size) in enumerate(zip(box, shape, strict=True)):
        assert 0 <= part.start < part.stop <= size
        whole = len(shape) == 3 and axis == 0 and size < below
        assert part.stop - part.start == (size if whole else max(1, round(share * size)))


def test_every_position_of_a_box_is_equally_likely():
    torch.manual_seed(0)
    starts = [draw_box((10, 8, 8), Cut(0.5))[0].start for _ in range(1200)]
    counts = torch.bincount(torch.tensor(starts), minlength=6)
    assert len(counts) == 6
    assert counts.min() > 150
    assert counts.max() < 250


@pytest.mark.parametrize(("slices", "depth"), [(7, 7), (8, 4)])
def test_few_slices_are_cut_through_their_depth(slices, depth):
    box = draw_box((slices, 8, 8), Cut(0.5, full_depth_below=8))
    assert box[0].stop - box[0].start == depth


def test_mask_is_false_inside_each_patchs_own_box():
    boxes = [(slice(0, 1), slice(1, 3)), (slice(1, 2), slice(0, 1))]
    mask = outside_mask((2, 3), boxes)
    assert mask.tolist() == [[[True, False, False], [True] * 3], [[True] * 3, [False, True, True]]]


@SPACES
def test_equations_11_and_12(space):
    torch.manual_seed(0)
    a, b = torch.randn(2, 2, 3, *space)
    mask = torch.rand(2, *space) < 0.5
    mixed = mix_images(a, b, mask)
    for n, c, v in itertools.product(range(2), range(3), voxels(space)):
        m = float(mask[n][v])
        assert float(mixed[n, c][v]) == float(a[n, c][v]) * m + float(b[n, c][v]) * (1 - m)


@SPACES
def test_label_is_taken_from_the_side_of_its_image(space):
    """Eqs. 13 and 14, with the sides of Eq. 13 put right."""
    torch.manual_seed(0)
    label, pseudo = torch.randint(0, 3, (2, 2, *space))
    label[torch.rand(label.shape) < 0.3] = IGNORE
    mask = torch.rand(2, *space) < 0.5
    mixed = mix_labels(label, pseudo, mask)
    for n, v in itertools.product(range(2), voxels(space)):
        assert int(mixed[n][v]) == int((label if mask[n][v] else pseudo)[n][v])


@settings(deadline=None, max_examples=40)
@given(
    space=st.lists(st.integers(2, 9), min_size=2, max_size=3),
    labelled=st.integers(1, 5),
    unlabelled=st.integers(1, 5),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_mixes_across_keep_image_and_label_together(space, labelled, unlabelled, share, seed):
    """Every patch carries its own number in image and label, so that both can be read back from the mixes."""
    torch.manual_seed(seed)
    number = torch.arange(labelled + unlabelled).reshape(-1, *[1] * len(space)).expand(-1, *space)
    image = number.unsqueeze(1).float()
    one, two = mix_across(image[:labelled], number[:labelled], image[labelled:], number[labelled:], Cut(share))
    count = max(1, min(labelled, unlabelled) // 2)
    for mix in (one, two):
        assert torch.equal(mix.image[:, 0].long(), mix.label)
        assert len(mix.label) == count
    corners = [tuple(0 if low else -1 for low in corner) for corner in itertools.product([0, 1], repeat=len(space))]
    # A box smaller than the patch leaves at least one corner outside.
    if all(max(1, round(share * size)) < size for size in space) and (len(space) == 2 or space[0] >= 8):
        for n in range(count):
            assert any(one.label[n][c] == n for c in corners)
            assert any(two.label[n][c] == labelled + unlabelled - count + n for c in corners)
    assert set(one.label.unique().tolist()) <= {*range(count), *range(labelled, labelled + count)}
    first = labelled + unlabelled - count
    assert set(two.label.unique().tolist()) <= {*range(labelled - count, labelled), *range(first, first + count)}


def test_with_two_and_two_patches_each_is_used_once():
    image = torch.arange(4.0).reshape(4, 1, 1, 1, 1).expand(4, 1, 8, 8, 8)
    label = image[:, 0].long()
    one, two = mix_across(image[:2], label[:2], image[2:], label[2:], Cut(0.5))
    assert one.label.unique().tolist() == [0, 2]
    assert two.label.unique().tolist() == [1, 3]
    assert int((one.label == 2).sum()) == int((two.label == 1).sum()) == 4**3


def test_labels_of_a_network_with_a_margin_are_those_of_the_centre():
    torch.manual_seed(0)
    image = torch.arange(2.0).reshape(2, 1, 1, 1, 1).expand(2, 1, 10, 10, 10)
    whole = image[:, 0].long()
    one, two = mix_across(image[:1], whole[:1], image[1:], whole[1:, 3:-3, 3:-3, 3:-3], Cut(0.5))
    for mix in (one, two):
        assert mix.label.shape == (1, 4, 4, 4)
        assert torch.equal(mix.label, mix.image[:, 0, 3:-3, 3:-3, 3:-3].long())


@SPACES
def test_annotated_patches_are_mixed_with_the_next_one(space):
    torch.manual_seed(0)
    image = torch.arange(3.0).reshape(3, 1, *[1] * len(space)).expand(3, 2, *space)
    label = image[:, 0].long()
    label[:, ..., 0] = IGNORE
    mixed = mix_labelled(image, label, Cut(0.5))
    assert mixed.image.shape == image.shape
    for n in range(3):
        assert set(mixed.image[n].unique().tolist()) == {n, (n + 1) % 3}
    known = label != IGNORE
    assert torch.equal(mixed.label[known], mixed.image[:, 0][known].long())
    assert (mixed.label[~known] == IGNORE).all()
    assert mix_labelled(image[:1], label[:1], Cut(0.5)) is None


def test_pseudo_labels_are_the_most_probable_class_where_it_is_certain():
    probability = torch.tensor([[0.9, 0.1, 0.0], [0.1, 0.3, 0.6], [0.2, 0.8, 0.0]], requires_grad=True)
    probability = probability.T.reshape(1, 3, 1, 3)
    assert pseudo_label(probability).flatten().tolist() == [0, 2, 1]
    assert pseudo_label(probability, 0.7).flatten().tolist() == [0, IGNORE, 1]
    assert pseudo_label(probability, 0.8).flatten().tolist() == [0, IGNORE, IGNORE]
    assert not pseudo_label(probability).requires_grad


def test_largest_component_of_each_class_in_each_patch():
    label = torch.tensor(
        [
            [[1, 1, 0, 1, 2], [0, 0, 0, 0, 2], [2, 0, IGNORE, 0, 1]],
            [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]],
        ]
    )
    before = label.clone()
    kept = largest_components(label, 3)
    assert kept.tolist() == [
        [[1, 1, 0, 0, 2], [0, 0, 0, 0, 2], [0, 0, IGNORE, 0, 0]],
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]],
    ]
    assert torch.equal(label, before)


@SPACES
def test_equation_17_over_known_voxels(space):
    torch.manual_seed(0)
    probability = torch.randn(2, 3, *space, dtype=torch.float64).softmax(1)
    label = torch.randint(0, 3, (2, *space))
    label[torch.rand(label.shape) < 0.3] = IGNORE
    squares = [
        (float(probability[n, k][v]) - (k == int(label[n][v]))) ** 2
        for n, v in itertools.product(range(2), voxels(space))
        if int(label[n][v]) != IGNORE
        for k in range(3)
    ]
    assert float(masked_mse(probability, label)) == pytest.approx(sum(squares) / len(squares), rel=1e-12)


def test_equation_17_is_the_plain_mean_squared_error_where_all_is_known():
    probability = torch.randn(2, 3, 4, 5, dtype=torch.float64).softmax(1)
    label = torch.randint(0, 3, (2, 4, 5))
    plain = torch.nn.functional.mse_loss(probability, torch.nn.functional.one_hot(label, 3).movedim(-1, 1).double())
    assert float(masked_mse(probability, label)) == pytest.approx(float(plain), rel=1e-12)


def test_equation_17_has_no_gradient_where_nothing_is_known():
    probability = torch.rand(1, 2, 4, 4, requires_grad=True)
    label = torch.zeros(1, 4, 4, dtype=torch.int64)
    label[:, 2:] = IGNORE
    masked_mse(probability, label).backward()
    assert probability.grad[:, :, :2].all()
    assert not probability.grad[:, :, 2:].any()
    nothing = torch.rand(1, 2, 4, 4, requires_grad=True)
    loss = masked_mse(nothing, torch.full_like(label, IGNORE))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not nothing.grad.any()
