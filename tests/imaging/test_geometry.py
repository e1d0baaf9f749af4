"""What is painted on the screen lies on the same millimetres in every file that leaves the program."""

from __future__ import annotations

import tempfile
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging_files import LPS_TO_RAS, millimetres, save, turned

from napari_penumbra.domain.grid import CANONICAL, Grid, zyx_to_ijk
from napari_penumbra.imaging.files import onto_source, read_image, read_labels, write_nifti

COPIES = ("RAS", "LPS", "PIR")
SUFFIXES = (".nii.gz", ".nii", ".img", ".nrrd", ".mha", ".mhd")
ALL_AXES = ["".join(p) for order in permutations(("RL", "AP", "SI")) for p in product(*order)]


def copy_of(scan: np.ndarray, grid: Grid, axes: str, degrees: float) -> tuple[np.ndarray, Grid]:
    """The same patient, stored along other axes and lying tilted in the scanner."""
    turn = turned(grid, degrees).reorientation(axes) if degrees == 0 else grid.reorientation(axes)
    return turn.apply(scan), turned(turn.target, degrees)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("degrees", [0, 35])
@pytest.mark.parametrize("axes", COPIES)
def test_copies_of_one_scan_agree_and_masks_go_home(
    tmp_path: Path, scan: np.ndarray, grid: Grid, axes: str, degrees: float, suffix: str
) -> None:
    stored, where = copy_of(scan, grid, axes, degrees)
    read = read_image(save(tmp_path / f"p001{suffix}", stored, where))

    expected_grid = turned(grid, degrees)
    expected = expected_grid.reorientation()
    assert read.volume.data.dtype == np.float32
    assert read.volume.data.shape == read.volume.grid.array_shape
    assert read.source.same_place(where, 1e-3)
    if degrees == 0:
        assert read.volume.grid.axes() == CANONICAL
        assert read.volume.grid.same_place(expected.target, 1e-3)
        np.testing.assert_array_equal(zyx_to_ijk(read.volume.data), expected.apply(scan))

    # Every brightness lies on the millimetre where the first copy has it.
    for value in (0, 17, 300, int(scan.max())):
        there = millimetres(scan == value, expected_grid.matrix)
        here = millimetres(zyx_to_ijk(read.volume.data) == value, read.volume.grid.matrix)
        np.testing.assert_allclose(here, there, atol=1e-3)

    # A mask painted on the canonical canvas, written back, covers the same voxels of the file it came from.
    painted = (read.volume.data % 7 == 3).astype(np.uint8)
    write_nifti(tmp_path / "out.nii.gz", onto_source(painted, read.source), read.source)
    out = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(np.asarray(out.dataobj), (stored % 7 == 3).astype(np.uint8))
    assert out.get_data_dtype() == np.uint8
    np.testing.assert_allclose(out.affine, where.matrix, atol=1e-4)
    np.testing.assert_allclose(
        millimetres(np.asarray(out.dataobj), out.affine), millimetres(scan % 7 == 3, expected_grid.matrix), atol=1e-3
    )


@settings(max_examples=48, deadline=None)
@given(
    axes=st.sampled_from(ALL_AXES),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 8.0)] * 3),
    degrees=st.floats(-40, 40),
    seed=st.integers(0, 2**16),
    suffix=st.sampled_from([".nii.gz", ".nrrd"]),
)
def test_any_orientation_goes_home_exactly(
    axes: str,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    degrees: float,
    seed: int,
    suffix: str,
) -> None:
    rng = np.random.default_rng(seed)
    upright = Grid.of(shape, np.diag([*spacing, 1.0])).reorientation(axes).target
    where = turned(upright, degrees)
    labels = rng.integers(0, 4, where.shape).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        read = read_labels(save(Path(folder) / f"a{suffix}", labels, where))
        canonical = read.volume
        np.testing.assert_allclose(
            millimetres(zyx_to_ijk(canonical.data) == 2, canonical.grid.matrix),
            millimetres(labels == 2, where.matrix),
            atol=1e-3,
        )
        write_nifti(Path(folder) / "b.nii.gz", onto_source(canonical.data, read.source), read.source)
        back = nib.load(Path(folder) / "b.nii.gz")
        np.testing.assert_array_equal(np.asarray(back.dataobj), labels)
        assert read.source.same_place(Grid.of(back.shape, back.affine), 1e-3)
        # The study keeps the canonical array itself: reading that file again changes nothing.
        write_nifti(Path(folder) / "c.nii.gz", canonical.data, canonical.grid)
        again = read_labels(Path(folder) / "c.nii.gz")
        assert again.volume.grid.same_place(canonical.grid, 1e-3)
        np.testing.assert_array_equal(again.volume.data, canonical.data)


def test_itk_reads_our_oblique_file_where_nibabel_does(tmp_path: Path, scan: np.ndarray, grid: Grid) -> None:
    where = turned(grid, 35)
    write_nifti(tmp_path / "o.nii.gz", scan.transpose(), where)
    image = sitk.ReadImage(str(tmp_path / "o.nii.gz"))
    point = np.array(image.TransformIndexToPhysicalPoint((3, 5, 2)))
    np.testing.assert_allclose(LPS_TO_RAS[:3, :3] @ point, (where.matrix @ [3, 5, 2, 1])[:3], atol=1e-3)


def test_skewed_axes_are_kept_and_told(tmp_path: Path, scan: np.ndarray, grid: Grid) -> None:
    matrix = grid.matrix
    matrix[1, 2] = 1.2
    nib.save(nib.Nifti1Image(scan, matrix), tmp_path / "tilt.nii.gz")
    read = read_image(tmp_path / "tilt.nii.gz")
    assert "skewed axes" in read.warnings[0]
    assert "tilt.nii.gz" in read.warnings[0]
    labels = np.zeros(read.volume.grid.array_shape, np.uint8)
    labels[2, 3, 4] = 1
    write_nifti(tmp_path / "out.nii.gz", onto_source(labels, read.source), read.source)
    out = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(out.affine, matrix, atol=1e-4)
    z, y, x = 2, 3, 4
    np.testing.assert_allclose(
        millimetres(np.asarray(out.dataobj), out.affine)[0],
        (read.volume.grid.matrix @ [x, y, z, 1])[:3],
        atol=1e-3,
    )


def test_skewed_nrrd_lies_where_its_header_says(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype="<i2")
    header = (
        b"NRRD0004\ntype: short\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 3 4\n"
        b"space directions: (1,0,0) (0.5,2,0) (0,0,3)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
        b"space origin: (5,6,7)\n\n"
    )
    (tmp_path / "s.nrrd").write_bytes(header + voxels.tobytes())
    read = read_image(tmp_path / "s.nrrd")
    assert "skewed axes" in read.warnings[0]
    np.testing.assert_allclose(
        read.source.matrix, [[1, 0.5, 0, 5], [0, 2, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]], atol=1e-6
    )


def test_flat_image_is_one_slice(tmp_path: Path) -> None:
    flat = nib.Nifti1Image(np.arange(12, dtype=np.int16).reshape(4, 3), None)
    with np.errstate(invalid="ignore"):
        flat.set_sform(np.diag([2.0, 2.0, 0.0, 1.0]), 1)  # what careless converters leave
    nib.save(flat, tmp_path / "f.nii")
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4)), str(tmp_path / "f.nrrd"))
    for name in ("f.nii", "f.nrrd"):
        read = read_image(tmp_path / name)
        assert read.volume.data.shape == (1, 3, 4)
        assert min(read.volume.grid.spacing) > 0


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("micron", 1e-3), ("meter", 1e3)])
def test_units_become_millimetres(tmp_path: Path, scan: np.ndarray, unit: str, factor: float) -> None:
    image = nib.Nifti1Image(scan, np.diag([2.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "u.nii")
    np.testing.assert_allclose(read_image(tmp_path / "u.nii").source.spacing, np.array([2, 2, 3]) * factor, rtol=1e-5)


def test_orientation_that_is_not_stated_or_contradicts_itself_is_told(tmp_path: Path, scan: np.ndarray) -> None:
    image = nib.Nifti1Image(scan, None)
    nib.save(image, tmp_path / "none.nii")
    assert "left and right are assumed" in read_image(tmp_path / "none.nii").warnings[0]

    image = nib.Nifti1Image(scan, np.diag([2.0, 2.0, 3.0, 1.0]))
    image.set_qform(np.diag([-2.0, 2.0, 3.0, 1.0]), 1)
    image.set_sform(np.diag([2.0, 2.0, 3.0, 1.0]), 1)
    nib.save(image, tmp_path / "two.nii")
    read = read_image(tmp_path / "two.nii")
    assert "two placements" in read.warnings[0]
    assert read.source.axes() == "RAS"

    (tmp_path / "plain.nrrd").write_bytes(
        b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 2\nencoding: raw\n\n" + bytes(range(8))
    )
    assert "left and right are assumed" in read_image(tmp_path / "plain.nrrd").warnings[0]
