"""NRRD and MetaImage out: skewed, oblique and left-handed axes stay what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelClass
from napari_penumbra.imaging.files import read_image
from napari_penumbra.imaging.seg_nrrd import write_seg_nrrd
from napari_penumbra.imaging.sitk_writing import write_image

SKEWED = [[-1.7, 0, 1.5, -30], [0, -0.95, 0, 12], [0, 0, 4.9, 5], [0, 0, 0, 1]]
OBLIQUE = [[1.7, 0.3, 0.1, -30], [-0.4, 0.95, 0.2, 12], [0.1, -0.1, 4.9, 5], [0, 0, 0, 1]]
MIRRORED = [[0, 0, 2.0, 3], [1.5, 0, 0, -4], [0, 1.0, 0, 5], [0, 0, 0, 1]]


@pytest.mark.parametrize("affine", [SKEWED, OBLIQUE, MIRRORED])
@pytest.mark.parametrize("name", ["x.nrrd", "x.mha", "x.seg.nrrd"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_voxels_and_place(tmp_path: Path, affine: list[list[float]], name: str, dtype: type) -> None:
    grid = Grid.of((5, 6, 4), affine)
    array = np.random.default_rng(0).integers(0, 3, grid.array_shape).astype(dtype)
    if name.endswith(".seg.nrrd"):
        array = array.astype(np.uint8)
        write_seg_nrrd(tmp_path / name, array, grid, [LabelClass(1, "a", "#e69f00"), LabelClass(2, "b", "#56b4e9")])
        read = slicerio.read_segmentation(str(tmp_path / name))
        np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ read["ijkToLPS"], grid.matrix, atol=1e-9)
        np.testing.assert_array_equal(read["voxels"], array.transpose(2, 1, 0))
    else:
        write_image(tmp_path / name, array, grid)
    image = sitk.ReadImage(str(tmp_path / name))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
    found = read_image(tmp_path / name)
    assert found.source.same_place(grid, 1e-6)


def test_extents_and_empty_segments(tmp_path: Path) -> None:
    array = np.zeros((4, 6, 5), np.uint8)
    array[1:3, 2, 3:5] = 1
    classes = [LabelClass(1, "a", "#e69f00"), LabelClass(7, "two\nlines", "#56b4e9")]
    write_seg_nrrd(tmp_path / "x.seg.nrrd", array, Grid.of((5, 6, 4), np.eye(4)), classes)
    first, second = slicerio.read_segmentation(str(tmp_path / "x.seg.nrrd"))["segments"]
    assert first["extent"] == [3, 4, 2, 2, 1, 2]
    assert (second["name"], second["labelValue"], second["extent"]) == ("two lines", 7, [0, -1, 0, -1, 0, -1])


def test_what_cannot_be_written(tmp_path: Path) -> None:
    array, grid = np.zeros((4, 6, 5), np.uint8), Grid.of((5, 6, 4), np.eye(4))
    with pytest.raises(ValueError, match="must end in"):
        write_image(tmp_path / "x.vtk", array, grid)
    with pytest.raises(ValueError, match="does not lie"):
        write_image(tmp_path / "x.nrrd", array[1:], grid)
    with pytest.raises(DiskError, match=r"x\.nrrd was not saved"):
        write_image(tmp_path / "gone" / "x.nrrd", array, grid)
    assert list(tmp_path.iterdir()) == []
