import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from monai.losses import DiceLoss

from napari_penumbra.methods._base import IGNORE
from napari_penumbra.methods._deep_supervision import (
    image_pyramid,
    masked_l1,
    shrink,
    sigmoid_losses,
    target_pyramid,
)

HALVES = [(2, 2)] * 4


def random_label(generator, size=(2, 32, 32), classes=3, unknown=0.3):
    label = torch.randint(classes, size, generator=generator)
    return label.masked_fill(torch.rand(size, generator=generator) < unknown, IGNORE)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("dims", "mode"), [(2, "bilinear"), (3, "trilinear")])
def test_shrinking_is_linear_interpolation_at_half_the_size(dims, mode):
    maps = torch.randn(2, 3, *[8] * dims, generator=seeded())
    expected = torch.nn.functional.interpolate(maps, scale_factor=0.5, mode=mode, align_corners=False)
    assert torch.allclose(shrink(maps, (2,) * dims), expected, atol=1e-6)
    assert shrink(maps, (1,) * dims) is maps
    one_axis = (1,) * (dims - 1) + (2,)
    assert shrink(maps, one_axis).shape[2:] == (*[8] * (dims - 1), 4)


def test_targets_are_the_shares_of_classes_among_what_is_annotated():
    label = random_label(seeded())
    for scale, (target, weight) in enumerate(target_pyramid(label, 3, HALVES)):
        edge = 2**scale
        assert target.shape == (2, 2, 32 // edge, 32 // edge)
        for b, y, x in [(0, 0, 0), (1, 32 // edge - 1, 0), (1, 1 % (32 // edge), 1 % (32 // edge))]:
            block = label[b, y * edge : (y + 1) * edge, x * edge : (x + 1) * edge].flatten().tolist()
            known = [v for v in block if v != IGNORE]
            assert float(weight[b, 0, y, x]) == pytest.approx(len(known) / len(block))
            for c in (1, 2):
                share = known.count(c) / len(known) if known else 0.0
                assert float(target[b, c - 1, y, x]) == pytest.approx(share, abs=1e-5)


def test_without_unknown_voxels_targets_are_bilinear():
    label = random_label(seeded(), unknown=0.0)
    target = torch.stack([label == 1, label == 2], 1).float()
    for found, weight in target_pyramid(label, 3, HALVES):
        assert torch.allclose(found, target, atol=1e-6)
        assert weight.eq(1).all()
        target = torch.nn.functional.interpolate(target, scale_factor=0.5, mode="bilinear", align_corners=False)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_what_lies_under_unknown_changes_nothing(seed, unknown):
    """Nobody can put a value there, but the shares must come from the annotated voxels alone, and stay shares."""
    label = random_label(seeded(seed), unknown=unknown)
    for target, weight in target_pyramid(label, 3, HALVES):
        assert target.min() >= 0
        assert target.sum(1).max() <= 1 + 1e-5
        assert not target[(weight == 0).expand_as(target)].any()


def by_hand(logits, target, weight):
    """Eq. 9 for one scale, voxel by voxel in float64."""
    batch, classes, height, width = logits.shape
    entropy = counted = 0.0
    dices = []
    for f in range(classes):
        shared = ours = theirs = 0.0
        for b in range(batch):
            for y in range(height):
                for x in range(width):
                    p = 1 / (1 + math.exp(-float(logits[b, f, y, x])))
                    q, w = float(target[b, f, y, x]), float(weight[b, 0, y, x])
                    entropy -= w * (q * math.log(p) + (1 - q) * math.log(1 - p))
                    counted += w
                    shared, ours, theirs = shared + w * p * q, ours + w * p, theirs + w * q
        dices.append((2 * shared + 1) / (ours + theirs + 1))
    return entropy / counted, 1 - sum(dices) / classes


@pytest.mark.parametrize("unknown", [0.0, 0.5])
@pytest.mark.parametrize("scale", [0, 2])
def test_losses_are_equation_9(scale, unknown):
    label = random_label(seeded(3), (2, 16, 16), unknown=unknown)
    target, weight = target_pyramid(label, 3, HALVES[:2])[scale]
    logits = torch.randn(target.shape, generator=seeded(4))
    found = sigmoid_losses(logits, target, weight)
    assert [float(v) for v in found] == pytest.approx(by_hand(logits, target, weight), rel=1e-5)


def test_dice_is_monais():
    label = random_label(seeded(5), unknown=0.0)
    target, weight = target_pyramid(label, 3, [])[0]
    logits = torch.randn(target.shape, generator=seeded(6))
    reference = DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)(logits, target)
    assert float(sigmoid_losses(logits, target, weight)[1]) == pytest.approx(float(reference), rel=1e-5)


def test_unknown_voxels_have_no_gradient_at_any_scale():
    label = random_label(seeded(7), unknown=0.2)
    label[:, :16, 16:] = IGNORE
    for scale, (target, weight) in enumerate(target_pyramid(label, 3, HALVES)):
        logits = torch.randn(target.shape, generator=seeded(8), requires_grad=True)
        (gradient,) = torch.autograd.grad(sum(sigmoid_losses(logits, target, weight)), logits)
        edge = 16 >> scale
        assert not gradient[:, :, :edge, edge:].any()
        assert gradient.movedim(1, -1)[weight[:, 0] > 0].all()


def test_nothing_annotated_costs_nothing():
    label = torch.full((2, 16, 16), IGNORE)
    for target, weight in target_pyramid(label, 2, HALVES):
        logits = torch.randn(target.shape, requires_grad=True)
        losses = sigmoid_losses(logits, target, weight)
        assert [float(v.detach()) for v in losses] == [0, 0]
        (gradient,) = torch.autograd.grad(sum(losses), logits)
        assert not gradient.any()


def test_a_class_that_is_nowhere_is_only_pushed_down():
    target, weight = target_pyramid(torch.zeros(1, 8, 8, dtype=torch.long), 2, [])[0]
    logits = torch.randn(target.shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(sum(sigmoid_losses(logits, target, weight)), logits)
    assert (gradient > 0).all()
    assert float(sigmoid_losses(torch.full_like(logits, -30.0), target, weight)[1]) == pytest.approx(0, abs=1e-6)


def test_inpainting_error_is_equation_10_with_the_mean():
    painted, image = (torch.randn(2, 3, 4, 5, generator=seeded(n), dtype=torch.double) for n in (1, 2))
    mask = torch.rand(2, 1, 4, 5, generator=seeded(3)) > 0.6
    errors = [
        abs(float(painted[b, c, y, x]) - float(image[b, c, y, x]))
        for b in range(2)
        for c in range(3)
        for y in range(4)
        for x in range(5)
        if mask[b, 0, y, x]
    ]
    assert float(masked_l1(painted, image, mask)) == pytest.approx(sum(errors) / len(errors), rel=1e-6)
    inside = mask.expand_as(image)
    reference = torch.nn.functional.l1_loss(painted[inside], image[inside])
    assert float(masked_l1(painted, image, mask)) == pytest.approx(float(reference), rel=1e-6)


def test_an_empty_mask_costs_nothing_where_the_mean_would_not_be_a_number():
    painted = torch.randn(1, 1, 4, 4, requires_grad=True)
    loss = masked_l1(painted, torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(loss, painted)
    assert float(loss.detach()) == 0
    assert not gradient.any()


def test_what_is_outside_the_mask_does_not_matter_even_if_it_is_no_number():
    painted = torch.tensor([[[[1.0, torch.inf]]]])
    assert float(masked_l1(painted, torch.zeros(1, 1, 1, 2), torch.tensor([[[[True, False]]]]))) == 1


def test_images_shrink_like_their_targets():
    image = torch.randn(1, 2, 32, 32, generator=seeded())
    sizes = [tuple(i.shape[2:]) for i in image_pyramid(image, HALVES)]
    assert sizes == [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]
    assert torch.allclose(image_pyramid(image, HALVES)[2], torch.nn.functional.avg_pool2d(image, 4), atol=1e-6)
