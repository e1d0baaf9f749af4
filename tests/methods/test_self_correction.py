import pytest
import safetensors.torch
import torch

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.methods._base import IGNORE, Problem, StepBatch
from napari_penumbra.methods._deep_supervision import sigmoid_losses, target_pyramid
from napari_penumbra.methods.self_correction import SelfCorrection
from napari_penumbra.methods.supervised import Supervised
from napari_penumbra.networks.dual_task import FirstPass

SMALL = {"width": 2, "depth": 10, "patch": (8, 32, 32), "steps": 100}


def method(problem=None, preset="laptop", **changes):
    torch.manual_seed(0)
    problem = problem or Problem(1, 2, spatial_dims=2)
    return SelfCorrection(SelfCorrection.configure(preset, {**SMALL, **changes}), problem).train()


def blobs(count, size=32, seed=0):
    """Bright discs on noise, and where they are."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = (0.25 + 0.5 * torch.rand(count, 2, generator=generator)) * size
    radius = (0.12 + 0.12 * torch.rand(count, generator=generator)) * size
    inside = torch.stack([(y - p[0]) ** 2 + (x - p[1]) ** 2 < r**2 for p, r in zip(places, radius, strict=True)])
    noise = 0.5 * torch.randn(count, size, size, generator=generator)
    return (noise + 1.5 * inside)[:, None], inside.long()


def batch(step=0, labelled=True, unlabelled=True, count=2):
    image, label = blobs(count, seed=step)
    other = blobs(count, seed=step + 1000)[0]
    return StepBatch(step, image if labelled else None, label if labelled else None, other if unlabelled else None)


def losses(made, **which):
    return made.phases()[0].losses(batch(**which))


def run(made, first, last, make=batch):
    phase = made.phases()[0]
    optimiser = phase.optimiser(phase.parameters)
    for step in range(first, last):
        total = phase.losses(make(step)).total
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        made.after_step(step)


def test_paper_preset_is_the_papers():
    config = SelfCorrection.configure("paper", {})
    assert (config.width, config.depth, config.fusion, config.dropout) == (64, 34, "gated", 0.1)
    assert (config.optimiser, config.learning_rate, config.momentum) == ("sgd", 1e-3, 0.9)
    assert (config.weight_decay, config.poly_power, config.steps) == (1e-5, 0.9, 9600)
    assert (config.labelled_batch, config.unlabelled_batch, config.patch[1:]) == (4, 4, (256, 256))
    assert (config.segmentation_weight, config.inpainting_weight, config.dice_weight) == (2, 1, 1)
    assert (config.coarse_weight, config.ema_late, config.refresh_steps, config.foreground_share) == (0, 0, 0, 0)
    assert config.encoder_weights == ""
    phase = method(preset="paper").phases()[0]
    assert isinstance(phase.optimiser(phase.parameters), torch.optim.SGD)
    assert phase.factor(50) == pytest.approx(0.5**0.9)


def test_it_learns_in_slices_unless_asked():
    config = SelfCorrection.configure("laptop", {})
    assert SelfCorrection.choose_dimensions(config, slices=30) == 2
    assert SelfCorrection.choose_dimensions(SelfCorrection.configure("laptop", {"dimensions": "3D"}), 30) == 3


@pytest.mark.parametrize(("dims", "patch"), [(2, (1, 64, 64)), (3, (32, 64, 64))])
def test_patches_can_be_halved_five_times(dims, patch):
    made = method(Problem(1, 2, spatial_dims=dims), patch=(8, 48, 40))
    assert made.streams(0).patch == patch
    assert (made.streams(0).labelled, made.streams(0).unlabelled) == (4, 4)


def test_the_total_is_equation_11():
    made = method(dropout=0.0, segmentation_weight=3.0, inpainting_weight=0.5)
    both = losses(made)
    entropy, dice, inpainting = (float(both.parts[n]) for n in ("cross_entropy", "dice_loss", "inpainting"))
    assert float(both.total.detach()) == pytest.approx(3 * (entropy + dice) + 0.5 * inpainting, rel=1e-5)
    assert float(losses(made, unlabelled=False).total.detach()) == pytest.approx(3 * (entropy + dice), rel=1e-5)
    assert float(losses(made, labelled=False).total.detach()) == pytest.approx(0.5 * inpainting, rel=1e-5)


def test_annotated_loss_is_the_sum_over_five_scales():
    made = method(Problem(1, 3, spatial_dims=2), dropout=0.0)
    image, label = blobs(2)
    label[:, :8] *= 2
    expected = [0.0, 0.0]
    target = torch.stack([label == 1, label == 2], 1).double()
    for logits in made.network(image)["segmentation"]:
        logits, p = logits.detach().double(), logits.detach().double().sigmoid()
        expected[0] += float(-(target * p.log() + (1 - target) * (1 - p).log()).mean())
        sums = [(v).sum((0, 2, 3)) for v in (p * target, p, target)]
        expected[1] += float(1 - ((2 * sums[0] + 1) / (sums[1] + sums[2] + 1)).mean())
        target = torch.nn.functional.interpolate(target, scale_factor=0.5, mode="bilinear", align_corners=False)
    parts = made.phases()[0].losses(StepBatch(0, image, label, None)).parts
    assert [float(parts[n]) for n in ("cross_entropy", "dice_loss")] == pytest.approx(expected, rel=1e-5)


def test_inpainting_loss_is_the_sum_over_five_scales_of_the_mean_error_in_the_mask():
    made = method(dropout=0.0)
    image = blobs(2)[0]
    with torch.no_grad():
        answer = made.network(image, inpaint=True)
    expected, target = 0.0, image
    for painted, logits in zip(answer["inpainting"], answer["segmentation"], strict=True):
        inside = logits.sigmoid() > 0.5
        expected += float((painted - target)[inside].abs().mean()) if inside.any() else 0.0
        target = torch.nn.functional.avg_pool2d(target, 2)
    parts = made.phases()[0].losses(StepBatch(0, None, None, image)).parts
    assert expected > 0
    assert float(parts["inpainting"]) == pytest.approx(expected, rel=1e-5)
    assert float(parts["hidden_share"]) == pytest.approx(float((answer["coarse"][0] > 0).float().mean()))


def test_the_inpainting_loss_does_not_move_the_segmentation_decoder():
    """Masks carry no gradient: hiding less must not be a way to paint better."""
    made = method()
    losses(made, labelled=False).total.backward()
    moved = {name.split(".")[0] for name, p in made.network.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"encoder", "inpainting", "inpainting_heads", "fusions"}


def test_the_annotated_loss_does_not_move_the_inpainting_decoder():
    made = method()
    losses(made, unlabelled=False).total.backward()
    moved = {name.split(".")[0] for name, p in made.network.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"encoder", "segmentation", "segmentation_heads", "fusions"}


def test_nothing_found_means_nothing_to_paint():
    made = method()
    for head in made.network.segmentation_heads:
        torch.nn.init.constant_(head[2].bias, -100.0)
    found = losses(made, labelled=False)
    assert float(found.total.detach()) == 0
    assert float(found.parts["hidden_share"]) == 0
    found.total.backward()
    assert not any(p.grad.any() for p in made.network.parameters() if p.grad is not None)


def test_without_weight_the_unlabelled_images_are_left_alone():
    made = method(inpainting_weight=0.0)
    assert "inpainting" not in losses(made).parts
    assert losses(made, labelled=False) is None


def test_the_coarse_result_can_be_taught_too():
    plain, taught = method(dropout=0.0), method(dropout=0.0, coarse_weight=0.5)
    first, second = losses(plain, unlabelled=False), losses(taught, unlabelled=False)
    assert "coarse" not in first.parts
    assert float((second.total - first.total).detach()) == pytest.approx(0.5 * float(second.parts["coarse"]), rel=1e-4)
    image, label = batch().image, batch().label
    expected = taught.labelled_loss(FirstPass(taught.network)(image), label)[0]
    assert float(second.parts["coarse"]) == pytest.approx(float(expected.detach()), rel=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_twins_loss_is_that_of_the_largest_scale(classes):
    made = method(Problem(1, classes, spatial_dims=2), dropout=0.0)
    image, label = blobs(2)
    label = label.masked_fill(torch.rand(label.shape) < 0.3, IGNORE)
    logits = made.segmenter()(image)
    total, parts = made.labelled_loss(logits + 5.0, label)  # softmax does not see a constant, nor may the loss
    entropy, dice = sigmoid_losses(logits[:, 1:], *target_pyramid(label, classes, [])[0])
    assert float(total.detach()) == pytest.approx(2 * float((entropy + dice).detach()), rel=1e-4)
    assert float(parts["cross_entropy"]) == pytest.approx(float(entropy.detach()), rel=1e-4)


def test_its_twin_is_the_first_pass():
    made = method()
    twin = Supervised.twin_of(made).train()
    names = {name.split(".")[0] for name, _ in twin.network.named_parameters()}
    assert names == {"encoder", "decoder", "head"}
    assert twin.streams(0).unlabelled == 0
    assert twin.config.ema == made.config.ema_late
    before = [p.clone() for p in made.parameters()]
    run(twin, 0, 2)
    assert all(torch.equal(a, b) for a, b in zip(before, made.parameters(), strict=True))
    losses(twin, unlabelled=False).total.backward()
    assert all(p.grad is not None for p in twin.network.parameters())


@pytest.mark.parametrize("size", [(20, 70), (33, 32)])
def test_sizes_that_cannot_be_halved_are_padded_and_the_padding_does_not_count(size):
    made = method(dropout=0.0)
    image = torch.randn(2, 1, *size)
    label = torch.full((2, *size), IGNORE)
    nothing = made.phases()[0].losses(StepBatch(0, image, label, None))
    assert float(nothing.total.detach()) == 0
    found = made.phases()[0].losses(StepBatch(0, image, (image[:, 0] > 0).long(), image))
    assert torch.isfinite(found.total)


def test_a_batch_of_one_smallest_patch_trains():
    made = method()
    one = batch(count=1)
    found = made.phases()[0].losses(one)
    found.total.backward()
    assert torch.isfinite(found.total)


def test_the_average_predicts_if_there_is_one():
    plain, averaged = method(ema_late=0.0), method(ema_late=0.9)
    assert plain.predictor().network is plain.network
    assert plain.average is None
    assert averaged.predictor().network is averaged.average
    run(averaged, 0, 2)
    ours, theirs = averaged.average.state_dict(), averaged.network.state_dict()
    assert not torch.equal(ours["encoder.conv1.weight"], theirs["encoder.conv1.weight"])
    assert not torch.equal(ours["encoder.bn1.running_mean"], torch.zeros(2))
    assert not averaged.average.training
    assert averaged.network.training


def test_the_pool_is_predicted_at_its_interval():
    made = method(refresh_steps=20)
    assert [step for step in range(61) if made.wants_pool_prediction(step)] == [20, 40, 60]
    assert not any(method(refresh_steps=0).wants_pool_prediction(step) for step in range(61))


# ------------------------------------------------------------- confidence


def confidence_of(coarse, fine):
    """Confidence where the first pass says ``coarse`` and the second ``fine`` (probability of the lesion)."""
    made = method(ema_late=0.0).eval()
    logit = torch.logit(torch.tensor(coarse))
    made.network.segmentation_heads[0].register_forward_hook(
        lambda module, inputs, answer: torch.full_like(answer, float(logit))
    )
    fine = torch.full((1, 1, 8, 8), fine)
    found = made.confidence(torch.randn(1, 1, 8, 8), torch.cat([1 - fine, fine], 1))
    assert found.shape == (1, 8, 8)
    assert found.std() < 1e-6
    return float(found[0, 0, 0])


@pytest.mark.parametrize(
    ("coarse", "fine", "expected"),
    [
        (1.0 - 1e-6, 1.0, 1.0),
        (1e-6, 0.0, 1.0),
        (0.9, 0.9, 0.8),
        (0.5, 1.0, 0.5),
        (0.2, 0.9, 0.8 * 0.3),
        (1e-6, 1.0, 0.0),
        (0.9, 0.5, 0.0),
    ],
)
def test_confidence_is_the_lead_less_what_the_correction_moved(coarse, fine, expected):
    assert confidence_of(coarse, fine) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
def test_confidence_takes_any_size_and_leaves_no_graph(dims):
    made = method(Problem(2, 4, spatial_dims=dims)).eval()
    size = (5, 37, 21)[3 - dims :]
    image = torch.randn(3, 2, *size)
    probability = torch.randn(3, 4, *size).softmax(1)
    found = made.confidence(image, probability)
    assert found.shape == (3, *size)
    assert 0 <= found.min() <= found.max() <= 1
    assert not found.requires_grad


# ------------------------------------------------------------- starting weights


def encoder_file(folder, made):
    torch.manual_seed(9)
    state = made.network.encoder.state_dict()
    tensors = {name: torch.rand_like(t) if t.is_floating_point() else t for name, t in state.items()}
    tensors["conv1.weight"] = torch.randn(2, 3, 7, 7)
    path = folder / "encoder.safetensors"
    safetensors.torch.save_file(tensors, path)
    return path, tensors


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_starting_weights_are_read_when_a_training_begins_and_not_before(tmp_path, ema):
    path, tensors = encoder_file(tmp_path, method())
    made = method(encoder_weights=str(path), ema_late=ema)
    assert not torch.equal(made.network.encoder.layer4[0].conv1.weight, tensors["layer4.0.conv1.weight"])
    made.start()
    assert torch.equal(made.network.encoder.layer4[0].conv1.weight, tensors["layer4.0.conv1.weight"])
    assert torch.equal(made.segmenter().encoder.bn1.weight, tensors["bn1.weight"])
    predicting = made.predictor().network
    assert torch.equal(predicting.encoder.bn1.weight, tensors["bn1.weight"])
    assert all(p.requires_grad for p in made.network.parameters())


def test_a_model_opens_without_the_file_it_started_from(tmp_path):
    path, _ = encoder_file(tmp_path, method())
    trained = method(encoder_weights=str(path))
    trained.start()
    state = {name: t.clone() for name, t in trained.state_dict().items()}
    path.unlink()
    again = SelfCorrection(SelfCorrection.Config.model_validate_json(trained.config.model_dump_json()), trained.problem)
    again.load_state_dict(state)
    image = blobs(1)[0]
    with torch.no_grad():
        assert torch.equal(trained.eval().predictor()(image), again.eval().predictor()(image))
    with pytest.raises(ModelError, match="cannot be read"):
        again.start()


def test_starting_does_nothing_without_a_file():
    made = method()
    before = made.network.encoder.conv1.weight.clone()
    made.start()
    assert torch.equal(made.network.encoder.conv1.weight, before)


# ------------------------------------------------------------- learning


@pytest.mark.slow
def test_two_cases_are_learnt_by_heart():
    images, labels = blobs(2, size=64)

    def both(step):
        return StepBatch(step, images, labels, images)

    made = method(width=8, patch=(8, 64, 64), steps=150, learning_rate=5e-3, ema_late=0.9, dropout=0.0)
    run(made, 0, 150, both)
    with torch.no_grad():
        predicted = made.eval().predictor()(images).argmax(1)
        confidence = made.confidence(images, made.predictor()(images).softmax(1))
    for found, truth in zip(predicted, labels, strict=True):
        assert 2 * float((found & truth).sum()) / float(found.sum() + truth.sum()) > 0.95
    assert confidence.mean() > 0.8
