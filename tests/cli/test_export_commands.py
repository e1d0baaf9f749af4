"""``penumbra export``, ``cohort`` and ``report`` as they are typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cli_tools import GRID, Cli

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.session import Session


@pytest.fixture
def drafted(study: Path) -> Path:
    """The study with a draft of p3 that has an unknown voxel."""
    session = Session()
    session.open(study)
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[3, 4:8, 4:8], labels[0, 0, 0] = 1, 255
    session.opened().save("p3", labels, Closing.DRAFT, Origin.PAINTED, "ann", 5.0)
    session.close()
    return study


def test_export_options(cli: Cli, drafted: Path, tmp_path: Path) -> None:
    out = tmp_path / "Dataset777_Balls"
    words = ("export", drafted, out, "--format", "nnunet", "--drafts", "--unlabelled", "imagesTs")
    planned = cli(*words, "--dry-run", "--json").data
    assert not out.exists()
    done = cli(*words, "--json")
    written = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert {entry["file"] for entry in planned["files"]} == written
    assert {Path(f).relative_to(out).as_posix() for f in done.data["files"]} <= written
    assert json.loads((out / "dataset.json").read_text())["labels"] == {"background": 0, "ball": 1, "ignore": 2}
    assert nib.load(out / "labelsTr" / "p3.nii.gz").get_fdata().max() == 2
    assert {p.name for p in (out / "imagesTs").iterdir()} == {"p4_0000.nii.gz", "p5_0000.nii.gz"}
    assert "is not empty" in cli(*words, code=2).err
    again = cli("export", drafted, out, "--case", "p0", "--overwrite", "--unknown", "background")
    assert "Wrote 1 file to" in again.out
    assert {p.name for p in out.rglob("*") if p.is_file()} == {"p0.nii.gz", "penumbra_export.json"}


def test_what_is_said(cli: Cli, drafted: Path, tmp_path: Path) -> None:
    said = cli("export", drafted, tmp_path / "out", "--dry-run").out
    assert "4 files would be written" in said
    assert "Left out: p3 (only a draft: nobody has closed it)" in said
    assert "no export format" in cli("export", drafted, tmp_path / "out", "--format", "vtk", code=2).err
    assert "--dicom FOLDER" in cli("export", drafted, tmp_path / "out", "--format", "dicom-seg", code=2).err
    (drafted / "cases" / "p1" / "annotations" / "r0001.nii.gz").write_bytes(b"broken")
    broken = cli("export", drafted, tmp_path / "out", code=3)
    assert "Wrote 2 files" in broken.out
    assert "p1: " in broken.err


def test_cohort_and_report(cli: Cli, drafted: Path, cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "Wrote 4 files" in cli("cohort", drafted, out, "--references", cohort / "truth").out
    with (out / "cohort.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["dice_ball"] for line in lines[:3]] == ["1.0"] * 3
    assert [line["labels"] for line in lines] == ["annotated"] * 3 + ["none"] * 3
    assert "Wrote 1 file" in cli("report", drafted, out, "--drafts").out
    assert (out / "report.html").read_text().count("<image") == 18
    assert "report.html already" in cli("report", drafted, out, code=2).err
    cli("report", drafted, out, "--overwrite", "--case", "p0")
    assert (out / "report.html").read_text().count("<image") == 3
