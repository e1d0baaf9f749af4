"""Every loss against a loop over voxels in float64, every schedule against the paper's numbers."""

import math

import pytest
import torch
from torch import nn

from napari_penumbra.methods._base import IGNORE
from napari_penumbra.methods._functional import (
    SMOOTH,
    add_noise,
    average_into,
    centre_crop,
    gaussian_ramp,
    masked_cross_entropy,
    masked_dice_loss,
    one_hot,
    polynomial_decay,
    soft_dice_loss,
    warm_decay,
)

SPACES = [(3, 4, 5), (4, 5)]


def voxels(space):
    return [tuple(int(n) for n in row) for row in torch.cartesian_prod(*(torch.arange(s) for s in space))]


def softmax(values):
    values = values.tolist()
    top = [math.exp(v - max(values)) for v in values]
    return [t / sum(top) for t in top]


@pytest.fixture(params=SPACES, ids=["3D", "2D"])
def example(request):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, *request.param, dtype=torch.float64, requires_grad=True)
    label = torch.randint(0, 3, (2, *request.param))
    label[torch.rand(label.shape) < 0.3] = IGNORE
    return logits, label


def test_cross_entropy_is_the_mean_over_annotated_voxels(example):
    logits, label = example
    terms = []
    for b in range(2):
        for v in voxels(label.shape[1:]):
            if (k := int(label[b][v])) != IGNORE:
                terms.append(-math.log(softmax(logits.detach()[b][(slice(None), *v)])[k]))
    assert float(masked_cross_entropy(logits, label).detach()) == pytest.approx(sum(terms) / len(terms), rel=1e-12)


@pytest.mark.parametrize("over", ["batch", "patch"])
def test_soft_dice_is_equation_1(example, over):
    p = example[0].detach().softmax(1)
    q = torch.randn_like(p).softmax(1)
    groups = [range(2)] if over == "batch" else [[0], [1]]
    ratios = []
    for group in groups:
        for k in range(3):
            shared = total = 0.0
            for b in group:
                for v in voxels(p.shape[2:]):
                    shared += float(p[b][(k, *v)]) * float(q[b][(k, *v)])
                    total += float(p[b][(k, *v)]) + float(q[b][(k, *v)])
            ratios.append((2 * shared + SMOOTH) / (total + SMOOTH))
    assert float(soft_dice_loss(p, q, over=over)) == pytest.approx(1 - sum(ratios) / len(ratios), rel=1e-12)


def test_soft_dice_of_equal_maps_is_zero_only_if_they_are_certain():
    """The published denominator has no squares: the loss sharpens as well."""
    for certainty, loss in [(0.5, 0.5), (0.9, 1 - 0.82), (1.0, 0.0)]:
        p = torch.full((1, 2, 4, 4, 4), certainty, dtype=torch.float64)
        p[:, :, :2] = 1 - certainty  # half of the voxels belong to either class
        p[:, 1] = 1 - p[:, 0]
        assert float(soft_dice_loss(p, p)) == pytest.approx(loss, abs=1e-5)


def test_dice_of_nothing_and_nothing_is_one():
    empty = torch.zeros(1, 2, 3, 3, 3)
    assert float(soft_dice_loss(empty, empty)) == 0


def test_masked_dice_leaves_unknown_voxels_out(example):
    logits, label = example
    shared, total = [0.0] * 3, [0.0] * 3
    for b in range(2):
        for v in voxels(label.shape[1:]):
            if int(label[b][v]) == IGNORE:
                continue
            for k, p in enumerate(softmax(logits.detach()[b][(slice(None), *v)])):
                y = float(int(label[b][v]) == k)
                shared[k] += p * y
                total[k] += p + y
    dice = [(2 * s + SMOOTH) / (t + SMOOTH) for s, t in zip(shared, total, strict=True)]
    assert float(masked_dice_loss(logits, label).detach()) == pytest.approx(1 - sum(dice) / 3, rel=1e-12)


@pytest.mark.parametrize("loss", [masked_cross_entropy, masked_dice_loss])
def test_unknown_voxels_have_no_gradient(example, loss):
    logits, label = example
    loss(logits, label).backward()
    unknown = (label == IGNORE).unsqueeze(1).expand_as(logits)
    assert not logits.grad[unknown].any()
    assert logits.grad[~unknown].abs().min() > 0


@pytest.mark.parametrize("loss", [masked_cross_entropy, masked_dice_loss])
def test_nothing_annotated_means_no_gradient_and_no_nan(loss):
    logits = torch.randn(1, 2, 3, 3, 3, requires_grad=True)
    value = loss(logits, torch.full((1, 3, 3, 3), IGNORE))
    value.backward()
    assert float(value.detach()) == 0
    assert not logits.grad.any()


def test_one_hot():
    label = torch.tensor([[[0, 2], [1, 1]]])
    assert torch.equal(one_hot(label, 3)[0].long().argmax(0), label[0])
    assert one_hot(label, 3).sum() == 4


def test_centre_crop_matches_a_margin():
    volume = torch.arange(2 * 9 * 11.0).reshape(2, 9, 11)
    assert torch.equal(centre_crop(volume, (5, 7)), volume[:, 2:-2, 2:-2])
    assert torch.equal(centre_crop(volume, (9, 11)), volume)


@pytest.mark.parametrize(
    ("step", "weight"), [(-1, 0), (0, math.exp(-5)), (200, math.exp(-1.25)), (399, 0.99996875), (400, 1), (9999, 1)]
)
def test_ramp(step, weight):
    assert gaussian_ramp(step, 400) == pytest.approx(weight, rel=1e-8)


def test_ramp_of_no_length_is_full_at_once():
    assert gaussian_ramp(0, 0) == 1
    assert gaussian_ramp(-1, 0) == 0


def test_polynomial_decay():
    assert polynomial_decay(0, 100, 0.9) == 1
    assert polynomial_decay(50, 100, 0.9) == pytest.approx(0.5**0.9)
    assert polynomial_decay(100, 100, 0.9) == 0
    assert polynomial_decay(101, 100, 0.9) == 0
    assert polynomial_decay(99, 100, 0.0) == 1


def test_warm_decay_forgets_the_start():
    assert warm_decay(0, 0.99) == 0.1
    assert warm_decay(89, 0.99) == pytest.approx(90 / 99)  # back over a tenth of the steps
    assert warm_decay(10_000, 0.99) == 0.99
    kept = math.prod(warm_decay(step, 0.999) for step in range(1000))
    assert kept < 0.002


def test_noise_is_that_of_equation_5():
    torch.manual_seed(0)
    image = torch.full((1, 1, 60, 60, 60), 2.0)
    noisy = add_noise(image, 0.05, 0.01)
    assert float(noisy.mean()) == pytest.approx(2, abs=1e-3)
    # (I + n_s) n_m has variance s^2 + I^2 m^2 + s^2 m^2.
    assert float(noisy.std()) == pytest.approx(math.sqrt(0.05**2 + 4 * 0.01**2), rel=0.02)
    assert torch.equal(add_noise(image, 0, 0), image)
    first, second = noisy[0, 0, 0, 0, :-1], noisy[0, 0, 0, 0, 1:]
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.5


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))


def test_average_is_the_closed_form_for_weights_and_buffers():
    student, teacher = net(), net()
    start = {k: v.clone() for k, v in teacher.state_dict().items()}
    history = []
    for _ in range(5):
        with torch.no_grad():
            for p in student.parameters():
                p.add_(torch.randn_like(p))
        student(torch.randn(2, 1, 3, 3, 3))  # moves the running statistics and their counter
        history.append({k: v.clone() for k, v in student.state_dict().items()})
        average_into(teacher, student, 0.9)
    for name, value in teacher.state_dict().items():
        if not value.is_floating_point():
            assert torch.equal(value, history[-1][name])
            assert int(value) == 5
            continue
        expected = 0.9**5 * start[name] + sum(0.1 * 0.9 ** (4 - t) * past[name] for t, past in enumerate(history))
        assert torch.allclose(value, expected, atol=1e-6)


def test_average_at_decay_zero_copies_bit_for_bit():
    student, teacher = net(), net()
    student(torch.randn(2, 1, 3, 3, 3))
    with torch.no_grad():
        for p in student.parameters():
            p.mul_(math.pi)
    average_into(teacher, student, 0)
    assert all(
        torch.equal(a, b) for a, b in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True)
    )
