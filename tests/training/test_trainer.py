from __future__ import annotations

import dataclasses
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from napari_penumbra.domain.errors import DiskError, JobError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference import half
from napari_penumbra.methods._base import Losses, StepBatch
from napari_penumbra.methods.supervised import Supervised
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.build import make_trainer
from napari_penumbra.training.learner import Diverged
from napari_penumbra.training.plan import make_plan, problem_of
from napari_penumbra.training.trainer import Order, Trainer
from tiny_study import make_spec, write_run


def never() -> bool:
    return False


def after(calls: int) -> Callable[[], bool]:
    """Ask to stop at the n-th question (one question per step, one per case of the pool)."""
    counter = iter(range(10_000))
    return lambda: next(counter) >= calls


def trained(run: Path, spec: RunSpec, stopping: Callable[[], bool] = never, resume: bool = False) -> list[Progress]:
    events: list[Progress] = []
    make_trainer(run, spec, events.append, stopping, resume=resume).run()
    return events


def kinds(events: list[Progress]) -> list[Kind]:
    return [e.kind for e in events]


def files_of(run: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    folder = run / "checkpoints" / (run / "checkpoints" / "latest").read_text()
    weights = safetensors.torch.load_file(folder / "weights.safetensors")
    optimisers = safetensors.torch.load_file(folder / "optimisers.safetensors")
    return weights, optimisers, json.loads((folder / "state.json").read_text())


def assert_same(a: Path, b: Path) -> None:
    for one, two in zip(files_of(a)[:2], files_of(b)[:2], strict=True):
        assert one.keys() == two.keys()
        for name in one:
            assert torch.equal(one[name], two[name]), name
    one_state, two_state = files_of(a)[2], files_of(b)[2]
    for state in (one_state, two_state):
        state.pop("figures")  # holds seconds
    assert one_state == two_state


def test_a_training_tells_its_story_and_lowers_its_loss(root: Path) -> None:
    spec = make_spec(root, steps=40)
    events = trained(write_run(root, "run", spec), spec)
    assert kinds(events)[0] is Kind.STEP
    assert events[0].step == 1
    assert kinds(events)[-3:] == [Kind.VALIDATION, Kind.CHECKPOINT, Kind.FINISHED]
    assert [e.step for e in events if e.kind is Kind.VALIDATION] == list(range(2, 41, 2))
    steps = [e for e in events if e.kind is Kind.STEP]
    assert steps[-1].step == 40
    assert {"total", "cross_entropy", "consistency", "reference_total"} <= set(steps[-1].losses)
    assert steps[-1].losses["cross_entropy"] < 0.5 * steps[0].losses["cross_entropy"]
    assert steps[-1].metrics["memory_bytes"] > 1e7
    last = events[-3].metrics
    assert 0 < last["dice"] <= 1
    assert {"dice_3", "reference_dice", "reference_dice_3"} <= set(last)
    assert not [e for e in events if e.kind is Kind.WARNING]


@pytest.mark.parametrize(("stop_at", "half_precision"), [(3, False), (13, False), (13, True)])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    root: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int, half_precision: bool
) -> None:
    if half_precision:
        if not half.able():
            pytest.skip("this processor does not compute bfloat16 itself")
        monkeypatch.setattr("napari_penumbra.inference.half.sound", lambda: True)
    spec = make_spec(root, steps=20)
    straight, broken = write_run(root, "straight", spec), write_run(root, "broken", spec)
    trained(straight, spec)
    first = trained(broken, spec, stopping=after(stop_at))
    assert kinds(first)[-2:] == [Kind.CHECKPOINT, Kind.STOPPED]
    assert 0 < first[-1].step < 20
    second = trained(broken, spec, resume=True)
    assert second[-1].kind is Kind.FINISHED
    assert_same(straight, broken)


def test_without_frozen_cases_the_first_checkpoint_comes_early_and_the_next_after_a_while(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_penumbra.training.trainer.FIRST_CHECKPOINT_SECONDS", 0.0)
    spec = make_spec(root, "supervised", steps=6)
    spec = dataclasses.replace(spec, cases=tuple(c for c in spec.cases if c.role == "labelled"))
    events = trained(write_run(root, "run", spec), spec)
    assert [e.step for e in events if e.kind is Kind.CHECKPOINT] == [1, 6]


def test_a_twin_does_not_change_the_method(root: Path) -> None:
    with_twin, without = make_spec(root, steps=12), make_spec(root, steps=12, reference=False)
    a, b = write_run(root, "a", with_twin), write_run(root, "b", without)
    trained(a, with_twin)
    trained(b, without)
    mine, other = files_of(a)[0], files_of(b)[0]
    assert set(mine) > set(other)
    assert all(torch.equal(mine[name], other[name]) for name in other)


def test_supervised_needs_no_unlabelled_case(root: Path) -> None:
    spec = make_spec(root, "supervised", steps=4)
    spec = dataclasses.replace(spec, cases=tuple(c for c in spec.cases if c.role == "labelled"))
    events = trained(write_run(root, "run", spec), spec)
    assert kinds(events)[-2:] == [Kind.CHECKPOINT, Kind.FINISHED]
    assert Kind.WARNING not in kinds(events)


def test_a_method_that_lacks_unlabelled_cases_says_so(root: Path) -> None:
    spec = make_spec(root, steps=4)
    spec = dataclasses.replace(spec, cases=tuple(c for c in spec.cases if c.role == "labelled"))
    warnings = [e.message for e in trained(write_run(root, "run", spec), spec) if e.kind is Kind.WARNING]
    assert warnings == ["There are no unlabelled cases: the method learns from the labelled ones only."]


def test_a_new_training_may_start_from_another_model(root: Path) -> None:
    spec = make_spec(root, steps=6)
    first = write_run(root, "first", spec)
    trained(first, spec)
    again = dataclasses.replace(spec, steps=1, checkpoint="runs/first/checkpoints", reference=False)
    config = {**spec.config, "learning_rate": 1e-9}
    again = dataclasses.replace(again, config=config)
    second = write_run(root, "second", again)
    trained(second, again)
    before, now = files_of(first)[0], files_of(second)[0]
    name = next(n for n in now if n.startswith("method/student") and n.endswith("weight"))
    assert torch.allclose(before[name], now[name], atol=1e-5)


# ------------------------------------------------------------------ faults


class Failing(Supervised):
    """Fails in a way that the test chooses."""

    def fail(self, batch: StepBatch, losses: Losses) -> Losses:
        return losses

    def _losses(self, batch: StepBatch) -> Losses | None:
        losses = super()._losses(batch)
        assert losses is not None
        return self.fail(batch, losses)


class Hungry(Failing):
    """Runs out of memory with more than one patch of more than 1500 voxels."""

    error: Exception = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory")

    def fail(self, batch: StepBatch, losses: Losses) -> Losses:
        if batch.image is not None and batch.image[:, 0].numel() > 1500:
            raise self.error
        return losses


class Broken(Failing):
    """Its loss is not a number from step 5 on."""

    def fail(self, batch: StepBatch, losses: Losses) -> Losses:
        return losses if batch.step < 5 else Losses(losses.total * float("nan"), losses.parts)


def trainer_of(root: Path, spec: RunSpec, kind: type[Failing], events: list[Progress]) -> Trainer:
    plan = make_plan(spec)
    method = kind(kind.configure(spec.preset, spec.config, spec.steps), problem_of(plan))
    folder = root / "runs" / "run" / "checkpoints"
    return Trainer(Order(root, folder, spec, plan, "supervised", method, None, events.append, never))


@pytest.mark.parametrize("error", [Hungry.error, MemoryError(), torch.cuda.OutOfMemoryError("CUDA out of memory")])
def test_memory_that_runs_out_is_a_warning_and_the_training_goes_on(
    root: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hungry, "error", error)
    events: list[Progress] = []
    trainer = trainer_of(root, make_spec(root, "supervised", steps=3), Hungry, events)
    assert trainer.run()
    warnings = [e for e in events if e.kind is Kind.WARNING]
    assert [w.message for w in warnings] == [
        "Memory ran out: from step 1 on 1 labelled and 0 unlabelled patches of 16 × 16 × 16 voxels.",
        "Memory ran out: from step 1 on 1 labelled and 0 unlabelled patches of 8 × 8 × 8 voxels.",
    ]
    assert trainer.limits.batch_halvings == 1
    assert events[-1].kind is Kind.FINISHED


def test_memory_that_does_not_suffice_for_anything_fails_in_words(root: Path) -> None:
    class Insatiable(Hungry):
        def fail(self, batch: StepBatch, losses: Losses) -> Losses:
            raise self.error

    trainer = trainer_of(root, make_spec(root, "supervised", steps=3), Insatiable, [])
    with pytest.raises(JobError, match="Even one smallest patch does not fit"):
        trainer.run()


def test_a_loss_that_is_no_number_names_step_and_cases_and_keeps_the_checkpoint(root: Path) -> None:
    events: list[Progress] = []
    trainer = trainer_of(root, make_spec(root, "supervised", steps=60), Broken, events)
    with pytest.raises(Diverged, match=r"no longer a number at step 5\. The batch held: (anna|bert), (anna|bert)"):
        trainer.run()
    assert [e.step for e in events if e.kind is Kind.CHECKPOINT] == [3]
    saved = checkpoints.load(root / "runs" / "run" / "checkpoints")
    assert saved.state["step"] == 3
    assert all(t.isfinite().all() for t in saved.weights.values() if t.is_floating_point())


@contextmanager
def small_disk() -> Iterator[None]:
    """The system refuses to let any file of this process grow beyond 20 kB.

    Not a fixture: those end after the test's dot is printed, and where the output goes to a file
    that is longer already, pytest itself would be refused.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_checkpoint_before(root: Path) -> None:
    events: list[Progress] = []
    trainer = trainer_of(root, make_spec(root, "supervised", steps=60), Failing, events)
    trainer.order.stopping = lambda: trainer.step == 5
    assert not trainer.run()
    trainer.order.stopping = lambda: trainer.step == 6
    with small_disk(), pytest.raises(DiskError, match="was not saved"):
        trainer.run()
    folder = root / "runs" / "run" / "checkpoints"
    assert checkpoints.load(folder).state["step"] == 5
    assert sorted(p.name for p in folder.iterdir()) == ["latest", "step-000003", "step-000005"]


def test_an_unreadable_unlabelled_case_is_told_and_left_out(root: Path) -> None:
    spec = make_spec(root, steps=8)
    (root / "cases/cleo/images/DWI.nii.gz").write_bytes(b"not an image")
    events = trained(write_run(root, "run", spec), spec)
    warnings = [e for e in events if e.kind is Kind.WARNING]
    assert [w.case for w in warnings] == ["cleo", ""]
    assert "cleo is left out" in warnings[0].message
    assert "goes on with the labelled ones only" in warnings[1].message
    assert events[-1].kind is Kind.FINISHED


def test_an_unreadable_frozen_case_does_not_end_the_training(root: Path) -> None:
    spec = make_spec(root, steps=8)
    (root / "cases/dora/annotations/0001.nii.gz").unlink()
    events = trained(write_run(root, "run", spec), spec)
    assert [e.case for e in events if e.kind is Kind.WARNING] == ["dora"]
    assert Kind.VALIDATION not in kinds(events)
    assert events[-1].kind is Kind.FINISHED


def test_nothing_readable_to_learn_from_fails_in_words(root: Path) -> None:
    spec = make_spec(root, steps=8)
    for name in ("anna", "bert"):
        (root / f"cases/{name}/annotations/0001.nii.gz").write_bytes(b"")
    events: list[Progress] = []
    with pytest.raises(JobError, match="None of the labelled cases can be read"):
        make_trainer(write_run(root, "run", spec), spec, events.append, never, resume=False)
    assert [e.case for e in events] == ["anna", "bert"]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(root: Path) -> None:
    spec = make_spec(root, steps=20)
    run = write_run(root, "run", spec)
    trained(run, spec, stopping=after(12))
    newest = run / "checkpoints" / (run / "checkpoints" / "latest").read_text()
    data = bytearray((newest / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (newest / "weights.safetensors").write_bytes(bytes(data))
    events = trained(run, spec, resume=True)
    assert events[0].message == f"The checkpoint {newest.name} is damaged or incomplete."
    assert events[-1].kind is Kind.FINISHED
