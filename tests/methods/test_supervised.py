import pytest
import torch
from pydantic import ValidationError

from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods._base import IGNORE, Problem, StepBatch
from napari_penumbra.methods._recipe import RecipeConfig, make_network, patch_for
from napari_penumbra.methods.mean_teacher import MeanTeacher
from napari_penumbra.methods.supervised import Supervised
from napari_penumbra.training.learner import Learner

PROBLEM = Problem(1, 2)
SMALL = {"width": 2, "patch": (8, 8, 8), "steps": 20}


def supervised(**changes):
    torch.manual_seed(0)
    return Supervised(Supervised.configure("laptop", {**SMALL, **changes}), PROBLEM).train()


def test_it_wants_labelled_patches_only():
    assert supervised().streams(0).unlabelled == 0
    with pytest.raises(ValidationError):
        supervised(unlabelled_batch=1)
    assert not Supervised.uses_unlabelled


def test_predictor_is_the_average_if_there_is_one():
    assert supervised().predictor() is not supervised().network
    plain = supervised(ema=0.0)
    assert plain.predictor() is plain.network
    plain.after_step(0)


def test_the_average_stays_close_to_a_deep_network_that_still_learns_fast():
    """Averaged over too many early steps, the running statistics of COL-Net's S fit no weights: Dice .28 for .95."""
    torch.manual_seed(0)
    changes = {"backbone": "colnet", "width": 8, "patch": (16, 64, 64)}
    made = Supervised(Supervised.configure("laptop", changes, 150), Problem(1, 2, spatial_dims=2))
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    label = torch.stack([(y - c) ** 2 + (x - c) ** 2 < 100 for c in (24, 40)]).long()
    image = label.float().unsqueeze(1) + 0.3 * torch.randn(2, 1, 64, 64)
    learner = Learner(made, Machine(torch.device("cpu"), bfloat16=False, channels_last=False), seed=0)
    for step in range(150):
        learner.learn(StepBatch(step, image, label, None))
    made.eval()
    with torch.no_grad():
        average, last = (hard_dice(net(image).argmax(1), label) for net in (made.predictor(), made.network))
    assert last > 0.9
    assert average > last - 0.05


def hard_dice(said, truth):
    return float(2 * (said * truth).sum() / (said.sum() + truth.sum()))


def test_average_follows_the_network():
    made = supervised(ema=0.9)
    phase = made.phases()[0]
    optimiser = phase.optimiser(phase.parameters)
    expected = {k: v.clone() for k, v in made.network.state_dict().items()}
    for step in range(12):
        image = torch.randn(2, 1, 8, 8, 8)
        phase.losses(StepBatch(step, image, (image[:, 0] > 0).long(), None)).total.backward()
        optimiser.step()
        made.after_step(step)
        decay = min(0.9, (step + 1) / (step + 10))
        for name, value in made.network.state_dict().items():
            whole = not value.is_floating_point()
            expected[name] = value.clone() if whole else decay * expected[name] + (1 - decay) * value
    for name, value in made.predictor().state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-6), name
    assert not made.predictor().training


def test_twin_has_the_methods_recipe_and_starting_weights():
    torch.manual_seed(3)
    method = MeanTeacher(MeanTeacher.configure("laptop", {**SMALL, "learning_rate": 0.03, "ema_late": 0.95}), PROBLEM)
    before = torch.get_rng_state()
    twin = Supervised.twin_of(method)
    assert torch.equal(torch.get_rng_state(), before)
    assert (twin.config.learning_rate, twin.config.steps, twin.config.ema) == (0.03, 20, 0.95)
    assert twin.streams(15).patch == method.streams(15).patch
    for network in (twin.network, twin.predictor()):
        assert all(
            torch.equal(a, b)
            for a, b in zip(*(n.state_dict().values() for n in (network, method.student)), strict=True)
        )
    assert twin.network is not method.student
    theirs = {p.data_ptr() for p in method.parameters()}
    assert not theirs & {p.data_ptr() for p in twin.parameters()}


def test_twin_takes_the_methods_supervised_steps():
    """Same batch, same weights: in pre-training a method and its twin compute the same loss."""
    method = MeanTeacher(MeanTeacher.configure("laptop", {**SMALL, "pretrain_steps": 10}), PROBLEM).train()
    twin = Supervised.twin_of(method).train()
    image = torch.randn(2, 1, 8, 8, 8)
    batch = StepBatch(0, image, (image[:, 0] > 0).long(), None)
    losses = [m.phases()[0].losses(batch) for m in (method, twin)]
    assert float(losses[0].total.detach()) == float(losses[1].total.detach())


def test_a_supervised_method_has_no_twin():
    assert Supervised.twin_of(supervised()) is None


def recipe(**changes):
    return RecipeConfig(**changes)


@pytest.mark.parametrize("dims", [2, 3])
def test_patch_is_rounded_up_to_what_the_network_halves(dims):
    config = recipe(patch=(9, 30, 64))
    problem = Problem(1, 2, (6.5, 1, 1), dims)
    assert patch_for(config, problem, make_network(config, problem)) == ((10 if dims == 3 else 1), 32, 64)


def test_deepmedic_patch_names_what_the_image_pathway_sees():
    config = recipe(backbone="deepmedic", patch=(21, 37, 37))
    for spacing, expected in [((1.0, 1.0, 1.0), (57, 73, 73)), ((6.5, 0.96, 0.96), (21, 73, 73))]:
        problem = Problem(1, 2, spacing)
        assert patch_for(config, problem, make_network(config, problem)) == expected
    tiny = recipe(backbone="deepmedic", patch=(4, 4, 4))
    assert patch_for(tiny, PROBLEM, make_network(tiny, PROBLEM)) == (53, 53, 53)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD), ("rmsprop", torch.optim.RMSprop)]
)
def test_only_convolution_weights_decay(name, kind):
    phase = supervised(optimiser=name, weight_decay=0.1).phases()[0]
    optimiser = phase.optimiser(phase.parameters)
    assert isinstance(optimiser, kind)
    heavy, light = optimiser.param_groups
    assert (heavy["weight_decay"], light["weight_decay"]) == (0.1, 0)
    assert len(heavy["params"]) + len(light["params"]) == len(phase.parameters)
    assert all(p.ndim == 5 for p in heavy["params"])


def test_annotated_patches_are_mixed_when_asked():
    """The same boxes as co-learning's, so that a gain of mixing is not credited to unlabelled cases."""
    made = supervised(labelled_mixing=True, box_share=0.5, mix_weight=0.3, ema=0.0)
    seen = []
    made.network.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0].clone(), out)))
    image = torch.randn(2, 1, 8, 8, 8)
    label = (image[:, 0] > 0).long()
    losses = made.phases()[0].losses(StepBatch(0, image, label, None))
    ((shown, logits),) = seen
    assert torch.equal(shown[:2], image)
    for n in range(2):
        inside = shown[2 + n] != image[n]
        assert int(inside.sum()) == 4**3
        assert torch.equal(shown[2 + n][inside], image[1 - n][inside])
    # The labels of this example can be read off the image.
    plain, _ = made.labelled_loss(logits[:2], label)
    mixed, _ = made.labelled_loss(logits[2:], (shown[2:, 0] > 0).long())
    assert float(losses.total.detach()) == pytest.approx(float((plain + 0.3 * mixed).detach()), rel=1e-6)
    assert float(losses.parts["mix"]) == pytest.approx(float(mixed.detach()), rel=1e-6)


@pytest.mark.parametrize("changes", [{}, {"labelled_mixing": True, "mix_weight": 0.0}])
def test_nothing_is_mixed_unless_asked(changes):
    assert not Supervised.configure("paper", {}).labelled_mixing
    made = supervised(**changes)
    seen = []
    made.network.register_forward_hook(lambda module, inputs, out: seen.append(len(inputs[0])))
    made.phases()[0].losses(StepBatch(0, torch.randn(2, 1, 8, 8, 8), torch.zeros(2, 8, 8, 8).long(), None))
    assert seen == [2]


def test_unknown_voxels_stay_unknown_in_mixed_patches_and_one_patch_is_not_mixed():
    made = supervised(labelled_mixing=True)
    image, nothing = torch.randn(2, 1, 16, 16, 16), torch.full((2, 16, 16, 16), IGNORE)
    made.phases()[0].losses(StepBatch(0, image, nothing, None)).total.backward()
    assert not any(p.grad.any() for p in made.network.parameters())
    alone = made.phases()[0].losses(StepBatch(0, image[:1], (image[:1, 0] > 0).long(), None))
    assert "mix" not in alone.parts
