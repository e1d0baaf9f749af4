"""Trainings in line, aside, copied and found again, with real workers."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest
from session_study import follow

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.progress import Kind, RunState
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.session import Session

pytest.importorskip("torch")
pytestmark = pytest.mark.timeout(240)
TINY = {"patch": [8, 8, 8], "labelled_batch": 1, "width": 4}


def train(session: Session, steps: int = 100_000, queue: bool = False) -> str:
    return session.train("supervised", "laptop", steps=steps, config=TINY, threads=1, queue=queue)


def state_of(session: Session, run: str) -> RunState:
    return next(info.state for info in session.runs() if info.id == run)


def steps_of(session: Session, run: str) -> int:
    return next(info.step for info in session.runs() if info.id == run)


def test_one_at_a_time_paused_and_gone_on_with(real: Session) -> None:
    root = real.opened().root
    first = train(real)
    with pytest.raises(UsageError, match="already"):
        train(real)
    second = train(real, 3, queue=True)
    third = train(real, queue=True)
    follow(real, lambda: [info.place for info in real.runs()] == [2, 1, 0])
    assert [info.state for info in real.runs()] == [RunState.QUEUED, RunState.QUEUED, RunState.RUNNING]
    assert real.active == first
    follow(real, lambda: real.status.endswith(" · 2 waiting"))
    assert "place 1" in next(info.message for info in real.runs() if info.id == second)

    real.stop(third)  # the third leaves the line and can come back
    follow(real, lambda: third not in real.live)
    assert state_of(real, third) is RunState.STOPPED

    follow(real, lambda: steps_of(real, first) > 3)
    real.pause(first)
    follow(real, lambda: state_of(real, first) is RunState.PAUSED)
    follow(real, lambda: "Paused after step" in real.status)
    at = steps_of(real, first)
    saved = Job(real.opened().layout.run(first)).checkpoint()
    assert saved is not None
    assert saved.name == f"step-{at:06d}"
    real.close()  # a pause outlives the window
    real.open(root)
    assert state_of(real, first) is RunState.PAUSED
    assert real.live == (first, second)
    assert real.resume(first) == first
    follow(real, lambda: steps_of(real, first) > at)
    assert state_of(real, first) is RunState.RUNNING

    real.stop(first)  # the next one begins by itself
    follow(real, lambda: not real.live)
    assert state_of(real, second) is RunState.FINISHED
    assert [e.kind for e in real.history(second)][:2] == [Kind.STARTED, Kind.QUEUED]


def test_a_study_copied_while_it_trains_goes_on_in_its_new_place(real: Session, tmp_path: Path) -> None:
    run = train(real)
    here = Job(real.opened().layout.run(run))
    follow(real, lambda: steps_of(real, run) > 3)
    real.pause(run)
    follow(real, lambda: here.checkpoint() is not None)
    real.resume(run)
    follow(real, lambda: state_of(real, run) is RunState.RUNNING)
    worker = WorkerProcess.read(here.folder)
    assert worker is not None
    assert psutil.Process(worker.pid).nice() == (10 if psutil.POSIX else psutil.BELOW_NORMAL_PRIORITY_CLASS)
    copy = tmp_path / "elsewhere" / "study"
    shutil.copytree(real.opened().root, copy, ignore=shutil.ignore_patterns(".writing-*"))
    there = Session()
    there.auto_predict = False
    there.open(copy)
    try:
        assert state_of(real, run) is RunState.RUNNING
        assert state_of(there, run) is RunState.LOST, "its process works in the original"
        at = steps_of(there, run)
        there.resume(run, threads=1)
        follow(there, lambda: steps_of(there, run) > at)
        there.stop(run)
        follow(there, lambda: not there.live)
        assert state_of(there, run) is RunState.STOPPED
        real.poll()
        assert state_of(real, run) is RunState.RUNNING
    finally:
        there.close()
        here.kill()
