"""A tree of DICOM patients dropped on the Study page of napari's real window, changed in the preview, and added."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox

from dicom_phantom import colour_capture, grid_of, phantom, write_series
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.dicom import Stopped
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.store import Study
from napari_penumbra.widgets.add_cases_dialog import AddCasesDialog
from napari_penumbra.widgets.add_dicom_branch import DicomBranch
from napari_penumbra.widgets.dicom_table import LEAVE_OUT, MODALITY, NAME, REMARKS, TIME, DicomTable
from napari_penumbra.widgets.study_page import StudyPage


def patient(folder: Path, n: int) -> None:
    who = {"PatientID": f"id{n}", "PatientName": f"Doe^{n}", "StudyInstanceUID": f"1.2.{n}"}
    data = phantom(seed=n)
    for b, factor in ((0.0, 1.0), (1000.0, 0.5)):
        write_series(
            folder / "a", (data * factor).astype(np.int16), prefix=f"b{b:.0f}_", DiffusionBValue=b, SeriesNumber=2,
            SeriesInstanceUID=f"1.2.{n}.1", SeriesDescription="ep2d_diff", **who,
        )  # fmt: skip
    write_series(folder / "b", data, skip=[4] if n == 2 else [], SeriesDescription="Doe thin", SeriesNumber=3,
                 SeriesInstanceUID=f"1.2.{n}.2", **who)  # fmt: skip
    for t in range(3):
        write_series(folder / "c", phantom(seed=20 + t), prefix=f"t{t}_", TriggerTime=40.0 * t, SeriesNumber=4,
                     SeriesDescription="cine sax", SeriesInstanceUID=f"1.2.{n}.3", **who)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for n in (1, 2, 3):
        patient(tmp_path / "in" / f"Doe_{n}", n)
    colour_capture(tmp_path / "in" / "Doe_3" / "screen")
    return tmp_path / "in"


@pytest.fixture
def walk(shown_viewer: Any, tmp_path: Path) -> Iterator[Walkthrough]:
    Study.create(tmp_path / "study", "Stroke", ["DWI", "ADC", "T2"], LabelScheme.parse(["1=lesion"])).close()
    made = Walkthrough(shown_viewer)
    made.widget.session.open(tmp_path / "study")  # it has no cases yet
    made.settle()
    yield made
    made.widget.shut()


def drop(walk: Walkthrough, folder: Path) -> AddCasesDialog:
    page = walk.widget.findChild(StudyPage)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(folder))])
    button, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, button, keys))
    return page._dialog


def choose(walk: Walkthrough, table: DicomTable, case: int, row: int, modality: str) -> None:
    """Click on a row's modality and pick from the list that opens."""
    item = table.topLevelItem(case).child(row)
    table.scrollToItem(item)
    rect = table.visualItemRect(item)
    left = table.columnViewportPosition(MODALITY) + 8
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(left, rect.center().y()))
    walk.settle()
    box = table.findChild(QComboBox)
    box.setCurrentText(modality)
    box.activated.emit(box.currentIndex())
    walk.settle()
    assert item.text(MODALITY) == modality


def shoot(dialog: AddCasesDialog, name: str) -> None:
    if "PENUMBRA_SHOTS" in os.environ:
        dialog.grab().save(str(Path(os.environ["PENUMBRA_SHOTS"]) / f"dicom-{name}.png"))


def test_a_tree_of_patients_is_previewed_changed_and_added(
    walk: Walkthrough, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = drop(walk, tree)
    page = dialog.branch(DicomBranch)
    assert dialog.current is page
    walk.wait("the preview", lambda: page.table.plan is not None, 30)
    table = page.table
    assert page.words.text().startswith("3 cases will be added.")
    first = [
        (table.topLevelItem(0).child(n).text(NAME), table.topLevelItem(0).child(n).text(MODALITY)) for n in range(5)
    ]
    assert first == [
        ("DWI b0", LEAVE_OUT), ("DWI b1000", "DWI"), ("series 3 MR 3 mm", LEAVE_OUT), ("cine", LEAVE_OUT),
        ("ADC (computed)", "ADC"),
    ]  # fmt: skip
    assert table.topLevelItem(3).text(NAME) == "patient 4"
    assert "Is a colour picture" in table.topLevelItem(3).child(0).text(REMARKS)
    assert "1 of 8 slices is missing (number 5)" in table.topLevelItem(1).child(2).text(REMARKS)
    shown = [table.topLevelItem(n) for n in range(3)]
    words = [item.child(m).text(c) for item in shown for m in range(item.childCount()) for c in range(4)]
    assert not any("Doe" in text for text in words)
    dialog.resize(1000, 640)
    walk.settle(200)
    shoot(dialog, "preview")
    assert not list((tmp_path / "study" / "cases").iterdir()), "nothing is written before Add"

    # Everything can be changed in place, and what makes no sense is said on the button.
    choose(walk, table, 0, 2, "T2")
    choose(walk, table, 1, 2, "T2")
    choose(walk, table, 2, 3, "T2")
    table.topLevelItem(2).child(3).setText(TIME, "2 of 3")
    table.topLevelItem(0).setText(NAME, "case-002")
    assert dialog.add.toolTip() == "Two cases are called case-002."
    assert not dialog.add.isEnabled()
    table.topLevelItem(0).setText(NAME, "p007")
    table.topLevelItem(1).setCheckState(NAME, Qt.CheckState.Unchecked)
    assert page.words.text().startswith("2 cases will be added.")
    page.show_folders.setChecked(True)
    assert "Doe_1" in table.topLevelItem(0).text(REMARKS)
    page.show_folders.setChecked(False)
    assert table.plan.cases[0].name == "p007", "showing folders forgets nothing"

    dialog.add.click()
    walk.wait("the cases", lambda: dialog._task is None, 60)
    assert "2 cases added." in dialog.report.item(dialog.report.count() - 1).text()
    walk.wait("the second look", lambda: "in the study already" in page.words.text(), 30)
    shoot(dialog, "added")
    added = [table.topLevelItem(n) for n in range(3)]
    assert [item.text(NAME) for item in added] == ["p007", "case-001", "case-003"]
    assert "in the study already" in added[0].text(REMARKS)
    dialog.reject()

    with Study.open(tmp_path / "study", write=False) as study:
        assert {row.name: set(row.modalities) for row in study.cases()} == {
            "p007": {"DWI", "ADC", "T2"},
            "case-003": {"DWI", "ADC", "T2"},
        }
        np.testing.assert_array_equal(study.read("p007").images["T2"], phantom(seed=1))
        np.testing.assert_array_equal(study.read("case-003").images["T2"], phantom(seed=21))
    file = nib.load(tmp_path / "study" / "cases" / "p007" / "images" / "T2.nii.gz")
    np.testing.assert_allclose(file.affine, grid_of(phantom().shape).matrix, atol=1e-4)
    for path in (tmp_path / "study").rglob("*"):
        assert b"Doe" not in (path.read_bytes() if path.is_file() else b""), path

    # A folder that holds nothing is told in the dialog; a search can be stopped.
    (tmp_path / "nothing").mkdir()
    again = drop(walk, tree)
    other = again.branch(DicomBranch)
    walk.wait("the preview", lambda: other.table.plan is not None, 30)
    other.folder.line.setText(str(tmp_path / "nothing"))
    walk.wait("the sentence", lambda: not again.messages.isHidden(), 30)
    assert "No DICOM scan was found" in again.messages.words.text()
    assert again.add.toolTip() == "There is no DICOM scan to add in this folder."

    def endless(folder: Path, progress: Any) -> None:
        while progress(1, 10):
            time.sleep(0.01)
        raise Stopped

    monkeypatch.setattr(walk.widget.session, "plan_dicom", endless)
    other.folder.line.setText(str(tree))
    walk.wait("the search", lambda: other.words.text() == "Looking: 1 of 10 files.", 30)
    assert again.add.toolTip() == "The folder is still being looked through."
    other.stop.click()
    walk.wait("the end of it", lambda: other.words.text() == "Stopped; nothing was changed.", 30)
    assert other.stop.isHidden()
    again.reject()
    walk.settle()


@pytest.mark.slow
def test_the_same_patient_in_four_files_gives_one_mask(walk: Walkthrough, tmp_path: Path) -> None:
    """DICOM, and NIfTI along the scan's own oblique axes, near RAS and near LPS: one picture, one mask on the disk."""
    turn = np.radians(20)
    row = np.array([np.cos(turn), np.sin(turn), 0.0])
    orientation = (*row, -np.sin(turn) * np.cos(0.3), np.cos(turn) * np.cos(0.3), -np.sin(0.3))
    data = phantom()
    write_series(tmp_path / "dicom", data, orientation=orientation, SeriesDescription="T2")
    image = nib.Nifti1Image(data.transpose(2, 1, 0), grid_of(data.shape, orientation=orientation).matrix)
    session = walk.widget.session
    dict(session.add_dicom(session.plan_dicom(tmp_path / "dicom").cases))
    nib.save(image, tmp_path / "oblique.nii.gz")
    for axes in ("RAS", "LPS"):
        wanted = nib.orientations.axcodes2ornt(tuple(axes))
        step = nib.orientations.ornt_transform(nib.orientations.io_orientation(image.affine), wanted)
        nib.save(image.as_reoriented(step), tmp_path / f"{axes}.nii.gz")
    for name in ("oblique", "RAS", "LPS"):
        session.add_case(name, {"T2": tmp_path / f"{name}.nii.gz"})
    names = ["case-001", "oblique", "RAS", "LPS"]
    masks = []
    for name in names:
        walk.open_case(name)
        walk.drag([(3, 10, 23), (3, 12, 26)], 1, size=3)
        walk.click("case_complete")
        walk.wait("the mask", lambda name=name: session.study.case(name).state.labelled, 20)  # type: ignore[misc]
        (file,) = (tmp_path / "study" / "cases" / name / "annotations").glob("*.nii.gz")
        masks.append(nib.load(file))
    first = np.asarray(masks[0].dataobj)
    assert 5 < np.count_nonzero(first) < 60
    for mask in masks[1:]:
        np.testing.assert_array_equal(np.asarray(mask.dataobj), first)
        np.testing.assert_allclose(mask.affine, masks[0].affine, atol=1e-3)
    # It lies on the L, on the patient's left, and goes out onto each file's own axes.
    left = [masks[0].affine @ (*voxel, 1) for voxel in np.argwhere(first)]
    assert max(place[0] for place in left) < 0
