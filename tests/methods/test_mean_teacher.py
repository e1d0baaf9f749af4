import math

import pytest
import torch

from napari_penumbra.methods._base import IGNORE, Problem, StepBatch
from napari_penumbra.methods._functional import soft_dice_loss
from napari_penumbra.methods.mean_teacher import MeanTeacher

PROBLEM = Problem(1, 2)


def method(**changes):
    torch.manual_seed(0)
    changes = {"width": 2, "patch": (8, 8, 8), "steps": 100, "pretrain_steps": 10, "ramp_steps": 20, **changes}
    return MeanTeacher(MeanTeacher.configure("laptop", changes), PROBLEM).train()


def batch(step, labelled=True, unlabelled=True):
    torch.manual_seed(step + 1)
    image = torch.randn(2, 1, 8, 8, 8)
    return StepBatch(
        step,
        image if labelled else None,
        (image[:, 0] > 0.5).long() if labelled else None,
        torch.randn(2, 1, 8, 8, 8) if unlabelled else None,
    )


def test_paper_preset_is_the_papers():
    config = MeanTeacher.configure("paper", {})
    assert (config.backbone, config.labelled_batch, config.unlabelled_batch) == ("deepmedic", 8, 8)
    assert (config.optimiser, config.learning_rate, config.rms_decay) == ("rmsprop", 1e-4, 0.9)
    assert (config.momentum, config.rms_epsilon, config.weight_decay) == (0.6, 1e-4, 2e-4)
    assert (config.additive_noise, config.multiplicative_noise) == (0.05, 0.01)
    assert (config.ramp_steps, config.ema_early, config.ema_late) == (400, 0.99, 0.999)
    assert (config.dice_weight, config.consistency_weight, config.consistency_over) == (0, 1, "patch")
    assert (config.pretrain_steps, config.refresh_steps, config.foreground_share) == (2000, 0, 0.5)
    made = MeanTeacher(config, Problem(1, 2, (6.5, 0.96, 0.96)))
    fine, coarse = made.student.views(torch.zeros(1, 1, *made.streams(0).patch))
    assert fine.shape[2:] == (21, 37, 37)
    assert coarse.shape[2:] == (18, 23, 23)
    optimiser = made.phases()[0].optimiser(made.phases()[0].parameters)
    assert isinstance(optimiser, torch.optim.RMSprop)
    assert made.phases()[0].factor(19_999) == 1


def test_streams_have_no_unlabelled_patches_during_pretraining():
    made = method()
    assert [made.streams(step).unlabelled for step in (0, 9, 10, 99)] == [0, 0, 2, 2]
    assert made.streams(0).labelled == 2


def test_pretraining_takes_at_most_half_of_the_run():
    assert method(steps=8).pretrain_steps == 4
    assert method(steps=1).pretrain_steps == 0


def test_pool_is_predicted_when_pretraining_ends_and_on_refresh():
    for changes, steps in [
        ({}, [10]),
        ({"refresh_steps": 15}, [10, 25, 40]),
        ({"pretrain_steps": 0}, []),
        ({"pretrain_steps": 0, "refresh_steps": 15}, [15, 30, 45]),
    ]:
        made = method(**changes)
        assert [step for step in range(50) if made.wants_pool_prediction(step)] == steps


def test_schedules():
    made = method(ema_early=0.9, ema_late=0.99)
    assert [made.consistency_weight(s) for s in (0, 9)] == [0, 0]
    assert made.consistency_weight(10) == pytest.approx(math.exp(-5))
    assert made.consistency_weight(20) == pytest.approx(math.exp(-1.25))
    assert made.consistency_weight(30) == 1
    assert made.teacher_decay(0) == 0.1
    assert made.teacher_decay(9) == 0
    assert [made.teacher_decay(s) for s in (10, 30, 31)] == [0.9, 0.9, 0.99]


def run(made, first, last, **streams):
    phase = made.phases()[0]
    optimiser = phase.optimiser(phase.parameters)
    for step in range(first, last):
        losses = phase.losses(batch(step, **streams))
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        made.after_step(step)
    return losses


def state(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def test_teacher_equals_student_when_pretraining_ends():
    made = method()
    run(made, 0, 9)
    assert any(
        not torch.equal(a, b) for a, b in zip(state(made.student).values(), state(made.teacher).values(), strict=True)
    )
    run(made, 9, 10)
    assert all(
        torch.equal(a, b) for a, b in zip(state(made.student).values(), state(made.teacher).values(), strict=True)
    )


def test_teacher_is_the_closed_form_average_of_its_students():
    made = method(ema_early=0.9, ema_late=0.99, ramp_steps=2)
    run(made, 0, 10)
    expected = state(made.teacher)
    for step in range(10, 15):
        run(made, step, step + 1)
        decay = 0.9 if step - 10 <= 2 else 0.99
        for name, value in made.student.state_dict().items():
            whole = not value.is_floating_point()
            expected[name] = value.clone() if whole else decay * expected[name] + (1 - decay) * value
    for name, value in made.teacher.state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-6), name


def test_teacher_gets_no_gradient_and_stays_in_evaluation_mode():
    made = method()
    assert not made.teacher.training
    assert made.student.training
    before = state(made.teacher)
    made.phases()[0].losses(batch(50)).total.backward()
    assert all(p.grad is None and not p.requires_grad for p in made.teacher.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before.values(), state(made.teacher).values(), strict=True))
    assert {id(p) for p in made.phases()[0].parameters} == {id(p) for p in made.student.parameters()}
    assert not made.eval().student.training
    assert made.train().student.training
    assert made.predictor() is made.teacher


def test_loss_is_the_sum_of_equations_1_to_3():
    """Without noise and dropout both sides can be computed apart."""
    made = method(additive_noise=0, multiplicative_noise=0, dice_weight=0, consistency_weight=0.7)
    seen = batch(20)
    losses = made.phases()[0].losses(seen)
    with torch.no_grad():
        logits = made.student(torch.cat([seen.image, seen.unlabelled]))
        target = made.teacher(seen.unlabelled).softmax(1)
        cross_entropy = torch.nn.functional.cross_entropy(logits[:2], seen.label)
        consistency = soft_dice_loss(logits[2:].softmax(1), target)
    beta = 0.7 * math.exp(-1.25)
    assert float(losses.total.detach()) == pytest.approx(float(cross_entropy + beta * consistency), rel=1e-4)
    assert float(losses.parts["cross_entropy"]) == pytest.approx(float(cross_entropy), rel=1e-4)
    assert float(losses.parts["consistency"]) == pytest.approx(float(consistency), rel=1e-4)
    assert float(losses.parts["consistency_weight"]) == pytest.approx(beta)


def test_student_and_teacher_see_different_noise_and_annotated_patches_none():
    made = method(additive_noise=0.5)
    seen = {}
    made.student.register_forward_hook(lambda m, inputs, out: seen.update(student=inputs[0].clone()))
    made.teacher.register_forward_hook(lambda m, inputs, out: seen.update(teacher=inputs[0].clone()))
    step = batch(50)
    made.phases()[0].losses(step)
    assert torch.equal(seen["student"][:2], step.image)
    noises = [seen["student"][2:] - step.unlabelled, seen["teacher"] - step.unlabelled]
    assert all(float(n.std()) == pytest.approx(0.5, rel=0.1) for n in noises)
    assert abs(float(torch.corrcoef(torch.stack([n.flatten() for n in noises]))[0, 1])) < 0.1


def test_student_alone_sees_another_contrast():
    made = method(additive_noise=0, multiplicative_noise=0, view_contrast=3.0)
    seen = {}
    made.student.register_forward_hook(lambda m, inputs, out: seen.update(student=inputs[0].clone()))
    made.teacher.register_forward_hook(lambda m, inputs, out: seen.update(teacher=inputs[0].clone()))
    step = batch(50)
    made.phases()[0].losses(step)
    assert torch.equal(seen["student"][:2], step.image)
    assert torch.equal(seen["teacher"], step.unlabelled)
    assert float((seen["student"][2:] - step.unlabelled).abs().mean()) > 0.1


def test_unknown_voxels_count_in_the_consistency_only():
    """A batch of which nothing is annotated still teaches through its unlabelled half."""
    made = method()
    nothing = batch(50)
    nothing.label = torch.full_like(nothing.label, IGNORE)
    losses = made.phases()[0].losses(nothing)
    assert float(losses.parts["cross_entropy"]) == 0
    losses.total.backward()
    assert any(p.grad.abs().sum() > 0 for p in made.student.parameters())


def test_pretraining_does_not_look_at_unlabelled_patches():
    made = method()
    assert made.phases()[0].losses(batch(5, labelled=False)) is None
    assert "consistency" not in made.phases()[0].losses(batch(5)).parts


def test_confidence_is_the_lead_of_the_first_class():
    probability = torch.tensor([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]]).T.reshape(1, 2, 1, 1, 3)
    confidence = method().confidence(torch.zeros(1, 1, 1, 1, 3), probability)
    assert confidence.shape == (1, 1, 1, 3)
    assert confidence.flatten().tolist() == pytest.approx([0, 0.8, 1])
