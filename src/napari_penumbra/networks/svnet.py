"""SVNet, the segmentation network of ASDNet (Nie et al., MICCAI 2018): a V-Net without its deepest stage.

The paper says only that inner pool-conv-deconv layers of V-Net (Milletari et al., 3DV 2016) are removed. Its 16 voxels
along the thin axis allow three halvings, so four resolution levels are kept here. From V-Net: 1, 2, 3, 3 convolutions
per level, each level residual, skips by concatenation, strides instead of pooling. From what is built since: 3^3
kernels instead of 5^3, batch normalisation, and plain rectifiers instead of parametric ones, which take a sixth longer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_penumbra.networks._blocks import (
    Triple,
    along,
    conv,
    crop_to,
    initialise_xavier,
    norm,
    pad_to_multiple,
    plan_strides,
    total_stride,
    up_conv,
    valid_conv,
)

CONVOLUTIONS = (1, 2, 3, 3)
"""Convolutions per level on the way down; 3, 2, 1 on the way up."""


class SVNet(nn.Module):
    """(B, C, Z, Y, X) to logits (B, K, Z, Y, X); in 2D without Z.

    Any size is accepted; one that ``divisor`` does not divide is padded inside and cut again. Weights start by Xavier's
    rule, biases at zero (section 2.4 of the paper).

    Parameters
    ----------
    in_channels, classes
        Modalities and classes with background.
    spacing
        Voxel edges (z, y, x) in mm: with thick slices the first levels halve in the plane only.
    spatial_dims
        2 or 3.
    width
        Channels of the first level, doubled at each of the three below it; 16, 32, 64, 128 as published.

    Attributes
    ----------
    divisor
        (z, y, x): patch sizes that waste nothing are multiples of it; (8, 8, 8) for cubic voxels.
    margin
        (0, 0, 0): output and input have one size.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        width: int = 16,
    ) -> None:
        super().__init__()
        dims = spatial_dims
        strides, kernels = plan_strides(spacing, len(CONVOLUTIONS) - 1, dims)
        widths = [width * 2**n for n in range(len(CONVOLUTIONS))]
        self.spatial_dims = dims
        self.margin: Triple = (0, 0, 0)
        self.divisor: Triple = total_stride(strides)
        self.encoder = nn.ModuleList(
            ResidualStage(dims, in_channels if n == 0 else widths[n], widths[n], count, kernels[n])
            for n, count in enumerate(CONVOLUTIONS)
        )
        self.down = nn.ModuleList(
            _activated(dims, valid_conv(dims, widths[n], widths[n + 1], stride, stride), widths[n + 1])
            for n, stride in enumerate(strides)
        )
        self.up = nn.ModuleList(
            _activated(dims, up_conv(dims, widths[n + 1], widths[n], stride, bias=False), widths[n])
            for n, stride in enumerate(strides)
        )
        self.decoder = nn.ModuleList(
            ResidualStage(dims, 2 * widths[n], widths[n], CONVOLUTIONS[n], kernels[n]) for n in range(len(strides))
        )
        self.head = conv(dims, width, classes, (1, 1, 1))
        initialise_xavier(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's own size."""
        x = pad_to_multiple(image, along(self.divisor, self.spatial_dims))
        skips = []
        for stage, down in zip(self.encoder, self.down, strict=False):
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self.encoder[-1](x)
        for up, stage in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = stage(torch.cat([up(x), skips.pop()], dim=1))
        return crop_to(self.head(x), image.shape[2:])


class ResidualStage(nn.Module):
    """One level of a V-Net: convolutions, to whose last result the stage's input is added before the rectifier.

    Where the number of channels changes the input is added through a 1^n convolution.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, count: int, kernel: Triple) -> None:
        super().__init__()
        before = [
            _activated(dims, conv(dims, inputs if n == 0 else outputs, outputs, kernel, bias=False), outputs)
            for n in range(count - 1)
        ]
        last = conv(dims, inputs if count == 1 else outputs, outputs, kernel, bias=False)
        self.convolutions = nn.Sequential(*before, last, norm(dims, outputs))
        self.shortcut = nn.Identity() if inputs == outputs else conv(dims, inputs, outputs, (1, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) to (B, outputs, ...) of the same size."""
        return torch.relu(self.convolutions(x) + self.shortcut(x))


def _activated(dims: int, layer: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(layer, norm(dims, channels), nn.ReLU(inplace=True))
