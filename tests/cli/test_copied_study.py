"""A study of 24 cases trains by two processes, pauses, is copied, goes on in the copy, and predicts there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from trainer_files import different

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = 40
CASES = {f"stroke-{number:03d}" for number in range(1, 25)}
TOGETHER = ("--launch", "torchrun", "--processes", "2", "--threads", "2")
ORDER = ("--method", "mean-teacher", "--steps", STEPS, "--validation", 1, "--no-reference")
# Small, and the teacher teaches before the pause already, so that it too has to survive the copying.
SMALL = ("--set", "patch=[8,24,24]", "--set", "labelled_batch=1", "--set", "pretrain_steps=2", "--set", "ramp_steps=2")


def penumbra(*words: object) -> str:
    """Run the command line as a process of its own."""
    command = [sys.executable, "-m", "napari_penumbra.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def answer(*words: object) -> Any:
    return json.loads(penumbra(*words, "--json"))


def events_of(run: Path) -> list[dict[str, Any]]:
    file = run / "events.jsonl"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def wait_for(run: Path, seen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    # A worker yields to everything else: on a busy machine a step takes seconds.
    for _ in range(6000):
        told = events_of(run)
        found = next((event for event in told if seen(event)), None)
        if found is not None:
            return found
        assert not told or told[-1]["kind"] not in ("failed", "finished"), (run / "log.txt").read_text()
        time.sleep(0.1)
    pytest.fail(f"not told within ten minutes: {events_of(run)[-3:]}")


def digests(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def naming(folder: Path, words: str) -> list[str]:
    """Files that hold some words."""
    return [str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file() and words.encode() in f.read_bytes()]


def workers_at(folder: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]


@pytest.fixture
def original(tmp_path: Path) -> Iterator[Path]:
    study = tmp_path / "first-home" / "study"
    yield study
    for process in workers_at(tmp_path):
        process.kill()


def paused(study: Path) -> tuple[Path, int]:
    """Start a training by two processes and pause it; its folder, and the step it waits after."""
    run = study / "runs" / answer("train", study, *ORDER, *SMALL, *TOGETHER, "--detach")["id"]
    wait_for(run, lambda event: event["kind"] == "step" and event["step"] >= 4)
    penumbra("pause", study)
    waits = wait_for(run, lambda event: event["kind"] == "paused")
    assert "2 processes train together" in (run / "events.jsonl").read_text()
    assert len(workers_at(run)) == 3, "two workers and torchrun"
    return run, int(waits["step"])


@pytest.mark.skipif(os.name != "posix", reason="torchrun's gloo is tested on Linux and macOS")
def test_trained_paused_copied_resumed_and_predicted_by_two_processes(original: Path, tmp_path: Path) -> None:
    penumbra("demo", original, "--cases", 24, "--no-window")
    run, step = paused(original)
    assert 4 <= step < STEPS
    newest = (run / "checkpoints" / "latest").read_text()
    assert newest == f"step-{step:06d}"

    before = digests(original)
    copy = tmp_path / "second-home" / "elsewhere"
    shutil.copytree(original, copy)
    there = copy / "runs" / run.name
    assert answer("runs", copy)[0]["state"] == "lost", "the process that waits is the original's"

    resumed = answer("resume", copy, *TOGETHER)
    assert (resumed["id"], resumed["state"], resumed["step"]) == (run.name, "finished", STEPS)
    assert resumed["champion"]
    later = events_of(there)[len(events_of(run)) :]
    steps = [event["step"] for event in later if event["kind"] == "step"]
    assert steps[0] > step, "it goes on where it was"
    assert (there / "checkpoints" / "latest").read_text() == f"step-{STEPS:06d}"
    assert different(run, there), "the copy has learnt"
    assert answer("runs", original)[0]["state"] == "paused"
    assert digests(original) == before

    # What the original's own processes come to, which only waited: the same, bit for bit. Images are looked at anew
    # after a resume, so a remark about them may come later or not at all.
    penumbra("resume", original)
    assert events_of(run)[-1]["kind"] == "finished"
    assert different(run, there) in ("", "watch")

    # Without the original in reach: nothing is read from there.
    original.parent.rename(tmp_path / "out-of-reach")
    predicted = answer("predict", copy, *TOGETHER, *(word for case in sorted(CASES) for word in ("--case", case)))
    assert predicted["state"] == "finished"
    told = events_of(copy / "runs" / predicted["id"])
    assert Counter(event["case"] for event in told if event["kind"] == "case_done") == dict.fromkeys(CASES, 1)
    assert len([*(copy / "runs" / predicted["id"] / "shares").glob("*/*.done")]) == 2, "both processes took part"
    for case in CASES:
        (sidecar,) = (copy / "cases" / case / "predictions").glob("*.json")
        assert json.loads(sidecar.read_text())["run"] == predicted["id"]
    assert answer("status", copy)["counts"]["predicted"] == 20, "the four annotated ones stay annotated"
    assert naming(copy, str(original)) == []
