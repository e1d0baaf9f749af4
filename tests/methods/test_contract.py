"""What every method must keep, ours and installed ones alike: parametrized over the registry."""

import importlib
import json
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch.utils._pytree import tree_leaves

from napari_penumbra import methods
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.methods._base import IGNORE, Method, Problem, StepBatch

SMALL = {"width": 2, "patch": (8, 8, 8), "pretrain_steps": 2, "depth": 10, "confidence_width": 2}
FALLING = {"asdnet": ("dice_loss", {"width": 8}), "col-net": ("cross_entropy", {"width": 8})}
"""What falls on annotated voxels where it is not the cross entropy, and how small a network it takes to see it."""
THIRD_PARTY = '''
from napari_penumbra.methods.mean_teacher import MeanTeacher

class Cautious(MeanTeacher):
    """A mean teacher that trusts its teacher less."""

    title = "Cautious teacher"
    presets = {name: {**values, "consistency_weight": 0.5} for name, values in MeanTeacher.presets.items()}
'''


@pytest.fixture(scope="module", autouse=True)
def third_party(tmp_path_factory):
    """Install a distribution the way pip does: a module and its dist-info on the path."""
    site = tmp_path_factory.mktemp("site")
    (site / "cautious_teacher.py").write_text(THIRD_PARTY)
    (site / "not_a_method.py").write_text("Thing = dict\n")
    info = site / "cautious_teacher-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cautious-teacher\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[napari_penumbra.methods]\n"
        "cautious = cautious_teacher:Cautious\n"
        "broken = no_such_module_at_all:Thing\n"
        "odd = not_a_method:Thing\n"
        "supervised = cautious_teacher:Cautious\n"
    )
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    methods._plugins.look_again()
    yield
    sys.path.remove(str(site))
    methods._plugins.look_again()
    for name in ("cautious_teacher", "not_a_method"):
        sys.modules.pop(name, None)


ALL = [*methods.REGISTRY, "cautious"]
UNLABELLED = ["asdnet", "self-correction", "mean-teacher", "co-learning", "cautious"]
DIMS = [2, 3]


def changes(name):
    fields = methods.get(name).Config.model_fields
    return {key: value for key, value in SMALL.items() if key in fields}


def make(name, dims=3, steps=12, classes=3, channels=2, **more):
    torch.manual_seed(0)
    cls = methods.get(name)
    return cls(
        cls.configure("laptop", {**changes(name), **more}, steps), Problem(channels, classes, spatial_dims=dims)
    ).train()


def make_batch(method, step, labelled=True, unlabelled=True):
    generator = torch.Generator().manual_seed(step)
    wanted = method.streams(step)
    size = wanted.patch[3 - method.problem.spatial_dims :]

    def draw(count):
        return torch.randn(max(count, 2), method.problem.in_channels, *size, generator=generator)

    image = draw(wanted.labelled)
    label = (image[:, 0] > 0.3).long() + (image[:, 0] > 1).long()
    other = draw(wanted.unlabelled) if unlabelled and wanted.unlabelled else None
    return StepBatch(step, image if labelled else None, label if labelled else None, other)


def train(method, first, last, **streams):
    """The trainer's loop in eight lines; a phase without a loss is not stepped."""
    phases = [(phase, phase.optimiser(phase.parameters)) for phase in method.phases()]
    totals = []
    for step in range(first, last):
        batch = make_batch(method, step, **streams)
        for phase, optimiser in phases:
            losses = phase.losses(batch)
            if losses is None:
                continue
            optimiser.zero_grad()
            losses.total.backward()
            for group in optimiser.param_groups:
                group["lr"] = method.config.learning_rate * phase.factor(step)
            optimiser.step()
            totals.append(losses)
        method.after_step(step)
    return totals


def weights(method):
    return {key: value.clone() for key, value in method.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_names_lists_ours_then_installed_ones():
    assert methods.names() == [*methods.REGISTRY, "broken", "cautious", "odd"]


def test_ours_is_not_replaced_by_another_of_the_same_name():
    assert methods.get("supervised").__module__ == "napari_penumbra.methods.supervised"


@pytest.mark.parametrize(
    ("name", "words"), [("nothing", "no method called"), ("broken", "could not be loaded"), ("odd", "is not a napari")]
)
def test_a_method_that_cannot_be_had_is_said_in_words(name, words):
    with pytest.raises(UsageError, match=words):
        methods.get(name)


@pytest.mark.parametrize("name", ALL)
def test_it_describes_itself(name):
    cls = methods.get(name)
    assert issubclass(cls, Method)
    assert all(text.strip() for text in (cls.title, cls.summary, cls.paper, cls.__doc__))
    assert set(cls.presets) == {"paper", "workstation", "laptop"}
    schema = json.loads(json.dumps(cls.Config.model_json_schema()))
    for field, entry in schema["properties"].items():
        assert entry["title"].strip(), field
        assert entry["description"].strip(), field
        assert "default" in entry, field


@pytest.mark.parametrize("preset", ["paper", "workstation", "laptop"])
@pytest.mark.parametrize("name", ALL)
def test_its_presets_make_a_config_that_survives_json(name, preset):
    cls = methods.get(name)
    config = cls.configure(preset, {}, 123)
    assert config.steps == 123
    assert cls.Config.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError):
        cls.configure(preset, {"no_such_parameter": 1})
    with pytest.raises(ValidationError):
        config.steps = 5


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("name", ALL)
def test_losses_are_finite_and_fall(name, dims):
    falling, more = FALLING.get(name, ("cross_entropy", {}))
    method = make(name, dims, steps=40, learning_rate=0.01, **more)
    losses = train(method, 0, 40)
    for step in losses:
        assert step.total.ndim == 0
        assert torch.isfinite(step.total)
        assert all(not part.requires_grad and torch.isfinite(part) for part in step.parts.values())
    values = [float(step.parts[falling]) for step in losses if falling in step.parts]
    assert sum(values[-5:]) < 0.8 * sum(values[:5])


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("name", ALL)
def test_prediction_and_confidence_have_the_images_size(name, dims):
    method = make(name, dims).eval()
    size = (9, 10, 11)[3 - dims :]
    image = torch.randn(2, 2, *size)
    with torch.no_grad():
        probability = method.predictor().eval()(image).softmax(1)
        confidence = method.confidence(image, probability)
    assert probability.shape == (2, 3, *size)
    assert confidence.shape == (2, *size)
    assert confidence.min() >= 0
    assert confidence.max() <= 1


@pytest.mark.parametrize("name", UNLABELLED)
def test_the_unlabelled_loss_alone_moves_the_network(name):
    method = make(name)
    train(method, 0, 6)
    before = weights(method)
    assert train(method, 6, 8, labelled=False)
    assert not same(before, weights(method))


@pytest.mark.parametrize("name", ALL)
def test_a_step_without_labelled_or_without_any_patches_does_not_crash(name):
    method = make(name)
    train(method, 0, 12, labelled=False)
    for phase in method.phases():
        assert phase.losses(StepBatch(11, None, None, None)) is None


@pytest.mark.parametrize("name", ALL)
def test_a_step_without_unlabelled_patches_learns_from_the_others(name):
    method = make(name)
    assert len(train(method, 0, 12, unlabelled=False)) == 12 * len(method.phases())


@pytest.mark.parametrize("name", ALL)
def test_unknown_voxels_carry_no_supervised_gradient(name):
    """Seen at the logits of every network that has a part in the loss."""
    method = make(name, channels=5)  # as many as no output for the classes has
    outputs = []
    for network in method.children():
        network.register_forward_hook(lambda module, inputs, answer: outputs.extend(tree_leaves(answer)))
    batch = make_batch(method, 0, unlabelled=False)
    hidden = torch.rand(batch.label.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    batch.label = torch.where(hidden, IGNORE, batch.label)
    losses = method.phases()[0].losses(batch)
    full = [logits for logits in outputs if logits.requires_grad and logits.shape[2:] == batch.label.shape[1:]]
    # A reconstruction, in the image's channels, is not taught by labels.
    full = [logits for logits in full if logits.shape[1] != method.problem.in_channels]
    outputs = full or [logits for logits in outputs if logits.requires_grad]
    assert outputs
    for gradient in torch.autograd.grad(losses.total, outputs):
        assert not gradient.movedim(1, -1)[hidden].any()
        assert gradient.movedim(1, -1)[~hidden].all()
    nothing = make_batch(method, 0, unlabelled=False)
    nothing.label = torch.full_like(nothing.label, IGNORE)
    method.zero_grad()
    method.phases()[0].losses(nothing).total.backward()
    assert not any(p.grad is not None and p.grad.any() for p in method.phases()[0].parameters)


@pytest.mark.parametrize("name", ALL)
def test_saved_and_loaded_it_goes_on_the_same(name):
    first, second = make(name), make(name)
    train(first, 0, 6)
    assert not same(weights(first), weights(second))
    second.load_state_dict(weights(first))
    image = torch.randn(1, 2, 8, 8, 8)
    with torch.no_grad():
        assert torch.equal(first.eval().predictor()(image), second.eval().predictor()(image))


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("name", ALL)
def test_it_is_deterministic_under_a_seed(name, dims):
    ends = []
    for _ in range(2):
        method = make(name, dims)
        torch.manual_seed(5)
        train(method, 0, 6)
        ends.append(weights(method))
    assert same(*ends)


@pytest.mark.parametrize("name", ALL)
def test_what_no_optimiser_moves_needs_no_gradient(name):
    method = make(name)
    moved = {id(p) for phase in method.phases() for p in phase.parameters}
    assert moved
    assert all((id(p) in moved) == p.requires_grad for p in method.parameters())


@pytest.mark.parametrize("name", ALL)
def test_channels_last_memory_is_fine(name):
    method = make(name).to(memory_format=torch.channels_last_3d)
    batch = make_batch(method, 5)
    for field in ("image", "unlabelled"):
        value = getattr(batch, field)
        if value is not None:
            setattr(batch, field, value.to(memory_format=torch.channels_last_3d))
    for phase in method.phases():
        total = phase.losses(batch).total
        total.backward()
        assert torch.isfinite(total)


@pytest.mark.parametrize("backbone", ["unet", "vnet", "deepmedic"])
@pytest.mark.parametrize("name", ALL)
def test_every_backbone_takes_a_step(name, backbone):
    try:
        method = make(name, backbone=backbone, steps=5)
    except ValidationError:
        pytest.skip("This method has a network of its own.")
    assert len(train(method, 2, 4)) == 2 * len(method.phases())


def test_the_list_of_names_does_not_import_torch():
    """The worker's first words come sooner, and a window may ask for names."""
    code = "import sys, napari_penumbra.methods as m; m.names(); raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
