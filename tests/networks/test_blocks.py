import pytest
import torch

from napari_penumbra.networks._blocks import crop_to, pad_to_multiple, plan_strides, total_stride


@pytest.mark.parametrize(
    ("spacing", "strides"),
    [
        ((1, 1, 1), [(2, 2, 2)] * 3),
        ((6.5, 0.96, 0.96), [(1, 2, 2), (1, 2, 2), (2, 2, 2)]),
        ((2, 1, 1), [(1, 2, 2), (2, 2, 2), (2, 2, 2)]),
        ((1.9, 1, 1), [(2, 2, 2)] * 3),
        ((1, 5, 1), [(2, 1, 2), (2, 1, 2), (2, 2, 2)]),
    ],
)
def test_thick_axes_wait_until_the_others_are_as_coarse(spacing, strides):
    assert plan_strides(spacing, 3)[0] == strides


def test_kernels_are_flat_where_slices_are_thick():
    assert plan_strides((6.5, 0.96, 0.96), 3)[1] == [(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)]


def test_2d_ignores_the_slice_axis():
    strides, kernels = plan_strides((0.1, 1, 1), 2, dims=2)
    assert strides == [(1, 2, 2)] * 2
    assert kernels == [(1, 3, 3)] * 3


def test_total_stride():
    assert total_stride([(1, 2, 2), (2, 2, 2)]) == (2, 4, 4)


def test_padding_repeats_the_last_voxel():
    image = torch.arange(5.0).reshape(1, 1, 1, 1, 5)
    padded = pad_to_multiple(image, (2, 1, 4))
    assert padded.shape == (1, 1, 2, 1, 8)
    assert padded[0, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert pad_to_multiple(padded, (2, 1, 4)) is padded


def test_crop_keeps_leading_axes():
    volume = torch.arange(24).reshape(2, 3, 4)
    assert torch.equal(crop_to(volume, (2, 2), (1, 2)), volume[:, 1:3, 2:4])
    assert torch.equal(crop_to(volume, (2, 2)), volume[:, :2, :2])
