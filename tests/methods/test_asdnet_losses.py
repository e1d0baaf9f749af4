"""Every loss against the paper's formula, written out with loops in double precision, and against MONAI."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import GeneralizedDiceLoss

from napari_penumbra.methods._asdnet_losses import generalised_dice_loss, hard_dice, masked_bce, sample_weight
from napari_penumbra.methods._base import IGNORE
from napari_penumbra.methods._functional import one_hot


def draw(batch=2, classes=4, size=(3, 4, 5), seed=0, present=None):
    """Probabilities and labels; ``present`` lists the classes that occur."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, *size, generator=generator, dtype=torch.float64)
    choice = torch.tensor(list(range(classes)) if present is None else present)
    label = choice[torch.randint(len(choice), (batch, *size), generator=generator)]
    return logits, label


def by_the_book(probability, label, counts=None):
    """Eq. 1 (Eq. 6 with ``counts``) voxel by voxel; an absent class weighs as much as the smallest present one."""
    losses = []
    classes = probability.shape[1]
    for n in range(len(probability)):
        p = probability[n].reshape(classes, -1).tolist()
        y = label[n].flatten().tolist()
        m = [1.0] * len(y) if counts is None else counts[n].flatten().double().tolist()
        volume = [sum(m[v] for v in range(len(y)) if y[v] == c) for c in range(classes)]
        finite = [1 / v**2 for v in volume if v > 0]
        if not finite:
            losses.append(0.0)
            continue
        weights = [1 / v**2 if v > 0 else max(finite) for v in volume]
        above = below = 0.0
        for c in range(classes):
            for v in range(len(y)):
                truth = float(y[v] == c)
                above += weights[c] * m[v] * truth * p[c][v]
                below += weights[c] * m[v] * (truth + p[c][v])
        losses.append(1 - 2 * above / below)
    return losses


@pytest.mark.parametrize("present", [None, [0, 2], [0], [3]])
@pytest.mark.parametrize("size", [(3, 4, 5), (6, 7)])
def test_generalised_dice_is_equation_1(present, size):
    logits, label = draw(size=size, present=present)
    probability = logits.softmax(1)
    loss = generalised_dice_loss(probability, one_hot(label, 4).double())
    assert loss.tolist() == pytest.approx(by_the_book(probability, label), abs=1e-5)


@pytest.mark.parametrize("present", [None, [0, 2], [0], [3]])
@pytest.mark.parametrize("size", [(3, 4, 5), (6, 7)])
def test_generalised_dice_is_monais(present, size):
    logits, label = draw(batch=3, size=size, present=present)
    target = one_hot(label, 4).double()
    monai = GeneralizedDiceLoss(softmax=True, smooth_nr=0, smooth_dr=0)
    ours = generalised_dice_loss(logits.softmax(1), target)
    assert float(ours.mean()) == pytest.approx(float(monai(logits, target)), abs=1e-5)
    everywhere = generalised_dice_loss(logits.softmax(1), target, torch.ones_like(target[:, :1]))
    assert torch.equal(everywhere, ours)


def test_smoothing_does_not_blur_a_patch_of_ordinary_size():
    """With MONAI's, added to sums of weights 1 / V^2, an all-wrong patch of one class costs .4, not 1."""
    target = torch.zeros(1, 2, 16, 64, 64)
    target[:, 0] = 1
    wrong = target.flip(1)
    assert float(generalised_dice_loss(wrong, target)) == pytest.approx(1, abs=1e-6)
    assert float(GeneralizedDiceLoss()(wrong, target)) < 0.8
    assert float(generalised_dice_loss(target, target)) == pytest.approx(0, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), kept=st.floats(0, 1), present=st.sets(st.integers(0, 2), min_size=1))
def test_masked_generalised_dice_is_equation_6(seed, kept, present):
    logits, label = draw(classes=3, size=(2, 3, 4), seed=seed, present=sorted(present))
    mask = torch.rand(label.shape, generator=torch.Generator().manual_seed(seed)) < kept
    probability = logits.softmax(1)
    loss = generalised_dice_loss(probability, one_hot(label, 3).double(), mask.unsqueeze(1).double())
    assert loss.tolist() == pytest.approx(by_the_book(probability, label, mask), abs=2e-5)
    assert all(0 <= value <= 1 for value in loss.tolist())


def test_voxels_that_do_not_count_get_no_gradient_and_an_empty_mask_costs_nothing():
    logits, label = draw()
    mask = torch.zeros(2, 1, 3, 4, 5, dtype=torch.float64)
    mask[0, 0, 1] = 1
    probability = logits.softmax(1).requires_grad_()
    loss = generalised_dice_loss(probability, one_hot(label, 4).double(), mask)
    assert float(loss[1].detach()) == 0
    loss.sum().backward()
    counted = mask.expand_as(probability) > 0
    assert probability.grad[counted].all()
    assert not probability.grad[~counted].any()


def test_an_absent_class_costs_something_and_none_is_infinite():
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    probability = torch.full((1, 3, 4, 4), 1 / 3, requires_grad=True)
    loss = generalised_dice_loss(probability, one_hot(label, 3).float())
    loss.sum().backward()
    assert torch.isfinite(probability.grad).all()
    assert (probability.grad[:, 1:] > 0).all()
    assert (probability.grad[:, 0] < 0).all()


def test_huge_and_tiny_organs_are_finite_in_single_precision():
    label = torch.zeros(1, 100, 100, 100, dtype=torch.long)
    label[0, 0, 0, 0] = 1
    logits = torch.zeros(1, 3, 100, 100, 100, requires_grad=True)
    loss = generalised_dice_loss(logits.softmax(1), one_hot(label, 3).float())
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(logits.grad).all()


def test_no_gradient_goes_into_the_target():
    logits, _ = draw()
    target = torch.rand_like(logits).requires_grad_()
    generalised_dice_loss(logits.softmax(1).requires_grad_(), target).sum().backward()
    assert target.grad is None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), unknown=st.floats(0, 1), present=st.sets(st.integers(0, 3), min_size=1))
def test_hard_dice_is_the_mean_over_organs_in_the_patch(seed, unknown, present):
    logits, label = draw(size=(4, 5), seed=seed, present=sorted(present))
    label[torch.rand(label.shape, generator=torch.Generator().manual_seed(seed)) < unknown] = IGNORE
    expected = []
    for n in range(2):
        answer, truth = logits[n].argmax(0).flatten().tolist(), label[n].flatten().tolist()
        pairs = [(a, t) for a, t in zip(answer, truth, strict=True) if t != IGNORE]
        dices = []
        for c in (1, 2, 3):
            hits = sum(a == t == c for a, t in pairs)
            size = sum(t == c for _, t in pairs)
            if size:
                dices.append(2 * hits / (size + sum(a == c for a, _ in pairs)))
        expected.append(sum(dices) / len(dices) if dices else 0.0)
    assert hard_dice(logits, label).tolist() == pytest.approx(expected)


def test_hard_dice_has_no_gradient():
    logits, label = draw()
    assert not hard_dice(logits.requires_grad_(), label).requires_grad


@pytest.mark.parametrize("power", [0, 1, 2, 5])
def test_sample_weight_is_that_of_equation_2(power):
    dice = torch.tensor([0.0, 0.25, 0.9, 1.0], requires_grad=True)
    weight = sample_weight(dice, power)
    assert weight.tolist() == pytest.approx([(1 - d) ** power for d in (0, 0.25, 0.9, 1)], abs=1e-6)
    assert not weight.requires_grad
    assert sample_weight(dice, 2, 0.05).tolist() == pytest.approx([1, 0.5625, 0.05, 0.05])


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_masked_bce_is_equation_4(target):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 1, 4, 5, generator=generator, dtype=torch.float64)
    known = torch.rand(2, 1, 4, 5, generator=generator) < 0.6
    total = 0.0
    for score, counts in zip(logits.flatten().tolist(), known.flatten().tolist(), strict=True):
        q = 1 / (1 + math.exp(-score))
        total -= counts * (target * math.log(q) + (1 - target) * math.log(1 - q))
    assert float(masked_bce(logits, target, known)) == pytest.approx(total / int(known.sum()))


def test_masked_bce_of_a_network_that_is_quite_sure_is_finite():
    logits = torch.tensor([1e4, -1e4]).reshape(2, 1, 1, 1).requires_grad_()
    known = torch.ones(2, 1, 1, 1, dtype=torch.bool)
    for target in (0.0, 1.0):
        loss = masked_bce(logits, target, known)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
        assert gradient.any()
    assert float(masked_bce(logits, 1.0, ~known).detach()) == 0
