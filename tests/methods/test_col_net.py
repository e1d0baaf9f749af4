import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_penumbra.methods._base import IGNORE, Problem, StepBatch
from napari_penumbra.methods.col_net import ColNet, foreground_dice_loss
from napari_penumbra.methods.supervised import Supervised


def method(dims=2, classes=2, channels=2, **changes):
    torch.manual_seed(0)
    changes = {"width": 2, "patch": (16, 32, 32), "steps": 100, "labelled_batch": 2, "unlabelled_batch": 2, **changes}
    return ColNet(ColNet.configure("laptop", changes), Problem(channels, classes, spatial_dims=dims)).train()


def batch(made, step=0, labelled=True, unlabelled=True, count=2):
    torch.manual_seed(step + 1)
    size = (16, 32, 32)[3 - made.problem.spatial_dims :]
    image = torch.randn(count, made.problem.in_channels, *size)
    return StepBatch(
        step,
        image if labelled else None,
        (image[:, 0] > 0.5).long() if labelled else None,
        torch.randn(count, made.problem.in_channels, *size) if unlabelled else None,
    )


def optimisers(made):
    return [(phase, phase.optimiser(phase.parameters)) for phase in made.phases()]


def step(made, pairs, seen):
    """One step as the trainer takes it."""
    told = []
    for phase, optimiser in pairs:
        losses = phase.losses(seen)
        told.append(losses)
        if losses is None:
            continue
        optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        optimiser.step()
    made.after_step(seen.step)
    return told


def state(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def moved(before, network):
    return {name for name, value in network.named_parameters() if not torch.equal(before[name], value)}


# ------------------------------------------------------------------ the recipe


def test_paper_preset_is_the_papers():
    config = ColNet.configure("paper", {})
    assert (config.labelled_batch, config.unlabelled_batch, config.dropout) == (3, 3, 0.01)
    assert (config.optimiser, config.learning_rate, config.reconstruction_rate) == ("adam", 1e-4, 1e-5)
    assert (config.reconstruction_weight, config.adversarial_weight) == (0.2, 1)
    assert (config.cross_entropy_weight, config.dice_weight, config.poly_power, config.weight_decay) == (0, 1, 0, 0)
    assert (config.width, config.ema_late, config.reconstruction_steps, config.foreground_share) == (32, 0, 0, 0)
    made = ColNet(config, Problem(6, 2, (2.0, 2.0, 2.0), 2))
    assert made.streams(0).patch == (1, 112, 96)
    assert made.predictor() is made.network
    phases = made.phases()
    assert [phase.name for phase in phases] == ["networks", "discriminator"]
    optimiser = phases[0].optimiser(phases[0].parameters)
    assert isinstance(optimiser, torch.optim.Adam)
    assert all(group["betas"] == (0.9, 0.999) for group in optimiser.param_groups)
    assert phases[0].factor(35_999) == phases[1].factor(35_999) == 1


def test_it_is_published_in_2d():
    assert ColNet.choose_dimensions(ColNet.configure("paper", {}), slices=16) == 2
    assert ColNet.dimensions == (2, 3)


def test_r_learns_at_its_own_rate():
    made = method(learning_rate=0.5, reconstruction_rate=0.25, discriminator_rate=0.125)
    (_, together), (_, judge) = optimisers(made)
    rates = {id(p): group["lr"] for group in together.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in together.param_groups for p in group["params"]}
    for part in (made.network.encoder, made.decoder):
        assert {rates.pop(id(p)) for p in part.parameters()} == {0.25}
    for part in (made.network.segmenter, made.network.transfer):
        assert {rates.pop(id(p)) for p in part.parameters()} == {0.5}
    assert not rates
    assert all((decays[id(p)] > 0) == (p.ndim > 1) for p in made.phases()[0].parameters)
    assert {group["lr"] for group in judge.param_groups} == {0.125}


def test_no_other_backbone():
    with pytest.raises(ValidationError):
        method(backbone="unet")


def test_streams():
    made = method(reconstruction_steps=10, labelled_batch=3, unlabelled_batch=2)
    assert [(made.streams(s).labelled, made.streams(s).unlabelled) for s in (0, 9, 10, 99)] == [(0, 3)] * 2 + [
        (3, 2)
    ] * 2
    assert method(steps=8, reconstruction_steps=10).reconstruction_steps == 4
    off = method(reconstruction_weight=0, reconstruction_steps=10)
    assert (off.reconstruction_steps, off.streams(0).labelled, off.streams(0).unlabelled) == (0, 2, 0)


# ------------------------------------------------------------------ the losses


def plain_dice_loss(logits, label):
    """1 - mean over foreground classes of 2 |Y n S| / (|Y| + |S|), voxel by voxel in float64 (Eq. 2, corrected)."""
    classes = logits.shape[1]
    shared, ours, theirs = [0.0] * classes, [0.0] * classes, [0.0] * classes
    voxels = logits.double().movedim(1, -1).reshape(-1, classes).tolist()
    for scores, truth in zip(voxels, label.flatten().tolist(), strict=True):
        if truth == IGNORE:
            continue
        exps = [math.exp(s) for s in scores]
        for k in range(1, classes):
            p = exps[k] / sum(exps)
            shared[k] += p * (truth == k)
            ours[k] += p
            theirs[k] += truth == k
    dice = [(2 * shared[k] + 1e-5) / (ours[k] + theirs[k] + 1e-5) for k in range(1, classes)]
    return 1 - sum(dice) / len(dice)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("unknown", [0, 0.4])
def test_segmentation_loss_is_equation_2(dims, classes, unknown):
    torch.manual_seed(1)
    size = (3, 4, 5)[3 - dims :]
    logits = torch.randn(2, classes, *size)
    label = torch.randint(0, classes - 1, (2, *size))  # the last class is empty
    label[torch.rand(label.shape) < unknown] = IGNORE
    assert float(foreground_dice_loss(logits, label)) == pytest.approx(plain_dice_loss(logits, label), rel=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_segmentation_loss_is_monais(dims):
    from monai.losses import DiceLoss

    torch.manual_seed(2)
    size = (4, 6, 8)[3 - dims :]
    logits, label = torch.randn(3, 3, *size), torch.randint(0, 3, (3, *size))
    theirs = DiceLoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5
    )
    assert float(foreground_dice_loss(logits, label)) == pytest.approx(float(theirs(logits, label[:, None])), rel=1e-5)


def test_unknown_voxels_and_empty_annotations_pull_at_nothing():
    torch.manual_seed(0)
    made = method(classes=3)
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    label = torch.randint(0, 3, (2, 8, 8))
    hidden = torch.rand(label.shape) < 0.5
    total, _ = made.labelled_loss(logits, label.masked_fill(hidden, IGNORE))
    (gradient,) = torch.autograd.grad(total, logits)
    assert not gradient.movedim(1, -1)[hidden].any()
    assert gradient.movedim(1, -1)[~hidden].all()
    total, _ = made.labelled_loss(logits, torch.full_like(label, IGNORE))
    (gradient,) = torch.autograd.grad(total, logits)
    assert float(total.detach()) == 0
    assert not gradient.any()
    total, _ = made.labelled_loss(logits, torch.zeros_like(label))
    assert torch.isfinite(total)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_segmentation_loss_lies_between_0_and_1_and_is_0_for_the_truth(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, classes, (2, 4, 4), generator=generator)
    loss = float(foreground_dice_loss(torch.randn(2, classes, 4, 4, generator=generator), label))
    assert 0 <= loss <= 1
    sure = 100 * torch.nn.functional.one_hot(label, classes).movedim(-1, 1).float()
    assert float(foreground_dice_loss(sure, label)) == pytest.approx(0, abs=1e-5)


def cross_entropy(logits, truth):
    """Mean of -log softmax(logits)[truth], written out."""
    rows = logits.double().tolist()
    return sum(math.log(sum(math.exp(v) for v in row)) - row[truth] for row in rows) / len(rows)


@pytest.mark.parametrize("dims", [2, 3])
def test_mixed_loss_is_the_corrected_equation_3(dims):
    """L_s + lambda (MSE(R(X), X) + CE(D(R(X)), 1)), X labelled and unlabelled; D: CE(D(R(X)), 0) + CE(D(X), 1)."""
    made = method(dims, dropout=0, reconstruction_weight=0.3, adversarial_weight=0.7, intensity_reach=2.0)
    seen = batch(made)
    networks, discriminator = (phase.losses(seen) for phase in made.phases())
    with torch.no_grad():
        both = torch.cat([seen.image, seen.unlabelled])
        features = made.network.features(both)
        logits = made.network.segmenter(seen.image, made.network.transfer(features[:2]))
        reconstructed = made.decoder(features, both.shape[2:])
        target = both.double().div(2).clamp(-1, 1)
        judged, real = made.discriminator(reconstructed), made.discriminator(target.float())
    error = sum((a - b) ** 2 for a, b in zip(reconstructed.double().flatten(), target.flatten(), strict=True))
    error = float(error) / target.numel()
    deception = cross_entropy(judged, 1)
    segmentation = plain_dice_loss(logits, seen.label) + float(
        torch.nn.functional.cross_entropy(logits.double(), seen.label)
    )
    assert float(networks.parts["reconstruction"]) == pytest.approx(error, rel=1e-4)
    assert float(networks.parts["deception"]) == pytest.approx(deception, rel=1e-4)
    assert float(networks.total.detach()) == pytest.approx(segmentation + 0.3 * (error + 0.7 * deception), rel=1e-4)
    expected = cross_entropy(judged, 0) + cross_entropy(real, 1)
    assert float(discriminator.total.detach()) == pytest.approx(expected, rel=1e-4)


def test_the_target_lies_between_minus_1_and_1_and_is_the_same_in_every_patch():
    made = method(intensity_reach=4.0)
    image = torch.tensor([[-9.0, -4.0, 0.0, 2.0, 8.0]])
    assert made.scaled(image).tolist() == [[-1, -1, 0, 0.5, 1]]
    assert torch.equal(made.scaled(image)[:, 2:], made.scaled(image[:, 2:]))


# ------------------------------------------------------------------ who is moved by what


def test_the_discriminator_is_moved_by_its_own_phase_only():
    made = method()
    (networks, together), (judging, judge) = optimisers(made)
    seen = batch(made)
    networks.losses(seen).total.backward()
    assert all(p.grad is None for p in made.discriminator.parameters())
    assert all(p.requires_grad for p in made.discriminator.parameters())
    together.zero_grad(set_to_none=True)
    judging.losses(seen).total.backward()
    assert all(p.grad is None for p in networks.parameters)
    assert all(p.grad is not None for p in judging.parameters)
    assert judge.param_groups


def test_the_discriminator_can_be_deceived():
    """CE(D(R(X)), 1) reaches R through D: with nothing else to lower, R learns to pass for real."""
    made = method(adversarial_weight=100.0, reconstruction_weight=1.0, learning_rate=1e-9, reconstruction_rate=1e-2)
    (networks, optimiser), _ = optimisers(made)
    told = []
    for number in range(12):
        losses = networks.losses(batch(made, number))
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        told.append(float(losses.parts["deception"]))
    assert told[-1] < 0.8 * told[0]


def test_the_discriminator_learns_to_tell():
    made = method(discriminator_rate=1e-2)
    seen = batch(made)
    made.phases()[0].losses(seen)
    judging, optimiser = optimisers(made)[1]
    for _ in range(40):
        losses = judging.losses(seen)
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
    assert float(losses.total.detach()) < 0.5


def test_segmentation_reaches_r_through_t():
    """The co-optimisation: lambda times L_r left out, R's encoder still learns from the labels."""
    made = method(reconstruction_weight=0)
    made.phases()[0].losses(batch(made)).total.backward()
    assert all(p.grad is not None and p.grad.any() for n, p in made.network.encoder.named_parameters() if "stem" in n)
    assert all(p.grad is None for p in made.decoder.parameters())


def test_unlabelled_patches_reach_r_and_not_s():
    made = method(cross_entropy_weight=0, dice_weight=0, adversarial_weight=0)
    losses = made.phases()[0].losses(batch(made))
    losses.total.backward()
    assert set(losses.parts) == {"dice_loss", "reconstruction"}
    assert all(p.grad is not None and p.grad.any() for p in made.decoder.parameters())
    assert not any(p.grad.any() for p in made.network.segmenter.parameters())


def test_labelled_patches_feed_r_too():
    """Pseudo-unlabelled copies: without any other case, R learns from the labelled ones."""
    made = method()
    seen = batch(made, unlabelled=False)
    before = state(made.decoder)
    told = step(made, optimisers(made), seen)
    assert {"reconstruction", "deception"} <= set(told[0].parts)
    assert seen.scratch["target"].shape == seen.image.shape
    assert moved(before, made.decoder)


def test_lambda_0_is_supervised_training_of_s_r_encoder_and_t():
    made = method(reconstruction_weight=0)
    before = [state(made.decoder), state(made.discriminator)]
    told = step(made, optimisers(made), batch(made))
    assert told[1] is None
    assert set(told[0].parts) == {"dice_loss", "cross_entropy"}
    assert not moved(before[0], made.decoder)
    assert not moved(before[1], made.discriminator)


@pytest.mark.parametrize("unlabelled", [True, False])
def test_a_step_without_labels_moves_nothing(unlabelled):
    made = method()
    before = state(made)
    assert step(made, optimisers(made), batch(made, 50, labelled=False, unlabelled=unlabelled)) == [None, None]
    assert all(torch.equal(before[n], p) for n, p in made.named_parameters())


def test_a_step_without_an_annotated_voxel_moves_neither_s_nor_r():
    made = method()
    seen = batch(made)
    seen.label = torch.full_like(seen.label, IGNORE)
    losses = made.phases()[0].losses(seen)
    losses.total.backward()
    assert float(losses.total.detach()) == 0
    assert not any(p.grad is not None and p.grad.any() for p in made.phases()[0].parameters)


def test_r_may_learn_alone_first():
    made = method(reconstruction_steps=2, steps=20, ema_late=0.5)
    pairs = optimisers(made)
    before = state(made)
    for number in range(2):
        told = step(made, pairs, batch(made, number, labelled=False))
        assert set(told[0].parts) == {"reconstruction", "deception"}
        assert told[1] is not None
    changed = moved(before, made)
    heads = ("network.encoder.", "average.encoder.", "decoder.", "discriminator.")
    assert {head for head in heads for name in changed if name.startswith(head)} == set(heads)
    assert all(name.startswith(heads) for name in changed)
    assert step(made, pairs, batch(made, 1, labelled=False, unlabelled=False)) == [None, None]


@pytest.mark.parametrize("dims", [2, 3])
def test_a_batch_of_one(dims):
    made = method(dims, labelled_batch=1, unlabelled_batch=1)
    told = step(made, optimisers(made), batch(made, count=1))
    assert all(torch.isfinite(losses.total) for losses in told)


# ------------------------------------------------------------------ what predicts


def test_the_predictor_is_both_encoders_the_transfer_and_the_decoder_of_s():
    made = method(ema_late=0.0).eval()
    image = torch.randn(1, 2, 32, 32)
    with torch.no_grad():
        features = made.network.encoder(image)[-1]
        expected = made.network.segmenter(image, made.network.transfer(features))
        assert torch.equal(made.predictor()(image), expected)
    named = {id(m) for m in made.predictor().modules()}
    assert not named & {id(m) for part in (made.decoder, made.discriminator) for m in part.modules()}


def test_the_average_is_the_closed_form_one():
    made = method(ema_late=0.6)
    pairs, expected = optimisers(made), state(made.average)
    for number in range(4):
        step(made, pairs, batch(made, number))
        decay = min(0.6, (number + 1) / (number + 10))
        for name, value in made.network.state_dict().items():
            whole = not value.is_floating_point()
            expected[name] = value.clone() if whole else decay * expected[name] + (1 - decay) * value
    assert all(torch.allclose(value, expected[name], atol=1e-6) for name, value in made.average.state_dict().items())
    assert made.predictor() is made.average
    assert not made.average.training
    assert not any(p.requires_grad for p in made.average.parameters())


def test_the_twin_is_s_alone():
    made = method(ema_late=0.95)
    twin = Supervised.twin_of(made)
    ours = made.network.segmenter.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in twin.network.state_dict().items())
    assert twin.config.ema == 0.95
    image = torch.randn(2, 2, 32, 32)
    label = (image[:, 0] > 0).long()
    logits = twin.network(image)
    assert logits.shape == (2, 2, 32, 32)
    mine, theirs = (m.labelled_loss(logits, label)[0] for m in (made, twin))
    assert torch.equal(mine, theirs)
    published = Supervised.twin_of(method(ema_late=0.0))
    assert published.predictor() is published.network


def test_the_state_survives_safetensors(tmp_path):
    import safetensors.torch

    made = method()
    safetensors.torch.save_file(made.state_dict(), tmp_path / "weights.safetensors")
    other = method()
    step(other, optimisers(other), batch(other))
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(made.state_dict().values(), other.state_dict().values(), strict=True))


def draw_cases(dims):
    """Two images with a bright disc or ball each."""
    size = (16, 32, 32)[3 - dims :]
    generator = torch.Generator().manual_seed(3)
    axes = torch.meshgrid(*[torch.arange(n) for n in size], indexing="ij")
    labels = []
    for centre in (0.4, 0.6):
        labels.append(sum((a - centre * n) ** 2 for a, n in zip(axes, size, strict=True)) < 36)
    label = torch.stack(labels).long()
    image = torch.stack([label * 1.5, -label * 1.0], 1) + 0.5 * torch.randn(2, 2, *size, generator=generator)
    return image, label


@pytest.mark.slow
@pytest.mark.parametrize("dims", [2, 3])
def test_it_learns_two_cases_by_heart(dims):
    made = method(dims, width=8, steps=150, learning_rate=5e-3, reconstruction_rate=5e-3, ema_late=0.9)
    image, label = draw_cases(dims)
    pairs = optimisers(made)
    told = [step(made, pairs, StepBatch(n, image, label, None))[0] for n in range(150)]
    with torch.no_grad():
        predicted = made.eval().predictor()(image).argmax(1)
    dice = 2 * ((predicted == 1) & (label == 1)).sum() / ((predicted == 1).sum() + (label == 1).sum())
    assert dice > 0.95
    assert told[-1].parts["reconstruction"] < 0.5 * told[0].parts["reconstruction"]
