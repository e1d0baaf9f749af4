"""A training that starts from another model: names, order, what is taken over, what is refused; every method."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.methods import REGISTRY
from napari_penumbra.methods._base import Method
from napari_penumbra.training.build import make_method, make_prediction, make_trainer
from napari_penumbra.training.checkpoint import METHOD_PREFIX, Checkpoint, save
from napari_penumbra.training.plan import make_plan
from napari_penumbra.training.starting import begin_from, plan_of
from tiny_study import CONFIG, MODALITIES, grid, make_spec, write_run

TWO = LabelScheme.parse(["3=lesion", "7=core"])
SMALL: dict[str, dict[str, Any]] = {
    "self-correction": {"depth": 10, "width": 4, "patch": (16, 24, 24)},
    "col-net": {"width": 4, "patch": (16, 24, 24)},
    "asdnet": {"width": 4, "confidence_width": 4, "patch": (16, 24, 24)},
}


def never() -> bool:
    return False


def spec_of(root: Path, method: str, **changes: Any) -> RunSpec:
    """An order over cases whose files nobody reads: a plan needs their grids only."""
    roles = {"anna": "labelled", "bert": "labelled", "cleo": "unlabelled"}
    cases = tuple(SpecCase(name, ("a.nii", "b.nii"), grid(), None, role) for name, role in roles.items())  # type: ignore[arg-type]
    config = SMALL.get(method, {"width": 4, "patch": (16, 16, 16)})
    made = RunSpec("train", MODALITIES, TWO, cases, method, "laptop", config, 4, seed=5, threads=1, device="cpu")
    return dataclasses.replace(made, **changes)


def model_of(spec: RunSpec, seed: int = 11) -> tuple[Method, Checkpoint]:
    """A model with weights and running statistics that nobody else has, as a checkpoint."""
    spec = dataclasses.replace(spec, seed=seed)
    plan = make_plan(spec)
    method = make_method(spec, plan)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*method.parameters(), *method.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand(tensor.shape, generator=random))
    state = {
        "method": spec.method,
        "config": method.config.model_dump(mode="json"),
        "plan": plan.to_json(),
        "labels": spec.labels.to_json(),
        "patch": [16, 24, 24],
        "step": 4,
    }
    weights = {METHOD_PREFIX + name: tensor.clone() for name, tensor in method.state_dict().items()}
    return method, Checkpoint(weights, {}, state)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_network_of_every_method_is_taken_over(root: Path, name: str) -> None:
    spec = spec_of(root, name)
    old, start = model_of(spec)
    new = make_method(spec, plan_of(spec, start))
    assert any(not torch.equal(t, old.state_dict()[n]) for n, t in new.state_dict().items())
    words = begin_from(new, name, start)
    for key, tensor in new.state_dict().items():
        assert torch.equal(tensor, old.state_dict()[key]), key
    assert "random weights" not in words
    assert all(part.replace("_", " ") in words for part, _ in old.named_children())


def test_names_are_matched_and_the_model_s_order_is_kept(root: Path) -> None:
    spec = spec_of(root, "supervised")
    old, start = model_of(spec)
    # Another study: modalities the other way round, classes with other values, order and spelling.
    turned = tuple(dataclasses.replace(c, images=c.images[::-1]) for c in spec.cases)
    scheme = LabelScheme.parse(["1=Core ", "2=LESION"])
    other = dataclasses.replace(spec, modalities=("t2", "dwi"), cases=turned, labels=scheme)
    plan = plan_of(other, start)
    assert plan.modalities == ("dwi", "t2")
    assert plan.values == (2, 1)
    assert plan.spacing == start.plan.spacing
    new = make_method(other, plan)
    begin_from(new, "supervised", start)
    image = torch.randn(1, 2, 16, 24, 24)
    old.eval(), new.eval()
    with torch.no_grad():
        assert torch.equal(old.predictor()(image), new.predictor()(image))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modalities": ("DWI", "FLAIR")}, "modality T2, which this study does not have"),
        ({"labels": LabelScheme.parse(["3=lesion"])}, "class core, which this study does not have"),
        ({"labels": LabelScheme.parse(["3=lesion", "7=core", "8=vessel"])}, "does not know the study's class vessel"),
        ({"labels": LabelScheme.parse(["3=a", "7=b"])}, "classes lesion, core, which"),
    ],
)
def test_what_does_not_match_is_refused_by_name(root: Path, change: dict[str, Any], words: str) -> None:
    spec = spec_of(root, "supervised")
    _, start = model_of(spec)
    with pytest.raises(ModelError, match=words):
        plan_of(dataclasses.replace(spec, **change), start)


def test_a_modality_that_the_model_has_not_learnt_is_refused(root: Path) -> None:
    spec = spec_of(root, "supervised")
    one = dataclasses.replace(
        spec, modalities=("DWI",), cases=tuple(dataclasses.replace(c, images=c.images[:1]) for c in spec.cases)
    )
    _, start = model_of(one)
    with pytest.raises(ModelError, match="does not know the study's modality T2"):
        plan_of(spec, start)


@pytest.mark.parametrize(
    ("old", "new", "fresh"),
    [
        ("supervised", "mean-teacher", ""),
        ("mean-teacher", "supervised", ""),
        ("mean-teacher", "co-learning", ""),
        ("supervised", "asdnet", "confidence net"),
    ],
)
def test_another_method_gets_the_network_that_predicted(root: Path, old: str, new: str, fresh: str) -> None:
    spec = spec_of(root, old, config={"width": 4, "patch": (16, 16, 16), "backbone": "svnet"})
    model, start = model_of(spec)
    order = dataclasses.replace(spec, method=new)
    made = make_method(order, plan_of(order, start))
    before = {n: t.clone() for n, t in made.state_dict().items()}
    words = begin_from(made, new, start)
    wanted = model.predictor().state_dict()
    for part, network in made.named_children():
        if fresh and part == fresh.replace(" ", "_"):
            assert all(torch.equal(t, before[f"{part}.{n}"]) for n, t in network.state_dict().items())
        else:
            assert all(torch.equal(t, wanted[n]) for n, t in network.state_dict().items()), part
    assert (f"{fresh} begins with random weights" in words) if fresh else ("random" not in words)


@pytest.mark.parametrize(
    ("old", "new", "config", "words"),
    [
        ("supervised", "supervised", {"width": 8}, "width=4"),
        ("supervised", "mean-teacher", {"backbone": "deepmedic", "patch": (60, 60, 60)}, "backbone=unet"),
        ("supervised", "co-learning", {"backbone": "svnet", "width": 4}, "backbone=unet"),
    ],
)
def test_networks_of_another_build_are_refused(
    root: Path, old: str, new: str, config: dict[str, Any], words: str
) -> None:
    spec = spec_of(root, old)
    _, start = model_of(spec)
    order = dataclasses.replace(spec, method=new, config=config)
    made = make_method(order, plan_of(order, start))
    with pytest.raises(ModelError, match="built in another way") as error:
        begin_from(made, new, start)
    assert words in error.value.remedy


def test_other_dimensions_are_refused(root: Path) -> None:
    spec = spec_of(root, "supervised")
    _, start = model_of(dataclasses.replace(spec, config={**spec.config, "dimensions": "2D"}))
    with pytest.raises(ModelError, match="works in 2D, this training in 3D"):
        plan_of(spec, start)


def test_a_run_from_a_model_of_turned_order_trains_resumes_and_predicts(root: Path) -> None:
    """Through the worker's own way: the twin, the cache, the checkpoint and the prediction all keep the order."""
    spec = dataclasses.replace(make_spec(root, steps=4), config={**CONFIG})
    turned = tuple(dataclasses.replace(c, images=c.images[::-1]) for c in spec.cases)
    other = dataclasses.replace(spec, modalities=MODALITIES[::-1], cases=turned, checkpoint="runs/old/checkpoints/m")
    old, start = model_of(spec)
    made = save(root / "runs" / "old" / "checkpoints", start)
    made.rename(made.with_name("m"))
    said: list[Progress] = []
    calls = iter(range(100))
    run = write_run(root, "new", other)
    trainer = make_trainer(run, other, said.append, lambda: next(calls) >= 2, resume=False)
    assert trainer.plan.modalities == MODALITIES
    assert "student, teacher taken over" in next(e.message for e in said if e.kind is Kind.STAGE)
    assert trainer.reference is not None
    twin = trainer.reference.method.state_dict()
    assert all(torch.equal(t, twin[f"network.{n}"]) for n, t in old.segmenter().state_dict().items())  # type: ignore[union-attr]
    direct = np.asarray(trainer.cache.image(other.of_role("labelled")[0]), np.float32)
    assert not trainer.run()
    assert make_trainer(run, other, said.append, never, resume=True).run()
    model = str(sorted((run / "checkpoints").glob("step-*"))[-1].relative_to(root))
    look = dataclasses.replace(other, kind="predict", checkpoint=model, cases=other.cases[2:3])
    assert make_prediction(write_run(root, "look", look), look, said.append, never).run()
    same = make_trainer(write_run(root, "plain", spec), spec, said.append, never, resume=False)
    assert np.array_equal(direct, np.asarray(same.cache.image(spec.of_role("labelled")[0]), np.float32))
    assert not any("constant" in e.about for e in said)
