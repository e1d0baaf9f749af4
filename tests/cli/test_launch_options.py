"""``--launch``: what is refused, and several real processes from the command line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from cli_tools import Cli

from napari_penumbra.cli.launching import way_of
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.launch import Launch

pytest.importorskip("torch")
SMALL = ("--set", "patch=[8,16,16]", "--set", "labelled_batch=1", "--threads", "2")


@pytest.mark.parametrize(
    ("options", "way"),
    [
        ((None, None, {}), None),
        (("local", None, {}), Launch()),
        (("torchrun", 3, {}), Launch("torchrun", 3)),
        (("slurm", None, {"timeout_min": 60}), Launch("slurm", 1, {"timeout_min": 60})),
    ],
)
def test_options_say_how(options, way) -> None:
    assert way_of(*options) == way


def test_without_a_number_there_is_a_process_per_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_penumbra.cli.launching.processes_here", lambda: 4)
    assert way_of("torchrun", None, {}) == Launch("torchrun", 4)


@pytest.mark.parametrize("options", [(None, 2, {}), (None, None, {"nodes": 2}), ("local", 2, {}), ("pigeon", 1, {})])
def test_options_that_contradict_each_other_are_refused(options) -> None:
    with pytest.raises(UsageError):
        way_of(*options)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--launch", "slurm"), "no sbatch"),
        (("--processes", "2"), "--launch torchrun"),
        (("--launch", "torchrun", "--slurm", "nodes=2"), "--launch slurm"),
        (("--launch", "pigeon"), "no way to launch"),
    ],
)
def test_a_way_that_is_closed_here_is_told_before_anything_is_made(
    cli: Cli, study: Path, words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = cli("train", study, "--method", "supervised", "--steps", "2", *words, code=2).err
    assert sentence in said
    assert not [*(study / "runs").glob("2*")]
    assert cli("status", study, "--json").data["counts"]["validation"] == 0, "no case was frozen for nothing"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_train_resume_as_one_and_predict_as_two(cli: Cli, study: Path) -> None:
    ordered = ("train", study, "--method", "mean-teacher", "--steps", "6", "--validation", "1", *SMALL)
    run = cli(*ordered, "--launch", "torchrun", "--processes", "2", "--json").data
    assert (run["state"], run["step"], run["champion"]) == ("finished", 6, True)
    folder = study / "runs" / run["id"]
    assert json.loads((folder / "job.json").read_text())["launch"] == {"how": "torchrun", "processes": 2}
    assert "2 processes train together" in (folder / "events.jsonl").read_text()

    predicted = cli("predict", study, "--launch", "torchrun", "--processes", "2", "--threads", "2", "--json").data
    assert predicted["state"] == "finished"
    assert cli("status", study, "--json").data["counts"]["predicted"] == 3
    assert len([*(study / "runs" / predicted["id"] / "shares").glob("*/*.done")]) == 2

    second = cli(*ordered, "--launch", "torchrun", "--processes", "2", "--detach", "--json").data["id"]
    cli("stop", study, second)
    state = ""
    until = time.monotonic() + 300
    while state not in ("stopped", "finished", "failed", "lost") and time.monotonic() < until:
        time.sleep(0.5)  # the workers give way to whoever looks without a rest
        state = next(r for r in cli("runs", study, "--json").data if r["id"] == second)["state"]
    assert state == "stopped"
    resumed = cli("resume", study, second, "--launch", "local", "--json").data
    assert (resumed["state"], resumed["step"]) == ("finished", 6)
    assert json.loads((study / "runs" / second / "job.json").read_text())["launch"] == {}
