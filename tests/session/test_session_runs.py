"""Following runs, crowning champions, refusing in words; the workers are played by the test."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from session_study import Played, cube, predict_by_hand

from napari_penumbra.domain.case import CaseState, Role
from napari_penumbra.domain.errors import JobError, ModelError, PenumbraError, UsageError
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.session import Session
from napari_penumbra.session.steering import STUBBORN_SECONDS

Play = Callable[..., Played]


def figures(step: int, dice: float, reference: float | None = None) -> Progress:
    metrics = {"dice": dice} | ({} if reference is None else {"reference_dice": reference})
    return Progress(Kind.VALIDATION, step=step, steps=100, metrics=metrics)


def reopened(session: Session) -> Session:
    root = session.opened().root
    session.close()
    session.open(root)
    return session


def settle(session: Session, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while session.active is not None:
        session.poll()
        assert time.monotonic() < end, session.status
        time.sleep(0.01)


# ------------------------------------------------------------------ look ahead


def test_preflight_counts_and_warns(session: Session) -> None:
    ahead = session.preflight("mean-teacher", "laptop")
    assert (ahead.labelled, ahead.unlabelled, ahead.validation, ahead.steps) == (3, 3, 0, 500)
    assert ahead.can_start
    text = " ".join(ahead.warnings)
    assert "No case is frozen" in text
    assert '"core" is painted in no labelled case' in text
    assert session.preflight("mean-teacher", "laptop", {}, 7).steps == 7


def test_preflight_says_which_class_is_rare(session: Session) -> None:
    labels = cube()
    labels[0, 0, 0] = 2
    session.close_case("p3", labels)
    text = " ".join(session.preflight("mean-teacher", "laptop").warnings)
    assert '"core" appears in one labelled case only. Paint it in a second case' in text


def test_preflight_foresees_the_freezing(session: Session) -> None:
    session.close_case("p3", cube())
    ahead = session.preflight("mean-teacher", "laptop")
    assert (ahead.labelled, ahead.unlabelled, ahead.validation) == (3, 2, 1)
    frozen = session.opened().freeze_validation()
    assert len(frozen) == ahead.validation
    after = session.preflight("mean-teacher", "laptop")
    assert (after.labelled, after.unlabelled, after.validation) == (3, 2, 1)


def test_preflight_refuses_to_freeze_all(session: Session) -> None:
    ahead = session.preflight("mean-teacher", "laptop", validation=3)
    assert not ahead.can_start
    assert "none is left to learn from" in ahead.problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "col-net-9"}, 'no method "col-net-9"'),
        ({"preset": "tower"}, 'no preset "tower"'),
        ({"config": {"momentum": 1}}, "no parameter momentum"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    session: Session, change: dict[str, Any], words: str
) -> None:
    call = {"method": "mean-teacher", "preset": "laptop", **change}
    with pytest.raises(UsageError, match=words):
        session.train(**call)
    assert session.opened().runs() == []
    assert not any(row.role is Role.VALIDATION for row in session.cases())


def test_training_without_a_labelled_case_is_refused(session: Session) -> None:
    for name in ("p0", "p1", "p2"):
        session.reopen_case(name)
    with pytest.raises(UsageError, match="No case is labelled yet"):
        session.train("mean-teacher", "laptop")


def test_predicting_without_a_model_is_refused(session: Session, play: Play) -> None:
    with pytest.raises(UsageError, match="no model yet"):
        session.predict()
    run = play("r1")
    run.end()
    with pytest.raises(ModelError, match="no checkpoint"):
        session.predict(run="r1")
    with pytest.raises(UsageError, match="no run r9"):
        session.predict(run="r9")


# ------------------------------------------------------------------ follow


def test_a_run_started_elsewhere_is_found_and_told_once(session: Session, play: Play) -> None:
    run = play("r1")
    run.tell(Progress(Kind.STARTED), Progress(Kind.STEP, step=5, steps=100))
    reopened(session)
    heard: list[tuple[str, int]] = []
    session.run_event.connect(lambda name, event: heard.append((name, event.step)))
    assert session.active == "r1"
    session.poll()
    assert heard == []  # its past is history, not news
    assert [e.step for e in session.history("r1")] == [0, 5]
    run.tell(Progress(Kind.STEP, step=6, steps=100))
    session.poll()
    session.poll()
    assert heard == [("r1", 6)]


def test_status_says_what_runs_how_far_what_it_gained_and_when_it_ends(session: Session, play: Play) -> None:
    run = play("r1")
    reopened(session)
    heard: list[str] = []
    session.status_changed.connect(heard.append)
    run.tell(figures(50, 0.71, 0.63), Progress(Kind.STEP, step=60, steps=100, eta_seconds=362))
    session.poll()
    assert session.status == "Mean teacher · step 60/100 · Dice .71 (▲.08 over labels only) · 6 min left"
    assert heard[-1] == session.status
    session.stop("r1")
    session.poll()
    assert session.status.endswith("stopping…")


def test_a_run_that_does_not_stop_when_asked_is_ended_when_asked_again(
    session: Session, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play("r1")
    reopened(session)
    ended = threading.Event()
    monkeypatch.setattr(Job, "kill", lambda job: ended.set())
    assert not session.stop("r1")
    assert not session.stop("r1")
    assert not session.hangs("r1")
    assert not ended.is_set(), "it has hardly had the time to answer"
    stop = session.opened().layout.run("r1") / "stop"
    os.utime(stop, (time.time() - STUBBORN_SECONDS - 1,) * 2)
    assert session.hangs("r1")
    assert session.stop("r1")
    assert ended.wait(5)


def test_a_cluster_that_does_not_answer_when_a_run_is_ended_is_told_of(
    session: Session, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play("r1")
    reopened(session)
    session.stop("r1")
    os.utime(session.opened().layout.run("r1") / "stop", (time.time() - STUBBORN_SECONDS - 1,) * 2)
    silent = JobError("scancel does not answer.", "Try it in a terminal.")
    monkeypatch.setattr(Job, "kill", Mock(side_effect=silent))
    told: queue.Queue[PenumbraError] = queue.Queue()
    session.failed.connect(told.put)
    session.stop("r1")
    assert told.get(timeout=5) is silent
    with pytest.raises(JobError, match="scancel does not answer"):
        session.end("r1")  # who waits for the end hears of it at once


def test_a_run_that_hangs_on_another_machine_is_said_to_be_out_of_reach(
    session: Session, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = play("r1")
    reopened(session)
    run.tell(Progress(Kind.STEP, step=1, steps=100))
    here = WorkerProcess.read(session.opened().layout.run("r1"))
    assert here is not None
    replace(here, host="gpu-7").write(session.opened().layout.run("r1"))
    session.stop("r1")
    assert session.why_not_end("r1") == ""
    session.poll()
    assert session.status.endswith("stopping on gpu-7…")
    stop = session.opened().layout.run("r1") / "stop"
    os.utime(stop, (time.time() - STUBBORN_SECONDS - 1,) * 2)
    assert "gpu-7" in session.why_not_end("r1")
    with pytest.raises(JobError, match="cannot be ended from here") as caught:
        session.stop("r1")
    assert "penumbra stop` there" in caught.value.remedy


def test_only_one_run_at_a_time(session: Session, play: Play) -> None:
    play("r1")
    reopened(session)
    for start in (lambda: session.train("mean-teacher", "laptop"), session.predict, lambda: session.resume("r1")):
        with pytest.raises(UsageError, match="already"):
            start()
    assert not session.preflight("mean-teacher", "laptop").can_start


def test_the_first_finished_training_becomes_champion(session: Session, play: Play) -> None:
    run = play("r1")
    reopened(session)
    run.checkpoint()
    run.tell(Progress(Kind.FINISHED, step=100, steps=100))
    settle(session)
    assert session.opened().champion() == "r1"
    info = session.runs()[0]
    assert (info.state, info.step, info.champion) == (RunState.FINISHED, 100, True)
    assert "finished" in session.status
    session.acknowledge()
    assert "finished" not in session.status


def test_a_training_that_ended_while_nobody_looked_is_judged_on_opening(session: Session, play: Play) -> None:
    run = play("r1")
    run.checkpoint()
    run.tell(Progress(Kind.STOPPED, step=40, steps=100))
    run.end()
    reopened(session)
    assert session.opened().champion() == "r1"


@pytest.mark.parametrize(("dice", "champion"), [(0.80, "r2"), (0.70, "r1"), (0.69, "r1")])
def test_a_later_model_must_be_better_on_the_same_frozen_cases(
    session: Session, play: Play, dice: float, champion: str
) -> None:
    session.close_case("p3", cube())
    session.opened().freeze_validation()
    for name, value in (("r1", 0.70), ("r2", dice)):
        run = play(name)
        run.checkpoint()
        run.tell(figures(100, value), Progress(Kind.FINISHED, step=100, steps=100))
        run.end()
        reopened(session)
    assert session.opened().champion() == champion
    reopened(session)
    assert session.opened().champion() == champion  # judged once


def test_without_frozen_cases_the_newest_takes_over(session: Session, play: Play) -> None:
    for name in ("r1", "r2"):
        run = play(name)
        run.checkpoint()
        run.tell(Progress(Kind.FINISHED, step=100, steps=100))
        reopened(session)
    assert session.opened().champion() == "r2"


def test_a_model_called_back_by_hand_stays(session: Session, play: Play) -> None:
    for name in ("r1", "r2"):
        run = play(name)
        run.checkpoint()
        run.tell(Progress(Kind.FINISHED, step=100, steps=100))
        reopened(session)
    session.opened().set_champion("r1")
    reopened(session)
    assert session.opened().champion() == "r1"


def test_a_killed_worker_is_lost_with_its_last_words_and_can_go_on(session: Session, play: Play) -> None:
    run = play("r1")
    reopened(session)
    errors: list[PenumbraError] = []
    session.failed.connect(errors.append)
    run.checkpoint()
    run.tell(Progress(Kind.STEP, step=41, steps=100), Progress(Kind.CHECKPOINT, step=40, steps=100, message="Saved."))
    session.poll()
    run.end()
    settle(session)
    assert session.runs()[0].state is RunState.LOST
    assert "without a last word" in session.status
    assert "Resume" in session.status
    assert "Saved." in session.status
    assert len(errors) == 1
    assert session.opened().champion() is None


def test_a_failed_run_says_why(session: Session, play: Play) -> None:
    run = play("r1")
    (run.folder / "log.txt").write_text("the traceback")
    reopened(session)
    errors: list[PenumbraError] = []
    session.failed.connect(errors.append)
    run.tell(Progress(Kind.FAILED, message="Memory ran out.", remedy="Choose the laptop preset."))
    settle(session)
    assert "Memory ran out. Choose the laptop preset." in session.status
    assert errors[0].details == "the traceback"
    assert session.log("r1") == "the traceback"


def test_finished_runs_are_neither_stopped_nor_resumed(session: Session, play: Play) -> None:
    run = play("r1")
    reopened(session)
    run.tell(Progress(Kind.FINISHED, step=100, steps=100))
    settle(session)
    with pytest.raises(UsageError, match="not running"):
        session.stop("r1")
    with pytest.raises(UsageError, match="has finished"):
        session.resume("r1")


def test_predictions_arrive_while_they_are_made(session: Session, play: Play) -> None:
    run = play("r2", "predict")
    reopened(session)
    changed: list[str] = []
    session.case_changed.connect(changed.append)
    predict_by_hand(session, "r2", "p4", cube(), np.full(cube().shape, 0.9))
    run.tell(Progress(Kind.CASE_DONE, step=1, steps=3, case="p4"))
    end = time.monotonic() + 10
    while not changed:
        session.poll()
        assert time.monotonic() < end
    assert changed == ["p4"]
    assert session.opened().case("p4").state is CaseState.PREDICTED
    assert "case 1/3" in session.status
    predict_by_hand(session, "r2", "p5", cube(), np.full(cube().shape, 0.9))
    run.tell(Progress(Kind.CASE_DONE, step=2, steps=3, case="p5"), Progress(Kind.FINISHED, step=3, steps=3))
    settle(session)
    assert changed[-1] == "p5"  # registered before the run counts as over


def test_a_listener_may_close_the_study(session: Session, play: Play) -> None:
    run = play("r1")
    reopened(session)
    session.run_event.connect(lambda name, event: session.close())
    run.tell(Progress(Kind.STEP, step=5, steps=100))
    session.poll()
    assert session.study is None
    assert "No study open" in session.status


def test_a_run_folder_that_was_deleted_does_no_harm(session: Session, play: Play) -> None:
    import shutil

    run = play("r1")
    run.end()
    shutil.rmtree(run.folder)
    reopened(session)
    assert session.runs()[0].state is RunState.LOST
    with pytest.raises(PenumbraError):
        session.resume("r1")


def test_drafts_of_a_killed_program_are_swept(session: Session) -> None:
    runs = session.opened().layout.runs
    (runs / ".check-1234").mkdir()
    (runs / ".new-r1").mkdir()
    reopened(session)
    assert list(runs.iterdir()) == []


def test_a_worker_that_cannot_be_started_leaves_a_failed_run_that_says_so(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> int:
        raise JobError("The worker process could not be started.", "See `penumbra doctor`.")

    monkeypatch.setattr("napari_penumbra.session.steering.launch", refuse)
    with pytest.raises(JobError, match="could not be started"):
        session.train("mean-teacher", "laptop")
    info = session.runs()[0]
    assert info.state is RunState.FAILED
    assert "could not be started" in info.message
    assert session.active is None
