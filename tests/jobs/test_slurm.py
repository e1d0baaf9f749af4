"""Slurm: by submitit's local executor with real processes, and by programs that answer as Slurm does."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import pytest

from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.domain.launch import Launch
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.jobs import slurm
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.launch import launch
from napari_penumbra.jobs.launchers import change_launch, launch_of, why_not
from napari_penumbra.jobs.process import WorkerProcess
from tiny_study import CONFIG, make_spec, write_run


def order(root: Path, processes: int, steps: int = 8) -> Path:
    spec = make_spec(root, method="supervised", steps=steps)
    config = {k: v for k, v in CONFIG.items() if k != "unlabelled_batch"}
    way = Launch("slurm", processes, {"cluster": "local"})
    return write_run(root, "run", dataclasses.replace(spec, config=config, launch=way.to_json()))


def wait_until_over(job: Job, seconds: float = 120) -> list[RunState]:
    """States on the way to the end."""
    states: list[RunState] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = job.state()
        if not states or states[-1] is not state:
            states.append(state)
        if state.over:
            return states
        time.sleep(0.1)
    pytest.fail(f"not over after {seconds:.0f} s: {states}\n{job.log_tail()}")


def test_two_processes_are_handed_in_and_followed_by_their_folder(root: Path) -> None:
    run = order(root, processes=2)
    number = launch(run, threads=1)
    assert json.loads((run / "slurm.json").read_text())["job"] == str(number)
    job = Job(run)
    states = wait_until_over(job)
    assert states[0] is RunState.QUEUED
    assert states[-1] is RunState.FINISHED, job.log_tail()
    told = job.events(from_start=True)
    assert [e.kind for e in told].count(Kind.STARTED) == 1
    assert any("2 processes train together" in e.message for e in told)
    assert told[-1].step == 8
    assert job.checkpoint() is not None


@pytest.mark.slow
def test_what_a_cluster_began_goes_on_here(root: Path) -> None:
    run = order(root, processes=1)
    launch(run, threads=1)
    job = Job(run)
    assert wait_until_over(job)[-1] is RunState.FINISHED, job.log_tail()
    job.note(Progress(Kind.STOPPED, 8, 8))
    change_launch(run, Launch())
    launch(run, threads=1, resume=True)
    assert not (run / "slurm.json").exists()
    assert wait_until_over(Job(run))[-1] is RunState.FINISHED


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that answer as Slurm does: squeue prints the file ``says``, scancel notes what it is asked."""
    home = tmp_path / "bin"
    home.mkdir()
    programs = {
        "sbatch": "#!/bin/sh\necho Submitted batch job 4711\n",
        "squeue": f"#!/bin/sh\ncat {home}/says\n[ -e {home}/broken ] || exit 0\ncat {home}/broken >&2\nexit 1\n",
        "scancel": f"#!/bin/sh\necho $@ >> {home}/cancelled\n",
        "srun": "#!/bin/sh\nexit 0\n",
    }
    for name, text in programs.items():
        (home / name).write_text(text)
        (home / name).chmod(0o755)
    (home / "says").write_text("")
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")
    return home


HANDED = slurm.Handed("4711", "slurm", 0)


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ("PENDING\n", RunState.QUEUED),
        ("CONFIGURING\n", RunState.QUEUED),
        ("RUNNING\n", RunState.RUNNING),
        ("COMPLETING\n", RunState.RUNNING),
        ("PENDING\nRUNNING\n", RunState.RUNNING),
        ("", None),
        ("FAILED\n", None),
    ],
)
def test_what_squeue_says(cluster: Path, says: str, state: RunState | None) -> None:
    (cluster / "says").write_text(says)
    assert slurm.ask(HANDED) is state


def test_a_job_that_squeue_no_longer_knows_is_over_but_no_answer_is_no_news(cluster: Path) -> None:
    (cluster / "broken").write_text("Invalid job id specified")
    assert slurm.ask(HANDED) is None
    (cluster / "broken").write_text("Unable to contact slurm controller")
    assert slurm.ask(HANDED) is RunState.QUEUED


def test_a_run_waits_runs_is_silent_and_is_lost(cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "ASK_SECONDS", 0.0)
    run = tmp_path / "run"
    run.mkdir()
    (run / "job.json").write_text("{}")
    os.utime(run / "job.json", (1, 1))
    before = Progress(Kind.STOPPED, 3, 9, message="An earlier process's word.").to_line() + "\n"
    (run / "events.jsonl").write_text(before)
    (run / "slurm.json").write_text(json.dumps({"job": "4711", "cluster": "slurm", "offset": len(before)}))

    def state_after(says: str, job: Job) -> RunState:
        (cluster / "says").write_text(says)
        for _ in range(2):
            job.state()
            for _ in range(200):
                if not job._standing._busy:
                    break
                time.sleep(0.02)
        return job.state()

    job = Job(run)
    assert job.state() is RunState.QUEUED
    assert state_after("PENDING", job) is RunState.QUEUED
    WorkerProcess(12, time.time() - 4000, "node17", len(before)).write(run)
    with (run / "events.jsonl").open("a") as file:
        file.write(dataclasses.replace(Progress(Kind.STEP, 4, 9), time=time.time() - 3000).to_line() + "\n")
    assert state_after("RUNNING", job) is RunState.RUNNING, "a long validation says nothing"
    assert state_after("", job) is RunState.LOST
    job.kill()
    assert (cluster / "cancelled").read_text() == "4711\n"


def test_submitting_asks_slurm_for_what_was_ordered(cluster: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "worker.json").write_text("{}")
    way = Launch("slurm", 8, {"nodes": 2, "slurm_partition": "gpu", "timeout_min": 90})
    assert slurm.submit(run, "train", way, threads=6, resume=False) == "4711"
    script = next((run / "slurm").glob("*.sh")).read_text()
    for line in ("--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--partition=gpu", "--time=90"):
        assert f"#SBATCH {line}" in script
    assert "--cpus-per-task=6" in script
    assert not (run / "worker.json").exists()


def test_what_slurm_refuses_is_told(cluster: Path, tmp_path: Path) -> None:
    (cluster / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(JobError, match="has not taken the run"):
        slurm.submit(run, "train", Launch("slurm", 1), threads=0, resume=False)
    with pytest.raises(JobError, match="has not taken the run"):
        slurm.submit(run, "train", Launch("slurm", 1, {"no_such_wish": 1}), threads=0, resume=False)


def test_a_computer_outside_of_a_cluster_says_so(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no sbatch" in why_not("slurm")
    run = order(root, 1)
    change_launch(run, Launch("slurm", 1))
    with pytest.raises(UsageError, match="no sbatch"):
        launch(run)


def test_without_submitit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(JobError) as told:
        slurm.submit(tmp_path, "train", Launch("slurm", 1), threads=0, resume=False)
    assert "napari-penumbra[cluster]" in told.value.remedy


@pytest.mark.parametrize(
    "wrong",
    [
        {"how": "carrier pigeon"},
        {"how": "local", "processes": 2},
        {"how": "torchrun", "processes": 0},
        {"how": "torchrun", "processes": "many"},
        {"how": "torchrun", "processes": 2, "cluster": {"nodes": 2}},
        {"how": "slurm", "cluster": 7},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Launch.from_json(wrong)


@pytest.mark.parametrize("way", [Launch(), Launch("torchrun", 4), Launch("slurm", 8, {"slurm_partition": "gpu"})])
def test_an_order_keeps_how_it_is_launched(way: Launch, root: Path) -> None:
    spec = make_spec(root)
    run = write_run(root, "run", dataclasses.replace(spec, launch=way.to_json()))
    assert launch_of(run) == way
    assert Job(run).spec().launch == way.to_json()
