"""DICOM into a study: patients become cases, series modalities, and nothing that names a patient comes along."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from study_scans import SCHEME

from dicom_phantom import colour_capture, grid_of, header, item, phantom, save, write_enhanced, write_series
from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.imaging.dicom import Stopped
from napari_penumbra.study.importers.dicom import check_cases
from napari_penumbra.study.importers.dicom_changes import with_cases, with_label, with_names, with_row
from napari_penumbra.study.store import Study

PLANTED = "ZZPLANTED"


@pytest.fixture
def stroke(tmp_path: Path) -> Iterator[Study]:
    study = Study.create(tmp_path / "study", "Stroke", ["DWI", "ADC", "T2"], SCHEME)
    yield study
    study.close()


def exam(folder: Path, patient: str, seed: int = 0) -> None:
    """A diffusion series of b = 0 and 1000 in one series, a T2, and a screenshot."""
    data = phantom(seed=seed)
    who = {"PatientID": patient, "PatientName": f"{PLANTED}^{patient}", "StudyInstanceUID": f"1.2.{patient}"}
    for b, factor in ((0.0, 1.0), (1000.0, 0.5)):
        write_series(
            folder / "dwi", (data * factor).astype(np.int16), prefix=f"b{b:.0f}_", DiffusionBValue=b,
            SeriesDescription=f"ep2d_diff {PLANTED}", SeriesInstanceUID=f"1.2.{patient}.1", SeriesNumber=2, **who,
        )  # fmt: skip
    write_series(
        folder / "t2", data, SeriesDescription="t2_tse_tra", SeriesInstanceUID=f"1.2.{patient}.2", SeriesNumber=5, **who
    )


def add_all(study: Study, folder: Path, **options: str) -> dict[str, list[str] | PenumbraError]:
    return dict(study.add_dicom(study.plan_dicom(folder).cases, **options))


def test_a_tree_of_patients_becomes_cases(tmp_path: Path, stroke: Study) -> None:
    for n in (1, 2):
        exam(tmp_path / "in" / f"Doe_{n}", str(n), seed=n)
    (tmp_path / "in" / "notes.txt").write_text("no DICOM")
    plan = stroke.plan_dicom(tmp_path / "in")
    assert [case.name for case in plan.cases] == ["case-001", "case-002"]
    assert [case.title for case in plan.cases] == ["patient 1", "patient 2"]
    rows = [(row.offer.label, row.modality) for row in plan.cases[0].rows]
    assert rows == [("DWI b0", ""), ("DWI b1000", "DWI"), ("T2", "T2"), ("ADC (computed)", "ADC")]
    assert "1 file is not DICOM and was left out." in plan.notes
    assert not stroke.cases(), "a plan writes nothing"
    told = add_all(stroke, tmp_path / "in")
    assert all(isinstance(found, list) for found in told.values())
    opened = stroke.read("case-001")
    assert set(opened.images) == {"DWI", "ADC", "T2"}
    np.testing.assert_array_equal(opened.images["T2"], phantom(seed=1))
    assert stroke.source_grid("case-001").same_place(grid_of(phantom().shape))
    bright = opened.images["DWI"] > 100
    assert np.median(opened.images["ADC"][bright]) == pytest.approx(np.log(2) * 1000, rel=0.02)  # 10⁻⁶ mm²/s


def test_repeating_an_import_adds_what_is_new_only(tmp_path: Path, stroke: Study) -> None:
    exam(tmp_path / "in" / "a", "1", seed=1)
    assert list(add_all(stroke, tmp_path / "in")) == ["case-001"]
    exam(tmp_path / "in" / "0", "2", seed=2)  # comes before the first in the order of names
    plan = stroke.plan_dicom(tmp_path / "in")
    assert [(c.name, c.present, c.wanted) for c in plan.cases] == [
        ("case-002", "", True),
        ("case-001", "case-001", False),
    ]
    assert list(add_all(stroke, tmp_path / "in")) == ["case-002"]
    assert add_all(stroke, tmp_path / "in") == {}
    shutil.copytree(tmp_path / "in" / "a", tmp_path / "again" / "copy")
    assert stroke.plan_dicom(tmp_path / "again").cases[0].present == "case-001"


def test_the_reader_changes_the_plan(tmp_path: Path, stroke: Study) -> None:
    exam(tmp_path / "in" / "a", "1")
    exam(tmp_path / "in" / "b", "2", seed=1)
    known = stroke.modalities
    plan = with_names(stroke.plan_dicom(tmp_path / "in"), {1: "p007"})
    plan = with_label(plan, "dwi b0", "T2", 0, known)
    plan = with_row(plan, 2, 3, "T2", 0, known)
    plan = with_cases(plan, [1])
    assert [row.modality for row in plan.cases[0].rows] == ["T2", "DWI", "", "ADC"]
    assert [row.modality for row in plan.cases[1].rows] == ["", "DWI", "T2", "ADC"]
    assert list(dict(stroke.add_dicom(plan.cases))) == ["p007"]
    for change in (
        lambda: with_names(plan, {3: "x"}),
        lambda: with_label(plan, "series 77", "T2", 0, known),
        lambda: with_row(plan, 1, 9, "T2", 0, known),
        lambda: with_row(plan, 1, 1, "CT", 0, known),
        lambda: with_row(plan, 1, 1, "T2", 3, known),
    ):
        with pytest.raises(UsageError):
            change()
    empty = with_row(with_row(with_row(plan, 1, 1, "", 0, known), 1, 2, "", 0, known), 1, 4, "", 0, known)
    assert check_cases(empty.cases) == "No case is chosen."


def plant(data: Dataset) -> None:
    """Put the marker into every text of a header, private tags and nested sequences included."""
    texts = {"LO": PLANTED, "SH": PLANTED, "PN": f"{PLANTED}^X", "LT": PLANTED, "ST": PLANTED, "UT": PLANTED,
             "UC": PLANTED}  # fmt: skip
    for keyword in (
        "PatientName", "PatientID", "OtherPatientIDs", "AccessionNumber", "InstitutionName", "InstitutionAddress",
        "ReferringPhysicianName", "OperatorsName", "StationName", "SeriesDescription", "StudyDescription",
        "ProtocolName", "PatientComments", "ImageComments", "StudyID", "RequestedProcedureDescription",
        "ManufacturerModelName", "Manufacturer", "DeviceSerialNumber", "SequenceName", "PatientAddress",
        "PerformedProcedureStepDescription", "BodyPartExamined", "ContrastBolusAgent", "DerivationDescription",
    ):  # fmt: skip
        from pydicom.datadict import dictionary_VR

        setattr(data, keyword, texts.get(dictionary_VR(keyword), PLANTED))
    data.PatientBirthDate = "19551224"
    block = data.private_block(0x0029, PLANTED, create=True)
    block.add_new(1, "LO", PLANTED)
    data.RequestAttributesSequence = DicomSequence([item(RequestedProcedureID=PLANTED, ScheduledProcedureStepID="1")])
    data.ImageType = ["ORIGINAL", "PRIMARY", PLANTED]
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = (
        "1.9.99919.1",
        "1.9.99919.2",
        "1.9.99919.3",
    )
    data.SOPInstanceUID = f"1.9.99919.4.{data.InstanceNumber}"
    data.BurnedInAnnotation = "YES"


MARKS = (PLANTED, "19551224", "1.9.99919", "ZZplanted", "Zzplanted")


def marked(text: str | bytes) -> list[str]:
    raw = text.encode() if isinstance(text, str) else text
    return [mark for mark in MARKS if mark.encode() in raw or mark.encode("utf-16-le") in raw]


def test_nothing_planted_reaches_the_study(
    tmp_path: Path, stroke: Study, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "in" / PLANTED
    write_series(folder / "good", phantom(), change=lambda one, n: plant(one))
    write_enhanced(folder / f"{PLANTED}.dcm", phantom(seed=3))
    write_series(folder / "gap", phantom((20, 24, 32)), skip=[5, 6, 7, 8], change=lambda one, n: plant(one),
                 prefix="g", SeriesNumber=8)  # fmt: skip
    broken = header(phantom()[0])
    plant(broken)
    broken.PixelData = b"12"
    save(broken, folder / "cut")
    (folder / "torn").write_bytes((folder / "cut").read_bytes()[:700])
    colour_capture(folder / "colour")
    plan = stroke.plan_dicom(tmp_path / "in")
    known = stroke.modalities
    words = [repr(plan), str(plan.notes)]
    for n, case in enumerate(plan.cases, 1):
        for m, row in enumerate(case.rows, 1):
            words += [row.offer.label, row.offer.problem, *row.offer.notes, repr(row.offer)]
            if row.offer.usable:
                plan = with_row(plan, n, m, known[m % 3], 0, known)
    outcomes = dict(stroke.add_dicom(plan.cases))
    assert outcomes
    for outcome in outcomes.values():
        words += [f"{outcome} {outcome.details} {outcome.__cause__}"] if isinstance(outcome, PenumbraError) else outcome
    assert any("burnt into its pixels" in text for text in words)
    added = [name for name, outcome in outcomes.items() if isinstance(outcome, list)]
    assert added
    labels = np.zeros(stroke.read(added[0]).grid.array_shape, np.uint8)
    labels[2, 8:12, 3:6] = 1
    stroke.save(added[0], labels, Closing.COMPLETE, Origin.PAINTED, "reader", 1.0)
    stroke.close()
    said = capfd.readouterr()
    assert not marked("\n".join(words)), marked("\n".join(words))
    assert not marked(said.out + said.err)
    assert not marked(caplog.text)
    files = [path for path in (tmp_path / "study").rglob("*") if path.is_file()]
    assert files
    import gzip

    for path in files:
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        assert not marked(content), path
        assert not marked(str(path.relative_to(tmp_path / "study")))


def test_only_the_whitelist_is_kept(tmp_path: Path, stroke: Study) -> None:
    write_series(
        tmp_path / "in", phantom(), SeriesDescription="t2_tse", MagneticFieldStrength=3.0, EchoTime=93.0,
        RepetitionTime=5000.0, Manufacturer="SIEMENS", ManufacturerModelName="Skyra Ward 3", KVP=None,
    )  # fmt: skip
    add_all(stroke, tmp_path / "in")
    kept = json.loads(stroke.layout.acquisition("case-001").read_text())
    assert kept["modalities"] == {
        "T2": {
            "named": "T2", "field_strength_t": 3.0, "echo_time_ms": 93.0, "repetition_time_ms": 5000.0,
            "slice_thickness_mm": 3.0, "maker": "Siemens", "scanner": "Skyra",
        }
    }  # fmt: skip
    assert not stroke.layout.dicom_references("case-001").exists()


def test_references_are_kept_where_asked_for(tmp_path: Path, stroke: Study) -> None:
    exam(tmp_path / "in", "1")
    add_all(stroke, tmp_path / "in", keep_references="typed/folder")
    kept = json.loads(stroke.layout.dicom_references("case-001").read_text())
    assert (kept["modality"], kept["folder"]) == ("DWI", "typed/folder")
    assert (kept["study_uid"], kept["series_uid"]) == ("1.2.1", "1.2.1.1")
    assert kept["frame_of_reference_uid"] == "1.2.3.9"
    assert [one["position"][2] for one in kept["instances"]] == [12.5 + 3 * n for n in range(8)]
    assert len({one["sop_instance_uid"] for one in kept["instances"]}) == 8
    assert {one["modality"] for one in kept["others"]} == {"ADC", "T2"}


def test_another_frame_of_reference_is_told(tmp_path: Path, stroke: Study) -> None:
    exam(tmp_path / "in", "1")
    who = {"PatientID": "1", "StudyInstanceUID": "1.2.1"}
    shutil.rmtree(tmp_path / "in" / "t2")
    write_series(tmp_path / "in" / "t2", phantom(), SeriesDescription="T2", SeriesInstanceUID="1.7",
                 FrameOfReferenceUID="1.8", SeriesNumber=9, **who)  # fmt: skip
    (told,) = add_all(stroke, tmp_path / "in").values()
    assert any("T2: measured in another frame of reference than DWI" in text for text in told)


def test_a_series_that_is_damaged_does_not_stop_the_rest(tmp_path: Path, stroke: Study) -> None:
    exam(tmp_path / "in" / "a", "1")
    exam(tmp_path / "in" / "b", "2", seed=1)
    plan = stroke.plan_dicom(tmp_path / "in")
    victim = sorted((tmp_path / "in" / "a" / "t2").iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:-300])
    outcomes = dict(stroke.add_dicom(plan.cases))
    assert isinstance(outcomes["case-001"], PenumbraError)
    assert "cut off" in str(outcomes["case-001"])
    assert "File 20 of 48" in str(outcomes["case-001"])
    assert str(tmp_path) not in str(outcomes["case-001"])
    assert [row.name for row in stroke.cases()] == ["case-002"]


def test_an_import_that_breaks_off_leaves_whole_cases_only(tmp_path: Path, stroke: Study) -> None:
    for n in range(4):
        exam(tmp_path / "in" / str(n), str(n + 1), seed=n)
    going = stroke.add_dicom(stroke.plan_dicom(tmp_path / "in").cases)
    assert next(going)[0] == "case-001"
    going.close()  # type: ignore[attr-defined]
    assert [row.name for row in stroke.cases()] == ["case-001"]
    assert [path.name for path in stroke.layout.cases.iterdir()] == ["case-001"]
    assert list(add_all(stroke, tmp_path / "in")) == ["case-002", "case-003", "case-004"]


def test_the_search_can_be_stopped_and_wrong_folders_are_told(tmp_path: Path, stroke: Study) -> None:
    exam(tmp_path / "in", "1")
    with pytest.raises(Stopped):
        stroke.plan_dicom(tmp_path / "in", lambda done, total: False)
    with pytest.raises(UsageError, match="does not exist"):
        stroke.plan_dicom(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("text")
    with pytest.raises(UsageError, match="No DICOM scan was found"):
        stroke.plan_dicom(tmp_path / "empty")
