"""Pictures of the Study page: what comes next, how it goes, what comes in, what is checked, what leaves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import read_image
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.samples import make_sample_study
from napari_penumbra.study.store import Study
from picture_parts.desk import Desk

TESTS = Path(__file__).parents[2] / "tests"


def next_case(desk: Desk) -> None:
    """Show the list with a case that the reader asked for, and the menu of another one."""
    desk.use("corrected")
    table = desk.find("case_table")
    wished, other = (table.cases.rows[n].name for n in (3, 2))
    entry = next(a for a in _menu(desk, wished).actions() if a.text() == "Label this one next")
    QTest.mouseClick(entry.parent(), Qt.MouseButton.LeftButton, pos=entry.parent().actionGeometry(entry).center())
    desk.wait("the wish", lambda: table.cases.rows[0].name == wished, 10)
    _menu(desk, other)
    desk.shoot(desk.place_of(desk.widget))


def minutes(desk: Desk) -> None:
    """Show what each finished case has taken; the seconds are the robot reader's."""
    desk.use("corrected")
    desk.unfold("progress_fold")
    desk.shoot(desk.place_of(desk.widget))


def export(desk: Desk) -> None:
    """Show the dialog with the files that would be written for nnU-Net."""
    desk.use("small")
    desk.open_case("stroke-001")
    desk.page("study")
    desk.click("export_cases")
    dialog = desk.widget.dock.study_page._dialog
    dialog.form.choose("nnunet")
    dialog.form.folder.set_path(desk.room / "Dataset501_Stroke")
    desk.wait("the list", lambda: dialog.list.count() > 0, 30)
    desk.shoot()


def checking(desk: Desk) -> None:
    """Show a registration that waits for a yes: one T2 was moved by 15 mm beforehand, another one emptied."""
    desk.root = make_sample_study(desk.room / "study", 3, 1, modalities=("DWI", "T2"))
    with Study.open(desk.root) as study:
        for case, spoil in (("stroke-002", lambda voxels: np.roll(voxels, 5, 2)), ("stroke-003", np.zeros_like)):
            file = study.layout.images(case) / "T2.nii.gz"
            write_nifti(file, spoil(np.array(read_image(file).volume.data)), study.grid(case))
    desk.open_study(desk.root)
    desk.click("check_cases")
    words, found = desk.find("check_summary"), desk.find("check_findings")
    desk.wait("the check", lambda: "checked" in words.text(), 120)
    row = next(found.item(n) for n in range(found.count()) if "stroke-002" in found.item(n).text())
    QTest.mouseClick(found.viewport(), Qt.MouseButton.LeftButton, pos=found.visualItemRect(row).center())
    desk.settle()
    desk.click("check_fix_register")
    desk.wait("the registration", lambda: desk.find("check_proposal").isVisible(), 120)
    desk.shoot(desk.place_of(desk.widget))


def add_cases(desk: Desk) -> None:
    """Show a folder of one's own, its pattern guessed: one case is known already, one lacks a scan."""
    source = desk.studies.copy("fresh", desk.room / "source")
    ward = desk.room / "from the ward"
    for n in range(7, 15):
        files = ["DWI", "ADC"][: 1 if n == 10 else 2]
        _copy_case(source, f"stroke-{n:03d}", ward / f"p{n:03d}", files, with_mask=n < 10)
    _copy(source / "cases/stroke-012/images/T2.nii.gz", ward / "p012" / "scout.nii.gz")
    _empty_study(desk, ["DWI", "ADC"])
    session = desk.widget.session
    session.add_case("p007", {m: ward / "p007" / f"{m.lower()}.nii.gz" for m in ("DWI", "ADC")})
    dialog = _ask_add(desk, ward)
    desk.wait("the table", lambda: dialog.add.isEnabled(), 60)
    desk.shoot_widget(dialog)


def dicom(desk: Desk) -> None:
    """Show what a folder of three patients would become; the slices are the tests' own phantom."""
    sys.path.insert(0, str(TESTS))
    ward = desk.room / "ward 7"
    for n in (1, 2, 3):
        _write_patient(ward / f"patient {n}", n)
    _empty_study(desk, ["DWI", "ADC", "T2"])
    dialog = _ask_add(desk, ward)
    desk.wait("the table", lambda: dialog.add.isEnabled(), 120)
    dialog.resize(990, 476)
    desk.shoot_widget(dialog)


def _menu(desk: Desk, case: str) -> Any:
    """Right-click a case in the list."""
    table = desk.find("case_table")
    table.select(case)
    desk.settle()
    row = table.visualRect(table.currentIndex()).center()
    table.customContextMenuRequested.emit(QPoint(120, row.y()))
    desk.settle()
    return next(m for m in table.children() if m.objectName() == "case_menu" and m.isVisible())


def _empty_study(desk: Desk, modalities: Sequence[str]) -> None:
    labels = LabelScheme.parse(["1=penumbra", "2=core"])
    Study.create(desk.room / "study", "Stroke cohort", list(modalities), labels, simulated=True).close()
    desk.widget.session.open(desk.room / "study")
    desk.settle()


def _ask_add(desk: Desk, folder: Path) -> Any:
    page = desk.widget.dock.study_page
    page.ask_add([folder])
    desk.wait("the dialog", lambda: page._dialog is not None and page._dialog.isVisible(), 10)
    return page._dialog


def _copy_case(source: Path, case: str, to: Path, modalities: Sequence[str], *, with_mask: bool) -> None:
    for modality in modalities:
        _copy(source / "cases" / case / "images" / f"{modality}.nii.gz", to / f"{modality.lower()}.nii.gz")
    if with_mask:
        _copy(source / "reference" / f"{case}.nii.gz", to / "mask.nii.gz")


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(source.read_bytes())


def _write_patient(folder: Path, n: int) -> None:
    """A localiser, two b-values, a T2 (of the second patient with a gap) and a perfusion, as slices."""
    from dicom_phantom import CORONAL, phantom, write_series

    who = {"PatientID": f"id{n}", "PatientName": f"Doe^{n}", "StudyInstanceUID": f"1.2.{n}"}
    data = phantom((20, 24, 32), seed=n)
    for k, orientation in enumerate(((1.0, 0, 0, 0, 1.0, 0), CORONAL, (0, 1.0, 0, 0, 0, -1.0))):
        series = {"SeriesNumber": 1, "SeriesInstanceUID": f"1.2.{n}.1", "SeriesDescription": "localizer"}
        write_series(folder / "1", data[k : k + 1], orientation=orientation, prefix=f"l{k}_", **series, **who)
    for b, factor in ((0.0, 1.0), (1000.0, 0.5)):
        series = {"SeriesNumber": 2, "SeriesInstanceUID": f"1.2.{n}.2", "SeriesDescription": "ep2d_diff"}
        scaled = (data * factor).astype(np.int16)
        write_series(folder / "2", scaled, prefix=f"b{b:.0f}_", DiffusionBValue=b, **series, **who)
    series = {"SeriesNumber": 3, "SeriesInstanceUID": f"1.2.{n}.3", "SeriesDescription": "t2_tse"}
    write_series(folder / "3", data, skip=[4] if n == 2 else [], **series, **who)
    for t in range(12):
        series = {"SeriesNumber": 4, "SeriesInstanceUID": f"1.2.{n}.4", "SeriesDescription": "perfusion"}
        later = phantom((4, 24, 32), seed=20 + t)
        write_series(folder / "4", later, prefix=f"t{t}_", TriggerTime=40.0 * t, **series, **who)


PICTURES = {
    "tools/next-case": next_case,
    "tools/minutes": minutes,
    "export": export,
    "checking": checking,
    "add-cases": add_cases,
    "dicom-import": dicom,
}
