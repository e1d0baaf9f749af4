"""``penumbra import-dicom``: preview, names, modalities, references, and what is told."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cli_tools import Cli

from dicom_phantom import colour_capture, phantom, write_series
from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.study.store import Study


@pytest.fixture
def target(tmp_path: Path, cli: Cli) -> Path:
    cli("new", tmp_path / "study", "--modality", "DWI", "--modality", "T2", "--label", "1=lesion")
    return tmp_path / "study"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for n in (1, 2):
        who = {"PatientID": f"ZZPLANTED{n}", "PatientName": f"ZZPLANTED^{n}", "StudyInstanceUID": f"1.2.{n}"}
        folder = tmp_path / "in" / f"ZZPLANTED_{n}"
        write_series(folder / "a", phantom(seed=n), DiffusionBValue=1000.0, SeriesNumber=2,
                     SeriesInstanceUID=f"1.2.{n}.1", **who)  # fmt: skip
        write_series(folder / "b", phantom(seed=n + 5), SeriesDescription="ZZPLANTED thin", SeriesNumber=3,
                     SeriesInstanceUID=f"1.2.{n}.2", **who)  # fmt: skip
    return tmp_path / "in"


def test_a_dry_run_shows_and_writes_nothing(target: Path, tree: Path, cli: Cli) -> None:
    def files() -> dict[Path, bytes]:
        # SQLite makes its two helper files for every reader.
        kept = (p for p in target.rglob("*") if p.is_file() and not p.name.endswith(("-shm", "-wal")))
        return {path: path.read_bytes() for path in kept}

    before = files()
    said = cli("import-dicom", tree, "--study", target, "--dry-run")
    assert "DWI b1000" in said.out
    assert "series 3 MR 3 mm" in said.out
    assert "case-002" in said.out
    assert "ZZPLANTED" not in said.out + said.err
    assert files() == before
    found = cli("import-dicom", tree, "--study", target, "--dry-run", "--json").data
    assert [row["modality"] for row in found["cases"][1]["series"]] == ["DWI", ""]
    assert "folder" not in found["cases"][0]
    assert "ZZPLANTED_2" in cli("import-dicom", tree, "--study", target, "--dry-run", "--show-folders").out


def test_cases_come_in_named_and_chosen_and_go_out_clean(target: Path, tree: Path, cli: Cli, tmp_path: Path) -> None:
    said = cli("import-dicom", tree, "--study", target, "--name", "1=p007", "--series", "series 3 MR 3 mm=T2",
               "--take", "2.2=")  # fmt: skip
    assert "Added 2 cases; 0 could not be added." in said.out
    with Study.open(target, write=False) as study:
        assert {row.name: row.modalities for row in study.cases()} == {"p007": ("DWI", "T2"), "case-002": ("DWI",)}
        np.testing.assert_array_equal(study.read("p007").images["T2"], phantom(seed=6))
    again = cli("import-dicom", tree, "--study", target)
    assert "Nothing new: 2 cases are in the study already." in again.out
    for path in target.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"ZZPLANTED" not in content + (gzip.decompress(content) if path.suffix == ".gz" else b""), path


def test_what_cannot_be_done_is_told(target: Path, tree: Path, cli: Cli, tmp_path: Path) -> None:
    cli("import-dicom", tmp_path / "nowhere", "--study", target, code=2)
    b = "DWI b1000"
    for option, value in (("--name", "p007"), ("--take", "9.9=T2"), ("--take", "T2"), ("--series", "T2"), ("--only", 7),
                          ("--series", f"{b}=CT"), ("--series", f"{b}=DWI@0"), ("--series", f"{b}=DWI@4")):  # fmt: skip
        cli("import-dicom", tree, "--study", target, option, value, code=2)
    none = cli("import-dicom", tree, "--study", target, "--series", "DWI b1000=", code=2)
    assert "No case is chosen" in none.err
    colour_capture(tmp_path / "screens" / "one")
    refused = cli("import-dicom", tmp_path / "screens", "--study", target, code=2)
    assert "is a colour picture, not a scan" in refused.err
    with Study.open(target, write=False) as study:
        assert not study.cases()


@pytest.mark.parametrize("form", ["nifti", "nnunet", "bids", "nrrd", "dicom-seg"])
def test_what_goes_out_names_nobody(target: Path, tree: Path, cli: Cli, tmp_path: Path, form: str) -> None:
    keep = ["--keep-references"] if form == "dicom-seg" else []
    cli("import-dicom", tree / "ZZPLANTED_1", "--study", target, "--series", "series 3 MR 3 mm=T2", *keep)
    with Study.open(target) as study:
        labels = np.zeros(study.grid("case-001").array_shape, np.uint8)
        labels[2:5, 8:12, 22:26] = 1
        study.save("case-001", labels, Closing.COMPLETE, Origin.PAINTED, "reader", 1.0)
    cli("export", target, tmp_path / "out", "--format", form)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        assert b"ZZPLANTED" not in content, path
    if form == "dicom-seg":
        (file,) = [path for path in files if path.suffix == ".dcm"]
        made = pydicom.dcmread(file)
        named = {
            str(one.ReferencedSOPInstanceUID) for one in made.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        }
        source = {str(pydicom.dcmread(path).SOPInstanceUID) for path in (tree / "ZZPLANTED_1" / "a").iterdir()}
        assert named <= source
        assert len(named) >= 3, "the labels refer to the slices they were drawn on"


def test_the_other_command_says_which_one_is_meant(target: Path, tree: Path, cli: Cli) -> None:
    said = cli("add", target, "--images", tree, code=2)
    assert "holds DICOM files" in said.err
    assert "penumbra import-dicom" in said.err


def test_references_only_on_demand(target: Path, tree: Path, cli: Cli) -> None:
    cli("import-dicom", tree, "--study", target, "--only", "1", "--keep-references")
    assert [path.name for path in target.rglob("dicom_references.json")] == ["dicom_references.json"]
    with Study.open(target, write=False) as study:
        assert [row.name for row in study.cases()] == ["case-001"]
