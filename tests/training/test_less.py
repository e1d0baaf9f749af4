"""Who begins again with less, and who does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.progress import Progress
from napari_penumbra.training import less
from napari_penumbra.training.build import make_trainer
from napari_penumbra.training.ranks import ATTEMPT
from napari_penumbra.training.trainer import Trainer
from tiny_study import make_spec, write_run

FULL = RuntimeError("DefaultCPUAllocator: not enough memory")
LOST = JobError("x", details="RuntimeError('[gloo] Connection closed by peer')")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(ATTEMPT, raising=False)
    monkeypatch.setattr(less, "_HEARING_SECONDS", 0.0)
    return write_run(tmp_path, "run", make_spec(tmp_path, steps=4))


def trainer_of(run: Path, told: list[Progress]) -> Trainer:
    spec = make_spec(run.parent.parent, steps=4)
    return make_trainer(run, spec, told.append, lambda: False, resume=False)


def test_one_asks_and_all_begin_again_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    trainer = trainer_of(run, told)
    assert not less.is_asked(run)
    assert not less.can_go_on(run, trainer, ValueError("other"), JobError("other"))
    assert not less.can_go_on(run, trainer, RuntimeError("gloo"), LOST), "a process died for a reason of its own"
    assert less.can_go_on(run, trainer, FULL, JobError("x"))
    assert less.is_asked(run)
    assert less.can_go_on(run, None, RuntimeError("gloo"), LOST), "the others hear of it"

    monkeypatch.setenv(ATTEMPT, "1")
    assert not less.is_asked(run), "of the attempt before"
    less.take(run, trainer)
    assert trainer.limits.batch_halvings == 1
    assert [e.about for e in told if e.about] == ["memory"]
    assert less.can_go_on(run, trainer, FULL, JobError("x"))
    assert json.loads((run / less.FILE).read_text()) == {"attempt": 1, "batch_halvings": 1, "patch_halvings": 1}


def test_a_later_launch_keeps_what_memory_taught_and_asks_for_nothing(run: Path) -> None:
    told: list[Progress] = []
    trainer = trainer_of(run, told)
    less.settle(run)
    assert not (run / less.FILE).exists()
    assert less.can_go_on(run, trainer, FULL, JobError("x"))
    less.settle(run)
    assert not less.is_asked(run)
    again = trainer_of(run, told)
    less.take(run, again)
    assert again.limits == trainer.limits.smaller(trainer.learner.method.streams(0))
    assert not [e for e in told if e.about], "no news"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"attempt": 0}', '{"attempt": "x"}'])
def test_a_damaged_file_asks_for_nothing(run: Path, text: str) -> None:
    (run / less.FILE).write_text(text)
    told: list[Progress] = []
    trainer = trainer_of(run, told)
    before = trainer.limits
    less.settle(run)
    less.take(run, trainer)
    assert not less.is_asked(run)
    assert trainer.limits == before
