"""DICOM on the right millimetre: against SimpleITK's own series reader, against a NIfTI of the same phantom, by eye."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from dicom_phantom import AXIAL, CORONAL, LETTERS, grid_of, phantom, place, write_enhanced, write_series
from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import CANONICAL
from napari_penumbra.imaging.dicom import only_volume, scan
from napari_penumbra.imaging.files import read_image

OBLIQUE = (0.9, 0.3, -0.316227766, -0.2, 0.94174, 0.270469)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def right_angled(orientation: tuple[float, ...]) -> tuple[float, ...]:
    row = np.array(orientation[:3]) / np.linalg.norm(orientation[:3])
    column = np.array(orientation[3:])
    column -= row * (row @ column)
    return (*row, *(column / np.linalg.norm(column)))


ORIENTATIONS = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL, "oblique": right_angled(OBLIQUE)}


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("step", [3.0, -3.0])
def test_agrees_with_simpleitk_and_nifti(tmp_path: Path, name: str, step: float) -> None:
    orientation = ORIENTATIONS[name]
    data = phantom()
    write_series(tmp_path / "dicom", data, orientation=orientation, step=step)
    found = only_volume(tmp_path / "dicom").read()

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "dicom")))
    other = reader.Execute()
    values = sitk.GetArrayFromImage(other)
    lps = np.eye(4)
    lps[:3, :3] = np.array(other.GetDirection()).reshape(3, 3) * np.array(other.GetSpacing())
    lps[:3, 3] = other.GetOrigin()
    theirs = np.diag([-1, -1, 1, 1]) @ lps
    ours = found.source.matrix
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert found.volume.grid.axes() == CANONICAL

    expected = grid_of(data.shape, orientation=orientation, step=step)
    ordered = data if step > 0 else data[::-1]
    np.testing.assert_array_equal(values, ordered)
    image = nib.Nifti1Image(data.transpose(2, 1, 0), expected.matrix)
    nib.save(image, tmp_path / "same.nii.gz")
    same = read_image(tmp_path / "same.nii.gz")
    assert found.volume.grid.same_place(same.volume.grid)
    np.testing.assert_array_equal(found.volume.data, same.volume.data)
    assert found.volume.data.dtype == np.float32
    assert not found.warnings


def test_left_is_left(tmp_path: Path) -> None:
    write_series(tmp_path, phantom())
    volume = only_volume(tmp_path).read().volume
    bright = volume.data[2] > 600
    for letter in LETTERS:
        half = bright[:, 16:] if letter == "L" else bright[:, :16]
        rows, columns = np.nonzero(half)
        shape = half[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert ["".join("X" if on else "." for on in row) for row in shape] == list(LETTERS[letter])
        x = columns.mean() + (16 if letter == "L" else 0)
        ras = volume.grid.matrix @ (x, rows.mean(), 2, 1)
        assert (ras[0] < 0) == (letter == "L")  # RAS: the patient's left is where x falls


def test_enhanced_equals_the_series(tmp_path: Path) -> None:
    data = phantom()
    write_series(tmp_path / "series", data)
    write_enhanced(tmp_path / "enhanced.dcm", data)
    one, other = only_volume(tmp_path / "series").read(), only_volume(tmp_path / "enhanced.dcm").read()
    assert one.source.same_place(other.source)
    np.testing.assert_array_equal(one.volume.data, other.volume.data)


def test_enhanced_scales_each_frame(tmp_path: Path) -> None:
    data = phantom()
    slopes = [1.0 + 0.5 * k for k in range(len(data))]
    write_enhanced(tmp_path / "one.dcm", data, slopes=slopes)
    found = only_volume(tmp_path / "one.dcm").read()
    np.testing.assert_allclose(found.volume.data, data * np.array(slopes)[:, None, None], rtol=1e-6)


def test_a_missing_slice_is_filled_and_told(tmp_path: Path) -> None:
    data = phantom((20, 24, 32))
    write_series(tmp_path, data, skip=[7])
    offer = only_volume(tmp_path)
    assert "1 of 20 slices is missing (number 8)" in offer.notes[0]
    found = offer.read()
    assert found.warnings == offer.notes
    assert found.source.same_place(grid_of(data.shape))
    kept = [k for k in range(20) if k != 7]
    np.testing.assert_array_equal(found.volume.data[kept], data[kept])
    np.testing.assert_allclose(found.volume.data[7], (data[6].astype(float) + data[8]) / 2)
    assert offer.layouts[0].filled == (7,)


@pytest.mark.parametrize(
    ("skip", "words"),
    [([8, 9, 10, 11], "4 of 20 slices are missing, 4 of them in a row"), ([3, 4, 8, 9, 13, 14], "6 of 20 slices")],
)
def test_too_many_missing_slices_are_refused(tmp_path: Path, skip: list[int], words: str) -> None:
    write_series(tmp_path, phantom((20, 24, 32)), skip=skip)
    (offer,) = scan(tmp_path).exams[0].offers
    assert words in offer.problem
    with pytest.raises(ImageError, match="slices are missing"):
        offer.read()


def test_two_zones_of_slices_become_one_even_grid(tmp_path: Path) -> None:
    """Head CT of the old school: 5 mm through the base, 10 mm above."""
    heights = [0, 5, 10, 15, 20, 30, 40, 50]
    data = phantom((8, 24, 32))
    write_series(tmp_path, data, positions=[[-20.0, -15.0, 12.5 + h] for h in heights], modality="CT", step=5.0)
    offer = only_volume(tmp_path)
    found = offer.read()
    assert found.volume.data.shape[0] == 11
    assert found.source.same_place(grid_of((11, 24, 32), step=5.0))
    np.testing.assert_array_equal(found.volume.data[[0, 1, 2, 3, 4, 6, 8, 10]], data)
    assert "3 of 11 slices are missing" in found.warnings[0]


def test_slightly_uneven_gaps_are_taken_as_they_are(tmp_path: Path) -> None:
    heights = np.cumsum([0, 6.9, 7.0, 6.9, 7.0, 7.0, 6.9, 7.0])
    data = phantom((8, 24, 32))
    write_series(tmp_path, data, positions=[[-20.0, -15.0, 12.5 + h] for h in heights])
    offer = only_volume(tmp_path)
    found = offer.read()
    np.testing.assert_array_equal(found.volume.data, data)
    assert found.source.spacing[2] == pytest.approx(heights[-1] / 7)
    assert "off an even spacing" in found.warnings[0]


def test_uneven_gaps_are_brought_to_an_even_spacing(tmp_path: Path) -> None:
    heights = np.array([0.0, 3.0, 7.2, 10.0, 14.9, 18.0])
    data = np.broadcast_to((heights * 10)[:, None, None], (6, 24, 32)).astype(np.int16)
    write_series(tmp_path, data, positions=[[-20.0, -15.0, 12.5 + h] for h in heights])
    found = only_volume(tmp_path).read()
    assert "lie unevenly, 2.8 to 4.9 mm apart" in found.warnings[0]
    z = 10 * np.linspace(0, 18, found.volume.data.shape[0])
    np.testing.assert_allclose(found.volume.data[:, 0, 0], z, atol=4.0)  # a ramp stays one


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([[0, 0, z] for z in (0, 1, 2, 9, 10.4)], "no regular stack"),
        ([[0, 0, 0], [4, 0, 3], [0, 0, 6], [4, 0, 9], [0, 0, 12]], "sideways"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path: Path, positions: list[list[float]], words: str) -> None:
    write_series(tmp_path, phantom((5, 24, 32)), positions=positions)
    assert words in scan(tmp_path).exams[0].offers[0].problem


def test_a_tilted_gantry_keeps_its_true_axes(tmp_path: Path) -> None:
    tilt = np.tan(np.radians(15))
    positions = [[-20.0, -15.0 + 5.0 * n * tilt, 12.5 + 5.0 * n] for n in range(8)]
    data = phantom()
    write_series(tmp_path, data, positions=positions, modality="CT")
    found = only_volume(tmp_path).read()
    assert "15° off a right angle" in found.warnings[0]
    for n in (0, 7):
        at = found.source.matrix @ (0, 0, n, 1)
        np.testing.assert_allclose(at[:3] * (-1, -1, 1), positions[n], atol=1e-6)
    np.testing.assert_array_equal(found.volume.data, data)


def test_rounded_places_are_no_tilt(tmp_path: Path) -> None:
    positions = [[round(v, 2) for v in place(n, orientation=ORIENTATIONS["oblique"])] for n in range(8)]
    write_series(tmp_path, phantom(), positions=positions, orientation=ORIENTATIONS["oblique"])
    found = only_volume(tmp_path).read()
    assert not found.warnings
    assert found.source.shear < 1e-6


def test_orientations_and_sizes_of_one_series_come_apart(tmp_path: Path) -> None:
    write_series(tmp_path / "a", phantom())
    write_series(tmp_path / "b", phantom((6, 20, 20))[:, :20, :20], orientation=CORONAL)
    shapes = sorted(o.grid.shape for o in scan(tmp_path).exams[0].offers)
    assert shapes == [(20, 20, 6), (32, 24, 8)]


def test_localisers_are_no_volume(tmp_path: Path) -> None:
    for n, name in enumerate(("axial", "coronal", "sagittal")):
        write_series(tmp_path / name, phantom((1, 24, 32)), orientation=ORIENTATIONS[name], prefix=f"l{n}")
    (offer,) = scan(tmp_path).exams[0].offers
    assert offer.localiser
    assert "3 single slices in different directions" in offer.problem


@pytest.mark.parametrize("spacing", [None, (0.0, 0.0), (1.0, 0.0)])
def test_no_pixel_size_is_refused(tmp_path: Path, spacing: tuple[float, float] | None) -> None:
    write_series(tmp_path, phantom(), spacing=spacing)
    assert "does not state its pixel size" in scan(tmp_path).exams[0].offers[0].problem


def test_no_place_is_refused_but_a_single_picture_is_shown(tmp_path: Path) -> None:
    def nowhere(one: object, n: int) -> None:
        del one.ImagePositionPatient, one.ImageOrientationPatient  # type: ignore[attr-defined]

    write_series(tmp_path / "many", phantom(), change=nowhere)
    problems = {offer.problem for offer in scan(tmp_path / "many").exams[0].offers}
    assert any("does not say where" in text for text in problems)
    write_series(tmp_path / "one", phantom((1, 24, 32)), change=nowhere)
    found = only_volume(tmp_path / "one").read()
    assert "left and right are assumed" in found.warnings[0]
    assert found.source.spacing[:2] == (1.25, 1.5)


@pytest.mark.parametrize("orientation", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0)])
def test_impossible_directions_are_refused(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    positions = [[0.0, 0.0, 3.0 * n] for n in range(8)]
    write_series(tmp_path, phantom(), orientation=orientation, positions=positions)
    offers = scan(tmp_path).exams[0].offers
    assert not any(offer.usable for offer in offers)
    assert all("direction" in offer.problem or "where" in offer.problem for offer in offers)
