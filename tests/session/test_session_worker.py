"""The session with real worker processes: trial steps, train, predict on by itself, go on after a kill."""

from __future__ import annotations

import dataclasses

import numpy as np
import psutil
import pytest
from session_study import INFOS, follow

from napari_penumbra.domain.case import CaseState
from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.launch import Launch
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.launch import Measured
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.session import Session

pytest.importorskip("torch")
pytestmark = pytest.mark.timeout(180)

TINY = {"patch": [8, 8, 8], "labelled_batch": 1, "unlabelled_batch": 1, "width": 4}


def test_stand_ins_speak_of_methods_that_exist(real: Session) -> None:
    assert {info.name for info in INFOS} <= {info.name for info in real.methods()}


def test_trial_steps_tell_time_and_memory_and_leave_nothing(real: Session) -> None:
    ahead = real.preflight("mean-teacher", "laptop", TINY, 50)
    after = real.measure(ahead, threads=1)
    measured = after.measured
    assert measured is not None
    assert measured.seconds_per_step > 0
    assert measured.memory_bytes > 1e7
    assert measured.steps == 50
    assert after.cost_words.startswith("about ")
    assert list(real.opened().layout.runs.iterdir()) == []
    assert real.runs() == []


@pytest.mark.slow
def test_several_processes_are_tried_side_by_side(real: Session) -> None:
    ahead = real.preflight("mean-teacher", "laptop", TINY, 50)
    alone = real.measure(ahead, threads=1).measured
    both = real.measure(ahead, threads=2, way=Launch("torchrun", 2)).measured
    assert alone is not None
    assert both is not None
    assert 1.5 < both.memory_bytes / alone.memory_bytes < 2.5
    assert (both.steps, both.parameters, both.device) == (alone.steps, alone.parameters, "cpu")


def test_what_several_take_is_the_slowest_time_and_all_memory() -> None:
    one, other = Measured(0.2, 100, "cpu", 9, 50, 1.0, 1000, 7), Measured(0.3, 120, "cpu", 9, 50, 2.0, 900, 7)
    assert Measured.together([one, other], 2) == Measured(0.3, 220, "cpu", 9, 50, 1.0, 1000, 7)
    assert Measured.together([one, other], 8).memory_bytes == 880, "more than are tried: reckoned"
    cards = [dataclasses.replace(m, device="cuda:0") for m in (one, other)]
    assert Measured.together(cards, 2).memory_bytes == 120, "each has its own card"


def test_trial_steps_that_cannot_be_are_told(real: Session) -> None:
    ahead = real.preflight("mean-teacher", "laptop", {"patch": [0, 8, 8]})
    with pytest.raises(JobError) as error:
        real.measure(ahead, threads=1)
    assert error.value.message


def test_a_finished_training_predicts_on_by_itself_and_each_case_is_told(real: Session) -> None:
    real.auto_predict = True
    heard: list[Kind] = []
    changed: list[str] = []
    real.run_event.connect(lambda run, event: heard.append(event.kind))
    real.case_changed.connect(changed.append)
    run = real.train("mean-teacher", "laptop", steps=4, config=TINY, validation=1, threads=1)
    assert real.active == run
    follow(real, lambda: real.active is None)
    assert real.opened().champion() == run
    assert [info.kind for info in real.runs()] == ["predict", "train"]
    assert {info.state for info in real.runs()} == {RunState.FINISHED}
    assert sorted(changed) == ["p3", "p4", "p5"]
    assert {Kind.STARTED, Kind.STEP, Kind.VALIDATION, Kind.CHECKPOINT, Kind.CASE_DONE, Kind.FINISHED} <= set(heard)
    case = real.load("p4")
    assert case.state is CaseState.PREDICTED
    assert case.confidence is not None
    assert 0 <= float(np.min(case.confidence)) <= float(np.max(case.confidence)) <= 1
    figures = [e for e in real.history(run) if e.kind is Kind.VALIDATION]
    assert "reference_dice" in figures[-1].metrics
    # The case on screen comes first; a labelled one may be predicted on request.
    second = real.predict(["p3", "p5", "p0"], first="p5", threads=1)
    assert [c.name for c in Job(real.opened().layout.run(second)).spec().cases] == ["p5", "p3", "p0"]
    follow(real, lambda: real.active is None)
    assert real.opened().case("p0").state is CaseState.ANNOTATED
    assert real.opened().prediction("p0") is not None


def test_a_killed_training_goes_on_where_it_was_and_the_window_may_be_gone(real: Session) -> None:
    root = real.opened().root
    run = real.train("supervised", "laptop", steps=100_000, config={**TINY, "unlabelled_batch": 0}, threads=1)
    job = Job(real.opened().layout.run(run))
    follow(real, lambda: job.furthest is not None and job.furthest.step >= 5)
    real.stop(run)
    follow(real, lambda: real.active is None)
    stopped = real.runs()[0]
    assert stopped.state is RunState.STOPPED
    assert real.resume(run, threads=1) == run
    real.close()  # nobody watches
    job = Job(root / "runs" / run)
    follow(Session(), lambda: job.furthest is not None and job.furthest.step > stopped.step)
    worker = WorkerProcess.read(job.folder)
    assert worker is not None
    psutil.Process(worker.pid).kill()
    follow(Session(), lambda: job.state().over)
    real.open(root)
    assert real.runs()[0].state is RunState.LOST
    assert "without a last word" in real.status
    real.resume(run, threads=1)
    real.stop(run)
    follow(real, lambda: real.active is None)
    steps = [e.step for e in real.history(run) if e.kind is Kind.STEP]
    assert steps[-1] >= stopped.step


def test_a_stopped_prediction_goes_on_with_the_rest(real: Session) -> None:
    run = real.train("supervised", "laptop", steps=2, config={**TINY, "unlabelled_batch": 0}, threads=1)
    follow(real, lambda: real.active is None)
    first = real.predict(threads=1)
    Job(real.opened().layout.run(first)).kill()
    job = Job(real.opened().layout.run(first))
    job.note(Progress(Kind.CASE_DONE, step=1, steps=3, case="p3"))
    follow(real, lambda: real.active is None)
    again = real.resume(first)
    assert again != first
    left = [c.name for c in Job(real.opened().layout.run(again)).spec().cases]
    assert "p3" not in left
    follow(real, lambda: real.active is None)
    assert real.opened().prediction("p5") is not None
    assert run


def test_a_label_that_vanished_is_told_by_name(real: Session) -> None:
    study = real.opened()
    for annotation in study.annotations("p0"):
        (study.root / annotation.path).unlink()
    said: list[str] = []
    real.run_event.connect(lambda run, event: said.append(f"{event.message} {event.remedy}"))
    real.train("supervised", "laptop", steps=2, config={**TINY, "unlabelled_batch": 0}, threads=1)
    follow(real, lambda: real.active is None)
    assert any("p0" in text for text in said), said
