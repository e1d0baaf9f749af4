"""DICOM segmentations read back by pydicom, highdicom and SimpleITK; left is left, and nobody's name is in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from export_scenes import (
    BASE,
    LEFT,
    PLANTED,
    RIGHT,
    SCHEME,
    dicom_series,
    image,
    millimetres,
    shapes,
    truth,
    turned,
)
from study_scans import draft, predict

from dicom_phantom import phantom, write_enhanced
from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import GeometryError, UsageError
from napari_penumbra.imaging.files import onto_source
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study import exporters
from napari_penumbra.study.exporters import ExportOptions
from napari_penumbra.study.layout import DICOM_REFERENCES
from napari_penumbra.study.store import Study

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SERIES = {
    "axial": BASE,
    "tilted": turned(BASE, 15.0),
    "sagittal": BASE.reorientation("PIL").target,
    "feet-first": BASE.reorientation("LPI").target,
    "coronal": BASE.reorientation("LIP").target,
}
"""Columns, rows, slices as a scanner may store them."""

ENHANCED = {"StudyInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3.4.5", "FrameOfReferenceUID": "1.2.3.9"}


def cases(root: Path, source: str = "NIfTI") -> tuple[Path, dict[str, list[str]]]:
    """A study of one case per series (given to it as a NIfTI of other axes), and the series in one tree."""
    uids = {}
    with Study.create(root / "study", "Cohort", ["DWI"], SCHEME) as study:
        for n, (name, grid) in enumerate(SERIES.items()):
            voxels = image(n)
            uids[name] = dicom_series(root / "dicom" / f"series{n}", grid, onto_source(voxels, grid))
            converted = turned(BASE, 15.0) if name == "tilted" else BASE
            stored = converted.reorientation("LAS").target  # what converters from DICOM write
            write_nifti(root / f"{name}.nii.gz", onto_source(voxels, stored), stored)
            study.add_case(name, {"DWI": root / f"{name}.nii.gz"})
            draft(study, name, shapes(), closing=Closing.COMPLETE)
    return root / "study", uids


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    return cases(tmp_path_factory.mktemp("made"))


def plan_of(study: Study, out: Path, **options: Any) -> Any:
    return exporters.plan(study, out, "dicom-seg", ExportOptions(**options))


def written(study: Study, out: Path, **options: Any) -> dict[str, Path]:
    found = {}
    for step in plan_of(study, out, **options).run():
        assert step.error is None, step.error
        found[step.name] = out / step.files[0]
    return found


def described(seg: Any) -> list[Any]:
    return [seg.get_segment_description(n) for n in seg.segment_numbers]


def expected(name: str, value: int) -> np.ndarray:
    return (
        truth("lps", value)
        if name != "tilted"
        else millimetres(shapes().transpose(2, 1, 0) == value, turned(BASE, 15.0).matrix)
    )


def test_left_is_left_and_the_source_is_referenced(made: Any, tmp_path: Path) -> None:
    root, uids = made
    with Study.open(root, write=False) as study:
        files = written(study, tmp_path / "out", dicom=root.parent / "dicom")
    assert set(files) == set(SERIES)
    for name, path in files.items():
        seg = hd.seg.segread(path)
        labels = {s.segment_label: s.segment_number for s in described(seg)}
        assert labels == {"penumbra": 1, "core": 2, "unknown": 3}
        volume = seg.get_volume(combine_segments=True)
        affine = LPS @ volume.affine
        for value, number in ((LEFT, 1), (RIGHT, 2), (255, 3)):
            found = millimetres(np.asarray(volume.array) == number, affine)
            np.testing.assert_allclose(found, expected(name, value), atol=1e-3)
        assert millimetres(np.asarray(volume.array) == 1, affine)[:, 0].mean() < 0, "left is negative x in RAS"
        referenced = {
            str(ref.ReferencedSOPInstanceUID)
            for series in seg.ReferencedSeriesSequence
            for ref in series.ReferencedInstanceSequence
        }
        assert referenced == set(uids[name])
        core = next(s for s in described(seg) if s.segment_label == "core")
        assert core.segmented_property_type.value == "55641003"
        assert core.algorithm_type is hd.seg.SegmentAlgorithmTypeValues.MANUAL


def test_simpleitk_reads_the_same_voxels(made: Any, tmp_path: Path) -> None:
    """SimpleITK gives the frames in the file's order: each belongs to a segment and a place that pydicom names."""
    root, _ = made
    with Study.open(root, write=False) as study:
        path = written(study, tmp_path / "out", dicom=root.parent / "dicom", cases=("axial",))["axial"]
    read = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    header = pydicom.dcmread(path)
    points: dict[int, list[np.ndarray]] = {1: [], 2: [], 3: []}
    for frame, about in zip(read, header.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(about.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        place = np.array(about.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(frame > 0):
            lps = place + np.array([1.5 * column, 2.0 * row, 0.0])
            points[number].append(lps * [-1, -1, 1])
    for value, number in ((LEFT, 1), (RIGHT, 2)):
        found = np.array(points[number])
        found = found[np.lexsort(np.round(found, 2).T)]
        np.testing.assert_allclose(found, truth("lps", value), atol=1e-3)


def test_nobody_is_named(made: Any, tmp_path: Path) -> None:
    root, _ = made
    with Study.open(root, write=False) as study:
        files = written(study, tmp_path / "out", dicom=root.parent / "dicom", cases=("axial",))
    content = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    for secret in (*PLANTED.values(), "SECRET", "Erika", "Muster", str(tmp_path)):
        assert secret.encode() not in content, secret
    header = pydicom.dcmread(files["axial"])
    assert header.PatientName == ""
    assert header.PatientID == ""
    assert not any(element.tag.is_private for element in header.iterall())
    assert header.DeviceSerialNumber == "0"


def test_without_a_series_it_is_refused_in_words(made: Any, tmp_path: Path) -> None:
    root, _ = made
    with Study.open(root, write=False) as study:
        with pytest.raises(UsageError, match="give their folder"):
            plan_of(study, tmp_path / "out")
        with pytest.raises(UsageError, match="does not exist"):
            plan_of(study, tmp_path / "out", dicom=tmp_path / "none")
        with pytest.raises(UsageError, match="refers to its images"):
            plan_of(study, tmp_path / "out", dicom=root.parent / "dicom", images=True)
        with pytest.raises(UsageError, match="confidence map"):
            plan_of(study, tmp_path / "out", dicom=root.parent / "dicom", confidence=True)
        with pytest.raises(UsageError, match="takes no DICOM"):
            exporters.plan(study, tmp_path / "out", "nifti", ExportOptions(dicom=root.parent))
        (tmp_path / "empty").mkdir()
        steps = list(plan_of(study, tmp_path / "out", dicom=tmp_path / "empty").run())
        assert all("holds no DICOM series" in str(step.error) for step in steps)


def test_another_grid_or_another_patient_is_refused(made: Any, tmp_path: Path) -> None:
    root, _ = made
    moved = BASE.matrix
    moved[2, 3] += 2.0
    grid = type(BASE).of(BASE.shape, moved)
    dicom_series(tmp_path / "moved" / "a", grid, onto_source(image(0), grid))
    dicom_series(tmp_path / "other" / "a", BASE, image(99))
    with Study.open(root, write=False) as study:
        for folder, words in (("moved", "lies on the grid of axial"), ("other", "shows other images")):
            (step,) = plan_of(study, tmp_path / f"out-{folder}", dicom=tmp_path / folder, cases=("axial",)).run()
            assert isinstance(step.error, GeometryError)
            assert words in step.error.message
            assert not list((tmp_path / f"out-{folder}").glob("*.dcm"))


def test_what_the_importer_kept_is_enough(made: Any, tmp_path: Path) -> None:
    """References as the DICOM importer keeps them: UIDs and places, in the order of the slices of the source's grid."""
    uids = dicom_series(tmp_path / "series", BASE, image(0))
    lps = LPS @ BASE.matrix
    first = pydicom.dcmread(next((tmp_path / "series").iterdir()), stop_before_pixels=True)
    instances = [
        {
            "sop_class_uid": str(first.SOPClassUID),
            "sop_instance_uid": uid,
            "frame": 1,
            "position": (lps @ [0, 0, k, 1])[:3].tolist(),
        }
        for k, uid in enumerate(uids)
    ]
    told = {
        "format": 1,
        "modality": "DWI",
        "folder": "/data/Muster^Erika",
        "study_uid": str(first.StudyInstanceUID),
        "series_uid": str(first.SeriesInstanceUID),
        "frame_of_reference_uid": str(first.FrameOfReferenceUID),
        "instances": instances,
        "others": [],
    }
    write_nifti(tmp_path / "scan.nii.gz", image(0), BASE)
    with Study.create(tmp_path / "study", "Cohort", ["DWI"], SCHEME) as study:
        study.add_case("kept", {"DWI": tmp_path / "scan.nii.gz"})
        predict(study, "kept", run="run-7", labels=np.where(shapes() == 255, 0, shapes()))
        study.register_predictions()
        file = study.layout.case("kept") / DICOM_REFERENCES
        file.write_text(json.dumps(told))
        seg = hd.seg.segread(written(study, tmp_path / "out", predictions=True)["kept"])
        volume = seg.get_volume(combine_segments=True)
        for value, number in ((LEFT, 1), (RIGHT, 2)):
            found = millimetres(np.asarray(volume.array) == number, LPS @ volume.affine)
            np.testing.assert_allclose(found, truth("lps", value), atol=1e-3)
        about = described(seg)[0]
        assert about.algorithm_type is hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
        assert about.algorithm_identification.name == "run-7"
        assert b"Muster" not in (tmp_path / "out" / "kept.seg.dcm").read_bytes()
        told["instances"][3]["position"][2] += 1.0
        file.write_text(json.dumps(told))
        with pytest.raises(UsageError, match="give their folder"):
            plan_of(study, tmp_path / "again", predictions=True)
        file.write_text("[]")
        with pytest.raises(UsageError, match="give their folder"):
            plan_of(study, tmp_path / "again", predictions=True)


def test_empty_labels_and_background_for_unknown(tmp_path: Path) -> None:
    dicom_series(tmp_path / "dicom", BASE, image(0))
    write_nifti(tmp_path / "scan.nii.gz", image(0), BASE)
    with Study.create(tmp_path / "study", "Cohort", ["DWI"], SCHEME) as study:
        for name, labels in (("nothing", shapes() * 0), ("some", shapes())):
            study.add_case(name, {"DWI": tmp_path / "scan.nii.gz"})
            draft(study, name, labels, closing=Closing.COMPLETE)
        files = written(study, tmp_path / "out", dicom=tmp_path / "dicom", unknown="background")
    assert not pydicom.dcmread(files["nothing"]).pixel_array.any()
    some = hd.seg.segread(files["some"])
    assert [s.segment_label for s in described(some)] == ["penumbra", "core"]


@pytest.mark.parametrize("name", ["axial", "tilted", "sagittal", "coronal"])
def test_in_by_dicom_and_out_by_dicom(tmp_path: Path, name: str) -> None:
    """The DICOM importer keeps the references where it is asked to: the way back needs no folder."""
    grid = SERIES[name]
    uids = dicom_series(tmp_path / "dicom", grid, onto_source(image(0), grid))
    with Study.create(tmp_path / "study", "Cohort", ["T1"], SCHEME) as study:
        planned = study.plan_dicom(tmp_path / "dicom")
        rows = tuple(replace(row, modality="T1") for row in planned.cases[0].rows)
        case = replace(planned.cases[0], name="p1", rows=rows, wanted=True)
        ((_, outcome),) = study.add_dicom([case], keep_references=str(tmp_path / "dicom"))
        assert isinstance(outcome, list), outcome
        np.testing.assert_allclose(study.read("p1").images["T1"], np.clip(image(0), 0, None))
        draft(study, "p1", shapes(), closing=Closing.COMPLETE)
        seg = hd.seg.segread(written(study, tmp_path / "out")["p1"])
    volume = seg.get_volume(combine_segments=True)
    for value, number in ((LEFT, 1), (RIGHT, 2)):
        found = millimetres(np.asarray(volume.array) == number, LPS @ volume.affine)
        np.testing.assert_allclose(found, expected(name, value), atol=1e-3)
    referenced = {
        str(ref.ReferencedSOPInstanceUID)
        for series in seg.ReferencedSeriesSequence
        for ref in series.ReferencedInstanceSequence
    }
    assert referenced == set(uids)
    for secret in (*PLANTED.values(), "Muster"):
        assert secret.encode() not in (tmp_path / "out" / "p1.seg.dcm").read_bytes()


@pytest.mark.parametrize("kept", [True, False], ids=["references kept", "folder named"])
def test_an_enhanced_object_is_referred_to_frame_by_frame(tmp_path: Path, kept: bool) -> None:
    """Two b-values in one file: the labels belong to the frames of the second, by their numbers in that file."""
    shape = (6, 20, 24)
    volumes = np.stack([phantom(shape, seed=1), phantom(shape, seed=2) // 2 + 100])
    source = write_enhanced(tmp_path / "dicom" / "enhanced.dcm", volumes, b_values=(0.0, 1000.0), **ENHANCED)
    with Study.create(tmp_path / "study", "Cohort", ["DWI"], SCHEME) as study:
        planned = study.plan_dicom(tmp_path / "dicom")
        rows = [replace(row, modality="DWI" if "1000" in row.name else "") for row in planned.cases[0].rows]
        case = replace(planned.cases[0], name="p1", rows=tuple(rows), wanted=True)
        ((_, outcome),) = study.add_dicom([case], keep_references=str(tmp_path / "dicom") if kept else None)
        assert isinstance(outcome, list), outcome
        labels = np.zeros(study.read("p1").images["DWI"].shape, np.uint8)
        labels[2:4, 3:9, 4:7] = LEFT
        draft(study, "p1", labels, closing=Closing.COMPLETE)
        grid = study.read("p1").grid
        seg = hd.seg.segread(written(study, tmp_path / "out", dicom=None if kept else tmp_path / "dicom")["p1"])
    volume = seg.get_volume(combine_segments=True)
    found = millimetres(np.asarray(volume.array) > 0, LPS @ volume.affine)
    np.testing.assert_allclose(found, millimetres(labels.transpose(2, 1, 0) > 0, grid.matrix), atol=1e-3)
    header = pydicom.dcmread(source)
    places = [group.PlanePositionSequence[0].ImagePositionPatient for group in header.PerFrameFunctionalGroupsSequence]
    numbers = []
    for group in seg.PerFrameFunctionalGroupsSequence:
        (reference,) = group.DerivationImageSequence[0].SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == header.SOPInstanceUID
        numbers.append(int(reference.ReferencedFrameNumber))
        assert list(places[numbers[-1] - 1]) == list(group.PlanePositionSequence[0].ImagePositionPatient)
    assert sorted(numbers) == [9, 10], "frames 7 to 12 are those of the second b-value"
    assert b"Doe" not in (tmp_path / "out" / "p1.seg.dcm").read_bytes()
