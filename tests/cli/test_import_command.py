"""``penumbra import`` and ``penumbra add --images --pattern``: the table first, then the cases."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cli_tools import GRID, Cli

from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.store import Study

SCAN = np.random.default_rng(0).integers(0, 900, GRID.array_shape).astype(np.int16)
BALL = (SCAN > 800).astype(np.uint8)


def scan(path: Path, labels: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, BALL if labels else SCAN, GRID)
    return path


@pytest.fixture
def own(tmp_path: Path, cli: Cli) -> Path:
    """A hospital's own folder and a study of two modalities."""
    for n in (1, 2):
        scan(tmp_path / "scans" / f"pat{n}" / "dwi.nii.gz")
        scan(tmp_path / "scans" / f"pat{n}" / "t2.nii.gz")
    scan(tmp_path / "scans" / "pat1" / "mask.nii.gz", labels=True)
    scan(tmp_path / "scans" / "pat2" / "scout.nii.gz")
    cli("new", tmp_path / "study", "--modality", "DWI", "--modality", "T2", "--label", "1=core")
    return tmp_path


def test_dry_run_then_add_then_again(own: Path, cli: Cli) -> None:
    words = ("add", own / "study", "--images", own / "scans", "--pattern", "guess")
    shown = cli(*words, "--dry-run")
    assert "Pattern: {case}/{modality}.nii.gz" in shown.out
    assert "mask.nii.gz" in shown.out
    assert "left over: pat2/scout.nii.gz" in shown.out
    assert "2 cases will be added, 1 with a mask; 1 file left over. Nothing was written." in shown.out
    with Study.open(own / "study", write=False) as study:
        assert not study.cases()
    assert "Added 2 cases; 0 could not be added." in cli(*words).out
    with Study.open(own / "study", write=False) as study:
        assert study.counts().labelled == 1
        np.testing.assert_array_equal(study.read("pat1").labels, BALL)
    assert "the study has all 2 cases" in cli(*words).out
    scan(own / "scans" / "pat3" / "dwi.nii.gz")
    assert "Added 1 case; 0 could not be added; 2 were there already." in cli(*words, "--jobs", "2").out


def test_a_pattern_of_ones_own(own: Path, cli: Cli) -> None:
    shown = cli("add", own / "study", "--images", own / "scans", "--pattern", "pat{case}/{modality}.*", "--dry-run")
    assert "│" not in shown.err
    assert "2 cases will be added" in shown.out
    wrong = cli("add", own / "study", "--images", own / "scans", "--pattern", "{name}.nii", code=2)
    assert "where the case's name stands" in wrong.err


def test_4d_files_are_split_when_asked(own: Path, cli: Cli) -> None:
    values = np.stack([SCAN.transpose(), SCAN.transpose() + 1], axis=-1)
    (own / "four").mkdir()
    nib.save(nib.Nifti1Image(values, GRID.matrix), own / "four" / "q_DWI.nii.gz")
    words = ("add", own / "study", "--images", own / "four")
    refused = cli(*words, code=3)
    assert "holds 2 volumes" in refused.err
    assert "--split-4d channels" in refused.err
    assert "q_DWI.nii.gz [2]" in cli(*words, "--split-4d", "channels", "--dry-run").out
    assert "Added 1 case" in cli(*words, "--split-4d", "channels").out
    with Study.open(own / "study", write=False) as study:
        images = study.read("q").images
        np.testing.assert_array_equal(images["T2"] - images["DWI"], np.ones(GRID.array_shape))


@pytest.mark.parametrize("text", ["1,2", "a,b,c", "0,1,1", "-1,1,1"])
def test_a_voxel_size_must_be_one(own: Path, cli: Cli, text: str) -> None:
    outcome = cli("add", own / "study", "--images", own / "scans", f"--spacing={text}", code=2)
    assert "is no voxel size" in outcome.err


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset001_Heart"
    scan(folder / "imagesTr" / "la_003_0000.nii.gz")
    scan(folder / "labelsTr" / "la_003.nii.gz", labels=True)
    scan(folder / "imagesTs" / "la_001_0000.nii.gz")
    told = {"channel_names": {"0": "LGE"}, "labels": {"background": 0, "atrium": 1}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(told))
    return folder


def test_a_data_set_makes_its_study(dataset: Path, tmp_path: Path, cli: Cli) -> None:
    looked = cli("import", "nnunet", dataset, "--dry-run")
    assert "la_003_0000.nii.gz" in looked.out
    assert "2 cases will be added, 1 with a mask. Nothing was written." in looked.out
    assert not (tmp_path / "la").exists()
    done = cli("import", "nnunet", dataset, "--study", tmp_path / "la", "--name", "Atria")
    assert "Added 2 cases" in done.out
    with Study.open(tmp_path / "la", write=False) as study:
        assert (study.name, study.modalities, study.labels.classes[0].name) == ("Atria", ("LGE",), "atrium")
        assert [(row.name, row.state.labelled) for row in study.cases()] == [("la_001", False), ("la_003", True)]
    assert "the study has all 2 cases" in cli("import", "nnunet", dataset, "--study", tmp_path / "la").out


def test_the_wrong_recipe_is_told(dataset: Path, tmp_path: Path, cli: Cli) -> None:
    wrong = cli("import", "acdc", dataset, "--study", tmp_path / "s", code=2)
    assert "looks like nnU-Net raw data set, not ACDC" in wrong.err
    assert not (tmp_path / "s").exists(), "no study is made for what is not there"
    assert "penumbra import RECIPE FOLDER" in cli("import", code=2).err
    assert "Say where to" in cli("import", "nnunet", dataset, code=2).err
    assert "isles2015-spes" in cli("import", "--list").out
