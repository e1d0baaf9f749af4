"""Cases accepted while a real worker trains join it; cases taken back leave; the frozen ones stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from session_study import Played, cube, follow

from napari_penumbra.domain.pool import pool_from_text
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.jobs.job import Job
from napari_penumbra.session import Session

pytest.importorskip("torch")
TINY = {"patch": [8, 8, 8], "labelled_batch": 1, "unlabelled_batch": 1, "width": 4}
STEPS = 1500
INTERVAL = STEPS // 20


def pool_events(session: Session, run: str) -> list[Progress]:
    return [event for event in session.history(run) if event.kind is Kind.POOL]


def streams_of(folder: Path) -> dict[str, set[str]]:
    """Names in the streams of the newest checkpoint."""
    checkpoint = Job(folder).checkpoint()
    assert checkpoint is not None
    saved = json.loads((checkpoint / "state.json").read_text())["streams"]
    ordered = json.loads((folder / "job.json").read_text())["cases"]
    found = {}
    for role in ("labelled", "unlabelled"):
        names = [case["name"] for case in ordered if case["role"] == role]
        for index, case in saved[role]["joined"]:
            names[index : index + 1] = [case["name"]]
        found[role] = {name for n, name in enumerate(names) if n not in saved[role]["gone"]}
    return found


def test_cases_join_and_leave_a_running_training(real: Session) -> None:
    run = real.train("mean-teacher", "laptop", steps=STEPS, config=TINY, validation=1, reference=False, threads=1)
    folder = real.opened().layout.run(run)
    job = Job(folder)
    frozen = Job(folder).spec().of_role("validation")[0].name
    taught = sorted({"p0", "p1", "p2"} - {frozen})
    follow(real, lambda: job.furthest is not None and job.furthest.step > 0)
    accepted_at = job.furthest.step if job.furthest else 0
    real.close_case("p4", cube(1))
    real.reopen_case(taught[0])
    follow(real, lambda: len(pool_events(real, run)) >= 2)
    said = {event.case: event for event in pool_events(real, run)}
    assert said["p4"].message == "p4 was accepted: its labels teach from now on."
    assert said[taught[0]].message == f"{taught[0]} was taken back: it teaches without its labels from now on."
    # A second passes before the worker is told, and steps here take a few milliseconds.
    told_at = next(
        e.step for e in real.history(run) if e.kind is Kind.STEP and e.time > (folder / "pool.json").stat().st_mtime
    )
    assert accepted_at < said["p4"].step <= told_at + INTERVAL
    assert said["p4"].step % INTERVAL == 0

    # The frozen case gets new labels and another case becomes its twin: neither reaches the training.
    real.reopen_case(frozen)
    real.close_case("p5", cube(2))
    follow(real, lambda: len(pool_events(real, run)) >= 3)
    real.stop(run)
    follow(real, lambda: real.active is None)
    assert streams_of(folder) == {"labelled": {taught[1], "p4", "p5"}, "unlabelled": {"p3", taught[0]}}
    assert [event.case for event in pool_events(real, run)] == [*sorted(["p4", taught[0]], key=list(said).index), "p5"]

    # What a model has learnt from stays known, also after the case was taken back.
    label = next(c.label for c in real.opened().pool() if c.name == "p4")
    assert job.labels_learnt()["p4"] == [label]
    assert {one.run for one in real.learnt_from("p4")} == {run}
    assert [one.role for one in real.learnt_from(taught[0])] == ["labelled"]
    assert [one.role for one in real.learnt_from(frozen)] == ["validation"]

    # It goes on from the checkpoint with the streams it had, and hears of what happened meanwhile.
    real.reopen_case("p4")
    real.resume(run, threads=1)
    follow(real, lambda: len(pool_events(real, run)) >= 4)
    real.stop(run)
    follow(real, lambda: real.active is None)
    assert pool_events(real, run)[-1].case == "p4"
    assert streams_of(folder) == {"labelled": {taught[1], "p5"}, "unlabelled": {"p3", "p4", taught[0]}}
    assert {one.run for one in real.learnt_from("p4")} == {run}


# ------------------------------------------------------------------ the session's part, without a worker


def names_offered(run: Played, role: str) -> list[str]:
    return [c.name for c in pool_from_text((run.folder / "pool.json").read_text()) if c.role == role]


def test_closing_the_window_tells_the_worker_what_was_accepted(session: Session, play: Callable[..., Played]) -> None:
    run = play("r1")
    root = session.opened().root
    session.close()
    session.open(root)
    session.close_case("p3", cube(0))
    session.close()
    assert "p3" in names_offered(run, "labelled")


def test_a_window_that_comes_after_a_crash_tells_the_worker(session: Session, play: Callable[..., Played]) -> None:
    session.close_case("p3", cube(0))
    root = session.opened().root
    session.close()
    session.open(root)
    run = play("r1")  # ordered, as if it had been before p3 was accepted
    session.close()
    session.open(root)
    session.poll()
    assert "p3" in names_offered(run, "labelled")


def test_only_trainings_that_run_are_told_and_only_when_asked(session: Session, play: Callable[..., Played]) -> None:
    over, predicting = play("r1"), play("r2", "predict")
    over.tell(Progress(Kind.STOPPED))
    session.learn_on = False
    training = play("r3")
    root = session.opened().root
    session.close()
    session.open(root)
    session.close_case("p3", cube(0))
    session.poll()
    assert not any((run.folder / "pool.json").exists() for run in (over, predicting, training))
    session.learn_on = True
    session.poll()
    assert (training.folder / "pool.json").exists()
    assert not any((run.folder / "pool.json").exists() for run in (over, predicting))
