from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_penumbra.domain.errors import DiskError, JobError, ModelError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.methods._base import IGNORE, Streams
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.checkpoint import Checkpoint
from napari_penumbra.training.events import EventLog
from napari_penumbra.training.memory import Limits
from napari_penumbra.training.plan import make_plan, problem_of
from napari_penumbra.training.report import Reporter
from napari_penumbra.training.validation import dice_per_class, quick_selection
from tiny_study import grid, make_spec


def wanted(patch: tuple[int, int, int], labelled: int = 2, unlabelled: int = 2) -> Streams:
    return Streams(labelled, unlabelled, patch, 0.5)


# ------------------------------------------------------------------ plan


def test_a_plan_is_the_median_of_the_training_cases(root: Path) -> None:
    spec = make_spec(root)
    plan = make_plan(spec)
    assert plan.spacing == pytest.approx((3.0, 1.5, 1.5))
    assert plan.shape == (16, 24, 24)
    problem = problem_of(plan)
    assert (problem.in_channels, problem.classes, problem.spacing) == (2, 2, plan.spacing)


def test_a_plan_needs_a_labelled_case(root: Path) -> None:
    spec = make_spec(root)
    object.__setattr__(spec, "cases", spec.cases[2:])
    with pytest.raises(JobError, match="no labelled case"):
        make_plan(spec)


# ------------------------------------------------------------------ limits


def test_patches_are_cut_to_the_cases_and_rounded_up_to_the_divisor() -> None:
    limits = Limits((9, 41, 200), divisor=(4, 8, 8))
    assert limits.fit(wanted((32, 64, 64))).patch == (12, 48, 64)


def test_a_patch_with_context_is_never_cut_to_the_cases() -> None:
    assert Limits((5, 41, 200), margin=(26, 26, 26)).fit(wanted((57, 73, 73))).patch == (57, 73, 73)


def test_memory_takes_the_batch_first_then_the_patch_then_gives_up() -> None:
    limits: Limits | None = Limits((64, 64, 64), divisor=(8, 8, 8))
    seen = []
    ask = wanted((32, 64, 64), 4, 2)
    while limits is not None:
        now = limits.fit(ask)
        seen.append((now.labelled, now.unlabelled, now.patch))
        limits = limits.smaller(ask)
    assert seen == [
        (4, 2, (32, 64, 64)),
        (2, 1, (32, 64, 64)),
        (1, 1, (32, 64, 64)),
        (1, 1, (16, 32, 32)),
        (1, 1, (8, 16, 16)),
        (1, 1, (8, 8, 8)),
    ]


def test_limits_without_unlabelled_patches_keep_it_so() -> None:
    less = Limits((64, 64, 64)).smaller(wanted((32, 32, 32), 2, 0))
    assert less is not None
    assert less.fit(wanted((32, 32, 32), 2, 0)).unlabelled == 0
    assert Limits((64, 64, 64)).restored(less.to_json()) == less


# ------------------------------------------------------------------ events


def test_events_are_whole_lines_after_a_torn_one(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"kind": "step"', encoding="utf-8")
    EventLog(file)(Progress(Kind.STARTED, message="äöü\nzwei"))
    torn, whole = file.read_text(encoding="utf-8").splitlines()
    assert torn == '{"kind": "step"'
    assert Progress.from_line(whole).message == "äöü\nzwei"


def test_an_event_that_cannot_be_written_does_not_end_the_run(tmp_path: Path) -> None:
    EventLog(tmp_path / "gone" / "events.jsonl")(Progress(Kind.STEP))


def test_the_first_step_is_told_at_once_then_means_are(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    told: list[Progress] = []
    reporter = Reporter(told.append, 100, torch.device("cpu"))
    for step in range(1, 101):
        now += 0.5
        reporter.step(step, {"total": torch.tensor(float(step))})
    assert [e.step for e in told[:3]] == [1, 3, 5]
    assert told[-1].step == 100
    assert told[0].eta_seconds is None
    assert told[1].eta_seconds == pytest.approx(97 * 0.5)
    assert told[1].losses == {"total": 2.5}
    assert told[-1].eta_seconds == 0


def test_fast_steps_do_not_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    told: list[Progress] = []
    reporter = Reporter(told.append, 1000, torch.device("cpu"))
    for step in range(1, 1001):
        now += 0.001
        reporter.step(step, {})
    assert len(told) <= 7


# ------------------------------------------------------------------ checkpoints


def some(step: int) -> Checkpoint:
    shared = torch.full((2, 3), float(step))
    return Checkpoint({"method/a": shared, "method/b": shared}, {"x": torch.arange(3)}, {"step": step})


def test_a_checkpoint_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for step in (1, 2, 30, 4_000_000):
        checkpoints.save(folder, some(step))
    assert sorted(p.name for p in folder.iterdir()) == ["latest", "step-000030", "step-4000000"]
    loaded = checkpoints.load(folder)
    assert loaded.state["step"] == 4_000_000
    assert torch.equal(loaded.weights["method/b"], torch.full((2, 3), 4e6))
    assert checkpoints.candidates(folder)[0].name == "step-4000000"


def test_the_same_step_may_be_saved_again(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, some(3))
    checkpoints.save(tmp_path, Checkpoint({"method/a": torch.ones(1)}, {}, {"step": 3}))
    assert list(checkpoints.load(tmp_path).weights) == ["method/a"]


@pytest.mark.parametrize("file", ["weights.safetensors", "optimisers.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damage_is_noticed(tmp_path: Path, file: str, damage: str) -> None:
    path = checkpoints.save(tmp_path, some(3)) / file
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-9] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ModelError, match="step-000003 is damaged"):
        checkpoints.load(tmp_path / "step-000003")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        checkpoints.save(tmp_path / "file", some(1))


def test_a_checkpoint_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path, some(1)) / "state.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ModelError, match="newer version"):
        checkpoints.load(tmp_path)


# ------------------------------------------------------------------ validation


def test_dice_ignores_unknown_voxels_and_judges_absent_classes() -> None:
    truth = torch.tensor([0, 1, 1, IGNORE, 0, 0])
    predicted = torch.tensor([1, 1, 0, 1, 0, 3])
    assert dice_per_class(predicted, truth, 4) == [0.5, 1.0, 0.0]


def test_a_quick_validation_takes_five_cases_at_most(root: Path) -> None:
    case = make_spec(root).cases[0]
    assert len(quick_selection([case] * 20)) == 5
    assert len(quick_selection([case] * 3)) == 3
    assert np.prod(grid().array_shape) == 16 * 24 * 24
