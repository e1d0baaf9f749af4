"""Every recipe on a tiny tree in the published layout and naming, imported and read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.study.importers import recipes
from napari_penumbra.study.importers.fitting import fit, modalities_of, scheme_of
from napari_penumbra.study.references import REFERENCE
from napari_penumbra.study.store import Study

ZYX = (4, 8, 6)
RNG = np.random.default_rng(0)


def marked(*values: int) -> np.ndarray:
    """(z, y, x) with two voxels of each value."""
    labels = np.zeros(ZYX, np.uint8)
    for n, value in enumerate(values):
        labels[1, n, :2] = value
    return labels


def nifti(path: Path, *values: int, frames: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scan = RNG.integers(0, 900, (6, 8, 4, frames) if frames > 1 else (6, 8, 4)).astype(np.int16)
    data = marked(*values).transpose() if values else scan
    nib.save(nib.Nifti1Image(data, np.diag([-1.0, -1.0, 3.0, 1.0])), path)


def itk(path: Path, *values: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = marked(*values) if values else RNG.integers(0, 900, ZYX).astype(np.int16)
    image = sitk.GetImageFromArray(data)
    image.SetSpacing((0.625, 0.625, 1.25))
    sitk.WriteImage(image, str(path))


def picture(path: Path, white: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((16, 20), np.uint8)
    pixels[:white, :10] = 255
    values = pixels if white else RNG.integers(0, 255, (16, 20, 3)).astype(np.uint8)
    Image.fromarray(values).save(path, quality=100)


def spes(root: Path) -> None:
    for n, part in ((1, "SPES2015_Training"), (2, "SPES2015_Training"), (1, "SPES2015_Testing")):
        case = root / part / str(n)
        for m, kind in enumerate(("CBF", "CBV", "DWI", "T1c", "T2", "TTP", "Tmax")):
            name = f"VSD.Brain.XX.O.MR_{kind}.7060{m}"
            nifti(case / name / f"{name}.nii")
        if part == "SPES2015_Training" and n == 1:
            nifti(case / "VSD.Brain.XX.O.OT.70610" / "VSD.Brain.XX.O.OT.70610.penumbralabel.nii", 0, 1, 1)
            nifti(case / "VSD.Brain.XX.O.OT.70610" / "VSD.Brain.XX.O.OT.70610.corelabel.nii", 0, 0, 1)
        if part == "SPES2015_Training" and n == 2:
            nifti(case / "VSD.Brain.XX.O.OT.70611" / "VSD.Brain.XX.O.OT.70611.nii", 1, 2)


def siss(root: Path) -> None:
    for n, part in ((1, "SISS2015_Training"), (1, "SISS2015_Testing")):
        for m, kind in enumerate(("DWI", "Flair", "T1", "T2")):
            name = f"VSD.Brain.XX.O.MR_{kind}.7061{m}"
            nifti(root / part / str(n) / name / f"{name}.nii")
        if part == "SISS2015_Training":
            name = "VSD.Brain.XX.O.OT.70616"
            nifti(root / part / str(n) / name / f"{name}.nii", 1)


def isles2022(root: Path, old: bool = False) -> None:
    for n in (1, 2):
        case = f"sub-strokecase000{n}"
        base = root / ("rawdata" if old else "") / case / "ses-0001"
        for folder, kind in (("dwi", "dwi"), ("dwi", "adc"), ("anat", "flair" if old else "FLAIR")):
            nifti(base / ("" if old else folder) / f"{case}_ses-0001_{kind}.nii.gz")
        nifti(root / "derivatives" / case / "ses-0001" / f"{case}_ses-0001_msk.nii.gz", 1)


def la2018(root: Path) -> None:
    for case, part in (("0RZDK210BSMWAA6467LU", "Training Set"), ("4498F9C2EN1GMJSUN2OO", "Testing Set")):
        itk(root / part / case / "lgemri.nrrd")
        itk(root / part / case / "laendo.nrrd", 255)
        itk(root / part / case / "lawall.nrrd", 255)
    itk(root / "Testing Set" / "NOLABEL0000000000000" / "lgemri.nrrd")


def la_h5(root: Path) -> None:
    for case in ("06SR5RBREL16DQ6M8LWS", "0RZDK210BSMWAA6467LU"):
        folder = root / "2018LA_Seg_Training Set" / case
        folder.mkdir(parents=True)
        with h5py.File(folder / "mri_norm2.h5", "w") as file:
            scan = RNG.normal(size=(6, 8, 4)).astype(np.float32)
            file.create_dataset("image", data=scan, compression="gzip")
            file.create_dataset("label", data=marked(1).transpose(), compression="gzip")
    (root / "train.list").write_text("06SR5RBREL16DQ6M8LWS\n")
    (root / "test.list").write_text("0RZDK210BSMWAA6467LU\n")


def promise12(root: Path) -> None:
    itk(root / "training_data" / "Case00.mhd")
    itk(root / "training_data" / "Case00_segmentation.mhd", 1)
    itk(root / "test_data" / "Case00.mhd")
    itk(root / "test_data" / "Case00_segmentation.mhd", 1)
    itk(root / "livechallenge_test_data" / "Case30.mhd")


def kvasir(root: Path) -> None:
    names = ["cju0qkwl35piu0993l0dewei2", "cju0qoxqj9q6s0835b43399p4"]
    for name in names:
        picture(root / "Kvasir-SEG" / "images" / f"{name}.jpg")
        picture(root / "Kvasir-SEG" / "masks" / f"{name}.jpg", 8)
    (root / "Kvasir-SEG" / "kavsir_bboxes.json").write_text("{}")
    (root / "train.txt").write_text(names[0] + "\n")
    (root / "val.txt").write_text(names[1] + "\n")


def isic2016(root: Path) -> None:
    for part, name in (("Training", "ISIC_0000000"), ("Test", "ISIC_0000003")):
        picture(root / f"ISBI2016_ISIC_Part1_{part}_Data" / f"{name}.jpg")
        picture(root / f"ISBI2016_ISIC_Part1_{part}_GroundTruth" / f"{name}_Segmentation.png", 8)


def rimone(root: Path) -> None:
    for name, part, state in (("r1_Im001", "training_set", "glaucoma"), ("r2_Im010", "test_set", "normal")):
        for partition in ("partitioned_randomly", "partitioned_by_hospital"):
            other = {"training_set": "test_set", "test_set": "training_set"}[part]
            where = part if partition == "partitioned_randomly" else other
            picture(root / "RIM-ONE_DL_images" / partition / where / state / f"{name}.png")
        masks = root / "RIM-ONE_DL_reference_segmentations" / state
        picture(masks / f"{name}-1-Disc-T.png", 8)
        picture(masks / f"{name}-1-Cup-T.png", 3)


def acdc(root: Path) -> None:
    for case, part in (("patient001", "training"), ("patient101", "testing")):
        nifti(root / part / case / f"{case}_4d.nii.gz", frames=3)
        for frame in ("frame01", "frame12"):
            nifti(root / part / case / f"{case}_{frame}.nii.gz")
            nifti(root / part / case / f"{case}_{frame}_gt.nii.gz", 1, 2, 3)
        (root / part / case / "Info.cfg").write_text("ED: 1\nES: 12\n")


def msd(root: Path) -> None:
    task = root / "Task01_BrainTumour"
    for name in ("BRATS_001", "BRATS_002"):
        nifti(task / "imagesTr" / f"{name}.nii.gz", frames=4)
        nifti(task / "labelsTr" / f"{name}.nii.gz", 1, 2, 3)
    nifti(task / "imagesTs" / "BRATS_485.nii.gz", frames=4)
    (task / "imagesTr" / "._BRATS_001.nii.gz").write_bytes(b"macOS")
    pairs = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in ("BRATS_001", "BRATS_002")]
    told = {
        "name": "BRATS", "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "training": [*pairs, {"image": "../../etc/secret.nii.gz", "label": "x"}],
        "test": ["./imagesTs/BRATS_485.nii.gz"],
    }  # fmt: skip
    (task / "dataset.json").write_text(json.dumps(told))


def nnunet(root: Path) -> None:
    task = root / "Dataset027_ACDC"
    for name in ("case_001", "case_002"):
        for channel in ("0000", "0001"):
            nifti(task / "imagesTr" / f"{name}_{channel}.nii.gz")
        nifti(task / "labelsTr" / f"{name}.nii.gz", 1, 3)
    for channel in ("0000", "0001"):
        nifti(task / "imagesTs" / f"case_003_{channel}.nii.gz")
    nifti(task / "labelsTs" / "case_003.nii.gz", 1)
    told = {
        "channel_names": {"0": "T2", "1": "ADC"}, "labels": {"background": 0, "PZ": 1, "TZ": 2, "ignore": 3},
        "numTraining": 2, "file_ending": ".nii.gz",
    }  # fmt: skip
    (task / "dataset.json").write_text(json.dumps(told))


def bids(root: Path) -> None:
    for n in ("01", "02"):
        base = root / f"sub-{n}" / "ses-1"
        nifti(base / "anat" / f"sub-{n}_ses-1_T1w.nii.gz")
        nifti(base / "anat" / f"sub-{n}_ses-1_ce-gd_T1w.nii.gz")
        nifti(base / "func" / f"sub-{n}_ses-1_task-rest_bold.nii.gz", frames=3)
    mask = root / "derivatives" / "manual" / "sub-01" / "ses-1" / "anat"
    nifti(mask / "sub-01_ses-1_label-lesion_mask.nii.gz", 1)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')


Expected = dict[str, tuple[str, dict[int, int]]]
"""Case to its part (labelled, unlabelled, reference) and voxels per class."""
CASES: dict[str, tuple[Callable[[Path], None], tuple[str, ...], list[str], Expected]] = {
    "isles2015-spes": (spes, ("Tmax", "DWI", "TTP", "CBF", "CBV", "T1c", "T2"), ["penumbra", "core"], {
        "spes-test-1": ("unlabelled", {}), "spes-train-1": ("labelled", {1: 2, 2: 2}),
        "spes-train-2": ("labelled", {1: 2, 2: 2})}),
    "isles2015-siss": (siss, ("FLAIR", "DWI", "T1", "T2"), ["lesion"], {
        "siss-test-1": ("unlabelled", {}), "siss-train-1": ("labelled", {1: 2})}),
    "isles2022": (isles2022, ("DWI", "ADC", "FLAIR"), ["lesion"], {
        f"sub-strokecase000{n}": ("labelled", {1: 2}) for n in (1, 2)}),
    "la2018": (la2018, ("LGE",), ["left atrium"], {
        "0RZDK210BSMWAA6467LU": ("labelled", {1: 2}), "4498F9C2EN1GMJSUN2OO": ("reference", {1: 2}),
        "NOLABEL0000000000000": ("unlabelled", {})}),
    "la-h5": (la_h5, ("LGE",), ["left atrium"], {
        "06SR5RBREL16DQ6M8LWS": ("labelled", {1: 2}), "0RZDK210BSMWAA6467LU": ("reference", {1: 2})}),
    "promise12": (promise12, ("T2",), ["prostate"], {
        "Case00": ("labelled", {1: 2}), "test-Case00": ("reference", {1: 2}), "test-Case30": ("unlabelled", {})}),
    "kvasir": (kvasir, ("Red", "Green", "Blue"), ["polyp"], {
        "cju0qkwl35piu0993l0dewei2": ("labelled", {1: 80}), "cju0qoxqj9q6s0835b43399p4": ("reference", {1: 80})}),
    "isic2016": (isic2016, ("Red", "Green", "Blue"), ["skin lesion"], {
        "ISIC_0000000": ("labelled", {1: 80}), "ISIC_0000003": ("reference", {1: 80})}),
    "rimone": (rimone, ("Red", "Green", "Blue"), ["optic disc", "optic cup"], {
        "r1_Im001": ("labelled", {1: 50, 2: 30}), "r2_Im010": ("reference", {1: 50, 2: 30})}),
    "acdc": (acdc, ("cine",), ["right ventricle", "myocardium", "left ventricle"], {
        f"patient{n}_frame{f}": (part, {1: 2, 2: 2, 3: 2})
        for n, part in (("001", "labelled"), ("101", "reference")) for f in ("01", "12")}),
    "msd": (msd, ("FLAIR", "T1w", "t1gd", "T2w"), ["edema", "non-enhancing tumor", "enhancing tumour"], {
        "BRATS_001": ("labelled", {1: 2, 2: 2, 3: 2}), "BRATS_002": ("labelled", {1: 2, 2: 2, 3: 2}),
        "BRATS_485": ("unlabelled", {})}),
    "nnunet": (nnunet, ("T2", "ADC"), ["PZ", "TZ"], {
        "case_001": ("labelled", {1: 2, 255: 2}), "case_002": ("labelled", {1: 2, 255: 2}),
        "case_003": ("reference", {1: 2})}),
    "bids": (bids, ("T1w", "T1w_gd"), ["lesion"], {
        "sub-01_ses-1": ("labelled", {1: 2}), "sub-02_ses-1": ("unlabelled", {})}),
}  # fmt: skip


def test_every_recipe_is_tested() -> None:
    assert set(CASES) == {one.key for one in recipes.RECIPES}


@pytest.fixture
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    CASES[request.param][0](tmp_path / "set")
    return tmp_path / "set"


@pytest.mark.parametrize(("tree", "key"), [(key, key) for key in CASES], indirect=["tree"], ids=CASES)
def test_a_data_set_comes_in_with_its_split_and_its_classes(tree: Path, key: str, tmp_path: Path) -> None:
    _, modalities, classes, expected = CASES[key]
    recipe, found = recipes.find(key, tree)
    scheme = scheme_of(recipe, found)
    assert [c.name for c in scheme.classes] == classes
    with Study.create(tmp_path / "study", recipe.title, modalities_of(recipe, found), scheme) as study:
        assert study.modalities == modalities
        plan = fit(recipe, found, study.modalities, study.labels)
        outcome = dict(study.add_planned(plan, jobs=1))
        assert {k: v for k, v in outcome.items() if not isinstance(v, list)} == {}
        assert set(outcome) == set(expected)
        for name, (part, voxels) in expected.items():
            row = study.case(name)
            assert row.modalities == modalities, name
            assert row.state.labelled == (part == "labelled"), name
            truth = study.root / REFERENCE / f"{name}.nii.gz"
            assert truth.exists() == (part == "reference"), name
            labels = read_labels(truth).volume.data if part == "reference" else study.read(name).labels
            values, counts = np.unique(labels[labels > 0], return_counts=True)
            assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == voxels, name
        assert not [name for name in plan.unused if "4d" not in name and "bold" not in name]


@pytest.mark.parametrize(("tree", "key"), [(key, key) for key in CASES], indirect=["tree"], ids=CASES)
def test_a_wrong_folder_is_told_by_what_it_looks_like(tree: Path, key: str) -> None:
    asked = "isles2015-spes" if key != "isles2015-spes" else "isles2015-siss"
    with pytest.raises(UsageError, match="looks like") as caught:
        recipes.find(asked, tree)
    assert f"penumbra import {key} " in caught.value.remedy
    assert "missing for ISLES 2015" in caught.value.remedy


def test_a_folder_of_nothing_is_told_by_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for one in recipes.RECIPES:
        with pytest.raises(UsageError, match=r"is not .*: .* is missing") as caught:
            recipes.find(one.key, tmp_path)
        assert "Expected is" in caught.value.remedy
    with pytest.raises(UsageError, match='no recipe "isles"') as caught:
        recipes.find("isles", tmp_path)
    assert "isles2022" in caught.value.remedy
    with pytest.raises(UsageError, match="does not exist"):
        recipes.find("acdc", tmp_path / "none")


def test_isles_2022_as_it_was_first_published(tmp_path: Path) -> None:
    isles2022(tmp_path, old=True)
    _, found = recipes.find("isles2022", tmp_path)
    assert [sorted(case.images) for case in found.cases] == [["ADC", "DWI", "FLAIR"]] * 2
    assert all(case.masked for case in found.cases)


def test_both_tasks_of_isles_2015_in_one_folder(tmp_path: Path) -> None:
    spes(tmp_path)
    siss(tmp_path)
    assert {c.name for c in recipes.find("isles2015-siss", tmp_path)[1].cases} == {"siss-train-1", "siss-test-1"}
    assert len(recipes.find("isles2015-spes", tmp_path)[1].cases) == 3


def test_a_data_set_fits_into_a_study_of_its_own_words(tmp_path: Path) -> None:
    acdc(tmp_path)
    recipe, found = recipes.find("acdc", tmp_path)
    scheme = LabelScheme.parse(["7=Left Ventricle", "3=right ventricle", "9=Myocardium", "1=scar"])
    plan = fit(recipe, found, ["T1", "Cine"], scheme)
    assert plan.cases[0].hints.mask[0].values == {1: 3, 2: 9, 3: 7}
    assert list(plan.cases[0].images) == ["Cine"]
    with pytest.raises(UsageError, match='has the class "right ventricle", which the study has not'):
        fit(recipe, found, ["cine"], LabelScheme.parse(["1=a", "2=b"]))
    with pytest.raises(UsageError, match="nothing in common"):
        fit(recipe, found, ["DWI"], scheme)
    isles2022(tmp_path / "i")
    recipe, found = recipes.find("isles2022", tmp_path / "i")
    plan = fit(recipe, found, ["ADC", "DWI"], LabelScheme.parse(["4=infarct"]))
    assert plan.cases[0].hints.mask[0].rest == 4
    assert any("Left out" in note and "FLAIR" in note for note in plan.notes)
    assert any("becomes the study's infarct" in note for note in plan.notes)


def test_descriptions_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    nnunet(tmp_path)
    file = tmp_path / "Dataset027_ACDC" / "dataset.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "labels": {"background": 0, "whole": [1, 2], "core": 2}}))
    with pytest.raises(UsageError, match=r'"whole" in dataset\.json is a region'):
        recipes.find("nnunet", tmp_path)
    file.write_text("{broken")
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        recipes.find("nnunet", tmp_path)
