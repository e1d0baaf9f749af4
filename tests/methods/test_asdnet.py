import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import save
from torch.nn import functional as F

from napari_penumbra.methods._asdnet_losses import generalised_dice_loss
from napari_penumbra.methods._base import IGNORE, Problem, StepBatch
from napari_penumbra.methods._functional import one_hot
from napari_penumbra.methods.asdnet import AsdNet
from napari_penumbra.methods.supervised import Supervised
from napari_penumbra.networks.svnet import SVNet

CLASSES = 3
SEMI, ADVERSARIAL = 0.3, 0.03


def made(dims=3, classes=CLASSES, preset="laptop", **changes):
    torch.manual_seed(0)
    changes = {"width": 2, "confidence_width": 2, "patch": (8, 16, 16), "steps": 100, "ema_late": 0, **changes}
    # The paper's weights, whatever the preset makes of them.
    weights = {"attention_floor": 0.0, "attention_power": 2.0, "adversarial_weight": 0.03}
    changes = {"cross_entropy_weight": 0.0, "shown_confidence": "network", **weights, **changes}
    return AsdNet(AsdNet.configure(preset, changes), Problem(1, classes, spatial_dims=dims)).train()


def make_batch(step=50, dims=3, labelled=2, unlabelled=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = (8, 16, 16)[3 - dims :]
    image = torch.randn(max(labelled, 1), 1, *size, generator=generator)
    label = (image[:, 0] > 0.3).long() + (image[:, 0] > 1).long()
    other = torch.randn(max(unlabelled, 1), 1, *size, generator=generator)
    return StepBatch(step, image if labelled else None, label if labelled else None, other if unlabelled else None)


def hide(batch, share=0.4):
    hidden = torch.rand(batch.label.shape, generator=torch.Generator().manual_seed(3)) < share
    batch.label = torch.where(hidden, IGNORE, batch.label)
    return hidden


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def train(method, steps, first=0, **streams):
    phases = [(phase, phase.optimiser(phase.parameters)) for phase in method.phases()]
    for step in range(first, first + steps):
        batch = make_batch(step, method.problem.spatial_dims, seed=step, **streams)
        for phase, optimiser in phases:
            losses = phase.losses(batch)
            if losses is not None:
                assert torch.isfinite(losses.total)
                optimiser.zero_grad()
                losses.total.backward()
                optimiser.step()
        method.after_step(step)


def biased(method, value):
    """Let the confidence network be quite sure of everything."""
    with torch.no_grad():
        method.confidence_net.head.bias.fill_(value)
    return method


# ------------------------------------------------------------- parameters


def test_paper_preset_is_the_papers():
    config = AsdNet.configure("paper", {})
    assert (config.backbone, config.width, config.patch) == ("svnet", 16, (16, 64, 64))
    assert (config.optimiser, config.learning_rate, config.confidence_learning_rate) == ("adam", 1e-3, 1e-4)
    assert (config.weight_decay, config.poly_power, config.momentum) == (1e-4, 0, 0.9)
    assert (config.adversarial_weight, config.semi_weight) == (0.03, 0.3)
    assert (config.attention_power, config.attention_floor, config.cross_entropy_weight) == (2, 0, 0)
    assert (config.threshold, config.semi_start, config.semi_loss) == (0.2, 0.25, "dice")
    assert (config.unlabelled_fakes, config.confidence_width, config.ema_late) == (False, 32, 0)
    assert config.shown_confidence == "network"
    assert config.foreground_share == pytest.approx(2 / 3)
    method = AsdNet(config, Problem(1, 4))
    assert isinstance(method.segmenter(), SVNet)
    assert method.predictor() is method.segmentation
    assert method.streams(0).patch == (16, 64, 64)


def test_two_adams_with_rates_that_fall_to_a_tenth():
    method = made(preset="paper", steps=30_000)
    phases = method.phases()
    assert [phase.name for phase in phases] == ["segmentation", "confidence"]
    for phase, rate in zip(phases, (1e-3, 1e-4), strict=True):
        optimiser = phase.optimiser(phase.parameters)
        assert isinstance(optimiser, torch.optim.Adam)
        assert all(group["lr"] == rate for group in optimiser.param_groups)
        assert optimiser.param_groups[0]["weight_decay"] == 1e-4
        factors = [phase.factor(step) for step in (0, 9_999, 10_000, 19_999, 20_000)]
        assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_each_phase_moves_one_network():
    method = made()
    for phase, network in zip(method.phases(), (method.segmentation, method.confidence_net), strict=True):
        assert {id(p) for p in phase.parameters} == {id(p) for p in network.parameters()}


def test_values_out_of_bounds_are_refused():
    for bad in ({"attention_power": 6}, {"semi_loss": "mse"}, {"threshold": 1.5}, {"dice_weight": 0}):
        with pytest.raises(ValidationError):
            AsdNet.configure("paper", bad)


def test_both_kinds_of_patches_from_the_start_two_thirds_of_them_on_organs():
    streams = made().streams(0)
    assert (streams.labelled, streams.unlabelled) == (2, 2)
    assert streams.foreground_share == pytest.approx(2 / 3)


def test_pool_is_predicted_once_when_unlabelled_cases_begin_to_teach():
    never = [{"centre_unlabelled": False}, {"semi_start": 0}, {"semi_start": 1}, {"unlabelled_batch": 0}]
    for changes, steps in [({}, [25]), *((changes, []) for changes in never)]:
        method = made(**changes)
        assert [s for s in range(100) if method.wants_pool_prediction(s)] == steps


# ------------------------------------------------------------- losses, by the book


def dice_by_the_book(p, target):
    """Eq. 1 of one patch, p and target (K, N) in double precision."""
    volume = target.sum(1).tolist()
    weights = [1 / v**2 if v else max(1 / w**2 for w in volume if w) for v in volume]
    above = sum(w * float((a * b).sum()) for w, a, b in zip(weights, p, target, strict=True))
    below = sum(w * float((a + b).sum()) for w, a, b in zip(weights, p, target, strict=True))
    return 1 - 2 * above / below


def organ_dice_by_the_book(p, target):
    answer = p.argmax(0)
    dices = []
    for c in range(1, len(p)):
        if target[c].any():
            found = (answer == c).double()
            dices.append(float(2 * (found * target[c]).sum() / (found.sum() + target[c].sum())))
    return sum(dices) / len(dices) if dices else 0.0


def flat(tensor):
    return tensor.detach().double().flatten(2)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("semi_loss", ["dice", "ce"])
def test_the_total_is_equation_7(dims, semi_loss):
    """On a batch whose unlabelled half is trusted in part."""
    method = made(dims, semi_loss=semi_loss, attention_floor=0.05)
    method.config = method.config.model_copy(update={"threshold": 0.5})
    train(method, 4)
    batch = make_batch(dims=dims)
    with torch.no_grad():
        logits = method.segmentation(torch.cat([batch.image, batch.unlabelled]))
        method.confidence_net.eval()
        m = method.confidence_net(logits.softmax(1)).double().sigmoid().flatten(1)
        method.confidence_net.train()
    losses = method.phases()[0].losses(batch)
    p, target = flat(logits.softmax(1)), flat(one_hot(batch.label, CLASSES))
    weights = [max(0.05, (1 - organ_dice_by_the_book(p[n], target[n])) ** 2) for n in range(2)]
    attention = sum(weights[n] * dice_by_the_book(p[n], target[n]) for n in range(2)) / 2
    adversarial = -float(m.log().mean())
    decision, trusted = p[2:].argmax(1), m[2:] > 0.5
    assert 0 < float(trusted.double().mean()) < 1
    if semi_loss == "dice":
        pseudo = F.one_hot(decision, CLASSES).movedim(-1, 1).double()
        keep = trusted.unsqueeze(1).double()
        semi = sum(dice_by_the_book(p[2 + n] * keep[n], pseudo[n] * keep[n]) for n in range(2)) / 2
    else:
        chosen = -p[2:].gather(1, decision.unsqueeze(1))[:, 0].log()
        semi = float(chosen[trusted].mean())
    assert float(losses.parts["attention_dice"]) == pytest.approx(attention, abs=1e-4)
    assert float(losses.parts["adversarial"]) == pytest.approx(adversarial, abs=1e-4)
    assert float(losses.parts["region_attention"]) == pytest.approx(semi, abs=1e-4)
    assert float(losses.parts["trusted_share"]) == pytest.approx(float(trusted.double().mean()))
    total = attention + ADVERSARIAL * adversarial + SEMI * semi
    assert float(losses.total.detach()) == pytest.approx(total, abs=2e-4)


@pytest.mark.parametrize("unlabelled_fakes", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
def test_the_confidence_networks_loss_is_equation_3(dims, unlabelled_fakes):
    method = made(dims, unlabelled_fakes=unlabelled_fakes)
    batch = make_batch(dims=dims)
    method.phases()[0].losses(batch)
    losses = method.phases()[1].losses(batch)
    fake = batch.scratch["probability"] if unlabelled_fakes else batch.scratch["probability"][:2]
    with torch.no_grad():
        scores = method.confidence_net(torch.cat([one_hot(batch.label, CLASSES).float(), fake])).double()
    real = sum(math.log(1 + math.exp(-s)) for s in scores[:2].flatten().tolist()) / scores[:2].numel()
    false = sum(math.log(1 + math.exp(s)) for s in scores[2:].flatten().tolist()) / scores[2:].numel()
    assert float(losses.parts["reader"]) == pytest.approx(real, rel=1e-4)
    assert float(losses.parts["prediction"]) == pytest.approx(false, rel=1e-4)
    assert float(losses.total.detach()) == pytest.approx(real + false, rel=1e-4)


def test_labelled_loss_gives_hard_patches_more_weight():
    """Two patches of one loss each but different decisions: the one with the worse Dice has the larger gradient."""
    label = torch.zeros(2, 4, 4, dtype=torch.long)
    label[:, :2] = 1
    logits = torch.zeros(2, 2, 4, 4)
    logits[0, 1, :2], logits[0, 0, 2:] = 1, 1  # right everywhere
    logits[1, 0, :2], logits[1, 1, 2:] = 1, 1  # wrong everywhere
    method = made(2, classes=2)
    total, parts = method.labelled_loss(logits.requires_grad_(), label)
    total.backward()
    assert not logits.grad[0].any()
    assert logits.grad[1].all()
    assert float(parts["sample_weight"]) == 0.5
    assert set(parts) == {"attention_dice", "dice_loss", "sample_weight"}
    floored, _ = made(2, classes=2, attention_floor=0.1).labelled_loss(logits, label)
    (gradient,) = torch.autograd.grad(floored, logits)
    assert gradient[0].all()
    plain, parts = made(2, classes=2, attention_power=0).labelled_loss(logits, label)
    assert float(plain.detach()) == pytest.approx(float(parts["dice_loss"]))


def test_cross_entropy_beside_the_generalised_dice_is_the_mean_over_known_voxels():
    batch = make_batch(dims=2)
    hide(batch)
    logits = torch.randn(2, CLASSES, *batch.label.shape[1:], generator=torch.Generator().manual_seed(5))
    plain, _ = made(2).labelled_loss(logits, batch.label)
    total, parts = made(2, cross_entropy_weight=0.7).labelled_loss(logits, batch.label)
    said = logits.double().softmax(1)
    known = [(b, y, x) for b, y, x in np.ndindex(*batch.label.shape) if batch.label[b, y, x] != IGNORE]
    entropy = -sum(math.log(said[b, batch.label[b, y, x], y, x]) for b, y, x in known) / len(known)
    assert float(parts["cross_entropy"]) == pytest.approx(entropy, rel=1e-5)
    assert float(total) == pytest.approx(float(plain) + 0.7 * entropy, rel=1e-5)


def test_the_sample_weight_passes_no_gradient_on():
    """The gradient is that of the plain loss times a constant."""
    method = made(2)
    batch = make_batch(dims=2)
    logits = torch.randn(2, CLASSES, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(method.labelled_loss(logits, batch.label)[0], logits)
    loss = generalised_dice_loss(logits.softmax(1), one_hot(batch.label, CLASSES).float())
    (plain,) = torch.autograd.grad(loss.sum(), logits)
    p, target = flat(logits.softmax(1)), flat(one_hot(batch.label, CLASSES))
    for n in range(2):
        weight = (1 - organ_dice_by_the_book(p[n], target[n])) ** 2 / 2
        assert torch.allclose(gradient[n], weight * plain[n], atol=1e-7)


# ------------------------------------------------------------- region attention


def test_region_attention_starts_after_a_quarter_of_the_steps():
    method = made()
    assert method.semi_start == 25
    assert "region_attention" not in method.phases()[0].losses(make_batch(24)).parts
    assert "region_attention" in method.phases()[0].losses(make_batch(25)).parts
    assert "region_attention" in made(semi_start=0).phases()[0].losses(make_batch(0)).parts
    assert "region_attention" not in made(semi_start=1).phases()[0].losses(make_batch(99)).parts


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 1000), loss=st.sampled_from(["dice", "ce"]))
def test_distrusted_voxels_get_no_gradient_from_region_attention(share, seed, loss):
    method = made(2, semi_loss=loss)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, CLASSES, 4, 5, generator=generator, requires_grad=True)
    trusted = torch.rand(2, 1, 4, 5, generator=generator) < share
    value = method._region_attention(logits, trusted)
    assert torch.isfinite(value)
    (gradient,) = torch.autograd.grad(value, logits)
    assert torch.isfinite(gradient).all()
    assert not gradient.movedim(1, -1)[~trusted[:, 0]].any()
    if loss == "ce" and trusted.any():
        assert gradient.movedim(1, -1)[trusted[:, 0]].any()
    if not trusted.any():
        assert float(value.detach()) == 0


def test_region_attention_makes_a_decision_firmer():
    """Against its own decision: the gradient raises the winning class, and flows neither through target nor mask."""
    method = made(2)
    logits = torch.randn(1, CLASSES, 6, 6, requires_grad=True)
    value = method._region_attention(logits, torch.ones(1, 1, 6, 6, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(value, logits)
    assert (gradient.gather(1, logits.argmax(1, keepdim=True)) < 0).all()


@pytest.mark.parametrize(("bias", "share"), [(50.0, 1.0), (-50.0, 0.0)])
def test_the_mask_follows_the_confidence_network(bias, share):
    parts = biased(made(), bias).phases()[0].losses(make_batch()).parts
    assert float(parts["trusted_share"]) == share
    assert (float(parts["region_attention"]) > 0) == (share > 0)


# ------------------------------------------------------------- what moves, and what must not


def test_the_segmentation_phase_leaves_the_confidence_network_alone():
    method = made()
    before = state(method.confidence_net)
    method.phases()[0].losses(make_batch()).total.backward()
    assert all(p.grad is None for p in method.confidence_net.parameters())
    assert all(p.requires_grad for p in method.confidence_net.parameters())
    assert all(module.training for module in method.confidence_net.modules())
    assert same(before, state(method.confidence_net))
    assert all(p.grad is not None for p in method.segmentation.parameters())


def test_the_confidence_phase_leaves_the_segmentation_network_alone():
    method = made()
    batch = make_batch()
    method.phases()[0].losses(batch)
    before = state(method.segmentation)
    assert not batch.scratch["probability"].requires_grad
    method.phases()[1].losses(batch).total.backward()
    assert all(p.grad is None for p in method.segmentation.parameters())
    assert same(before, state(method.segmentation))
    assert all(p.grad is not None and p.grad.any() for p in method.confidence_net.parameters())


def test_the_confidence_step_is_the_same_whether_or_not_the_other_has_gone_backward():
    gradients = []
    for backward in (True, False):
        method = made()
        batch = make_batch()
        losses = method.phases()[0].losses(batch)
        if backward:
            losses.total.backward()
        method.phases()[1].losses(batch).total.backward()
        gradients.append([p.grad for p in method.confidence_net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_one_forward_of_the_segmentation_network_serves_both_phases():
    method = made()
    seen = []
    method.segmentation.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    batch = make_batch()
    for phase in method.phases():
        phase.losses(batch)
    assert len(seen) == 1
    assert torch.equal(seen[0], torch.cat([batch.image, batch.unlabelled]))


def test_the_adversarial_loss_moves_both_kinds_of_predictions():
    method = made(adversarial_weight=1.0)
    seen = []
    method.segmentation.register_forward_hook(lambda module, inputs, output: seen.append(output))
    batch = make_batch(step=0)
    batch.label = torch.full_like(batch.label, IGNORE)
    (gradient,) = torch.autograd.grad(method.phases()[0].losses(batch).total, seen)
    assert not gradient[:2].any()
    assert gradient[2:].any()
    (gradient,) = torch.autograd.grad(method.phases()[0].losses(make_batch(step=0)).total, seen[1:])
    assert gradient[:2].any()


# ------------------------------------------------------------- unknown voxels


def confidence_inputs(method, batch):
    seen = []
    hook = method.confidence_net.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    losses = [phase.losses(batch) for phase in method.phases()]
    hook.remove()
    return losses, seen


@pytest.mark.parametrize("dims", [2, 3])
def test_unknown_voxels_are_the_same_in_both_maps_and_are_not_judged(dims):
    method = made(dims)
    batch = make_batch(dims=dims)
    hidden = hide(batch)
    losses, seen = confidence_inputs(method, batch)
    shown, scores = seen[1]
    real, fake = shown[:2].movedim(1, -1), shown[2:].movedim(1, -1)
    assert torch.equal(real[hidden], fake[hidden])
    assert set(real[~hidden].unique().tolist()) == {0.0, 1.0}
    (gradient,) = torch.autograd.grad(losses[1].total, scores)
    both = torch.cat([hidden, hidden])
    assert not gradient[:, 0][both].any()
    assert gradient[:, 0][~both].all()


def test_unknown_voxels_give_the_segmentation_network_no_gradient():
    method = made(adversarial_weight=1.0)
    seen = []
    method.segmentation.register_forward_hook(lambda module, inputs, output: seen.append(output))
    batch = make_batch()
    hidden = hide(batch)
    (gradient,) = torch.autograd.grad(method.phases()[0].losses(batch).total, seen)
    assert not gradient[:2].movedim(1, -1)[hidden].any()
    assert gradient[:2].movedim(1, -1)[~hidden].any()


def test_a_batch_of_which_nothing_is_known_is_finite_and_teaches_the_confidence_network_nothing():
    method = made()
    batch = make_batch()
    batch.label = torch.full_like(batch.label, IGNORE)
    first = method.phases()[0].losses(batch)
    assert float(first.parts["attention_dice"]) == 0
    assert float(first.parts["sample_weight"]) == 1
    assert torch.isfinite(first.total)
    method.phases()[1].losses(batch).total.backward()
    assert not any(p.grad.any() for p in method.confidence_net.parameters())


# ------------------------------------------------------------- trainings that lack something


def test_it_learns_from_labelled_cases_alone():
    method = made()
    before = state(method)
    train(method, 6, first=40, unlabelled=0)
    assert not same(before, state(method))
    assert all(torch.isfinite(value).all() for value in state(method).values())


def test_without_labelled_patches_only_the_segmentation_network_moves():
    method = made()
    before = state(method.confidence_net), state(method.segmentation)
    train(method, 3, first=40, labelled=0)
    assert same(before[0], state(method.confidence_net))
    assert not same(before[1], state(method.segmentation))


def test_an_image_without_a_label_counts_as_no_labelled_patch():
    batch = make_batch(unlabelled=0)
    batch.label = None
    assert all(phase.losses(batch) is None for phase in made().phases())


@pytest.mark.parametrize(("labelled", "unlabelled"), [(1, 0), (1, 1), (1, 3), (3, 1)])
def test_both_networks_learn_from_batches_of_any_make_up(labelled, unlabelled):
    method = made()
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    before = {name: p.detach().clone() for name, p in trained.items()}
    train(method, 2, first=40, labelled=labelled, unlabelled=unlabelled)
    moved = {name.split(".")[0] for name, p in trained.items() if not torch.equal(p, before[name])}
    assert moved == {"segmentation", "confidence_net"}


def test_patches_of_background_only_are_fine():
    method = made()
    batch = make_batch()
    batch.label = torch.zeros_like(batch.label)
    losses = method.phases()[0].losses(batch)
    assert float(losses.parts["sample_weight"]) == 1
    losses.total.backward()
    assert all(torch.isfinite(p.grad).all() for p in method.segmentation.parameters())


@pytest.mark.parametrize("bias", [1e4, -1e4])
def test_a_confidence_network_that_has_collapsed_makes_no_nan(bias):
    method = biased(made(), bias)
    train(method, 4, first=40)
    assert all(torch.isfinite(value).all() for value in state(method).values())
    probability = torch.rand(1, CLASSES, 8, 8, 8).softmax(1)
    assert torch.isfinite(method.confidence(probability[:, :1], probability)).all()


def test_a_network_with_a_margin_takes_the_place_of_svnet():
    method = made(backbone="deepmedic", patch=(21, 21, 21), classes=2)
    size = method.streams(0).patch
    label = torch.randint(0, 2, (1, *size))
    batch = StepBatch(50, torch.randn(1, 1, *size), label, torch.randn(1, 1, *size))
    for phase in method.phases():
        phase.losses(batch).total.backward()
    assert batch.scratch["probability"].shape[2:] == (5, 5, 5)


# ------------------------------------------------------------- prediction and twin


def test_the_average_predicts_if_there_is_one():
    method = made(ema_late=0.5)
    assert method.predictor() is method.average
    assert not method.train().average.training
    expected = state(method.average)
    for step in range(4):
        train(method, 1, first=step)
        decay = min(0.5, (step + 1) / (step + 10))
        for name, value in state(method.segmentation).items():
            floating = value.is_floating_point()
            expected[name] = decay * expected[name] + (1 - decay) * value if floating else value
    for name, value in state(method.average).items():
        assert torch.allclose(value, expected[name], atol=1e-6), name
    assert made().average is None


@pytest.mark.parametrize(("dims", "size"), [(3, (9, 10, 11)), (3, (1, 7, 30)), (2, (13, 21))])
def test_confidence_is_what_the_confidence_network_says_of_the_blended_probability(dims, size):
    method = made(dims)
    train(method, 3)
    assert method.confidence_net.training
    probability = torch.randn(2, CLASSES, *size).softmax(1)
    confidence = method.confidence(torch.randn(2, 1, *size), probability)
    assert confidence.shape == (2, *size)
    assert not confidence.requires_grad
    assert 0 <= confidence.min() <= confidence.max() <= 1
    assert method.confidence_net.training
    assert all(p.requires_grad for p in method.confidence_net.parameters())
    assert torch.equal(confidence, method.confidence(torch.zeros(2, 1, *size), probability))
    method.eval()
    with torch.no_grad():
        said = method.confidence_net(probability)[:, 0].sigmoid()
    assert torch.allclose(confidence, said, atol=1e-6)


def test_the_lead_is_shown_if_wished():
    method = made(dims=2, shown_confidence="lead")
    probability = torch.tensor([0.7, 0.2, 0.1]).reshape(1, CLASSES, 1, 1).expand(1, CLASSES, 8, 8)
    torch.testing.assert_close(method.confidence(torch.zeros(1, 1, 8, 8), probability), torch.full((1, 8, 8), 0.5))
    assert AsdNet.presets["laptop"]["shown_confidence"] == "lead"
    assert "set to lead, as in the laptop preset" in AsdNet.confidence_means


def test_a_reader_is_told_what_confidence_means():
    assert "not at the image" in AsdNet.confidence_means
    assert "not look at the image" in AsdNet.confidence.__doc__


def test_the_twin_trains_the_same_network_by_the_same_loss_rate_and_schedule():
    method = made(decay_steps=30, ema_late=0.9)
    twin = Supervised.twin_of(method)
    assert same(state(method.segmentation), state(twin.network))
    assert twin.config.ema == 0.9
    batch = make_batch()
    method.phases()[0].losses(replace(batch, scratch={}))
    alone = twin.phases()[0].losses(StepBatch(0, batch.image, batch.label, None))
    expected, _ = method.labelled_loss(method.segmentation(batch.image), batch.label)
    assert float(alone.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for step in (0, 29, 30, 99):
        assert twin.phases()[0].factor(step) == method.phases()[0].factor(step)
    made_by = [p.optimiser(p.parameters) for p in (twin.phases()[0], method.phases()[0])]
    assert [type(o) for o in made_by] == [torch.optim.Adam] * 2
    assert made_by[0].param_groups[0]["lr"] == made_by[1].param_groups[0]["lr"]


def test_everything_it_keeps_goes_into_a_file_of_tensors():
    assert save(made(ema_late=0.5).state_dict())


# ------------------------------------------------------------- it learns


def organs(count, dims, seed):
    """Two organs of their own brightness in noise, one above the other: (B, 1, ...) and labels 0, 1, 2."""
    generator = torch.Generator().manual_seed(seed)
    size = (8, 32, 32)[3 - dims :]
    axes = torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij")
    labels = torch.zeros(count, *size, dtype=torch.long)
    for n in range(count):
        shift = torch.randint(-3, 4, (2,), generator=generator)
        for organ, (y, x, radius) in enumerate([(9, 16, 6), (22, 15, 5)], start=1):
            centre = [3.5] * (dims - 2) + [y + int(shift[0]), x + int(shift[1])]
            distance = sum(
                ((a - c) / (radius if n_ > 8 else 4)) ** 2 for a, c, n_ in zip(axes, centre, size, strict=True)
            )
            labels[n][distance < 1] = organ
    image = torch.tensor([0.0, 1.5, -1.5])[labels] + 0.5 * torch.randn(labels.shape, generator=generator)
    return image.unsqueeze(1), labels


def fit(method, labelled, unlabelled, steps):
    """Two annotated and two other cases a step, drawn in turn."""
    image, label = labelled
    phases = [(phase, phase.optimiser(phase.parameters)) for phase in method.phases()]
    for step in range(steps):
        others = torch.arange(2 * step, 2 * step + 2) % len(unlabelled)
        batch = StepBatch(step, image, label, unlabelled[others])
        for phase, optimiser in phases:
            losses = phase.losses(batch)
            optimiser.zero_grad()
            losses.total.backward()
            for group in optimiser.param_groups:
                group["lr"] = group.setdefault("start", group["lr"]) * phase.factor(step)
            optimiser.step()
        method.after_step(step)


@pytest.mark.slow
@pytest.mark.parametrize("dims", [2, 3])
def test_two_cases_are_learnt_by_heart(dims):
    image, label = organs(2, dims, seed=0)
    steps = 150
    method = made(dims, width=8, confidence_width=4, steps=steps, learning_rate=3e-3, attention_floor=0.05)
    fit(method, (image, label), organs(2, dims, seed=1)[0], steps)
    with torch.no_grad():
        answer = method.predictor().eval()(image).argmax(1)
    for organ in (1, 2):
        hits = ((answer == organ) & (label == organ)).sum()
        assert 2 * hits / ((answer == organ).sum() + (label == organ).sum()) > 0.95


@pytest.mark.slow
def test_on_cases_it_has_not_seen_confidence_is_higher_where_it_is_right():
    """The right direction, and no more: it has not seen the image."""
    steps, pool = 400, organs(40, 2, seed=1)[0]
    method = made(2, width=4, confidence_width=8, steps=steps, learning_rate=3e-3, attention_floor=0.05)
    fit(method, organs(2, 2, seed=0), pool, steps)
    image, label = organs(16, 2, seed=2)
    image = image + 0.7 * torch.randn(image.shape, generator=torch.Generator().manual_seed(4))  # harder than before
    with torch.no_grad():
        probability = method.eval().predictor()(image).softmax(1)
    confidence = method.confidence(image, probability)
    right = probability.argmax(1) == label
    assert 0.005 < float((~right).float().mean()) < 0.5
    assert float(confidence[right].mean()) > float(confidence[~right].mean())
