"""Predicting ahead: when it starts, what it makes way for, what it says. Real worker processes where it counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from session_study import GRID, Played, cube, image

from napari_penumbra.domain.case import CaseState, Closing, Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.session import Session
from napari_penumbra.session.ahead import AT_ONCE, FEWEST_LABELLED

TINY = {"patch": [8, 8, 8], "labelled_batch": 1, "unlabelled_batch": 1, "width": 4}


@pytest.fixture
def started(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that the session starts, as folders without a process; the word that each was given."""
    found: list[str] = []

    def launch(folder: Path, **options: object) -> int:
        found.append(folder.name)
        return 0

    monkeypatch.setattr("napari_penumbra.session.steering.launch", launch)
    return found


@pytest.fixture
def learnt(session: Session, play: Callable[..., Played]) -> Played:
    """A champion that has learnt from four cases."""
    session.close_case("p3", cube(1), Closing.COMPLETE)
    run = play("20261121-120000-mean-teacher-aaaa")
    run.checkpoint()
    session.opened().set_champion(run.id)
    run.end()
    return run


def wait_while(session: Session, condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while condition():
        session.poll()
        assert time.monotonic() < end, session.status
        time.sleep(0.05)


def test_it_is_off_until_a_window_switches_it_on(session: Session, learnt: Played, started: list[str]) -> None:
    session.poll()
    assert started == []
    assert "Switched off" in session.ahead_words()
    session.predict_ahead = True
    session.poll()
    (run,) = started
    assert "-ahead-" in run
    spec = Job(session.opened().layout.run(run)).spec()
    assert [case.name for case in spec.cases] == ["p4", "p5"]
    assert "in the background" in session.ahead_words()
    assert session.status.startswith("Predicting the next cases ahead · ")


def test_a_model_of_too_few_cases_does_not_predict_ahead(
    session: Session, play: Callable[..., Played], started: list[str]
) -> None:
    session.predict_ahead = True
    session.poll()
    assert started == []
    assert session.ahead_words() == "There is no model yet."
    run = play("20261121-120000-mean-teacher-aaaa")
    run.checkpoint()
    session.opened().set_champion(run.id)
    session.predict_ahead = True
    session.poll()
    assert started == []
    assert (
        session.ahead_words() == f"The model has learnt from 3 cases only; from {FEWEST_LABELLED} on it predicts ahead."
    )


def test_only_the_next_few_and_never_the_case_on_screen(
    session: Session, learnt: Played, started: list[str], sources: Path
) -> None:
    for n in range(6, 12):
        write_nifti(sources / f"p{n}.nii.gz", image(n), GRID)
        session.add_case(f"p{n}", {"T1": sources / f"p{n}.nii.gz"})
    session.opened().set_role("p5", Role.VALIDATION)
    session.load("p4")
    session.predict_ahead = True
    session.poll()
    spec = Job(session.opened().layout.run(started[0])).spec()
    assert [case.name for case in spec.cases] == ["p6", "p7", "p8"]
    assert len(spec.cases) == AT_ONCE


def test_it_waits_while_something_runs(
    session: Session, learnt: Played, started: list[str], play: Callable[..., Played]
) -> None:
    training = play("20261121-130000-mean-teacher-bbbb")
    session._know(training.id, "train", "mean-teacher")
    session._live.append(training.id)
    session.predict_ahead = True
    session.poll()
    assert started == []


def test_what_could_not_be_predicted_is_not_tried_for_ever(
    session: Session, learnt: Played, started: list[str]
) -> None:
    session.predict_ahead = True
    session.poll()
    job = session._jobs[started[0]]
    job.note(Progress(Kind.FINISHED, 0, 2, message="0 of 2 cases predicted, 2 could not be."))
    for _ in range(5):
        session.poll()
    assert session.active is None
    assert len(started) == 1
    assert "Predicting" not in session.status


def test_the_reader_s_stop_holds_until_the_next_model(session: Session, learnt: Played, started: list[str]) -> None:
    session.predict_ahead = True
    session.poll()
    session._jobs[started[0]].note(Progress(Kind.STOPPED, 0, 2))
    for _ in range(5):
        session.poll()
        session.case_changed.emit("p4")
    assert len(started) == 1
    assert "You have stopped it" in session.ahead_words()
    session.predict_ahead = False
    session.predict_ahead = True
    session.case_changed.emit("p4")
    session._tried.clear()
    session.poll()
    assert len(started) == 2


def test_an_error_is_said_once(session: Session, learnt: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(*arguments: object, **options: object) -> str:
        calls.append(1)
        raise UsageError("The disk is on fire.", "Put it out.")

    monkeypatch.setattr(session, "predict", refuse)
    session.predict_ahead = True
    for _ in range(4):
        session.poll()
        session.case_changed.emit("p4")
    assert len(calls) == 1
    assert "Predicting ahead was given up: The disk is on fire." in session.status


def test_a_training_takes_its_place_at_once(session: Session, learnt: Played, play: Callable[..., Played]) -> None:
    run = play("20261121-130000-ahead-cccc", "predict")
    session._know(run.id, "predict", "predict")
    session._live.append(run.id)
    session._ahead = run.id
    assert session.preflight("supervised", "laptop").problem == ""
    assert session.active == run.id
    assert session.blocking is None
    began = time.monotonic()
    session._refuse_if_busy()
    assert time.monotonic() - began < 3
    assert session.active is None
    assert run.process.poll() is not None
    assert {info.id: info.state for info in session.runs()}[run.id] is RunState.STOPPED


def test_another_window_knows_such_a_run(session: Session, learnt: Played, play: Callable[..., Played]) -> None:
    run = play("20261121-130000-ahead-cccc", "predict")
    root = session.opened().root
    session.close()
    session.open(root)
    assert session.active == run.id
    assert session.status.startswith("Predicting the next cases ahead · ")
    session.predict_ahead = False
    assert session.active is None


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_new_case_is_predicted_before_it_is_opened_by_a_real_worker(
    session: Session, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from napari_penumbra.jobs.methods_info import method_infos

    monkeypatch.setattr("napari_penumbra.session.runs.method_infos", method_infos)
    session.close_case("p3", cube(1), Closing.COMPLETE)
    training = session.train("mean-teacher", "laptop", steps=4, config=TINY, validation=1, threads=1, reference=False)
    wait_while(session, lambda: session.active is not None)
    session.order = "auto"
    session.predict_ahead = True
    session.poll()
    assert session.active is not None
    wait_while(session, lambda: session.active is not None or session._registrar.busy)
    rows = {row.name: row for row in session.opened().cases("auto")}
    assert all(rows[name].state is CaseState.PREDICTED and rows[name].current for name in ("p4", "p5"))
    assert "doubt" in rows["p4"].reason or "found nothing" in rows["p4"].reason
    # A case that comes later: predicted by itself, and a training does not wait for it.
    write_nifti(sources / "p9.nii.gz", image(9), GRID)
    session.add_case("p9", {"T1": sources / "p9.nii.gz"})
    session.poll()
    first = session.active
    assert first is not None
    worker = WorkerProcess.read(session.opened().layout.run(first))
    second = session.train("mean-teacher", "laptop", steps=2, config=TINY, validation=1, threads=1, reference=False)
    assert session.active == second != training
    assert worker is None or worker.process() is None
    wait_while(session, lambda: session.active == second)
    wait_while(session, lambda: session.active is not None or session._registrar.busy)
    row = session.opened().case("p9")
    assert row.state is CaseState.PREDICTED
    assert np.isfinite(session.load("p9").confidence).all()  # type: ignore[union-attr]
