import copy
import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from napari_penumbra.methods._base import IGNORE, Problem, StepBatch
from napari_penumbra.methods._functional import average_into
from napari_penumbra.methods._mixing import mix_across
from napari_penumbra.methods.co_learning import CoLearning
from napari_penumbra.methods.supervised import Supervised
from napari_penumbra.networks import build

DICE_SMOOTH = 1e-5
# The published losses on a small network without chance (no dropout, no noise).
PUBLISHED = {"faithful": True, "labelled_loss": "dice", "dice_over": "patch", "steps": 100}
PUBLISHED |= {"mix_loss": "mse", "mix_weight": 1.0, "unlabelled_weight": 1.0, "certain_above": 0.0, "box_share": 0.5}
PUBLISHED |= {"noise": 0.0, "split_labelled": False, "teach_every": 1}


def method(dims=3, classes=2, **changes):
    torch.manual_seed(0)
    changes = {"width": 2, "patch": (8, 8, 8), "steps": 100, "pretrain_steps": 10, "ramp_steps": 20, **changes}
    return CoLearning(CoLearning.configure("laptop", changes), Problem(1, classes, spatial_dims=dims)).train()


def batch(step, labelled=2, unlabelled=2, dims=3, edge=8):
    torch.manual_seed(step + 1)
    size = (edge,) * dims
    image = torch.randn(labelled, 1, *size)
    return StepBatch(
        step,
        image if labelled else None,
        (image[:, 0] > 0.5).long() if labelled else None,
        torch.randn(unlabelled, 1, *size) if unlabelled else None,
    )


def run(made, first, last, **streams):
    phase = made.phases()[0]
    optimiser = phase.optimiser(phase.parameters)
    for step in range(first, last):
        losses = phase.losses(batch(step, **streams))
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        made.after_step(step)
    return optimiser


def losses_of(made, seen):
    return made.phases()[0].losses(seen)


def state(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(state(a).values(), state(b).values(), strict=True))


def shown_to(made):
    """Keep what each network is shown in the forwards to come."""
    seen = {"student1": [], "student2": [], "teacher": []}
    for name, kept in seen.items():
        getattr(made, name).register_forward_hook(lambda m, inputs, out, kept=kept: kept.append(inputs[0].clone()))
    return seen


# ------------------------------------------------------------- the paper


def test_paper_preset_is_the_papers():
    config = CoLearning.configure("paper", {})
    assert (config.backbone, config.width, config.patch) == ("vnet", 16, (80, 112, 112))
    assert (config.labelled_batch, config.unlabelled_batch, config.steps) == (2, 2, 6000)
    assert (config.optimiser, config.learning_rate, config.momentum, config.weight_decay) == ("sgd", 0.01, 0.9, 1e-4)
    assert (config.unlabelled_weight, config.mix_weight, config.box_share) == (1, 1, 0.5)
    assert (config.student1_rate, config.student2_rate, config.same_start, config.faithful) == (
        0.005,
        0.005,
        True,
        True,
    )
    assert (config.labelled_loss, config.mix_loss, config.mix_for, config.certain_above) == ("dice", "mse", "one", 0)
    assert (config.teach_every, config.split_labelled, config.noise, config.largest_component) == (1, False, 0, False)
    assert config.foreground_share == 0
    made = CoLearning(config, Problem(1, 2))
    assert sum(p.numel() for p in made.student1.parameters()) == 9_448_866
    assert made.streams(0).patch == (80, 112, 112)
    factor = made.phases()[0].factor
    assert [factor(s) for s in (0, 2499, 2500, 4999, 5000)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert made.pretrain_steps == 0


def plain_dice(probability, label):
    """Mean over patches of 1 - mean over classes of Dice: Eqs. 3 to 5 in loops, float64."""
    total = 0.0
    for p, y in zip(probability.double(), label, strict=True):
        ratios = []
        for k, pk in enumerate(p):
            pairs = [(float(a), float(int(b) == k)) for a, b in zip(pk.flatten(), y.flatten(), strict=True)]
            shared, both = sum(a * b for a, b in pairs), sum(a + b for a, b in pairs)
            ratios.append((2 * shared + DICE_SMOOTH) / (both + DICE_SMOOTH))
        total += 1 - sum(ratios) / len(ratios)
    return total / len(probability)


def plain_mse(probability, label):
    terms = []
    for p, y in zip(probability.double(), label, strict=True):
        for k, pk in enumerate(p):
            terms += [(float(a) - (int(b) == k)) ** 2 for a, b in zip(pk.flatten(), y.flatten(), strict=True)]
    return sum(terms) / len(terms)


@pytest.mark.parametrize("dims", [2, 3])
def test_loss_is_the_papers(dims):
    made = method(dims, **{**PUBLISHED, "unlabelled_weight": 0.7, "mix_weight": 0.4})
    for network in (made.student2, made.teacher):
        for p in network.parameters():
            p.data += 0.2 * torch.randn_like(p)
    made.student1.eval(), made.student2.eval()  # running statistics: every patch can be computed apart
    seen = batch(3, dims=dims)
    torch.manual_seed(7)
    losses = losses_of(made, seen)
    torch.manual_seed(7)
    with torch.no_grad():
        hard = {n: getattr(made, n)(seen.unlabelled).argmax(1) for n in ("teacher", "student1", "student2")}
        mixes = mix_across(seen.image, seen.label, seen.unlabelled, hard["teacher"], made.cut)
        labelled = cross = teacher = mixed = 0.0
        for own, other, mix in [("student1", "student2", mixes[0]), ("student2", "student1", mixes[1])]:
            student = getattr(made, own)
            on_unlabelled = student(seen.unlabelled).softmax(1)
            labelled += plain_dice(student(seen.image).softmax(1), seen.label)
            cross += plain_dice(on_unlabelled, hard[other])
            teacher += plain_dice(on_unlabelled, hard["teacher"])
            mixed += plain_mse(student(mix.image).softmax(1), mix.label)
    assert float(losses.total.detach()) == pytest.approx(labelled + 0.7 * (cross + teacher) + 0.4 * mixed, rel=1e-5)
    for name, value in [("dice_loss", labelled), ("cross_pseudo", cross), ("teacher", teacher), ("mix", mixed)]:
        assert float(losses.parts[name]) == pytest.approx(value / 2, rel=1e-5), name


def test_as_published_everything_counts_from_step_0():
    made = method(**PUBLISHED)
    assert made.streams(0).unlabelled == 2
    assert [made.ramp(s) for s in (0, 50)] == [1, 1]
    assert {"dice_loss", "cross_pseudo", "teacher", "mix"} <= losses_of(made, batch(0)).parts.keys()


def test_labels_that_networks_make_carry_no_gradient():
    made = method(**PUBLISHED)
    own, other = (torch.randn(1, 2, 4, 4, 4, requires_grad=True) for _ in range(2))
    cross, teacher = made._unlabelled_losses(own, other, torch.zeros(1, 4, 4, 4, dtype=torch.int64))
    assert torch.autograd.grad(cross + teacher, other, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(cross + teacher, own)[0].any()
    losses_of(made, batch(20)).total.backward()
    assert all(p.grad is None and not p.requires_grad for p in made.teacher.parameters())
    assert all(p.grad is not None for n in (made.student1, made.student2) for p in n.parameters())


def test_each_students_gradient_is_that_of_its_own_terms():
    """One optimiser over both is as good as two: the same step with the other student frozen changes nothing."""
    gradients = []
    for frozen in (False, True):
        made = method(**{**PUBLISHED, "same_start": False})
        made.student2.requires_grad_(not frozen)
        seen = batch(20)
        losses_of(made, seen).total.backward()
        gradients.append([p.grad for p in made.student1.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


# ------------------------------------------------------------- the teacher


@pytest.mark.parametrize("rates", [(0.005, 0.005), (0.3, 0.1), (0.0, 0.2), (0.2, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_teacher_is_the_closed_form_of_equation_1_with_buffers(rates):
    made = method(**PUBLISHED | {"student1_rate": rates[0], "student2_rate": rates[1]})
    for step in range(6):
        expected = state(made.teacher)
        run(made, step, step + 1)
        pull = max(sum(rates), 9 / (step + 10))
        alpha, beta = (pull * r / sum(rates) for r in rates)
        assert made.teacher_rates(step) == pytest.approx((alpha, beta))
        students = [state(made.student1), state(made.student2)]
        for name, value in made.teacher.state_dict().items():
            if value.is_floating_point():
                wanted = (1 - alpha - beta) * expected[name] + alpha * students[0][name] + beta * students[1][name]
                assert torch.allclose(value, wanted, atol=1e-6), name
            else:
                assert torch.equal(value, students[1][name])


def test_teacher_forgets_its_start_and_then_keeps_99_percent():
    made = method()
    assert sum(made.teacher_rates(0)) == pytest.approx(0.9)
    assert sum(made.teacher_rates(90)) == pytest.approx(0.09)
    assert made.teacher_rates(891) == pytest.approx((0.005, 0.005))
    assert made.teacher_rates(5000) == pytest.approx((0.005, 0.005), abs=1e-9)


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.7, 0.7)])
def test_a_teacher_that_cannot_move_or_overshoots_is_refused(rates):
    with pytest.raises(ValidationError, match="both students together"):
        method(student1_rate=rates[0], student2_rate=rates[1])


def test_teacher_stays_in_evaluation_mode():
    made = method()
    assert not made.teacher.training
    assert not made.eval().student1.training
    assert made.train().student2.training
    assert not made.teacher.training
    assert made.predictor() is made.teacher
    assert made.segmenter() is made.student1


# ------------------------------------------------------------- why students start equal


def discs(generator, count=8, size=24):
    """Bright or dark discs: the grey value alone does not tell."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = torch.rand(count, 2, 1, 1, generator=generator) * size / 2 + size / 4
    radius = torch.rand(count, 1, 1, generator=generator) * 3 + 3
    label = (y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 < radius**2
    sign = (torch.rand(count, 1, 1, generator=generator) < 0.5).float() * 2 - 1
    image = sign * label.float() + 0.3 * torch.randn(count, size, size, generator=generator)
    return image.unsqueeze(1), label.long()


def train_on_discs(start, seed, steps=80):
    network = copy.deepcopy(start).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        image, label = discs(generator)
        loss = nn.functional.cross_entropy(network(image), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def dice_on_discs(network):
    image, label = discs(torch.Generator().manual_seed(99), count=32)
    with torch.no_grad():
        said = network.eval()(image).argmax(1)
    return float(2 * (said * label).sum() / (said + label).sum())


def test_average_of_two_networks_is_useless_unless_they_start_equal():
    """Eq. 1 averages weights: two students that start apart are good alone, and their average finds nothing."""
    starts = []
    for seed in (0, 100):
        torch.manual_seed(seed)
        starts.append(build("unet", Problem(1, 2, spatial_dims=2), widths=(4, 8, 16)))
    one, same_start, other_start = [train_on_discs(starts[n], seed) for n, seed in [(0, 1), (0, 2), (1, 2)]]
    averages = []
    for other in (same_start, other_start):
        average = copy.deepcopy(one)
        average_into(average, other, 0.5)
        averages.append(dice_on_discs(average))
    assert min(map(dice_on_discs, (one, same_start, other_start))) > 0.85
    assert averages[0] > 0.8
    assert averages[1] < 0.3


def test_students_start_equal_unless_told_otherwise():
    assert same(method().student1, method().student2)
    assert same(method().student1, method().teacher)
    apart = method(same_start=False)
    assert not same(apart.student1, apart.student2)


def test_equal_students_stay_equal_in_supervised_steps_and_part_after():
    made = method()
    optimiser = run(made, 0, 10)
    assert same(made.student1, made.student2)
    pairs = list(zip(made.student1.parameters(), made.student2.parameters(), strict=True))
    for own, other in pairs:
        for name, value in optimiser.state[own].items():
            assert torch.equal(value, optimiser.state[other][name]), name
    run(made, 10, 12)
    assert not same(made.student1, made.student2)


def test_the_one_network_of_supervised_steps_counts_for_both():
    """The total is Eq. 3, the sum over both students; either's gradient is that of training it alone."""
    made = method()
    twin = Supervised.twin_of(made).train()
    seen = batch(0)
    ours, theirs = losses_of(made, seen), losses_of(twin, seen)
    assert float(ours.total.detach()) == pytest.approx(2 * float(theirs.total.detach()), rel=1e-6)
    assert float(ours.parts["dice_loss"]) == pytest.approx(float(theirs.parts["dice_loss"]), rel=1e-6)
    ours.total.backward()
    theirs.total.backward()
    for student in (made.student1, made.student2):
        for own, alone in zip(student.parameters(), twin.network.parameters(), strict=True):
            assert torch.allclose(own.grad, alone.grad, atol=1e-7)
    assert not same(made.student1, made.student2)  # the running statistics, until the step is over
    made.after_step(0)
    assert same(made.student1, made.student2)


def test_students_that_start_apart_are_trained_apart():
    made = method(same_start=False)
    seen = shown_to(made)
    losses_of(made, batch(0)).total.backward()
    assert len(seen["student1"]) == len(seen["student2"]) == 1
    assert all(p.grad is not None for p in made.student2.parameters())
    twin = Supervised.twin_of(made)
    assert same(twin.network, made.student1)


def test_twin_averages_as_slowly_and_decays_alike():
    made = method(student1_rate=0.02, student2_rate=0.03, decay_steps=50)
    twin = Supervised.twin_of(made)
    assert twin.config.ema == pytest.approx(0.95)
    ours, theirs = made.phases()[0].factor, twin.phases()[0].factor
    assert [ours(s) for s in (0, 49, 50, 99)] == [theirs(s) for s in (0, 49, 50, 99)]


# ------------------------------------------------------------- schedules and what is shown


def test_supervised_steps_come_first_and_weights_ramp_up_after():
    made = method()
    assert [made.streams(s).unlabelled for s in (0, 9, 10, 99)] == [0, 0, 2, 2]
    assert made.ramp(9) == 0
    assert made.ramp(10) == pytest.approx(math.exp(-5))
    assert made.ramp(20) == pytest.approx(math.exp(-1.25))
    assert made.ramp(30) == 1
    assert method(steps=8).pretrain_steps == 4
    assert method(steps=1).pretrain_steps == 0
    assert "mix" not in losses_of(made, batch(5)).parts
    parts = losses_of(made, batch(20)).parts
    assert float(parts["unlabelled_share"]) == pytest.approx(math.exp(-1.25))


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, [10]),
        ({"refresh_steps": 15}, [10, 25, 40]),
        ({"pretrain_steps": 0}, []),
        ({"pretrain_steps": 0, "refresh_steps": 15}, [15, 30, 45]),
        ({"foreground_share": 0.0, "refresh_steps": 15}, []),
        ({"faithful": True}, []),
    ],
)
def test_pool_is_predicted_where_its_patches_are_centred_on_it(changes, steps):
    made = method(**changes)
    assert [step for step in range(50) if made.wants_pool_prediction(step)] == steps


def test_one_mix_for_each_student():
    made = method(**PUBLISHED)
    seen = shown_to(made)
    step = batch(20)
    losses_of(made, step)
    (one,), (two,), (taught,) = seen["student1"], seen["student2"], seen["teacher"]
    assert torch.equal(taught, step.unlabelled)
    assert len(one) == len(two) == 5
    assert torch.equal(one[:4], torch.cat([step.image, step.unlabelled]))
    assert torch.equal(one[:4], two[:4])
    inside = one[4] != step.image[0]
    assert int(inside.sum()) == 4**3
    assert torch.equal(one[4][inside], step.unlabelled[0][inside])
    inside = two[4] != step.unlabelled[1]
    assert int(inside.sum()) == 4**3
    assert torch.equal(two[4][inside], step.image[1][inside])


def test_both_mixes_for_either_student():
    made = method(**PUBLISHED, mix_for="both")
    seen = shown_to(made)
    losses_of(made, batch(20))
    assert len(seen["student1"][0]) == 6
    assert torch.equal(seen["student1"][0], seen["student2"][0])


def test_laptop_step_costs_six_patches_and_ten_at_every_fourth():
    made = method(noise=0.0)
    seen = shown_to(made)
    for step in range(8, 20):
        losses_of(made, batch(step))
    counts = [(len(a), len(b)) for a, b in zip(seen["student1"][2:], seen["student2"], strict=True)]
    assert [len(x) for x in seen["student1"][:2]] == [2, 2]
    assert counts == [(5, 5) if (step - 10) % 4 == 0 else (3, 3) for step in range(10, 20)]


def test_shared_annotated_patches_are_all_seen_by_both_students():
    """What a student does not see as it is lies in its mix."""
    made = method(noise=0.0, box_share=0.5, split_labelled=True)
    seen = shown_to(made)
    step = batch(11)
    losses_of(made, step)
    (one,), (two,) = seen["student1"], seen["student2"]
    assert torch.equal(one[0], step.image[1])
    assert torch.equal(two[0], step.image[0])
    assert (one[1] == step.image[0]).float().mean() == 1 - 0.5**3
    assert (two[1] == step.image[1]).float().mean() == 0.5**3


def test_students_see_different_noise_and_annotated_patches_none():
    made = method(**PUBLISHED | {"noise": 0.5})
    seen = shown_to(made)
    step = batch(20)
    losses_of(made, step)
    (one,), (two,) = seen["student1"], seen["student2"]
    assert torch.equal(one[:2], step.image)
    noises = [x[2:4] - step.unlabelled for x in (one, two)]
    assert all(float(n.std()) == pytest.approx(0.5, rel=0.1) for n in noises)
    assert abs(float(torch.corrcoef(torch.stack([n.flatten() for n in noises]))[0, 1])) < 0.1
    assert torch.equal(seen["teacher"][0], step.unlabelled)


def test_students_see_other_contrasts_of_what_the_teacher_labels_as_it_is():
    made = method(**PUBLISHED | {"view_contrast": 3.0})
    seen = shown_to(made)
    step = batch(20)
    losses_of(made, step)
    (one,), (two,) = seen["student1"], seen["student2"]
    assert torch.equal(one[:2], step.image)
    assert torch.equal(seen["teacher"][0], step.unlabelled)
    assert all(float((x[2:4] - step.unlabelled).abs().mean()) > 0.1 for x in (one, two))
    assert float((one[2:4] - two[2:4]).abs().mean()) > 0.1


def test_annotated_patches_are_mixed_in_supervised_steps_when_asked():
    made = method(pretrain_mixing=True)
    seen = shown_to(made)
    losses = losses_of(made, batch(0))
    assert len(seen["student1"][0]) == 4
    assert not seen["student2"]
    assert float(losses.parts["mix"]) > 0
    assert "mix" not in losses_of(made, batch(0, labelled=1, edge=16)).parts


# ------------------------------------------------------------- what is not known


def outputs_of(made, call):
    """Gradient at each student's logits."""
    logits = []
    hooks = [s.register_forward_hook(lambda m, i, out: logits.append(out)) for s in (made.student1, made.student2)]
    total = call().total
    for hook in hooks:
        hook.remove()
    return torch.autograd.grad(total, logits)


@pytest.mark.parametrize("mix_loss", ["mse", "dice_ce"])
def test_unknown_voxels_carry_no_gradient_in_mixes(mix_loss):
    made = method(**PUBLISHED | {"mix_loss": mix_loss})
    step = batch(20)
    step.label = torch.full_like(step.label, IGNORE)
    seen = shown_to(made)
    one, two = outputs_of(made, lambda: losses_of(made, step))
    assert not one[:2].any()
    assert not two[:2].any()
    inside = seen["student1"][0][4] != step.image[0]
    assert one[4][inside.expand_as(one[4])].all()
    assert not one[4][~inside.expand_as(one[4])].any()
    outside = seen["student2"][0][4] == step.unlabelled[1]
    assert two[4][outside.expand_as(two[4])].all()
    assert not two[4][~outside.expand_as(two[4])].any()


def test_uncertain_labels_of_networks_do_not_count():
    made = method(**PUBLISHED | {"certain_above": 0.999999})
    step = batch(20)
    gradients = outputs_of(made, lambda: losses_of(made, step))
    for gradient in gradients:
        assert gradient[:2].any()
        assert not gradient[2:4].any()
    seen = shown_to(made)
    one, _ = outputs_of(made, lambda: losses_of(made, step))
    inside = (seen["student1"][0][4] != step.image[0]).expand_as(one[4])
    assert not one[4][inside].any()
    assert one[4][~inside].all()


def test_largest_piece_is_kept_when_asked():
    made = method(**PUBLISHED)
    two_pieces = torch.zeros(1, 2, 8, 8, 8)
    two_pieces[:, 1] = -1
    two_pieces[:, 1, 1:3], two_pieces[:, 1, 5:6] = 1, 1
    made.teacher = Fixed(two_pieces)
    assert int(made._teacher_label(torch.zeros(1, 1, 8, 8, 8)).sum()) == 3 * 64
    made = method(**PUBLISHED | {"largest_component": True})
    made.teacher = Fixed(two_pieces)
    assert int(made._teacher_label(torch.zeros(1, 1, 8, 8, 8)).sum()) == 2 * 64


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize(("labelled", "unlabelled"), [(1, 1), (1, 3), (3, 1), (5, 4), (2, 0), (0, 2), (0, 0)])
def test_any_batch_teaches_what_it_can(labelled, unlabelled, split, dims):
    made = method(dims, split_labelled=split, patch=(16, 16, 16))
    for step in (0, 11, 14):
        losses = losses_of(made, batch(step, labelled, unlabelled, dims, 16))
        nothing = not labelled and (not unlabelled or step < 10)
        assert (losses is None) == nothing
        if losses is not None:
            losses.total.backward()
            assert torch.isfinite(losses.total)
            assert ("mix" in losses.parts) == bool(labelled and unlabelled and step >= 10)


def test_without_annotated_patches_every_step_is_one_of_teaching():
    made = method(teach_every=4)
    assert {"cross_pseudo", "teacher"} <= losses_of(made, batch(11, labelled=0)).parts.keys()
    assert "cross_pseudo" not in losses_of(made, batch(11)).parts


def test_nothing_is_computed_for_losses_of_weight_zero():
    made = method(**PUBLISHED | {"unlabelled_weight": 0.0, "mix_weight": 0.0})
    seen = shown_to(made)
    losses_of(made, batch(20))
    assert not seen["teacher"]
    assert len(seen["student1"][0]) == 2
    assert losses_of(made, batch(20, labelled=0)) is None


def test_a_patch_of_background_alone_is_no_trouble():
    made = method(classes=4)
    step = batch(20)
    step.label = torch.zeros_like(step.label)
    losses = losses_of(made, step)
    losses.total.backward()
    assert torch.isfinite(losses.total)


# ------------------------------------------------------------- confidence


class Fixed(nn.Module):
    """Answers the same logits whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, image):
        return self.logits.expand(len(image), -1, *image.shape[2:])


@pytest.mark.parametrize(
    ("teacher", "one", "two", "expected"),
    [
        ([1.0, 0.0], [1.0, 0.0], [1.0, 0.0], 1.0),
        ([0.5, 0.5], [0.5, 0.5], [0.5, 0.5], 0.0),
        ([0.9, 0.1], [0.6, 0.4], [0.9, 0.1], 0.6),
        ([0.6, 0.4], [0.1, 0.9], [0.2, 0.8], 0.0),  # outvoted
        ([0.0, 0.7, 0.3], [0.0, 0.7, 0.3], [0.9, 0.1, 0.0], 0.5 - 0.3),
    ],
)
def test_confidence_is_the_lead_in_the_mean_of_three(teacher, one, two, expected):
    made = method(dims=2, classes=len(teacher)).eval()

    def logits(p):
        return torch.tensor(p).clamp(min=1e-12).log().reshape(1, -1, 1, 1)

    made.student1, made.student2 = Fixed(logits(one)), Fixed(logits(two))
    probability = torch.tensor(teacher).reshape(1, -1, 1, 1).expand(1, -1, 20, 30)
    confidence = made.confidence(torch.zeros(1, 1, 20, 30), probability)
    assert confidence.shape == (1, 20, 30)
    assert torch.allclose(confidence, torch.full((1, 20, 30), expected), atol=1e-6)


def test_confidence_changes_no_running_statistics():
    made = method()
    before = state(made)
    made.confidence(torch.randn(1, 1, 9, 20, 30), torch.rand(1, 2, 9, 20, 30).softmax(1))
    assert all(torch.equal(a, b) for a, b in zip(before.values(), state(made).values(), strict=True))
    assert made.student1.training


# ------------------------------------------------------------- learning


@pytest.mark.slow
@pytest.mark.parametrize(("dims", "changes"), [(2, {}), (3, {}), (2, PUBLISHED)], ids=["2D", "3D", "published"])
def test_it_learns_two_cases_by_heart(dims, changes):
    size = (16, 24, 24)[3 - dims :]
    torch.manual_seed(4)
    axes = torch.meshgrid(*(torch.arange(s) for s in size), indexing="ij")
    label = torch.stack([sum((a - s * c) ** 2 for a, s in zip(axes, size, strict=True)) < 36 for c in (0.4, 0.6)])
    image = label.float().unsqueeze(1) + 0.5 * torch.randn(2, 1, *size)
    steps = 300 if changes else 200  # as published it starts cold
    made = method(dims, **{**changes, "width": 8, "patch": (16, 24, 24), "steps": steps, "pretrain_steps": 80})
    phase = made.phases()[0]
    optimiser = phase.optimiser(phase.parameters)
    for step in range(steps):
        unlabelled = image + 0.2 * torch.randn_like(image)
        losses = phase.losses(StepBatch(step, image, label.long(), unlabelled))
        optimiser.zero_grad()
        losses.total.backward()
        for group in optimiser.param_groups:
            group["lr"] = made.config.learning_rate * phase.factor(step)
        optimiser.step()
        made.after_step(step)
    with torch.no_grad():
        said = made.eval().predictor()(image).argmax(1)
        confidence = made.confidence(image, made.predictor()(image).softmax(1))
    assert float(2 * (said * label).sum() / (said + label.long()).sum()) > 0.95
    right = said == label
    assert float(confidence[right].mean()) > 0.9
    assert right.all() or float(confidence[~right].mean()) < float(confidence[right].mean())
