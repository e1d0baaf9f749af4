"""Commands that need no worker: what they print, what they refuse, and with which exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_tools import Cli

import napari_penumbra.cli.doctor as doctor_module
from napari_penumbra.session import Session


def test_help_names_every_command(cli: Cli) -> None:
    text = cli("--help").out
    for name in (
        *("new", "add", "status", "train", "runs", "queue", "pause", "stop", "resume", "predict"),
        *("accept", "evaluate", "effort", "simulate", "export", "methods", "doctor", "demo"),
    ):
        assert name in text
        assert cli(name, "--help").out
    assert "napari-penumbra 0." in cli("--version").out


def test_new_add_status(cli: Cli, study: Path) -> None:
    text = cli("status", study).out
    assert "Balls" in text
    assert "6 cases · 3 labelled · 3 unlabelled" in text
    assert "Nothing runs." in text
    data = cli("status", study, "--json").data
    assert data["counts"]["labelled"] == 3
    assert [case["name"] for case in data["cases"]] == [f"p{n}" for n in range(6)]
    assert data["cases"][0]["state"] == "annotated"


def test_add_one_case(cli: Cli, study: Path, cohort: Path) -> None:
    image = cohort / "images" / "p5.nii.gz"
    cli("add", study, "--case", "extra", "--image", f"T1={image}", "--label", cohort / "truth" / "p5.nii.gz")
    assert cli("status", study, "--json").data["counts"] == {
        "cases": 7,
        "labelled": 4,
        "unlabelled": 3,
        "validation": 0,
        "predicted": 0,
    }


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--case", "x"], 2, "needs --case NAME and --image"),
        (["--case", "x", "--image", "T1"], 2, "MODALITY=FILE"),
        (["--case", "x", "--image", "T1=missing.nii.gz"], 3, "missing.nii.gz"),
        (["--case", "x", "--image", "T9={image}"], 2, "T9"),
        (["--case", "p0", "--image", "T1={image}"], 2, "p0"),
        ([], 2, "Say what to add"),
        (["--case", "x", "--images", "{folder}"], 2, "Say what to add"),
    ],
)
def test_what_cannot_be_added_is_refused_in_one_sentence(
    cli: Cli, study: Path, cohort: Path, words: list[str], code: int, sentence: str
) -> None:
    filled = [w.format(image=cohort / "images" / "p0.nii.gz", folder=cohort / "images") for w in words]
    outcome = cli("add", study, *filled, code=code)
    assert sentence in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert cli("status", study, "--json").data["counts"]["cases"] == 6


def test_a_bad_file_in_a_folder_does_not_stop_the_rest(cli: Cli, study: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "bad.nii.gz").write_bytes(b"\x1f\x8b not really")
    (more / "good.nii.gz").write_bytes((tmp_path / "images" / "p0.nii.gz").read_bytes())
    outcome = cli("add", study, "--images", more, code=3)
    assert "bad" in outcome.err
    assert "Added 1 case; 1 could not be added." in outcome.out


def test_a_study_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    for command in ("status", "runs", "stop", "predict"):
        assert cli(command, tmp_path / "nowhere", code=5).err.strip()
    cli("new", tmp_path / "s", "--modality", "T1", "--label", "nonsense", code=2)
    cli("new", tmp_path / "s", "--modality", "T1", code=2)
    assert not (tmp_path / "s").exists()


def test_a_study_in_use_can_be_read_but_not_written(cli: Cli, study: Path, cohort: Path) -> None:
    window = Session()
    window.open(study)
    try:
        assert "6 cases" in cli("status", study).out
        assert "Nothing new" in cli("add", study, "--images", cohort / "images").out
        (cohort / "images" / "p0.nii.gz").rename(cohort / "images" / "p9.nii.gz")
        outcome = cli("add", study, "--images", cohort / "images", code=5)
        assert "in use by" in outcome.err
        cli("train", study, code=5)
        cli("predict", study, code=5)
    finally:
        window.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict"], "no model yet"),
        (["predict", "--run", "r9"], "no run r9"),
        (["stop"], "Nothing runs"),
        (["stop", "r9"], "no run r9"),
        (["resume"], "no unfinished training"),
        (["accept"], "Say which cases"),
        (["accept", "--all"], "No case has an untouched prediction"),
        (["accept", "p0"], "no prediction"),
        (["accept", "p77"], "p77"),
        (["evaluate", "--reference", "nowhere"], "does not exist"),
    ],
)
def test_requests_that_make_no_sense(cli: Cli, study: Path, words: list[str], sentence: str) -> None:
    command, *rest = words
    assert sentence in cli(command, study, *rest, code=2).err


def test_evaluate_prints_figures_and_definitions(cli: Cli, study: Path, cohort: Path) -> None:
    words = ("evaluate", study, "--reference", cohort / "truth", "--source", "annotation")
    text = cli(*words).out
    assert "1.000" in text
    assert "hd95: larger of the two directed" in text
    assert "3 cases were left out" in text
    data = cli(*words, "--json").data
    assert data["mean"]["1"]["dice"] == 1.0
    assert data["mean"]["1"]["hd95"] == 0.0
    assert "confidence" not in data, "an annotation has none"
    figure = cohort / "figure.svg"
    assert "no confidence to draw" in cli(*words, "--reliability", figure, code=2).err
    assert not figure.exists()


def test_export(cli: Cli, study: Path, tmp_path: Path) -> None:
    data = cli("export", study, tmp_path / "out", "--format", "nifti", "--json").data
    assert sorted(Path(file).name for file in data["files"]) == ["p0.nii.gz", "p1.nii.gz", "p2.nii.gz"]
    assert "Wrote 3 files" in cli("export", study, tmp_path / "again").out


def test_an_unexpected_fault_is_one_sentence_and_a_log(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def fault(self: Session) -> None:
        raise ZeroDivisionError(" ".join(("a", "patient's", "name")))

    monkeypatch.setattr(Session, "counts", fault)
    outcome = cli("status", study, code=1)
    assert "ZeroDivisionError" in outcome.err
    assert "Traceback" not in outcome.err
    log = next(tmp_path.rglob("penumbra.log")).read_text()
    assert "in status" in log
    assert "a patient's name" not in log
    assert "Traceback" in cli("--debug", "status", study, code=1).err
    assert "Traceback" in cli("status", study, "--debug", code=1).err


def test_doctor_reports_every_part(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = doctor_module.examine()
    assert {f.state for f in findings} <= {"works", "slow", "does not"}
    assert {"Python", "napari", "Qt binding", "torch", "Memory", "Disk", "Display"} <= {f.part for f in findings}
    assert all(f.advice for f in findings if f.state == "does not")
    monkeypatch.setattr(doctor_module, "_version", lambda package: None)
    broken = cli("doctor", "--json", code=1).data
    assert {f["part"] for f in broken if f["state"] == "does not"} >= {"napari", "torch", "Qt binding"}
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "pip install" in cli("doctor", code=1).out


def test_doctor_says_what_a_desk_without_torch_can_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [("napari", "works"), ("torch", "does not"), ("MONAI, safetensors", "does not")]
    monkeypatch.setattr(doctor_module, "examine", lambda: [doctor_module.Finding(*part, "…") for part in parts])
    said = " ".join(cli("doctor", code=1).out.split())
    assert said.endswith("Annotating and reviewing work. Missing for training only: torch, MONAI, safetensors.")
    parts[0] = ("napari", "does not")
    assert "Does not work: napari, torch" in " ".join(cli("doctor", code=1).out.split())


def test_demo_does_not_touch_a_folder_that_is_not_empty(cli: Cli, cohort: Path) -> None:
    assert "not empty" in cli("demo", cohort, "--no-window", code=2).err


def test_demo_makes_a_study_that_is_used_again(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    assert "penumbra train" in cli("demo", folder, "--cases", "2", "--no-window").out
    data = cli("status", folder, "--json").data
    assert data["simulated"]
    assert data["counts"]["cases"] == 2
    assert data["counts"]["labelled"] >= 1
    assert "used as it is" in cli("demo", folder, "--no-window").out


def test_demo_without_a_screen_lets_a_robot_work_the_window(
    cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    reports: list[Path] = []
    with monkeypatch.context() as patch:
        patch.setattr("napari_penumbra.cli.demo.run_robot", lambda study, report: reports.append(report) or 0)
        assert f"{study.name}-report" in cli("demo", study).out.replace("\n", "")
    assert reports == [study.with_name(f"{study.name}-report")]
    monkeypatch.setattr("napari_penumbra.cli.demo.shutil.which", lambda name: None)
    assert "no Xvfb" in cli("demo", study, code=2).err.replace("\n", " ")


def test_demo_opens_napari_on_the_study(cli: Cli, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr("napari_penumbra.cli.demo.open_window", lambda folder: opened.append(folder) or 0)
    monkeypatch.setenv("DISPLAY", ":0")
    cli("demo", study)
    assert opened == [study]
    monkeypatch.setattr("napari_penumbra.cli.demo.open_window", lambda folder: 1)
    assert "penumbra doctor" in cli("demo", study, code=5).err
