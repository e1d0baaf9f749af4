"""The pages that look into a folder before they add: own files by a pattern, and published data sets."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from array_canvas import write_image, write_labels

from napari_penumbra.widgets.add_cases_dialog import AddCasesDialog
from napari_penumbra.widgets.add_dataset_branch import DatasetBranch
from napari_penumbra.widgets.add_folder_branch import FolderBranch


@pytest.fixture
def dialog(study, qtbot):
    made = AddCasesDialog(study)
    qtbot.addWidget(made)
    yield made
    made.reject()


def settled(qtbot, page):
    qtbot.waitUntil(lambda: not page._soon.isActive() and page._look is None, timeout=10_000)


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "hospital"
    for name in ("a1", "a2"):
        for modality in ("dwi", "T2"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            write_image(folder / name / f"{modality}.nii.gz")
    write_labels(folder / "a1" / "seg.nii.gz")
    write_image(folder / "a2" / "scout.nii.gz")
    return folder


def test_the_guess_is_shown_and_the_table_follows_the_pattern(dialog, scans, study, qtbot):
    page = dialog.branch(FolderBranch)
    assert dialog.add.toolTip() == "Pick the folder with the scans first."
    page.images.set_path(scans)
    assert dialog.add.toolTip() == "Still looking into the folder."
    settled(qtbot, page)
    assert page.pattern.currentText() == "{case}/{modality}.nii.gz"
    assert page.view.cells() == [
        ["a1", "dwi.nii.gz", "T2.nii.gz", "seg.nii.gz", ""],
        ["a2", "dwi.nii.gz", "T2.nii.gz", "–", ""],
    ]
    assert "a2/scout.nii.gz" in page.view.left_over.text()
    page.pattern.setEditText("a{case}/{modality}.*")
    settled(qtbot, page)
    assert [row[0] for row in page.view.cells()] == ["1", "2"]
    page.pattern.setEditText("{case}/{kind}.nii.gz")
    settled(qtbot, page)
    assert '"{kind}" in it means nothing' in page.view.summary.text()
    assert not dialog.add.isEnabled()
    page.pattern.setEditText("{case}/{modality}.nii.gz")
    settled(qtbot, page)
    dialog.add.click()
    qtbot.waitUntil(lambda: dialog._task is None, timeout=20_000)
    assert {"a1", "a2"} <= {row.name for row in study.cases()}
    assert study.study.read("a1").labels.any()
    told = "in the study already: left out"
    qtbot.waitUntil(lambda: [row[-1] for row in page.view.cells()] == [told, told], timeout=10_000)
    assert dialog.add.toolTip() == "There is nothing new to add in this folder."


def test_where_the_guess_cannot_be_carried_out_the_usual_names_are_taken(dialog, scans, qtbot):
    write_labels(scans / "a1" / "mask.nii.gz")  # two masks of one case
    page = dialog.branch(FolderBranch)
    page.images.set_path(scans)
    settled(qtbot, page)
    assert page.pattern.currentText() == ""
    assert [row[0] for row in page.view.cells()] == ["a1", "a2"]
    page.pattern.setEditText("{case}/{modality}.nii.gz")
    settled(qtbot, page)
    assert "Two files claim to be the label of a1: a1/mask.nii.gz and a1/seg.nii.gz" in page.view.summary.text()


def test_4d_files_are_asked_about(dialog, tmp_path, study, qtbot):
    (tmp_path / "four").mkdir()
    values = np.random.default_rng(0).integers(0, 99, (8, 9, 5, 2)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1.0, 2.0, 1.0])), tmp_path / "four" / "b_DWI.nii.gz")
    page = dialog.branch(FolderBranch)
    page.images.set_path(tmp_path / "four")
    settled(qtbot, page)
    assert page.form.isRowVisible(page.split)
    assert "holds several volumes and will be refused" in page.view.notes.text()
    page.split.setCurrentIndex(1)
    settled(qtbot, page)
    assert page.view.cells() == [["b", "b_DWI.nii.gz [1]", "b_DWI.nii.gz [2]", "–", ""]]
    page.split.setCurrentIndex(2)
    settled(qtbot, page)
    assert [row[0] for row in page.view.cells()] == ["b_t1", "b_t2"]


def test_a_data_set_is_recognised_or_told(dialog, tmp_path, study, qtbot):
    root = tmp_path / "ISLES-2022"
    case = root / "sub-strokecase0001" / "ses-0001"
    for folder, kind in (("dwi", "dwi"), ("dwi", "adc")):
        (case / folder).mkdir(parents=True, exist_ok=True)
        write_image(case / folder / f"sub-strokecase0001_ses-0001_{kind}.nii.gz")
    page = dialog.branch(DatasetBranch)
    dialog.tabs.setCurrentWidget(page)
    assert dialog.add.toolTip() == "Pick the data set's folder first."
    page.folder.set_path(root)
    settled(qtbot, page)
    assert 'the class "lesion", which the study has not' in page.view.summary.text()
    page.kind.setCurrentIndex(page.kind.findData("acdc"))
    settled(qtbot, page)
    assert "looks like ISLES 2022, not ACDC" in page.view.summary.text()
    shutil.rmtree(root / "sub-strokecase0001")
    page.kind.setCurrentIndex(0)
    settled(qtbot, page)
    assert "layout of no data set that is known here" in page.view.summary.text()
    assert Path(page.folder.path()) == root
