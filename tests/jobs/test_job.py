"""Runs as their folders tell them: torn lines, dead and reused process numbers, other machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_penumbra.domain.errors import DiskError, JobError
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.process import WorkerProcess


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "20261121-051200-mean-teacher-a1b2"
    made.mkdir()
    (made / "job.json").write_text("{}")
    return made


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A live process of ours."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def tell(folder: Path, *events: Progress) -> None:
    with (folder / "events.jsonl").open("a", encoding="utf-8", newline="\n") as file:
        for event in events:
            file.write(event.to_line() + "\n")


def step(n: int) -> Progress:
    return Progress(Kind.STEP, step=n, steps=100, losses={"total": 1 / (n + 1)})


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


# ------------------------------------------------------------------ events


def test_each_event_is_handed_out_once_and_history_gives_all(folder: Path) -> None:
    job = Job(folder)
    assert job.events() == []
    tell(folder, step(1))
    assert [e.step for e in job.events()] == [1]
    tell(folder, step(2), step(3))
    assert job.last is not None
    assert job.last.step == 3
    assert [e.step for e in job.events()] == [2, 3]
    assert [e.step for e in job.events(from_start=True)] == [1, 2, 3]
    assert job.events() == []


def test_half_a_line_waits_for_its_end(folder: Path) -> None:
    job, line = Job(folder), step(7).to_line() + "\n"
    path = folder / "events.jsonl"
    path.write_text(line[:20])
    assert job.events() == []
    path.write_text(line)
    assert [e.step for e in job.events()] == [7]


def test_letters_split_between_two_writes_survive(folder: Path) -> None:
    event = Progress(Kind.STAGE, message="größer · ½")
    data = (event.to_line() + "\n").encode()
    cut = data.index("ß".encode()) + 1
    job, path = Job(folder), folder / "events.jsonl"
    path.write_bytes(data[:cut])
    assert job.events() == []
    path.write_bytes(data)
    assert job.events()[0].message == "größer · ½"


def test_a_line_torn_by_a_kill_costs_only_itself(folder: Path) -> None:
    tell(folder, step(1))
    with (folder / "events.jsonl").open("a") as file:
        file.write(step(2).to_line()[:25])
    tell(folder, step(3), step(4))  # the resumed worker's first event lands on the torn line
    (folder / "events.jsonl").open("a").close()
    assert [e.step for e in Job(folder).events()] == [1, 3, 4]


def test_lines_that_are_no_events_are_passed_over(folder: Path) -> None:
    (folder / "events.jsonl").write_text('[1, 2]\nnull\n"x"\n\n{"kind": "unheard of"}\nnonsense\n')
    tell(folder, step(5))
    assert [e.step for e in Job(folder).events()] == [5]


def test_catching_up_on_a_long_run_knows_its_last_figures_without_reading_it_all(folder: Path) -> None:
    tell(folder, Progress(Kind.VALIDATION, step=10, steps=5000, metrics={"dice": 0.25}))
    tell(folder, Progress(Kind.VALIDATION, step=20, steps=5000, metrics={"dice": 0.5}))
    tell(folder, *(step(n) for n in range(1000)))
    job = Job(folder)
    job.catch_up()
    assert job.events() == []
    assert job.figures is not None
    assert job.figures.metrics["dice"] == 0.5
    assert job.last is not None
    assert job.last.step == 999
    tell(folder, step(1000))
    assert [e.step for e in job.events()] == [1000]
    assert len(job.events(from_start=True)) == 1003


# ------------------------------------------------------------------ state


def test_just_made_is_queued_and_later_lost(folder: Path) -> None:
    assert Job(folder).state() is RunState.QUEUED
    old = time.time() - 3600
    os.utime(folder / "job.json", (old, old))
    assert Job(folder).state() is RunState.LOST


def test_a_folder_that_vanished_is_lost(tmp_path: Path) -> None:
    job = Job(tmp_path / "gone")
    assert job.state() is RunState.LOST
    assert job.events() == []
    assert job.log_tail() == ""
    assert job.checkpoint() is None


def test_a_live_process_runs_and_a_killed_one_is_lost(folder: Path, sleeper: subprocess.Popen[bytes]) -> None:
    WorkerProcess.of(sleeper.pid).write(folder)
    tell(folder, step(3))
    job = Job(folder)
    assert job.state() is RunState.RUNNING
    sleeper.kill()
    sleeper.wait()
    assert job.state() is RunState.LOST


def test_another_process_with_the_same_number_is_not_ours(folder: Path, sleeper: subprocess.Popen[bytes]) -> None:
    worker = WorkerProcess.of(sleeper.pid)
    WorkerProcess(worker.pid, worker.created - 3600, worker.host).write(folder)
    assert Job(folder).state() is RunState.LOST


@pytest.mark.parametrize(
    ("kind", "state"),
    [(Kind.FINISHED, RunState.FINISHED), (Kind.STOPPED, RunState.STOPPED), (Kind.FAILED, RunState.FAILED)],
)
def test_last_words_settle_it(folder: Path, kind: Kind, state: RunState) -> None:
    WorkerProcess.of(dead_pid()).write(folder)
    tell(folder, step(9), Progress(kind, step=9, steps=100))
    assert Job(folder).state() is state


def test_last_words_of_an_earlier_process_do_not_end_a_resumed_run(
    folder: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    tell(folder, step(9), Progress(Kind.STOPPED, step=9, steps=100))
    offset = (folder / "events.jsonl").stat().st_size
    WorkerProcess.of(sleeper.pid, offset).write(folder)
    job = Job(folder)
    assert job.state() is RunState.RUNNING
    sleeper.kill()
    sleeper.wait()
    assert job.state() is RunState.LOST
    tell(folder, Progress(Kind.FINISHED, step=100, steps=100))
    assert job.state() is RunState.FINISHED


def test_a_worker_on_another_machine_is_judged_by_when_it_last_spoke(folder: Path) -> None:
    WorkerProcess(1, time.time() - 9000, "elsewhere").write(folder)
    assert Job(folder).state() is RunState.LOST
    tell(folder, step(1))
    assert Job(folder).state() is RunState.RUNNING


def test_a_damaged_worker_file_is_as_good_as_none(folder: Path) -> None:
    (folder / "worker.json").write_text('{"pid": ')
    assert WorkerProcess.read(folder) is None
    (folder / "worker.json").write_text("[]")
    assert WorkerProcess.read(folder) is None


# ------------------------------------------------------------------ actions and files


def test_kill_ends_a_process_that_does_not_listen(folder: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    WorkerProcess.of(process.pid).write(folder)
    Job(folder).kill(patience=0.3)
    process.wait(timeout=5)
    process.stdout.close()
    assert Job(folder).state() is RunState.LOST
    Job(folder).kill()  # nobody there: nothing happens


def test_stop_leaves_a_file_and_says_when_it_cannot(folder: Path, tmp_path: Path) -> None:
    assert Job(folder).asked_to_stop() is None
    Job(folder).stop()
    assert (folder / "stop").exists()
    os.utime(folder / "stop", (time.time() - 60,) * 2)
    Job(folder).stop()
    assert Job(folder).asked_to_stop() >= 60, "asking again does not make it younger"
    with pytest.raises(DiskError, match="could not be asked to stop"):
        Job(tmp_path / "gone").stop()


def test_an_order_that_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "job.json").write_text("{ torn")
    with pytest.raises(JobError, match="order of run"):
        Job(folder).spec()


def test_the_latest_whole_checkpoint_is_found(folder: Path) -> None:
    home = folder / "checkpoints"
    for n, name in enumerate(("step-000010", "step-000020", "step-000030")):
        (home / name).mkdir(parents=True)
        (home / name / "weights.safetensors").write_bytes(b"w")
        if name != "step-000030":  # torn by a power cut
            (home / name / "state.json").write_text(json.dumps({"step": n}))
        os.utime(home / name, (1000 + n, 1000 + n))
    job = Job(folder)
    for latest in ("step-000030", "../../elsewhere", "", "step-000999"):
        (home / "latest").write_text(latest)
        assert job.checkpoint() == home / "step-000020"
    (home / "latest").write_text("step-000010\n")
    assert job.checkpoint() == home / "step-000010"


def test_log_tail_is_the_end(folder: Path) -> None:
    (folder / "log.txt").write_bytes(b"\xff\xfe bad bytes\n" + b"".join(b"line %d\n" % n for n in range(500)))
    assert Job(folder).log_tail(2) == "line 498\nline 499"
