"""Every odd input ends in the right picture or in a plain sentence, through the door that real scans take."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from odd_inputs import ODD, Odd, tell

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.study.store import Study

PAGE = Path(__file__).parents[2] / "docs" / "render_odd_inputs.py"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    with Study.create(tmp_path_factory.mktemp("odd") / "study", "Odd", ["MR"], LabelScheme.parse(["1=lesion"])) as made:
        yield made


def independent(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (i, j, k) and affine to RAS mm by another reader."""
    if path.name.endswith((".nii", ".nii.gz")):
        image = nib.load(path)
        affine = np.array(image.affine)
        if image.header.get_xyzt_units()[0] == "meter":
            affine[:3] *= 1000
        return np.asarray(image.dataobj).reshape(image.shape[:3]), affine
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.key)
def test_right_picture_or_plain_sentence(study: Study, tmp_path: Path, odd: Odd) -> None:
    folder = tmp_path / "MUELLER_HANS_1944"
    told = tell(study, odd, folder)
    if told is None:
        pytest.skip("the package that brings it is not installed")
    assert told.fate == odd.fate, told.words
    assert odd.says in told.words
    assert "MUELLER" not in told.words
    names = [row.name for row in study.cases()]
    if odd.fate == "sentence":
        assert odd.key not in names, "all of it or nothing"
        assert told.words.endswith(".")
        assert ". " in told.words, "what is wrong, and what to do"
        assert not any(p.name.startswith(".adding") for p in study.layout.cases.iterdir())
        return
    opened = study.read(odd.key)
    image = opened.images["MR"]
    assert np.isfinite(image).all()
    again = tmp_path / "again"
    again.mkdir()
    path = folder / "image.nii.gz" if odd.label else odd.make(again)
    assert path is not None
    voxels, affine = independent(path)
    index = np.random.default_rng(0).integers(0, voxels.shape, (200, 3))
    world = affine @ np.c_[index, np.ones(200)].T
    mine = np.linalg.inv(opened.grid.matrix) @ world
    assert np.abs(mine - np.rint(mine)).max() < 2e-3, "off its millimetres"
    i, j, k = np.rint(mine[:3]).astype(int)
    expected = np.nan_to_num(voxels[tuple(index.T)].astype(np.float32), nan=0, posinf=0, neginf=0)
    assert np.array_equal(image[k, j, i], expected)
    assert sorted(image.shape) == sorted(voxels.shape)
    if odd.label:
        mask, mask_affine = independent(next(folder.glob("odd_label*")))
        points = mask_affine @ np.c_[np.argwhere(mask == 1), np.ones((mask == 1).sum())].T
        i, j, k = np.rint(np.linalg.inv(opened.grid.matrix) @ points)[:3].astype(int)
        expected_labels = np.zeros_like(opened.labels)
        expected_labels[k, j, i] = 1
        assert np.array_equal(opened.labels, expected_labels)


@pytest.mark.slow
def test_the_page_says_what_the_program_says() -> None:
    spec = importlib.util.spec_from_file_location("render_odd_inputs", PAGE)
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert PAGE.with_name("odd-inputs.md").read_text(encoding="utf-8") == page.text(), f"run: python {PAGE.name}"
