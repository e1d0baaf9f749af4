from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import napari_penumbra.training.trainer as trainer_module
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.methods import get
from napari_penumbra.methods._base import MethodConfig
from napari_penumbra.training.best import BestWeights
from napari_penumbra.training.build import make_trainer
from napari_penumbra.training.checkpoint import load
from tiny_study import make_spec, write_run


class Learner:
    """Two weights, one of them a counter."""

    def __init__(self) -> None:
        self.state = {"weight": torch.zeros(2), "count": torch.zeros((), dtype=torch.long)}

    def weights(self) -> dict[str, torch.Tensor]:
        return self.state

    def restore_weights(self, weights: dict[str, torch.Tensor]) -> None:
        for name, value in weights.items():
            self.state[name].copy_(value)

    def set(self, value: int) -> None:
        for tensor in self.state.values():
            tensor.fill_(value)

    @property
    def value(self) -> int:
        return int(self.state["count"])


def played(scores: list[tuple[float, float]], cases: list[str] | None = None) -> tuple[BestWeights, list[Learner]]:
    learners = [Learner(), Learner()]
    best = BestWeights({"method/": learners[0], "reference/": learners[1]})  # type: ignore[dict-item]
    for step, (ours, theirs) in enumerate(scores, start=1):
        for learner in learners:
            learner.set(step)
        best.offer(step, [cases[step - 1]] if cases else ["dora"], {"method/": ours, "reference/": theirs})
    return best, learners


def test_each_learner_keeps_its_own_best_and_the_later_of_equals() -> None:
    best, learners = played([(0.1, 0.9), (0.7, 0.2), (0.7, 0.3), (0.5, 0.8)])
    best.put_back()
    assert [learner.value for learner in learners] == [3, 1]
    assert {prefix: (b.step, b.dice) for prefix, b in best.found.items()} == {
        "method/": (3, 0.7),
        "reference/": (1, 0.9),
    }


def test_figures_on_other_cases_are_forgotten() -> None:
    best, learners = played([(0.9, 0.9), (0.2, 0.1)], ["dora", "emil"])
    best.put_back()
    assert [learner.value for learner in learners] == [2, 2]


def test_without_a_validation_nothing_is_put_back() -> None:
    best, learners = played([])
    learners[0].set(4)
    best.put_back()
    assert learners[0].value == 4


def test_saved_and_restored_it_is_the_same() -> None:
    best, _ = played([(0.1, 0.9), (0.7, 0.2)])
    again, learners = played([])
    again.restore(json.loads(json.dumps(best.to_json())), best.tensors())
    assert again.to_json() == best.to_json()
    again.put_back()
    assert [learner.value for learner in learners] == [2, 1]
    with pytest.raises(KeyError):
        again.restore(best.to_json(), {})


# ------------------------------------------------------------------ in a training


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], None]:
    """Let the validations give these figures, in order."""

    def play(values: list[float]) -> None:
        figures = itertools.chain(values, itertools.repeat(values[-1]))
        monkeypatch.setattr(trainer_module, "validate", lambda *arguments: {"dice": next(figures)})

    return play


def order(root: Path, **changes: Any) -> RunSpec:
    spec = make_spec(root, "supervised", steps=6, reference=False)
    return dataclasses.replace(spec, config={**spec.config, "ema": 0.0, **changes})


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    folder = run / "checkpoints" / (run / "checkpoints" / "latest").read_text()
    return safetensors.torch.load_file(folder / "weights.safetensors")


def train(run: Path, spec: RunSpec, steps: int | None = None, resume: bool = False) -> list[Progress]:
    events: list[Progress] = []
    counter = itertools.count()
    make_trainer(run, spec, events.append, lambda: steps is not None and next(counter) >= steps, resume=resume).run()
    return events


def short(root: Path, steps: int, name: str) -> dict[str, torch.Tensor]:
    """Weights after so many steps of the same training."""
    spec = order(root)
    run = write_run(root, name, spec)
    train(run, spec, steps)
    return weights_of(run)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("stop_at", [None, 2, 5])
def test_a_training_ends_with_its_best_weights(
    root: Path, dice: Callable[[list[float]], None], stop_at: int | None
) -> None:
    """Step 3 of 6 did best; with an interruption before or after it as well."""
    dice([0.1])
    expected = short(root, 3, "three")
    spec = order(root, keep_best=True)
    run = write_run(root, "best", spec)
    scores = [0.2, 0.3, 0.8, 0.4, 0.5, 0.6]
    if stop_at:
        dice(scores[:stop_at])
        train(run, spec, stop_at)
        scores = scores[stop_at:]
    dice([*scores, 0.75])
    events = train(run, spec, resume=stop_at is not None)
    assert same(weights_of(run), expected)
    assert [e.message for e in events if "best on the frozen" in e.message] == [
        "Taking the weights of step 3, the best on the frozen cases."
    ]
    assert [e.kind for e in events][-3:] == [Kind.VALIDATION, Kind.CHECKPOINT, Kind.FINISHED]
    assert events[-1].metrics["dice"] == 0.75
    assert load(run / "checkpoints").state["step"] == 6


def test_the_last_weights_stay_where_that_is_not_asked_for(root: Path, dice: Callable[[list[float]], None]) -> None:
    dice([0.9, 0.1])
    last, kept = order(root), order(root, keep_best=True)
    run, other = write_run(root, "last", last), write_run(root, "kept", kept)
    events = train(run, last)
    assert not [e for e in events if "best on the frozen" in e.message]
    dice([0.1, 0.9])
    train(other, kept)
    assert same(weights_of(run), weights_of(other))


def test_a_finished_training_may_be_resumed_and_stays_what_it_is(
    root: Path, dice: Callable[[list[float]], None]
) -> None:
    spec = order(root, keep_best=True)
    run = write_run(root, "run", spec)
    dice([0.2, 0.9, 0.1])
    train(run, spec)
    before = weights_of(run)
    dice([0.1])
    train(run, spec, resume=True)
    assert same(weights_of(run), before)


def test_without_frozen_cases_the_last_weights_stay(root: Path) -> None:
    spec = order(root, keep_best=True)
    spec = dataclasses.replace(spec, cases=tuple(c for c in spec.cases if c.role != "validation"))
    run = write_run(root, "run", spec)
    assert train(run, spec)[-1].kind is Kind.FINISHED
    train(write_run(root, "plain", order(root)), order(root))
    assert same(weights_of(run), weights_of(root / "runs" / "plain"))


def test_it_is_off_unless_a_paper_does_so() -> None:
    assert MethodConfig().keep_best is False
    assert [preset for preset, values in get("col-net").presets.items() if values.get("keep_best")] == ["paper"]


def test_two_optimisers_and_the_best_weights_resume_bit_for_bit(root: Path) -> None:
    """COL-Net in 2D: two phases, two learning rates, a twin, the best weights of both in the checkpoint."""
    spec = make_spec(root, "col-net", steps=6)
    config = {"patch": (16, 16, 16), "width": 2, "labelled_batch": 2, "unlabelled_batch": 2, "keep_best": True}
    spec = dataclasses.replace(spec, config={**config, "reconstruction_steps": 2})
    straight, broken = write_run(root, "straight", spec), write_run(root, "broken", spec)
    events = train(straight, spec)
    train(broken, spec, 4)
    train(broken, spec, resume=True)
    assert same(weights_of(straight), weights_of(broken))
    last = [e.losses for e in events if e.kind is Kind.STEP][-1]
    assert {"networks.reconstruction", "discriminator.total", "reference_total"} <= set(last)
    assert {"dice", "reference_dice"} <= set(events[-1].metrics)
    assert load(straight / "checkpoints").state["problem"]["spatial_dims"] == 2
