"""Every export path, read back by the format's own reader: left is left, on the millimetres of the scan."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from export_scenes import GRIDS, LEFT, RIGHT, SCHEME, image, make, millimetres, shapes, stored, truth
from study_scans import draft, predict

from napari_penumbra.domain.case import Closing, Role
from napari_penumbra.domain.errors import DiskError, UsageError
from napari_penumbra.study import exporters
from napari_penumbra.study.exporters import RECORD, Exporter, ExportOptions, Item, Plan
from napari_penumbra.study.importers import recipes
from napari_penumbra.study.importers.fitting import fit, modalities_of, scheme_of
from napari_penumbra.study.store import Study

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def study(made: Path) -> Iterator[Study]:
    with Study.open(made, write=False) as opened:
        yield opened


def export(study: Study, folder: Path, kind: str, **options: Any) -> Plan:
    plan = exporters.plan(study, folder, kind, ExportOptions(**options))
    for step in plan.run():
        assert step.error is None, step.error
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert present == {file for _, file in plan.files}, "what was said is what was written"
    assert json.loads((folder / RECORD).read_text())["complete"]
    return plan


# ---------------------------------------------------------------------- readers that are not our own


def by_nibabel(path: Path) -> tuple[np.ndarray, np.ndarray]:
    read = nib.load(path)
    return np.asarray(read.dataobj), read.affine


def by_simpleitk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    read = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(read.GetDirection()).reshape(3, 3) * np.array(read.GetSpacing())
    affine[:3, 3] = read.GetOrigin()
    return sitk.GetArrayFromImage(read).transpose(2, 1, 0), LPS @ affine


def by_slicerio(path: Path) -> tuple[np.ndarray, np.ndarray]:
    read = slicerio.read_segmentation(str(path))
    return read["voxels"], LPS @ read["ijkToLPS"]


Reader = Callable[[Path], tuple[np.ndarray, np.ndarray]]


@pytest.mark.parametrize(
    ("kind", "where", "values", "readers"),
    [
        ("nifti", "{}.nii.gz", (2, 5, 255), (by_nibabel, by_simpleitk)),
        ("nnunet", "labelsTr/{}.nii.gz", (1, 2, 3), (by_nibabel, by_simpleitk)),
        ("msd", "labelsTr/{}.nii.gz", (2, 5, 255), (by_nibabel, by_simpleitk)),
        ("bids", "sub-{0}/anat/sub-{0}_desc-penumbra_dseg.nii.gz", (2, 5, 255), (by_nibabel, by_simpleitk)),
        ("nrrd", "{}.seg.nrrd", (2, 5, 255), (by_simpleitk, by_slicerio)),
    ],
)
def test_left_is_left_through_every_path(
    study: Study, tmp_path: Path, kind: str, where: str, values: tuple[int, int, int], readers: tuple[Reader, ...]
) -> None:
    plan = export(study, tmp_path / "out", kind)
    assert {case for case, _ in plan.files if case} == set(GRIDS)
    for name in GRIDS:
        path = tmp_path / "out" / where.format(name.replace("-", "") if kind == "bids" else name)
        for reader in readers:
            voxels, affine = reader(path)
            # The file's own grid and header, not a canonical copy of it.
            np.testing.assert_allclose(affine, GRIDS[name].matrix, atol=1e-4)
            assert voxels.shape == GRIDS[name].shape
            for was, value in zip((LEFT, RIGHT, 255), values, strict=True):
                np.testing.assert_allclose(millimetres(voxels == value, affine), truth(name, was), atol=1e-3)
            assert set(np.unique(voxels)) == {0, *values}
        left, right = (millimetres(voxels == v, affine)[:, 0].mean() for v in values[:2])
        assert left < 0 < right, "the patient's left has negative x in RAS"


# ---------------------------------------------------------------------- what the formats say about themselves


def test_nnunet_layout(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "Dataset501_Cohort"
    plan = export(study, folder, "nnunet", unlabelled="imagesUn", confidence=True, predictions=True)
    assert not any("rename" in note for note in plan.notes)
    assert any("penumbra 2 becomes 1" in note for note in plan.notes)
    data = json.loads((folder / "dataset.json").read_text())
    assert data["channel_names"] == {"0": "DWI", "1": "T2"}
    assert data["labels"] == {"background": 0, "penumbra": 1, "core": 2, "ignore": 3}
    assert data["file_ending"] == ".nii.gz"
    labels = sorted(p.name for p in (folder / "labelsTr").iterdir())
    assert data["numTraining"] == len(labels) == len(GRIDS) + 1
    for name in labels:
        for n, modality in enumerate(("DWI", "T2")):
            read = nib.load(folder / "imagesTr" / name.replace(".nii.gz", f"_{n:04d}.nii.gz"))
            np.testing.assert_array_equal(read.affine, nib.load(folder / "labelsTr" / name).affine)
            case = name.removesuffix(".nii.gz")
            if case == "pir":
                seed = 10 * list(GRIDS).index(case) + ("DWI", "T2").index(modality)
                expected = stored(case, image(seed)).transpose(2, 1, 0)
                np.testing.assert_array_equal(np.asarray(read.dataobj), expected)
    assert sorted(p.name for p in (folder / "imagesUn").iterdir()) == [
        f"{case}_{n:04d}.nii.gz" for case in ("draft", "new") for n in (0, 1)
    ]
    assert sorted(p.name for p in (folder / "confidenceTr").iterdir()) == ["lps.nii.gz", "predicted.nii.gz"]


def test_nnunet_names_ignore_only_where_it_is(study: Study, tmp_path: Path) -> None:
    export(study, tmp_path / "a", "nnunet", cases=("predicted",), predictions=True)
    assert "ignore" not in json.loads((tmp_path / "a" / "dataset.json").read_text())["labels"]
    export(study, tmp_path / "b", "nnunet", unknown="background")
    assert set(np.unique(by_nibabel(tmp_path / "b" / "labelsTr" / "lps.nii.gz")[0])) == {0, 1, 2}
    for value in ("keep", "7"):
        with pytest.raises(UsageError, match="no gaps"):
            exporters.plan(study, tmp_path / "c", "nnunet", ExportOptions(unknown=value))


def test_msd_layout(study: Study, tmp_path: Path) -> None:
    export(study, tmp_path / "out", "msd", unlabelled="imagesTs")
    data = json.loads((tmp_path / "out" / "dataset.json").read_text())
    keys = ["name", "description", "reference", "licence", "release", "tensorImageSize", "modality", "labels"]
    assert list(data) == [*keys, "numTraining", "numTest", "training", "test"]
    assert data["tensorImageSize"] == "4D"
    assert data["modality"] == {"0": "DWI", "1": "T2"}
    assert data["labels"] == {"0": "background", "2": "penumbra", "5": "core", "255": "unknown"}
    assert (data["numTraining"], data["numTest"]) == (len(GRIDS), 3)
    for entry in data["training"]:
        scan = nib.load(tmp_path / "out" / entry["image"])
        assert scan.shape == (*nib.load(tmp_path / "out" / entry["label"]).shape, 2)
    assert all((tmp_path / "out" / path).is_file() for path in data["test"])
    scan = nib.load(tmp_path / "out" / "imagesTr" / "oblique.nii.gz")
    np.testing.assert_allclose(scan.affine, GRIDS["oblique"].matrix, atol=1e-5)
    n = list(GRIDS).index("oblique")
    for channel in range(2):
        expected = stored("oblique", image(10 * n + channel)).transpose(2, 1, 0)
        np.testing.assert_array_equal(np.asarray(scan.dataobj)[..., channel], expected)
    with pytest.raises(UsageError, match="no place called imagesUn"):
        exporters.plan(study, tmp_path / "x", "msd", ExportOptions(unlabelled="imagesUn"))


def test_bids_layout(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(study, out, "bids", images=True, confidence=True, drafts=True)
    about = json.loads((out / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Name"] == "napari-penumbra"
    table = [line.split("\t") for line in (out / "desc-penumbra_dseg.tsv").read_text().splitlines()]
    assert table[0] == ["index", "name", "abbreviation", "color"]
    assert [row[:2] for row in table[1:]] == [["0", "background"], ["2", "penumbra"], ["5", "core"], ["255", "unknown"]]
    anat = out / "sub-lefthanded" / "anat"
    assert {p.name.removeprefix("sub-lefthanded_desc-penumbra_") for p in anat.iterdir()} == {
        "dseg.nii.gz",
        "dseg.json",
        "DWI.nii.gz",
        "T2w.nii.gz",
    }
    assert json.loads((anat / "sub-lefthanded_desc-penumbra_dseg.json").read_text())["Manual"] is True
    ignored = (out / ".bidsignore").read_text().split()
    assert {"*_DWI.nii.gz", "*_T2w.nii.gz", "*_confidence.nii.gz", RECORD} <= set(ignored)
    assert "sub-draft\tdraft" in (out / "participants.tsv").read_text()
    assert set(json.loads((out / "participants.json").read_text())) == {"participant_id", "case"}


def test_the_bids_validator_finds_no_error(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(study, out, "bids", images=True, confidence=True, drafts=True, predictions=True)
    validator = Path(sys.executable).with_name("bids-validator-deno")
    run = subprocess.run(
        [validator, "--format", "json", out],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DENO_DIR": str(tmp_path / "deno")},
    )
    said = json.loads(run.stdout)
    assert said["summary"]["totalFiles"] >= 3 * len(GRIDS), "it has seen the data set"
    assert [issue for issue in said["issues"]["issues"] if issue["severity"] == "error"] == []
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("kind", ["nnunet", "msd", "bids"])
def test_what_goes_out_comes_in_again(study: Study, tmp_path: Path, kind: str) -> None:
    """The recipes read what the exporters write: the same cases, classes and masks, unknown included."""
    plan = export(study, tmp_path / "out", kind, images=True, confidence=True)
    recipe, found = recipes.find(kind, tmp_path / "out")
    assert found.title == {"nnunet": "out"}.get(kind, study.name)
    modalities, labels = modalities_of(recipe, found), scheme_of(recipe, found)
    assert [c.name for c in labels.classes] == [c.name for c in study.labels.classes]
    with Study.create(tmp_path / "again", "Again", modalities, labels) as again:
        outcome = dict(again.add_planned(fit(recipe, found, modalities, labels), jobs=1))
        assert {name: said for name, said in outcome.items() if not isinstance(said, list)} == {}
        assert len(outcome) == len({name for name, _ in plan.files if name})
        for name in ("oblique", "pir"):
            (case,) = [row for row in again.cases() if row.name.removeprefix("sub-").startswith(name)]
            was, now = study.read(name), again.read(case.name)
            # nnU-Net numbers classes anew.
            names = {c.value: c.name for c in study.labels.classes}, {c.value: c.name for c in labels.classes}
            for value in np.unique(was.labels):
                (other,) = [v for v, word in names[1].items() if word == names[0].get(int(value))] or [int(value)]
                np.testing.assert_array_equal(now.labels == other, was.labels == value)
            assert now.grid.same_place(was.grid, 0.01)


def test_slicer_keeps_names_colours_and_terms(study: Study, tmp_path: Path) -> None:
    export(study, tmp_path / "out", "nrrd", images=True, confidence=True)
    read = slicerio.read_segmentation(str(tmp_path / "out" / "lps.seg.nrrd"))
    segments = {segment["name"]: segment for segment in read["segments"]}
    assert list(segments) == ["penumbra", "core", "unknown"]
    assert [segment["labelValue"] for segment in read["segments"]] == [2, 5, 255]
    for c in SCHEME.classes:
        wanted = [int(c.color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        np.testing.assert_allclose(segments[c.name]["color"], wanted, atol=1e-4)
    assert segments["core"]["terminology"]["type"] == ["SCT", "55641003", "Infarct"]
    assert segments["core"]["terminology"]["anatomicRegion"] == ["SCT", "12738006", "Brain"]
    sure, affine = by_simpleitk(tmp_path / "out" / "lps_confidence.nrrd")
    np.testing.assert_allclose(sure, 0.9, atol=1 / 255)
    np.testing.assert_allclose(affine, GRIDS["lps"].matrix, atol=1e-6)
    voxels, _ = by_simpleitk(tmp_path / "out" / "images" / "oblique_T2.nrrd")
    expected = stored("oblique", image(10 * list(GRIDS).index("oblique") + 1)).transpose(2, 1, 0)
    np.testing.assert_array_equal(voxels, expected)


# ---------------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    ("asked", "written"),
    [("", 255), ("keep", 255), ("background", 0), ("ignore", 6), ("0", 0), ("9", 9), ("255", 255)],
)
def test_unknown_becomes_what_was_asked(study: Study, tmp_path: Path, asked: str, written: int) -> None:
    export(study, tmp_path / "out", "nifti", unknown=asked, cases=("lps",))
    voxels, _ = by_nibabel(tmp_path / "out" / "lps.nii.gz")
    assert set(np.unique(voxels)) == {0, 2, 5, written}
    assert json.loads((tmp_path / "out" / RECORD).read_text())["label_values"]["unknown"] == written


@pytest.mark.parametrize("asked", ["5", "256", "-1", "nothing", "1.5"])
def test_what_cannot_stand_for_unknown(study: Study, tmp_path: Path, asked: str) -> None:
    with pytest.raises(UsageError, match=r"unknown|Unknown"):
        exporters.plan(study, tmp_path / "out", "nifti", ExportOptions(unknown=asked))
    assert not (tmp_path / "out").exists()


def test_which_cases_leave(study: Study, tmp_path: Path) -> None:
    plan = exporters.plan(study, tmp_path / "out", "nifti")
    assert [case for case, _ in plan.files if case] == list(GRIDS)
    assert dict(plan.left) == {
        "draft": "only a draft: nobody has closed it",
        "predicted": "only predicted: nobody has accepted it",
        "new": "nothing is labelled in it",
    }
    more = exporters.plan(study, tmp_path / "out", "nifti", ExportOptions(drafts=True, predictions=True))
    assert [case for case, _ in more.files if case] == [*GRIDS, "draft", "predicted"]
    assert not (tmp_path / "out").exists(), "a plan writes nothing"
    with pytest.raises(UsageError, match='no case "gone"'):
        exporters.plan(study, tmp_path / "out", "nifti", ExportOptions(cases=("gone",)))
    with pytest.raises(UsageError, match="draft: only a draft"):
        exporters.plan(study, tmp_path / "out", "nifti", ExportOptions(cases=("draft",)))
    with pytest.raises(UsageError, match=r"no export format|called"):
        exporters.plan(study, tmp_path / "out", "vtk")
    export(study, tmp_path / "drafts", "nifti", drafts=True, predictions=True, cases=("draft", "predicted"))
    record = json.loads((tmp_path / "drafts" / RECORD).read_text())
    assert [(c["case"], c["labels"], c["revision"]) for c in record["cases"]] == [
        ("draft", "draft", "r1"),
        ("predicted", "predicted", "p2"),
    ]


def test_a_case_without_a_modality_stays_behind(tmp_path: Path) -> None:
    root = make(tmp_path)
    with Study.open(root) as study:
        study.add_case("half", {"T2": tmp_path / "files" / "lps_T2.nii.gz"})
        draft(study, "half", np.ones(study.grid("half").array_shape, np.uint8) * 2, closing=Closing.COMPLETE)
        for kind in ("nnunet", "msd"):
            left = dict(exporters.plan(study, tmp_path / "out", kind).left)
            assert left["half"].startswith("DWI is missing")
        assert "half" not in dict(exporters.plan(study, tmp_path / "out", "nifti").left)


# ---------------------------------------------------------------------- the folder


def test_a_folder_that_holds_something_is_refused(study: Study, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        exporters.plan(study, tmp_path, "nifti")
    with pytest.raises(UsageError, match="is a file"):
        exporters.plan(study, tmp_path / "notes.txt", "nifti")
    for folder in (study.layout.cases / "out", study.layout.runs, study.layout.cache / "x"):
        with pytest.raises(UsageError, match="own files"):
            exporters.plan(study, folder, "nifti", ExportOptions(overwrite=True))
    for folder in (study.root, study.root.parent, study.root.parent.parent):
        with pytest.raises(UsageError, match="holds the study itself"):
            exporters.plan(study, folder, "nifti", ExportOptions(overwrite=True))
    assert exporters.plan(study, study.root / "exports", "nifti").steps == len(GRIDS)


def test_overwriting_removes_only_what_an_export_wrote(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(study, out, "nifti")
    (out / "mine.txt").write_text("mine")
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    record = json.loads((out / RECORD).read_text())
    record["files"] += ["../outside.txt", str(outside), "mine/../../outside.txt"]
    (out / RECORD).write_text(json.dumps(record))
    plan = exporters.plan(study, out, "nrrd", ExportOptions(cases=("lps",), overwrite=True))
    assert all(step.error is None for step in plan.run())
    assert {p.name for p in out.iterdir()} == {"lps.seg.nrrd", RECORD, "mine.txt"}
    assert outside.exists()


def test_a_stopped_export_says_so_and_goes_on_later(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = exporters.plan(study, out, "nnunet").run()
    assert next(steps).name == "lps"
    steps.close()
    assert not (out / "dataset.json").exists(), "nothing says that this is a data set"
    record = json.loads((out / RECORD).read_text())
    assert record["complete"] is False
    (out / "labelsTr" / ".penumbra-tmp-1-abc-x.nii.gz").write_bytes(b"half")  # a killed process leaves this
    plan = exporters.plan(study, out, "nifti", ExportOptions(overwrite=True))
    assert all(step.error is None for step in plan.run())
    left = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert left == {file for _, file in plan.files}


@pytest.mark.parametrize("kind", ["nifti", "nrrd", "msd"])
def test_a_full_disk_is_told_and_leaves_no_half_file(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    synced = os.fsync
    count = 0

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        synced(handle)

    plan = exporters.plan(study, tmp_path / "out", kind)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="disk is full"):
        list(plan.run())
    monkeypatch.undo()
    for path in (tmp_path / "out").rglob("*.nii.gz"):
        assert not path.name.startswith(".penumbra")
        nib.load(path).get_fdata()
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert json.loads((tmp_path / "out" / RECORD).read_text())["complete"] is False


def test_a_damaged_case_does_not_stop_the_others(made: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "study"))
    (root / "cases" / "ras" / "annotations" / "r0001.nii.gz").write_bytes(b"broken")
    with Study.open(root) as study:
        steps = {step.name: step for step in exporters.plan(study, tmp_path / "out", "nifti").run()}
    assert steps["ras"].error is not None
    assert [name for name, step in steps.items() if step.error is None] == [n for n in GRIDS if n != "ras"]
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert "ras.nii.gz" not in record["files"]


def test_no_path_and_no_name_leaks(tmp_path: Path) -> None:
    root = make(tmp_path / "Secret^Patient", secret="Doe_John_19630412")
    with Study.open(root) as study:
        for kind in ("nifti", "nnunet", "msd", "bids", "nrrd"):
            export(study, tmp_path / kind, kind, images=True, confidence=True, drafts=True, predictions=True)
            for path in (tmp_path / kind).rglob("*"):
                content = path.read_bytes() if path.is_file() else b""
                unpacked = content
                if path.name.endswith(".gz"):
                    unpacked = nib.load(path).header.binaryblock + content
                for secret in (b"Doe", b"John", b"19630412", b"Secret", b"ann\n", str(tmp_path).encode()):
                    assert secret not in unpacked, f"{secret!r} in {path.name}"


def test_names_that_no_file_system_likes(tmp_path: Path) -> None:
    names = ["..", "a/b", "a:b", "ä é", "🧠", "con", "x" * 200, "A", "a", "sub-01", "sub 01"]
    with Study.create(tmp_path / "study", "Odd", ["DWI"], SCHEME) as study:
        make_one(tmp_path / "scan.nii.gz")
        for name in names:
            study.add_case(name, {"DWI": tmp_path / "scan.nii.gz"})
            draft(study, name, np.full(study.grid(name).array_shape, 2, np.uint8), closing=Closing.COMPLETE)
        for kind in exporters.names():
            if kind == "dicom-seg":
                continue
            plan = export(study, tmp_path / kind, kind)
            paths = [file.lower() for case, file in plan.files if case]
            assert len(paths) == len(set(paths))
            assert all(part not in ("..", "") for path in paths for part in path.split("/"))
        subjects = [p.name for p in (tmp_path / "bids").iterdir() if p.is_dir()]
        assert len(subjects) == len(names)
        assert all(s.removeprefix("sub-").isalnum() and s.isascii() for s in subjects)


def make_one(path: Path) -> None:
    from napari_penumbra.imaging.nifti import write_nifti

    write_nifti(path, image(1)[:2, :4, :4].copy(), exported_grid())


def exported_grid() -> Any:
    from napari_penumbra.domain.grid import Grid

    return Grid.of((4, 4, 2), np.diag([-1.0, -1, 2, 1]))


def test_predictions_keep_the_confidence_beside(made: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "study"))
    with Study.open(root) as study:
        sure = np.linspace(0, 1, 20 * 18 * 8, dtype=np.float32).reshape(study.grid("pir").array_shape)
        predict(study, "pir", labels=np.zeros(sure.shape, np.uint8), confidence=sure)
        study.register_predictions()
        export(study, tmp_path / "out", "nifti", confidence=True, cases=("pir",))
    read = nib.load(tmp_path / "out" / "pir_confidence.nii.gz")
    np.testing.assert_allclose(read.get_fdata(), stored("pir", sure).transpose(2, 1, 0), atol=1 / 255)


def test_frozen_and_set_aside_cases(made: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "study"))
    with Study.open(root) as study:
        study.set_role("pir", Role.VALIDATION)
        study.set_role("ras", Role.ASIDE)
        plan = export(study, tmp_path / "Dataset501_A", "nnunet")
        assert dict(plan.left)["ras"].startswith("it is set aside")
        assert any("1 of these cases are frozen" in note for note in plan.notes)
        (split,) = json.loads((tmp_path / "Dataset501_A" / "splits_final.json").read_text())
        assert split == {"train": ["lps", "left-handed", "oblique"], "val": ["pir"]}
        export(study, tmp_path / "named", "nifti", cases=("ras",))
    assert (tmp_path / "named" / "ras.nii.gz").is_file()


class Voxels(Exporter):
    """What another package might add: one text file per case."""

    title = "Voxel count"
    readers = "people"

    def files(self, item: Item) -> list[str]:
        return [f"{item.stem}.txt"]

    def write(self, item: Item) -> None:
        self.job.path(f"{item.stem}.txt").write_text(str(np.count_nonzero(self.job.labels(item))))


def test_a_seventh_format_is_one_class(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("voxels", f"{__name__}:Voxels", exporters.GROUP)
    monkeypatch.setitem(exporters._plugins.__dict__, "others", {"voxels": point})
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Voxels.__module__])
    assert exporters.names()[-1] == "voxels"
    export(study, tmp_path / "out", "voxels", cases=("lps",))
    assert (tmp_path / "out" / "lps.txt").read_text() == str(np.count_nonzero(shapes()))


KILLED = """
import os, sys
from pathlib import Path
from napari_penumbra.study import exporters
from napari_penumbra.study.store import Study
study = Study.open(Path(sys.argv[1]), write=False)
print("begun", flush=True)
while True:
    for step in exporters.plan(study, Path(sys.argv[2]), "nnunet", exporters.ExportOptions(overwrite=True)).run():
        pass
"""


@pytest.mark.slow
def test_a_killed_export_leaves_no_half_file(made: Path, tmp_path: Path) -> None:
    for n in range(6):
        out = tmp_path / str(n)
        command = [sys.executable, "-c", KILLED, str(made), str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.15 + 0.11 * n)
            process.kill()
        written = [p for p in out.rglob("*") if p.is_file() and not p.name.startswith(".penumbra-tmp-")]
        assert written
        for path in written:
            if path.suffix == ".json":
                json.loads(path.read_text())
            else:
                nib.load(path).get_fdata()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MONAI's own, about codecs and older names
def test_monai_reads_the_decathlon_layout(study: Study, tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist
    from monai.transforms import LoadImage

    export(study, tmp_path / "out", "msd", unlabelled="imagesTs")
    listed = load_decathlon_datalist(str(tmp_path / "out" / "dataset.json"), True, "training")
    assert len(listed) == len(GRIDS)
    for entry in listed:
        name = Path(entry["label"]).name.removesuffix(".nii.gz")
        label = LoadImage(reader="NibabelReader")(entry["label"])
        np.testing.assert_allclose(np.asarray(label.affine), GRIDS[name].matrix, atol=1e-4)
        found = millimetres(np.asarray(label) == LEFT, np.asarray(label.affine))
        np.testing.assert_allclose(found, truth(name, LEFT), atol=1e-3)
        assert LoadImage(reader="NibabelReader", ensure_channel_first=True)(entry["image"]).shape == (
            2,
            *GRIDS[name].shape,
        )
    assert len(load_decathlon_datalist(str(tmp_path / "out" / "dataset.json"), True, "test")) == 3
