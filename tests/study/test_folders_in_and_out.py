from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from export_tools import export_nifti
from study_scans import SCHEME, ball, draft, grid, mask, predict, scan

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.domain.grid import Grid, ijk_to_zyx, zyx_to_ijk
from napari_penumbra.imaging.cohorts import cohort as cohort_of
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.importers.folder import plan_folder
from napari_penumbra.study.samples import FIRST_SEED, REFERENCE, make_sample_study
from napari_penumbra.study.store import Study


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("modalities", "names", "cases"),
    [
        (["LGE"], ["p10.nii.gz", "p2.nrrd", "notes.txt"], {"p2": ["LGE"], "p10": ["LGE"]}),
        (["LGE"], ["p1_LGE.nii.gz", "p1_seg.nii.gz"], {"p1": ["LGE"]}),
        (["LGE"], ["p1/scan.nii.gz", "p1/label.nii.gz"], {"p1": ["LGE"]}),
        (["DWI", "T2"], ["p1_DWI.nii", "p1-t2.mha", "p2_DWI.nii"], {"p1": ["DWI", "T2"], "p2": ["DWI"]}),
        (["DWI", "T2"], ["a/DWI.nii.gz", "a/T2.nii.gz", "b/b_T2.nii.gz"], {"a": ["DWI", "T2"], "b": ["T2"]}),
        (["gd", "T1_gd"], ["x_T1_gd.nii", "x_gd.nii"], {"x": ["T1_gd", "gd"]}),
        (["DWI", "T2"], ["c_0000.nii.gz", "c_0001.nii.gz"], {"c": ["DWI", "T2"]}),
        (["CT"], ["p.hdr", "p.img", ".hidden.nii"], {"p": ["CT"]}),
    ],
)
def test_plan(tmp_path: Path, modalities: list[str], names: list[str], cases: dict[str, list[str]]) -> None:
    plan = plan_folder(touch(tmp_path, *names), None, modalities)
    assert {c.name: sorted(c.images) for c in plan.cases} == {k: sorted(v) for k, v in cases.items()}
    assert [c.name for c in plan.cases] == list(cases)


def test_labels_and_left_overs(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", "p1_DWI.nii", "p2_DWI.nii", "p3_DWI.nii", "strange.nii", "p1_seg.nii")
    labels = touch(tmp_path / "l", "p1.nii", "p2_label.nii.gz", "p3/mask.nrrd", "p9.nii", "p3/DWI.nii")
    plan = plan_folder(images, labels, ["DWI", "T2"])
    assert {c.name: c.label.name if c.label else None for c in plan.cases} == {
        "p1": "p1.nii",
        "p2": "p2_label.nii.gz",
        "p3": "mask.nrrd",
    }
    assert set(plan.unused) == {"strange.nii", "p9.nii"}


def test_ambiguous_and_empty(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Two files claim to be DWI of p1: .*p1_DWI"):
        plan_folder(touch(tmp_path / "a", "p1_DWI.nii", "p1_DWI.nii.gz"), None, ["DWI", "T2"])
    labels = touch(tmp_path / "l", "p1.nii", "p1_seg.nii")
    images = touch(tmp_path / "b", "p1.nii")
    with pytest.raises(UsageError, match="label of p1"):
        plan_folder(images, labels, ["DWI"])
    with pytest.raises(UsageError, match="No image") as caught:
        plan_folder(touch(tmp_path / "c", "x.txt"), None, ["DWI", "T2"])
    assert "p001_DWI.nii.gz" in caught.value.remedy
    with pytest.raises(UsageError, match="does not exist"):
        plan_folder(tmp_path / "none", None, ["DWI"])
    with pytest.raises(UsageError, match="does not exist"):
        plan_folder(tmp_path / "b", tmp_path / "none", ["DWI"])


def test_one_bad_case_does_not_stop_the_rest(empty: Study, files: Path) -> None:
    images, labels = files / "i", files / "l"
    for n in range(3):
        scan(touch(images, f"p{n}_DWI.nii.gz") / f"p{n}_DWI.nii.gz")
    (images / "p1_DWI.nii.gz").write_bytes(b"broken")
    mask(touch(labels, "p2.nii.gz") / "p2.nii.gz")
    results = dict(empty.add_folder(images, labels))
    assert results["p0"] == ["T2 is missing."]
    assert isinstance(results["p1"], PenumbraError)
    assert [row.name for row in empty.cases()] == ["p0", "p2"]
    assert empty.counts().labelled == 1
    again = dict(empty.add_folder(images, labels))
    assert all(isinstance(result, PenumbraError) for result in again.values())


OBLIQUE = Grid.of((10, 12, 6), [[1.7, 0.3, 0.1, -30], [-0.4, 0.95, 0.2, 12], [0.1, -0.1, 4.9, 5], [0, 0, 0, 1]])


@pytest.mark.parametrize("source", ["RAS", "LPS", "PIR", "oblique", "sheared"])
def test_export_lies_on_the_files_own_grid(empty: Study, files: Path, source: str) -> None:
    if source in ("RAS", "LPS", "PIR"):
        turn = grid().reorientation(source)
        where = turn.target
    elif source == "oblique":
        where = OBLIQUE
    else:
        skewed = grid().matrix
        skewed[0, 2] = 1.5
        where = Grid.of(grid().shape, skewed)
    image = scan(files / "image.nii.gz", where)
    truth = ijk_to_zyx(zyx_to_ijk(np.random.default_rng(1).integers(0, 3, where.array_shape).astype(np.uint8)))
    write_nifti(files / "truth.nii.gz", truth, where)
    empty.add_case("p", {"DWI": image}, files / "truth.nii.gz")
    (out,) = export_nifti(empty, files / "out")
    assert out.name == "p.nii.gz"
    original, exported = nib.load(image), nib.load(out)
    np.testing.assert_allclose(exported.affine, original.affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(exported.dataobj), zyx_to_ijk(truth))
    assert exported.get_data_dtype() == np.uint8


def test_what_is_exported(study: Study, files: Path) -> None:
    with pytest.raises(UsageError, match="nothing to export"):
        export_nifti(study, files / "out")
    labels = ball()
    labels[0, 0, 0] = 255
    draft(study, "p0", labels, closing=Closing.COMPLETE)
    draft(study, "p2", ball())
    predict(study, "p1", labels=ball(2), confidence=0.4)
    predict(study, "p0")
    study.register_predictions()
    assert [p.name for p in export_nifti(study, files / "a")] == ["p0.nii.gz"]
    assert read_labels(files / "a" / "p0.nii.gz").volume.data[0, 0, 0] == 255
    export_nifti(study, files / "a", unknown="0", overwrite=True)
    assert read_labels(files / "a" / "p0.nii.gz").volume.data[0, 0, 0] == 0
    written = export_nifti(study, files / "b", confidence=True, predictions=True)
    assert [p.name for p in written] == [
        "p0.nii.gz",
        "p0_confidence.nii.gz",
        "p1.nii.gz",
        "p1_confidence.nii.gz",
    ]
    np.testing.assert_allclose(nib.load(files / "b" / "p1_confidence.nii.gz").get_fdata(), 0.4, atol=1 / 255)
    study.withdraw("p0")
    with pytest.raises(UsageError):
        export_nifti(study, files / "c")
    with pytest.raises(UsageError):
        export_nifti(study, files / "c", unknown="300")
    with pytest.raises(UsageError, match="own files"):
        export_nifti(study, study.layout.cases / "p0")


def test_sample_study(tmp_path: Path) -> None:
    root = make_sample_study(tmp_path / "demo", cases=3, labelled=1, modalities=["DWI", "Tmax"])
    with Study.open(root) as study:
        assert study.simulated
        assert "simulated" in study.name
        assert [c.name for c in study.labels.classes] == ["penumbra", "core"]
        counts = study.counts()
        assert (counts.cases, counts.labelled) == (3, 1)
        assert all(row.simulated and not row.missing for row in study.cases())
        names = study.order()
        truth = read_labels(root / REFERENCE / f"{names[0]}.nii.gz").volume.data
        np.testing.assert_array_equal(study.read(names[0]).labels, truth)
        assert len(list((root / REFERENCE).iterdir())) == 3
        assert not study.read(names[1]).labels.any()
        keys = [case.key for case in study.pool()]
    again = make_sample_study(tmp_path / "again", cases=3, labelled=1, modalities=["DWI", "Tmax"])
    with Study.open(again) as study:
        assert [case.key for case in study.pool()] == keys


@pytest.mark.parametrize(("cases", "labelled", "modalities"), [(0, 0, ["DWI"]), (2, 3, ["DWI"]), (2, 1, ["PET"])])
def test_sample_study_refuses(tmp_path: Path, cases: int, labelled: int, modalities: list[str]) -> None:
    with pytest.raises(UsageError):
        make_sample_study(tmp_path / "x", cases, labelled, modalities=modalities)
    assert SCHEME.values == (1, 2)


@pytest.mark.parametrize(
    ("cohort", "modalities", "classes"),
    [
        ("atrium", ("LGE",), ["left atrium"]),
        ("pelvis", ("T2",), ["bladder", "prostate", "rectum"]),
        ("lesions-2d", ("Red", "Green", "Blue"), ["lesion"]),
    ],
)
def test_sample_study_of_every_cohort(
    tmp_path: Path, cohort: str, modalities: tuple[str, ...], classes: list[str]
) -> None:
    root = make_sample_study(tmp_path / "demo", cases=2, labelled=1, cohort=cohort)
    with Study.open(root) as study:
        assert study.simulated
        assert "simulated" in study.name
        assert study.modalities == modalities
        assert [c.name for c in study.labels.classes] == classes
        assert (study.counts().cases, study.counts().labelled) == (2, 1)
        first, second = study.order()
        truth = read_labels(root / REFERENCE / f"{first}.nii.gz").volume.data
        np.testing.assert_array_equal(study.read(first).labels, truth)
        case = cohort_of(cohort).make(FIRST_SEED + 1)
        for modality, image in study.read(second).images.items():
            np.testing.assert_array_equal(image, case.images[modality])
        assert study.grid(second).is_picture == (cohort == "lesions-2d")


def test_sample_study_refuses_an_unknown_cohort(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no simulated cohort"):
        make_sample_study(tmp_path / "x", cohort="heart")
    assert FIRST_SEED + 500 <= 1000  # even the largest demo stays below the seeds for tuning
