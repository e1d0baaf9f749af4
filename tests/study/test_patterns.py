from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.importers.folder import FolderPlan, PlannedCase
from napari_penumbra.study.importers.patterns import guess, plan_pattern
from napari_penumbra.study.importers.preview import preview
from napari_penumbra.study.importers.splitting import Split, look_inside
from napari_penumbra.study.newcase import Hints

MODS = ["DWI", "T2"]


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


GUESSES = [
    (MODS, ["p1/DWI.nii.gz", "p1/T2.nii.gz", "p1/seg.nii.gz", "p2/DWI.nii.gz"], "{case}/{modality}.nii.gz"),
    (MODS, ["p1_DWI.nii.gz", "p1_t2.nii.gz", "p1_seg.nii.gz", "p2_DWI.nii.gz"], "{case}_{modality}.nii.gz"),
    (MODS, ["DWI/p1.nii.gz", "T2/p1.nii.gz", "DWI/p2.nii.gz"], "{modality}/{case}.nii.gz"),
    (MODS, ["DWI-p1.mha", "T2-p1.mha"], "{modality}-{case}.mha"),
    (MODS, ["c_0000.nii.gz", "c_0001.nii.gz"], "{case}_{modality}.nii.gz"),
    (["LGE"], ["imagesTr/la_003_0000.nii.gz", "imagesTr/la_004_0000.nii.gz", "labelsTr/la_003.nii.gz"],
     "imagesTr/{case}_{modality}.nii.gz"),
    (["DWI", "ADC"], ["sub-1/ses-1/dwi/sub-1_ses-1_dwi.nii.gz", "sub-1/ses-1/dwi/sub-1_ses-1_adc.nii.gz",
                      "sub-2/ses-1/dwi/sub-2_ses-1_dwi.nii.gz"], "*/*/*/{case}_{modality}.nii.gz"),
    (["Red", "Green", "Blue"], ["a.png", "b.jpg", "b_mask.png"], "{case}.*"),
    (["CT"], ["x/scan.nrrd", "y/scan.nrrd"], "{case}/*.nrrd"),
]  # fmt: skip


@pytest.mark.parametrize(("modalities", "names", "best"), GUESSES)
def test_the_best_guess_finds_the_cases(tmp_path: Path, modalities: list[str], names: list[str], best: str) -> None:
    guessed = guess(touch(tmp_path, *names), modalities)
    assert guessed[0] == best
    plan = plan_pattern(tmp_path, best, modalities)
    assert plan.cases
    masks = sum(case.label is not None for case in plan.cases)
    assert masks == any("seg" in name or "mask" in name for name in names)


def test_nothing_is_guessed_where_nothing_fits(tmp_path: Path) -> None:
    assert guess(touch(tmp_path, "notes.txt", "scan1.nii"), MODS) == []


def test_a_pattern_matches_modalities_masks_and_left_overs(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "p10/x_DWI.nii.gz",
        "p10/x_T2.nii.gz",
        "p2/y_dwi.nii",
        "p2/y_mask.nii",
        "p2/y_FLAIR.nii",
        "no/z_mask.nii",
    )
    plan = plan_pattern(tmp_path, "{case}/*_{modality}.*", MODS)
    assert [(c.name, sorted(c.images), c.label and c.label.name) for c in plan.cases] == [
        ("p2", ["DWI"], "y_mask.nii"),
        ("p10", ["DWI", "T2"], None),
    ]
    assert set(plan.unused) == {"p2/y_FLAIR.nii", "no/z_mask.nii"}
    assert plan_pattern(tmp_path, "*/*_{modality}.*", MODS).cases[0].name == "x", "the last star is the case"


def test_masks_of_another_folder(tmp_path: Path) -> None:
    touch(tmp_path / "i", "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz")
    touch(tmp_path / "l", "a.nii.gz", "c.nii.gz")
    plan = plan_pattern(tmp_path / "i", "{case}_{modality}.nii.gz", MODS, tmp_path / "l")
    assert [(c.name, c.label is not None) for c in plan.cases] == [("a", True), ("b", False)]
    assert plan.unused == ("c.nii.gz",)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("scan.nii.gz", "does not say where the case's name stands"),
        ("{case}.nii.gz", "does not say which file is which"),
        ("{case}_{kind}.nii.gz", r'"\{kind\}" in it means nothing'),
        ("../{case}_{modality}.nii", "leads out of the folder"),
        ("/data/{case}_{modality}.nii", "leads out of the folder"),
        ("{case}-{modality}.nii.gz", "No file .* fits"),
        ("{case}*_{modality}.nii.gz", "Two files claim to be DWI of p"),
    ],
)
def test_patterns_that_do_not_work_are_told(tmp_path: Path, pattern: str, words: str) -> None:
    touch(tmp_path, "p1_DWI.nii.gz", "p2_DWI.nii.gz")
    with pytest.raises(UsageError, match=words):
        plan_pattern(tmp_path, pattern, MODS)


def test_odd_names_stay_inside_and_links_do_not_run_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "Müller (2)/a b_DWI.nii", "🧠_DWI.nii", "._p1_DWI.nii", ".hidden/x_DWI.nii", "__MACOSX/y_DWI.nii")
    (tmp_path / "Müller (2)" / "round").symlink_to(tmp_path, target_is_directory=True)
    plan = plan_pattern(tmp_path, "**/{case}_{modality}.*", MODS)
    assert {c.name for c in plan.cases} == {"a b", "🧠"}


def four_d(path: Path, frames: int = 2) -> Path:
    values = np.random.default_rng(0).integers(0, 9, (4, 5, 3, frames)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return path


def test_4d_files_are_refused_until_it_is_said_what_they_are(tmp_path: Path) -> None:
    file = four_d(tmp_path / "p1.nii.gz")
    plan = FolderPlan((PlannedCase("p1", {"DWI": file}),), ())
    refused = look_inside(plan, MODS)
    assert "holds 2 volumes" in refused.cases[0].problem
    assert "--split-4d channels" in refused.notes[0]
    (channels,) = look_inside(plan, MODS, Split.CHANNELS).cases
    assert (channels.images, channels.hints.frames) == ({"DWI": file, "T2": file}, {"DWI": 0, "T2": 1})
    assert "the study has 3 modalities" in look_inside(plan, [*MODS, "X"], Split.CHANNELS).cases[0].problem
    masked = FolderPlan((PlannedCase("p1", {"DWI": file}, file),), ())
    times = look_inside(masked, ["DWI"], Split.TIME).cases
    assert [(c.name, c.hints.frames, c.label) for c in times] == [
        ("p1_t1", {"DWI": 0}, None),
        ("p1_t2", {"DWI": 1}, None),
    ]
    assert "mask is left out" in times[0].problem


def test_a_missing_voxel_size_is_asked_for(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    plan = FolderPlan((PlannedCase("s", {"DWI": tmp_path / "s.tif"}),), ())
    assert "s.tif does not say how large the voxels are" in look_inside(plan, ["DWI"]).notes[0]
    sized = look_inside(plan, ["DWI"], spacing=(0.5, 0.5, 2.0))
    assert sized.notes == ()
    assert sized.cases[0].hints.spacing == (0.5, 0.5, 2.0)


def test_the_preview_says_everything_before_anything_is_written(tmp_path: Path) -> None:
    a, b, m = tmp_path / "a.nii", tmp_path / "b.nii", tmp_path / "m.nii"
    plan = FolderPlan(
        (
            PlannedCase("p1", {"DWI": a, "T2": b}, m),
            PlannedCase("p2", {"T2": b}, hints=Hints(frames={"T2": 1})),
            PlannedCase("p3", {"DWI": a}, m, reference=True),
            PlannedCase("p4", {"DWI": a}, present=True),
        ),
        ("x.nii",),
    )
    shown = preview(plan, MODS)
    assert shown.headers == ("case", "DWI", "T2", "mask", "note")
    assert shown.rows == (
        ("p1", "a.nii", "b.nii", "m.nii", ""),
        ("p2", "–", "b.nii [2]", "–", "without DWI"),
        ("p3", "a.nii", "–", "m.nii", "without T2; test: its mask is kept for measuring only"),
        ("p4", "a.nii", "–", "–", "in the study already: left out"),
    )
    assert shown.summary == (
        "3 cases will be added, 1 with a mask; 1 with a mask for measuring only; 1 in the study already; "
        "1 file left over."
    )
    assert (shown.adding, shown.left_over) == (3, ("x.nii",))
