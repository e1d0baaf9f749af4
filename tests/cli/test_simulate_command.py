"""``penumbra simulate`` with the real worker: two rounds of a few steps, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from cli_tools import Background, Cli

pytest.importorskip("torch")
pytestmark = pytest.mark.timeout(400)

SMALL = (
    *("--method", "mean-teacher", "--steps", "4", "--held-out", "1", "--start", "1", "--threads", "1"),
    *("--set", "patch=[8,16,16]", "--set", "labelled_batch=1", "--set", "width=4"),
)


def test_two_rounds(cli: Cli, study: Path, cohort: Path) -> None:
    out = cohort / "out"
    words = ("simulate", study, "--reference", cohort / "truth", "--rounds", "1", "--out", out, *SMALL)
    data = cli(*words, "--json").data
    assert [r["labelled"] for r in data["rounds"]] == [1, 2]
    assert all(0 <= r["mean_dice"] <= 1 for r in data["rounds"])
    work = data["rounds"][1]["work"][0]
    assert work["corrected"] > 0
    assert work["painted"] > 0
    assert data == {**json.loads((out / "result.json").read_text()), "folder": str(out)}
    order = next(out.glob("study/runs/*mean-teacher*/job.json"))
    roles = {c["name"]: c["role"] for c in json.loads(order.read_text())["cases"]}
    assert set(roles) == {f"p{n}" for n in range(6)} - set(data["held_out"])
    # Nothing is left to do: the second time it only shows.
    text = cli(*words).out
    assert "voxels corrected" in text
    assert "curve.svg" in text.replace("\n", "")
    assert cli("status", study, "--json").data["counts"]["labelled"] == 3, "the study is as it was"


@pytest.mark.slow
def test_two_orders_in_one_figure_and_gone_on_with(cli: Cli, study: Path, cohort: Path) -> None:
    out = cohort / "out"
    words = ("simulate", study, "--reference", cohort / "truth", "--rounds", "1", "--out", out, *SMALL)
    words = (*words, "--order", "random", "--order", "classes", "--seconds-per-stroke", "3")
    text = cli(*words).out
    assert "minutes to the common dice" in text
    assert (out / "comparison.svg").read_text(encoding="utf-8").startswith("<svg")
    data = cli(*words, "--json").data
    assert [way["name"] for way in data["ways"]] == ["random", "classes"]
    assert json.loads((out / "comparison.json").read_text())["costs"]["stroke"] == 3.0
    for order in ("random", "classes"):
        assert len(list((out / f"mean-teacher-{order}-seed0").glob("study/runs/*mean-teacher*"))) == 2
    minutes = cli("effort", out / "mean-teacher-classes-seed0" / "study", "--json").data
    assert len(minutes["cases"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl+C cannot be sent to one process on Windows")
def test_ctrl_c_and_going_on(cli: Cli, study: Path, cohort: Path, background: Background) -> None:
    out = cohort / "out"
    words = ["simulate", study, "--rounds", "1", "--out", out, *SMALL, "--reference", cohort / "truth"]
    words[words.index("4")] = "150"
    process = background(*words)
    end = time.monotonic() + 120
    while not any('"kind": "step"' in f.read_text() for f in out.glob("study/runs/*/events.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, (said, errors)
    assert "Give the same command to go on." in said
    assert "Traceback" not in errors
    data = cli(*words, "--json").data
    assert [r["labelled"] for r in data["rounds"]] == [1, 2]
    assert len(list(out.glob("study/runs/*mean-teacher*"))) == 2, "the stopped training was gone on with"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--order", "alphabet", "--held-out", "1"), "no order called"),
        (("--order", "random", "--order", "alphabet"), "no order called"),
        (("--reference", "nowhere"), "does not exist"),
        (("--method", "oracle"), "no method"),
        (("--method", "mean-teacher", "--set", "widht=3"), "Did you mean width?"),
        (("--start", "9"), "3 cases have reference labels"),
        (("--method", "mean-teacher", "--preset", "tower"), "no preset"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_copy(
    cli: Cli, study: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in cli("simulate", study, *words, code=2).err
    assert not list(study.parent.glob("study-simulation"))


def test_without_any_reference_it_says_what_to_give(cli: Cli, cohort: Path) -> None:
    cli("new", cohort / "bare", "--modality", "T1", "--label", "1=ball")
    assert "--reference" in cli("simulate", cohort / "bare", code=2).err
