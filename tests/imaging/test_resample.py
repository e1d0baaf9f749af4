"""Resampling keeps places and label values."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import LPS_TO_RAS, turned

from napari_penumbra.domain.case import Volume
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.resample import displacement_mm, resample


def box(shape: tuple[int, int, int], edge: tuple[float, float, float], corner: tuple[float, float, float]) -> Grid:
    """A right-angled grid in LPS order whose outer corner lies at ``corner`` (LPS mm)."""
    affine = np.diag([*edge, 1.0])
    affine[:3, 3] = np.array(corner) + np.array(edge) / 2
    return Grid.of(shape, LPS_TO_RAS @ affine)


def sitk_image(volume: Volume) -> sitk.Image:
    lps = LPS_TO_RAS @ volume.grid.matrix
    image = sitk.GetImageFromArray(volume.data)
    image.SetSpacing(volume.grid.spacing)
    image.SetDirection((lps[:3, :3] / np.asarray(volume.grid.spacing)).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("order", ["linear", "nearest"])
def test_same_result_as_itk_on_an_oblique_grid(order: str) -> None:
    data = np.random.default_rng(0).random((12, 14, 16), dtype=np.float32)
    source = Volume(data, box((16, 14, 12), (2, 2, 3), (0, 0, 0)))
    onto = turned(box((20, 18, 10), (1.7, 1.9, 3.3), (1, -2, 4)), 12)
    mine = resample(source, onto, order, fill=-1)  # type: ignore[arg-type]
    reference = Volume(np.zeros(onto.array_shape, np.float32), onto)
    how = sitk.sitkLinear if order == "linear" else sitk.sitkNearestNeighbor
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(sitk_image(source), sitk_image(reference), sitk.Transform(), how, -1.0)
    )
    differs = ~np.isclose(mine.data, theirs, atol=1e-4)
    assert mine.grid == onto
    assert differs.mean() < 0.005  # ties of nearest and the last bit of the border
    assert (mine.data == -1).any()


def test_skewed_source_lands_on_the_right_millimetres() -> None:
    matrix = np.diag([2.0, 2.0, 3.0, 1.0])
    matrix[1, 2] = 0.9
    skewed = Grid.of((20, 22, 14), matrix)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in skewed.shape], indexing="ij"), -1)
    y_mm = (index @ matrix[:3, :3].T)[..., 1]
    straight = Grid.of((8, 8, 6), np.array([[2, 0, 0, 8], [0, 2, 0, 18], [0, 0, 3, 9], [0, 0, 0, 1.0]]))
    out = resample(Volume(np.ascontiguousarray(y_mm.transpose(2, 1, 0)), skewed), straight, "linear")
    np.testing.assert_allclose(out.data[2, :, 3], 18 + 2 * np.arange(8), atol=1e-3)


def test_labels_keep_their_values_and_type_and_the_border_survives() -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), (5, 6, 7))
    source = Volume(labels, box((7, 6, 5), (2, 2, 2), (0, 0, 0)))
    fine = resample(source, box((14, 12, 10), (1, 1, 1), (0, 0, 0)), "nearest")
    assert fine.data.dtype == np.uint8
    np.testing.assert_array_equal(fine.data, labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    back = resample(fine, source.grid, "nearest")
    np.testing.assert_array_equal(back.data, labels)
    flipped = source.grid.reorientation("RAS").target
    np.testing.assert_array_equal(resample(source, flipped, "nearest").data, labels[:, ::-1, ::-1])


def test_same_grid_is_a_copy_and_elsewhere_is_fill() -> None:
    source = Volume(np.ones((2, 2, 2), np.float32), box((2, 2, 2), (1, 1, 1), (0, 0, 0)))
    same = resample(source, source.grid, "linear")
    assert same.data is not source.data
    far = resample(source, box((2, 2, 2), (1, 1, 1), (50, 0, 0)), "linear", fill=-7)
    assert (far.data == -7).all()
    with pytest.raises(ValueError, match="linear or nearest"):
        resample(source, source.grid, "cubic")  # type: ignore[arg-type]


def test_one_slice_can_be_resampled_both_ways() -> None:
    flat = Volume(np.ones((1, 4, 4), np.float32), box((4, 4, 1), (1, 1, 5), (0, 0, 0)))
    thick = resample(flat, box((4, 4, 5), (1, 1, 1), (0, 0, 0)), "linear")
    assert (thick.data == 1).all()
    assert (resample(thick, flat.grid, "linear").data == 1).all()


def test_displacement_in_words_a_reader_understands() -> None:
    a = box((10, 10, 10), (2, 2, 3), (0, 0, 0))
    assert displacement_mm(a, a) == 0
    assert displacement_mm(a, box((20, 20, 30), (1, 1, 1), (0, 0, 0))) == pytest.approx(0)
    assert displacement_mm(a, a.reorientation("PIR").target) == pytest.approx(0)
    assert displacement_mm(a, box((10, 10, 10), (2, 2, 3), (1, 0, 0))) == pytest.approx(1)
    assert displacement_mm(a, box((10, 10, 11), (2, 2, 3), (0, 0, 0))) == pytest.approx(3)
