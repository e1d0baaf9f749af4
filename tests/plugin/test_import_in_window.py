"""Many cases come in through the real window: own files by a pattern, then a data set by its recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from plugin_cases import GRID

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.imaging.nifti import write
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.references import REFERENCE
from napari_penumbra.study.store import Study
from napari_penumbra.widgets.add_dataset_branch import DatasetBranch
from napari_penumbra.widgets.add_folder_branch import FolderBranch

SHOTS = os.environ.get("PENUMBRA_PICTURES")


def scan(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, np.random.default_rng(seed).integers(0, 900, GRID.array_shape).astype(np.int16), GRID)
    return path


def lesion(path: Path, *values: int) -> np.ndarray:
    labels = np.zeros(GRID.array_shape, np.uint8)
    for n, value in enumerate(values):
        labels[2 + n : 5 + n, 4:9, 5:11] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, labels, GRID)
    return labels


@pytest.fixture
def walk(make_napari_viewer: Callable[..., Any], tmp_path: Path) -> Iterator[Walkthrough]:
    root = tmp_path / "study"
    scheme = LabelScheme.parse(["1=right ventricle", "2=myocardium", "5=left ventricle"])
    with Study.create(root, "Hearts", ["cine"], scheme) as made_study:
        made_study.add_case("first", {"cine": scan(tmp_path / "first.nii.gz")})
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    made = Walkthrough(viewer)
    made.open_study(root)
    yield made
    made.widget.shut()


def picture(walk: Walkthrough, dialog: Any, name: str) -> None:
    if SHOTS:
        walk.settle(200)
        dialog.grab().save(str(Path(SHOTS) / f"importing-{name}.png"))


def added(walk: Walkthrough, dialog: Any) -> None:
    walk.wait("the table", lambda: dialog.add.isEnabled(), 30)
    dialog.add.click()
    walk.wait("the cases", lambda: dialog._task is None, 60)


def test_files_and_a_data_set_come_in_by_the_window(walk: Walkthrough, tmp_path: Path) -> None:
    own = tmp_path / "from the ward"
    for n in range(1, 5):
        scan(own / f"pat{n}" / "cine.nii.gz", n)
    truth = lesion(own / "pat1" / "mask.nii.gz", 1, 5)
    scan(own / "pat2" / "scout.nrrd.nii.gz", 9)
    walk.page("study")
    page = walk.widget.dock.study_page
    page.ask_add([own])
    dialog = page._dialog
    walk.wait("the window of the dialog", lambda: dialog.isVisible(), 10)
    files = dialog.branch(FolderBranch)
    walk.wait("the guess", lambda: len(files.view.cells()) >= 4, 30)
    files.pattern.setEditText("{case}/{modality}.nii.gz")
    walk.wait("the pattern", lambda: files.view.left_over.text() != "" and dialog.add.isEnabled(), 30)
    assert [row[:3] for row in files.view.cells()] == [
        [f"pat{n}", "cine.nii.gz", "mask.nii.gz" if n == 1 else "–"] for n in range(1, 5)
    ]
    picture(walk, dialog, "own-files")
    added(walk, dialog)
    heart = tmp_path / "ACDC" / "database"
    masks = {}
    for case, part in (("patient001", "training"), ("patient101", "testing")):
        scan(heart / part / case / f"{case}_frame01.nii.gz", 20)
        masks[case] = lesion(heart / part / case / f"{case}_frame01_gt.nii.gz", 1, 2, 3)
    dataset = dialog.branch(DatasetBranch)
    dialog.tabs.setCurrentWidget(dataset)
    dataset.folder.set_path(heart)
    walk.wait("the recipe", lambda: len(dataset.view.cells()) == 2, 30)
    assert "This is ACDC" in dataset.about.text()
    picture(walk, dialog, "data-set")
    added(walk, dialog)
    picture(walk, dialog, "done")
    assert "2 cases added." in dialog.report.item(dialog.report.count() - 1).text()
    dialog.reject()
    table = walk.find("case_table")
    walk.wait("the list", lambda: len(table.cases.rows) == 7, 30)

    study = walk.widget.session.opened()
    np.testing.assert_array_equal(study.read("pat1").labels, truth)
    on_disk = nib.load(study.layout.annotations("patient001_frame01") / "r0001.nii.gz")
    expected = np.where(masks["patient001"] == 3, 5, masks["patient001"])
    np.testing.assert_array_equal(np.asarray(on_disk.dataobj), expected.transpose())
    assert not study.case("patient101_frame01").state.labelled
    kept = read_labels(study.root / REFERENCE / "patient101_frame01.nii.gz").volume.data
    np.testing.assert_array_equal(kept, np.where(masks["patient101"] == 3, 5, masks["patient101"]))
