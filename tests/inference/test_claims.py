from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_prediction_run import run_of

from napari_penumbra.domain.errors import DiskError, JobError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.inference import claims
from napari_penumbra.inference.claims import Shares
from napari_penumbra.inference.shared_run import SharedPrediction
from tiny_study import make_spec


def predicted(case: str) -> Progress:
    return Progress(Kind.CASE_DONE, 1, 4, case=case, message=f"cases/{case}/predictions/p1.json")


def test_of_many_who_want_a_case_one_gets_it(tmp_path: Path) -> None:
    workers = [Shares(tmp_path, "a", rank, 8) for rank in range(8)]
    together = threading.Barrier(8)

    def all_of_them(shares: Shares) -> list[int]:
        together.wait()
        return [number for number in range(50) if shares.claim(number)]

    with ThreadPoolExecutor(8) as pool:
        taken = [number for mine in pool.map(all_of_them, workers) for number in mine]
    assert sorted(taken) == list(range(50))


def test_claims_of_an_earlier_attempt_count_no_more_but_its_words_do(tmp_path: Path) -> None:
    killed = Shares(tmp_path, "first", 1, 2)
    assert killed.claim(0)
    assert killed.claim(1)
    killed.say(predicted("anna"))
    killed.say(Progress(Kind.WARNING, case="bert", message="It was not readable then."))
    with (killed.home / "1.jsonl").open("a") as file:
        file.write('{"kind": "case_done", "ca')
    again = Shares(tmp_path, "second", 0, 2)
    assert again.claim(1)
    assert again.known() == {"anna"}
    assert again.told() == set()
    assert [e.case for e in again.news()] == ["anna"]
    assert again.news() == []


def test_fellows_leave_fail_or_fall_silent(tmp_path: Path) -> None:
    first, second = (Shares(tmp_path, "a", rank, 2) for rank in range(2))
    assert first.at_work() == [1]
    with pytest.raises(JobError, match="Process 2 of 2 is gone"):
        first.at_work(patience=-1)
    second.leave()
    assert first.at_work(patience=-1) == []
    second.leave(failed=True)
    with pytest.raises(JobError, match="Process 2 of 2 has failed"):
        first.at_work()


def test_a_worker_says_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "ALIVE_SECONDS", 0.01)
    first, second = (Shares(tmp_path, "a", rank, 2) for rank in range(2))
    first.at_work()
    second.start()
    for _ in range(500):
        if (second.home / "1.alive").exists() and (second.home / "1.alive").read_text() not in ("", "1"):
            break
        threading.Event().wait(0.01)
    assert first.at_work(patience=0.0) == [1]  # it has said something new since the last look
    second.leave()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "shares").write_text("in the way")
    with pytest.raises(DiskError):
        Shares(tmp_path, "a", 0, 2)


class Heard(list[Progress]):
    """Events, and a flag that is up once one is about a case."""

    def __init__(self, case: str) -> None:
        super().__init__()
        self.case, self.there = case, threading.Event()

    def append(self, event: Progress) -> None:
        super().append(event)
        if event.case == self.case:
            self.there.set()


def test_the_first_worker_tells_of_all_and_waits_for_the_others(root: Path) -> None:
    spec = dataclasses.replace(make_spec(root), kind="predict")
    run = root / "runs/p1"
    run.mkdir(parents=True)
    earlier = Shares(run, "first", 1, 2)
    earlier.say(predicted("bert"))  # killed before the first worker could tell of it
    events = Heard("dora")
    fellow = Shares(run, "second", 1, 2)
    assert fellow.claim(0)  # anna
    first = SharedPrediction(run_of(root, spec, events), Shares(run, "second", 0, 2))

    def later() -> None:
        assert events.there.wait(60)
        fellow.say(Progress(Kind.WARNING, case="anna", message="Not readable."))
        fellow.leave()

    fellows_work = threading.Thread(target=later, daemon=True)
    fellows_work.start()
    assert first.run()
    fellows_work.join()
    assert [(e.kind, e.case, e.step) for e in events[:-1]] == [
        (Kind.CASE_DONE, "bert", 1),
        (Kind.CASE_DONE, "cleo", 2),
        (Kind.CASE_DONE, "dora", 3),
        (Kind.WARNING, "anna", 4),
    ]
    assert (events[-1].kind, events[-1].message) == (Kind.FINISHED, "3 of 4 cases predicted, 1 could not be.")


def test_a_stop_is_told_once_all_have_heard_it(root: Path) -> None:
    spec = dataclasses.replace(make_spec(root), kind="predict")
    run = root / "runs/p1"
    run.mkdir(parents=True)
    events: list[Progress] = []
    stopping = run_of(root, spec, events, stopping=lambda: len(events) == 2)
    fellow = Shares(run, "a", 1, 2)
    fellow.leave()
    assert not SharedPrediction(stopping, Shares(run, "a", 0, 2)).run()
    assert [e.kind for e in events] == [Kind.CASE_DONE, Kind.CASE_DONE, Kind.STOPPED]
    assert events[-1].message == "Stopped after 2 of 4 cases."
