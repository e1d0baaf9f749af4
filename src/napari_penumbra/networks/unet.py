"""A small residual U-Net that learns in minutes on a laptop's CPU.

Çiçek et al., "3D U-Net", MICCAI 2016, with residual units (He et al. 2016). It goes to half resolution at once, where
most of its work is done, and returns to full resolution with few channels that see the image again: a quarter of the
time of a U-Net that works at full resolution, and thin structures are kept all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_penumbra.networks._blocks import (
    Triple,
    along,
    conv,
    crop_to,
    initialise,
    norm,
    pad_to_multiple,
    plan_strides,
    total_stride,
    up_conv,
    valid_conv,
)


class UNet(nn.Module):
    """Residual U-Net: (B, C, Z, Y, X) to logits (B, K, Z, Y, X); in 2D without Z.

    Any size is accepted; one that ``divisor`` does not divide is padded inside and cut again.

    Parameters
    ----------
    in_channels, classes
        Modalities and classes with background.
    spacing
        Voxel edges (z, y, x) in mm: thick slices are not down-sampled until the other axes are as coarse.
    spatial_dims
        2 or 3.
    widths
        Channels per level, from half resolution to the deepest.

    Attributes
    ----------
    divisor
        (z, y, x): patch sizes that waste nothing are multiples of it.
    margin
        (0, 0, 0): output and input have one size.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        widths: Sequence[int] = (16, 32, 64, 128),
    ) -> None:
        super().__init__()
        dims = spatial_dims
        strides, kernels = plan_strides(spacing, len(widths) - 1, dims)
        self.spatial_dims = dims
        self.margin: Triple = (0, 0, 0)
        self.divisor: Triple = total_stride(strides)
        inputs = [in_channels, *widths[:-2]]
        self.down = nn.ModuleList(
            ResidualUnit(dims, a, b, k, s) for a, b, k, s in zip(inputs, widths[:-1], kernels[1:], strides, strict=True)
        )
        self.bottom = ResidualUnit(dims, widths[-2], widths[-1], kernels[-1])
        # A level's own features are joined with what comes from below, brought up one level and refined there.
        below = widths[-1]
        self.up = nn.ModuleList()
        for level in range(len(widths) - 2, 0, -1):
            outputs = widths[level - 1]
            self.up.append(UpUnit(dims, widths[level] + below, outputs, kernels[level], strides[level]))
            below = outputs
        head = max(widths[0] // 2, 4)
        self.to_full = nn.Sequential(
            up_conv(dims, widths[0] + below, head, strides[0], bias=False), norm(dims, head), nn.ReLU(inplace=True)
        )
        self.head = conv(dims, head + in_channels, classes, kernels[0])
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's own size."""
        full = pad_to_multiple(image, along(self.divisor, self.spatial_dims))
        skips = []
        x = full
        for unit in self.down:
            x = unit(x)
            skips.append(x)
        x = self.bottom(x)
        for unit in self.up:
            x = unit(torch.cat([skips.pop(), x], dim=1))
        x = self.to_full(torch.cat([skips.pop(), x], dim=1))
        return crop_to(self.head(torch.cat([x, full], dim=1)), image.shape[2:])


class ResidualUnit(nn.Module):
    """Two convolutions, each batch-normalised, around a shortcut; the first may down-sample."""

    def __init__(self, dims: int, inputs: int, outputs: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.first = nn.Sequential(
            conv(dims, inputs, outputs, kernel, stride, bias=False), norm(dims, outputs), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(conv(dims, outputs, outputs, kernel, bias=False), norm(dims, outputs))
        same = inputs == outputs and stride == (1, 1, 1)
        self.shortcut = nn.Identity() if same else valid_conv(dims, inputs, outputs, stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) to (B, outputs, ... / stride)."""
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


class UpUnit(nn.Module):
    """Up-sampling by a transposed convolution, then a residual unit."""

    def __init__(self, dims: int, inputs: int, outputs: int, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.up = nn.Sequential(
            up_conv(dims, inputs, outputs, stride, bias=False), norm(dims, outputs), nn.ReLU(inplace=True)
        )
        self.refine = ResidualUnit(dims, outputs, outputs, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) to (B, outputs, ... * stride)."""
        refined: Tensor = self.refine(self.up(x))
        return refined
