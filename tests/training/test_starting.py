"""Starting weights from a file: read when a training begins afresh, and never again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.domain.progress import Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.networks.resunet import ResNetEncoder
from napari_penumbra.training.build import make_prediction, make_trainer
from napari_penumbra.training.probe import check
from tiny_study import CONFIG, make_spec, write_run


def never() -> bool:
    return False


def after(calls: int) -> Callable[[], bool]:
    counter = iter(range(10_000))
    return lambda: next(counter) >= calls


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    state = ResNetEncoder(3, (1.0, 1.0, 1.0), 2, width=4, depth=10).state_dict()
    state["layer1.0.bn1.bias"] += 7
    path = tmp_path / "encoder.safetensors"
    safetensors.torch.save_file(state, path)
    return path


def order(root: Path, weights: Path) -> RunSpec:
    config = {**CONFIG, "patch": (16, 24, 24), "depth": 10, "encoder_weights": str(weights)}
    return dataclasses.replace(make_spec(root, "self-correction", steps=6), config=config)


def test_the_file_is_read_once(root: Path, weights: Path) -> None:
    spec = order(root, weights)
    run = write_run(root, "run", spec)
    events: list[Progress] = []
    trainer = make_trainer(run, spec, events.append, after(3), resume=False)
    for learner in trainer.learners():
        biases = [t for name, t in learner.weights().items() if name.endswith("encoder.layer1.0.bn1.bias")]
        assert biases
        assert all(torch.equal(t, torch.full_like(t, 7)) for t in biases)
    assert not trainer.run()
    weights.unlink()
    assert make_trainer(run, spec, events.append, never, resume=True).run()
    model = str(sorted((run / "checkpoints").glob("step-*"))[-1].relative_to(root))
    predict = dataclasses.replace(spec, kind="predict", checkpoint=model, cases=spec.cases[2:3])
    assert make_prediction(write_run(root, "look", predict), predict, events.append, never).run()
    onward = dataclasses.replace(spec, checkpoint=model)
    trainer = make_trainer(write_run(root, "onward", onward), onward, events.append, never, resume=False)
    assert trainer.step == 0


def test_a_file_that_is_not_there_is_said_before_the_training(root: Path, weights: Path) -> None:
    spec = order(root, weights)
    weights.unlink()
    run = write_run(root, "run", spec)
    with pytest.raises(ModelError, match="cannot be read"):
        make_trainer(run, spec, lambda event: None, never, resume=False)
    said = check(run)
    assert not said["ok"]
    assert "cannot be read" in said["error"]
