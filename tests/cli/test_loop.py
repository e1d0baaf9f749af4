"""The whole loop from the command line, with the real worker on tiny volumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cli_tools import Background, Cli

from napari_penumbra.session import Session

pytest.importorskip("torch")
pytestmark = pytest.mark.timeout(240)

# Small enough that six steps and a prediction take seconds on one core.
SMALL = ("--set", "patch=[8,16,16]", "--set", "labelled_batch=1", "--threads", "1")


def test_train_predict_accept_evaluate_export_train_on(cli: Cli, study: Path, cohort: Path) -> None:
    started = cli("train", study, "--method", "mean-teacher", "--steps", "6", "--validation", "1", *SMALL, "--json")
    run = started.data
    assert (run["state"], run["step"], run["steps"], run["champion"]) == ("finished", 6, 6, True)
    assert run["dice"] is not None
    assert "★" in cli("runs", study).out
    cli("predict", study, "--case", "p4", "--case", "p5", "--threads", "1")
    assert cli("status", study, "--json").data["counts"]["predicted"] == 2
    scores = cli("evaluate", study, "--reference", cohort / "truth", "--json").data
    assert set(scores["cases"]) == {"p4", "p5"}
    assert 0 <= scores["mean"]["1"]["dice"] <= 1
    assert set(scores["confidence"]["cases"]) == {"p4", "p5"}
    assert 0 <= scores["confidence"]["all"]["ece"] <= 1
    figure = cohort / "reliability.svg"
    text = cli("evaluate", study, "--reference", cohort / "truth", "--reliability", figure).out
    assert "ece scaled" in text
    assert "<svg" in figure.read_text()
    counts = cli("accept", study, "p4", "--json").data["counts"]
    assert (counts["labelled"], counts["unlabelled"], counts["validation"]) == (3, 2, 1)
    assert cli("accept", study, "--all", "--json").data["accepted"] == ["p5"]
    assert "accepted already" in cli("accept", study, "p5", code=2).err
    files = cli("export", study, cohort / "out", "--json").data["files"]
    assert {Path(file).name for file in files} == {f"p{n}.nii.gz" for n in (0, 1, 2, 4, 5)}
    source = nib.load(cohort / "images" / "p4.nii.gz")
    written = nib.load(cohort / "out" / "p4.nii.gz")
    assert np.allclose(written.affine, source.affine)
    assert written.shape == source.shape
    # Training on from here sees the accepted cases.
    again = cli("train", study, "--steps", "2", "--method", "supervised", *SMALL, "--json").data
    assert again["state"] == "finished"
    order = json.loads((study / "runs" / again["id"] / "job.json").read_text())
    assert {c["name"] for c in order["cases"] if c["role"] != "unlabelled"} == {"p0", "p1", "p2", "p4", "p5"}


def test_the_recommended_method_is_named_with_its_reason(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [info for info in Session().methods() if info.name in ("mean-teacher", "supervised")]
    monkeypatch.setattr(Session, "methods", lambda self: known)
    outcome = cli("train", study, "--set", "steps=2", "--set", "patch=[8,16,16]", "--threads", "1")
    assert "Recommended: Mean teacher, because" in outcome.out
    info = cli("runs", study, "--json").data[0]
    order = json.loads((study / "runs" / info["id"] / "job.json").read_text())
    assert (order["method"], order["preset"], order["steps"]) == ("mean-teacher", "laptop", 2)
    assert "steps" not in order["config"], "one place for the steps"
    cli("accept", study, "--all", code=2)
    again = cli("train", study, "--steps", "1", "--set", "steps=2", code=2)
    assert "given twice" in again.err


TRAIN = ("--method", "mean-teacher", "--steps", "100000", "--no-reference")


def wait_for_step(study: Path, process: subprocess.Popen[str], step: int) -> str:
    """Wait until the only run has taken some steps; returns its id."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for events in study.glob("runs/*/events.jsonl"):
            lines = [json.loads(line) for line in events.read_text().splitlines() if line.endswith("}")]
            if any(line["kind"] == "step" and line["step"] >= step for line in lines):
                return events.parent.name
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError("no step within two minutes")


@pytest.mark.skipif(os.name != "posix", reason="Ctrl+C cannot be sent to one process on Windows")
def test_ctrl_c_stops_with_a_checkpoint_and_resume_finishes(cli: Cli, study: Path, background: Background) -> None:
    process = background("train", study, *TRAIN, *SMALL)
    run = wait_for_step(study, process, 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "penumbra resume" in out
    assert "Traceback" not in err
    info = cli("runs", study, "--json").data[0]
    assert (info["id"], info["state"]) == (run, "stopped")
    assert info["step"] >= 2
    # Detached this time: it goes on without the command, and stops when asked.
    cli("resume", study, "--detach", "--threads", "1")
    end = time.monotonic() + 60
    while cli("runs", study, "--json").data[0]["step"] <= info["step"]:
        assert time.monotonic() < end
        time.sleep(0.2)
    cli("stop", study)
    while (state := cli("runs", study, "--json").data[0]["state"]) == "running":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert state == "stopped"


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_worker_is_told(cli: Cli, study: Path, background: Background) -> None:
    process = background("train", study, *TRAIN, *SMALL)
    run = wait_for_step(study, process, 2)
    worker = json.loads((study / "runs" / run / "worker.json").read_text())
    os.kill(worker["pid"], signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 7, (out, err)
    assert "without a last word" in err
    assert cli("runs", study, "--json").data[0]["state"] == "lost"


def test_settings_that_make_no_sense_fail_before_or_in_words(cli: Cli, study: Path) -> None:
    assert "no parameter" in cli("train", study, "--set", "nonsense=1", code=2).err
    near = ("train", study, "--method", "mean-teacher", "--set")
    assert "Did you mean learning_rate?" in cli(*near, "learning_rte=1", code=2).err
    assert "more than 0 and at most 10, not 11" in cli(*near, "learning_rate=11", code=2).err
    assert "one of unet, vnet" in cli(*near, "backbone=unett", code=2).err
    assert "Did you mean mean-teacher?" in cli("train", study, "--method", "mean-techer", code=2).err
    assert not list((study / "runs").glob("*")), "nothing was started"
    assert "patch must have 3 values" in cli("train", study, "--set", "patch=[8]", code=2).err
    assert "learning_rate must be a number" in cli("train", study, "--set", "learning_rate=fast", code=2).err
    assert "not a setting" in cli("train", study, "--set", "nonsense", code=2).err
    assert "no method" in cli("train", study, "--method", "oracle", code=2).err
    assert "no preset" in cli("train", study, "--preset", "tower", code=2).err


def test_methods_lists_and_describes(cli: Cli) -> None:
    assert "mean-teacher" in cli("methods").out
    infos = {m["name"]: m for m in cli("methods", "--json").data}
    assert {"mean-teacher", "supervised"} <= set(infos)
    for info in infos.values():
        assert info["title"]
        assert info["paper"]
        assert set(info["dimensions"]) <= {2, 3}
        assert {"paper", "workstation", "laptop"} <= set(info["presets"])
        assert info["confidence_means"].endswith(".")
    text = " ".join(cli("methods").out.split())
    for info in infos.values():
        assert info["confidence_means"] in text
        assert info["paper"] in text
    assert "learning_rate" in cli("methods", "mean-teacher").out
    assert "no method" in cli("methods", "oracle", code=2).err
