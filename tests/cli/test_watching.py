"""Looking at runs and steering them from the command line, with real workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from cli_tools import Background, Cli

from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.session.steering import STUBBORN_SECONDS

pytest.importorskip("torch")
pytestmark = pytest.mark.timeout(240)
TINY = ["--set", "patch=[8,8,8]", "--set", "labelled_batch=1", "--set", "width=4", "--threads", "1"]


def wait(look: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.2)


def runs_of(cli: Cli, study: Path) -> dict[str, dict[str, Any]]:
    return {info["id"]: info for info in cli("runs", study, "--json").data}


def train(cli: Cli, study: Path, *words: object) -> str:
    words = ("--method", "supervised", "--detach", "--json", *TINY, *words)
    return str(cli("train", study, *words).data["id"])


def test_queue_pause_resume_and_follow(cli: Cli, study: Path, background: Background) -> None:
    first = train(cli, study, "--steps", 100_000)
    assert "Wait for it, or stop it first." in cli("train", study, "--method", "supervised", *TINY, code=2).err
    second = train(cli, study, "--steps", 3, "--queue")
    wait(lambda: runs_of(cli, study)[second]["place"] == 1)
    assert [info["id"] for info in cli("queue", study, "--json").data] == [first, second]
    lines = cli("queue", study).out.splitlines()
    assert any(line.split()[:2] == ["1", second] for line in lines)
    assert "does not wait" in cli("queue", study, "--cancel", first, code=2).err

    wait(lambda: runs_of(cli, study)[first]["step"] > 0)
    assert "nothing is lost" in cli("pause", study).out
    wait(lambda: runs_of(cli, study)[first]["state"] == "paused")
    assert "is not running" in cli("pause", study, first, code=2).err
    cli("resume", study, first, "--detach")
    wait(lambda: runs_of(cli, study)[first]["state"] == "running")

    watching = background("runs", study, "--follow")
    time.sleep(2)
    assert watching.poll() is None
    cli("stop", study, first)
    out, err = watching.communicate(timeout=90)
    assert watching.returncode == 0, err
    assert "Nothing runs any more." in out
    assert "finished" in out
    assert cli("queue", study).out.strip() == "Nothing runs and nothing waits."
    assert {info["state"] for info in runs_of(cli, study).values()} == {"stopped", "finished"}


def test_a_run_leaves_the_queue(cli: Cli, study: Path) -> None:
    first = train(cli, study, "--steps", 100_000)
    second = train(cli, study, "--steps", 3, "--queue")
    wait(lambda: runs_of(cli, study)[second]["place"] == 1)
    assert "out of the queue" in cli("queue", study, "--cancel", second).out
    wait(lambda: runs_of(cli, study)[second]["state"] == "stopped")
    cli("stop", study, first)
    wait(lambda: runs_of(cli, study)[first]["state"] == "stopped")


def test_warnings_stand_under_the_list_of_runs(cli: Cli, study: Path) -> None:
    cli("train", study, "--method", "supervised", "--steps", 2, *TINY)
    assert runs_of(cli, study)
    said = cli("runs", study).out
    assert "finished" in said
    folder = study / "runs" / next(iter(runs_of(cli, study)))
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"kind": "warning", "message": "Something is odd.", "remedy": "Look at it.", "about": "leak"}\n')
        file.write('{"kind": "finished", "step": 2, "steps": 2}\n')
    assert f"⚠ {folder.name}: Something is odd. Look at it." in cli("runs", study).out


def test_a_run_that_does_not_answer_is_ended_by_a_second_stop(cli: Cli, study: Path) -> None:
    run = train(cli, study, "--steps", 100_000)
    wait(lambda: runs_of(cli, study)[run]["step"] > 0)
    folder = study / "runs" / run
    worker = WorkerProcess.read(folder)
    assert worker is not None
    process = psutil.Process(worker.pid)
    process.suspend()
    assert "Asked" in cli("stop", study, run).out
    os.utime(folder / "stop", (time.time() - STUBBORN_SECONDS - 1,) * 2)
    assert "it is ended" in cli("stop", study, run).out
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "it is ended when the command says so"
    assert runs_of(cli, study)[run]["state"] not in ("running", "queued")
