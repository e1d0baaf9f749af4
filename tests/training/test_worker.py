from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.worker import main, work
from tiny_study import add_case, grid, make_arrays, make_spec, write_run


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a worker as the launcher does."""
    log = subprocess.PIPE
    command = [sys.executable, "-W", "error", "-m", "napari_penumbra.training.worker", *arguments]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def events_of(run: Path) -> list[Progress]:
    """Whole lines only, as another process sees them."""
    file = run / "events.jsonl"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [Progress.from_line(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def wait_for(run: Path, seen: Callable[[list[Progress]], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if seen(events_of(run)):
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    pytest.fail("the worker said nothing in a minute")


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def same_weights(a: Path, b: Path) -> bool:
    one, two = (checkpoints.load(run / "checkpoints") for run in (a, b))
    assert one.weights.keys() == two.weights.keys()
    pairs = [(one.weights, two.weights), (one.optimisers, two.optimisers)]
    return all(torch.equal(x[name], y[name]) for x, y in pairs for name in x)


def test_killed_stopped_resumed_and_predicting_in_real_processes(root: Path) -> None:
    spec = make_spec(root, steps=80)
    run, straight = write_run(root, "run", spec), write_run(root, "straight", spec)

    first = start("train", str(run))
    wait_for(run, lambda told: any(e.kind is Kind.CHECKPOINT for e in told), first)
    os.kill(first.pid, signal.SIGKILL)
    finish(first)
    told = events_of(run)
    assert told[0].kind is Kind.STARTED
    assert told[-1].kind not in (Kind.FINISHED, Kind.FAILED, Kind.STOPPED)
    with (run / "events.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')  # killed in the middle of a line

    (run / "stop").touch()
    assert finish(start("train", str(run), "--resume")) == (0, "")
    assert '"st\n{"kind": "started"' in (run / "events.jsonl").read_text()
    last = Progress.from_line((run / "events.jsonl").read_text().splitlines()[-1])
    assert last.kind is Kind.STOPPED
    assert 0 < last.step < 80
    (run / "stop").unlink()

    assert work(run, "train", resume=True) == 0
    assert work(straight, "train") == 0
    assert same_weights(run, straight)

    rest = tuple(dataclasses.replace(c, role="predict") for c in spec.cases[2:])
    order = dataclasses.replace(spec, kind="predict", checkpoint="runs/run/checkpoints", cases=rest)
    predicting = write_run(root, "predicting", order)
    assert finish(start("predict", str(predicting))) == (0, "")
    done = [e for e in events_of(predicting) if e.kind is Kind.CASE_DONE]
    assert [e.case for e in done] == ["cleo", "dora"]
    sidecar = json.loads((root / done[0].message).read_text())
    labels = read_labels(root / sidecar["labels"]).volume
    confidence = read_image(root / sidecar["confidence"]).volume.data
    assert labels.grid.same_place(grid())
    assert set(np.unique(labels.data)) == {0, 3}
    truth = make_arrays(3)[1] == 3
    assert 2 * np.sum(truth & (labels.data == 3)) / (np.sum(truth) + np.sum(labels.data == 3)) > 0.5
    assert 0 <= confidence.min() < confidence.max() <= 1


def test_sigterm_is_a_stop(root: Path) -> None:
    run = write_run(root, "run", make_spec(root, "supervised", steps=100_000))
    process = start("train", str(run))
    wait_for(run, lambda e: any(x.kind is Kind.STEP for x in e), process)
    who = json.loads((run / "worker.json").read_text())
    assert who["pid"] == process.pid
    assert abs(who["created"] - psutil.Process(process.pid).create_time()) < 1
    process.terminate()
    assert finish(process) == (0, "")
    assert [e.kind for e in events_of(run)][-2:] == [Kind.CHECKPOINT, Kind.STOPPED]


def test_describe_prints_what_the_window_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe"]) == 0
    known = {d["name"]: d for d in json.loads(capsys.readouterr().out)}
    assert {"mean-teacher", "supervised"} <= set(known)
    teacher = known["mean-teacher"]
    assert teacher["uses_unlabelled"] is True
    assert set(teacher["presets"]) == {"paper", "workstation", "laptop"}
    assert teacher["schema"]["properties"]["steps"]["title"] == "Steps"


def test_check_takes_two_real_steps_and_leaves_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(root, "run", make_spec(root))
    assert main(["check", str(run)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert answer["steps"] == 20
    assert answer["device"] == "cpu"
    assert answer["parameters"] > 1000
    assert answer["seconds_per_step"] > 0
    assert answer["memory_bytes"] > 1e7
    assert [p.name for p in run.iterdir()] == ["job.json"]
    assert not (root / "cache").exists()


def test_check_says_in_words_what_is_wrong(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(root, "run", make_spec(root, config={"patch": (0, 16)}))
    assert main(["check", str(run)]) == 7
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert answer["error"] == "A parameter of mean-teacher is not valid."


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"method": "alchemy"}, 2, 'There is no method called "alchemy".'),
        ({"preset": "gold"}, 2, 'The method mean-teacher has no preset "gold".'),
        ({"config": {"learning_rate": -1}}, 2, "A parameter of mean-teacher is not valid."),
        ({"cases": ()}, 7, "There is no labelled case to learn from."),
        ({"device": "cuda"}, 7, "No CUDA graphics card was found."),
        ({"kind": "predict"}, 7, "The run is an order to predict, not to train."),
        ({"checkpoint": "runs/none"}, 8, "The checkpoint none is damaged or incomplete."),
    ],
)
def test_an_order_that_cannot_be_followed_fails_in_words(
    root: Path, change: dict[str, object], code: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if change == {"device": "cuda"} and torch.cuda.is_available():
        pytest.skip("this machine has a graphics card")
    run = write_run(root, "run", make_spec(root, **change))  # type: ignore[arg-type]
    assert work(run, "train") == code
    last = events_of(run)[-1]
    assert (last.kind, last.message) == (Kind.FAILED, words)
    assert last.remedy
    assert "Traceback" not in (run / "events.jsonl").read_text()
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}'])
def test_a_damaged_order_fails_in_words(root: Path, text: str) -> None:
    run = write_run(root, "run", make_spec(root))
    (run / "job.json").write_text(text)
    assert work(run, "train") == 7
    assert events_of(run)[-1].kind is Kind.FAILED


def test_an_unexpected_error_points_to_the_log(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("secret path /home/p/patient")

    monkeypatch.setattr("napari_penumbra.training.trainer.Trainer.run", explode)
    run = write_run(root, "run", make_spec(root))
    assert work(run, "train") == 7
    last = events_of(run)[-1]
    assert last.message == "Something unexpected happened (ZeroDivisionError)."
    assert last.remedy == "The details are in the run's log."


def test_resuming_without_a_checkpoint_starts_anew_and_says_so(root: Path) -> None:
    run = write_run(root, "run", make_spec(root, "supervised", steps=2))
    assert work(run, "train", resume=True) == 0
    assert [e.message for e in events_of(run) if e.kind is Kind.WARNING] == [
        "There is no checkpoint to go on from: the training starts at step 0."
    ]


def test_cases_of_other_spacings_train_and_come_back_on_their_own_grid(root: Path) -> None:
    fine = add_case(root, "fine", 7, "unlabelled", grid((32, 40, 40), (1.5, 0.9, 0.9)))
    spec = make_spec(root, steps=3)
    spec = dataclasses.replace(spec, cases=(*spec.cases, fine))
    assert work(write_run(root, "run", spec), "train") == 0
    order = dataclasses.replace(spec, kind="predict", checkpoint="runs/run/checkpoints", cases=(fine,))
    assert work(write_run(root, "predicting", order), "predict") == 0
    labels = read_labels(root / "cases/fine/predictions/predicting.labels.nii.gz").volume
    assert labels.grid.same_place(fine.grid)
