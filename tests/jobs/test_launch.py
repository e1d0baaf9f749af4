"""Starting a process that outlives its parent, and asking a worker for one answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import RunState
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.launch import ask, launch, prepare
from napari_penumbra.jobs.launchers import environment
from napari_penumbra.jobs.process import WorkerProcess

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in interpreter is a shell script")


def spec() -> RunSpec:
    grid = Grid.of((4, 4, 4), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    case = SpecCase("p001", ("cases/p001/images/T1.nii.gz",), grid)
    return RunSpec("train", ("T1",), LabelScheme.parse(["1=lesion"]), (case,), method="mean-teacher", preset="laptop")


def stand_in(tmp_path: Path, body: str) -> str:
    """An interpreter that ignores what it is asked to run and does ``body`` instead."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return str(script)


def wait_for(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_prepared_run_reads_back_and_leaves_no_draft(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "runs", "20261121-mean", spec())
    assert Job(folder).spec() == spec()
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["20261121-mean"]


def test_a_run_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file is in the way")
    with pytest.raises(JobError, match="could not be made"):
        prepare(tmp_path / "runs", "x", spec())


def test_launch_starts_detached_with_its_log_and_capped_threads(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "runs", "r", spec())
    (folder / "stop").touch()
    python = stand_in(tmp_path, 'echo "$@ threads=$OMP_NUM_THREADS"; echo oops >&2; exec sleep 30')
    pid = launch(folder, python, threads=1)
    job = Job(folder)
    wait_for(lambda: "oops" in job.log_tail())
    assert job.state() is RunState.RUNNING
    assert f"-m napari_penumbra.training.worker train {folder.resolve()} threads=1" in job.log_tail()
    assert not (folder / "stop").exists()
    assert os.getsid(pid) != os.getsid(0)
    assert psutil.Process(pid).nice() >= 10
    job.kill()
    assert job.state() is RunState.LOST
    wait_for(lambda: not psutil.pid_exists(pid))


def test_the_worker_outlives_the_one_who_started_it(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "runs", "r", spec())
    python = stand_in(tmp_path, "exec sleep 30")
    code = (
        "import sys; from pathlib import Path; from napari_penumbra.jobs.launch import launch; "
        "launch(Path(sys.argv[1]), sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(folder), python], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert Job(folder).state() is RunState.RUNNING
    Job(folder).kill()


def test_resuming_marks_where_the_new_process_begins(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "runs", "r", spec())
    (folder / "events.jsonl").write_text('{"kind": "stopped"}\n')
    launch(folder, stand_in(tmp_path, 'echo "$@"; exec sleep 30'), resume=True)
    job = Job(folder)
    wait_for(lambda: "--resume" in job.log_tail())
    assert job.state() is RunState.RUNNING
    worker = WorkerProcess.read(folder)
    assert worker is not None
    assert worker.offset == (folder / "events.jsonl").stat().st_size
    job.kill()


def test_an_interpreter_that_is_not_there_is_told(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "runs", "r", spec())
    with pytest.raises(JobError, match="could not be started"):
        launch(folder, str(tmp_path / "no python here"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo \"ModuleNotFoundError: No module named 'torch'\" >&2; exit 1", "torch is missing"),
        ("echo Killed >&2; exit 137", "exit code 137"),
        ("echo not json", "exit code 0"),
    ],
)
def test_a_worker_that_does_not_answer_is_told_in_words(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(JobError, match=words):
        ask("describe", python=stand_in(tmp_path, body))


def test_the_answer_is_the_last_line_whatever_was_printed_before(tmp_path: Path) -> None:
    python = stand_in(tmp_path, f"echo a library says hello; echo '{json.dumps({'ok': True})}'")
    assert ask("check", python=python) == {"ok": True}


def test_a_worker_that_hangs_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="did not answer"):
        ask("describe", python=stand_in(tmp_path, "exec sleep 20"), seconds=0.5)


def test_threads_leave_one_core_for_the_window() -> None:
    assert environment(3)["OMP_NUM_THREADS"] == "3"
    assert int(environment()["OMP_NUM_THREADS"]) == max(1, (os.cpu_count() or 1) - 1)
