"""The V-Net of the left-atrium papers (Yu et al., UA-MT, MICCAI 2019), not Milletari's original.

3^3 convolutions with batch normalisation instead of residual 5^3 ones, and additive skips: 9,448,866 parameters with
one modality, two classes and 16 filters.
"""

from __future__ import annotations

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

CONVOLUTIONS = (1, 2, 3, 3, 3)
"""Convolutions per encoder stage; the decoder has 3, 3, 2, 1 on its way up."""


class VNet(nn.Module):
    """(B, C, Z, Y, X) to logits (B, K, Z, Y, X); in 2D without Z.

    Stages of 1, 2, 3, 3, 3 convolutions with 16, 32, 64, 128, 256 filters; down by 2^3 convolutions of stride 2, up by
    2^3 transposed ones; the skip is added. Dropout after the deepest and after the last stage. 80.2 GFLOP for
    a forward pass of 112x112x80 voxels.

    Parameters
    ----------
    in_channels, classes, spacing, spatial_dims
        As for every network; axes with thick slices are not down-sampled until the others are as coarse.
    filters
        Channels of the first stage.
    dropout
        Chance that a channel is dropped, in training.

    Attributes
    ----------
    divisor
        (z, y, x): patch sizes that waste nothing are multiples of it; (16, 16, 16) for cubic voxels.
    margin
        (0, 0, 0): output and input have one size.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        filters: int = 16,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        dims = spatial_dims
        strides, kernels = plan_strides(spacing, len(CONVOLUTIONS) - 1, dims)
        widths = [filters * 2**n for n in range(len(CONVOLUTIONS))]
        self.spatial_dims = dims
        self.margin: Triple = (0, 0, 0)
        self.divisor: Triple = total_stride(strides)
        self.encoder = nn.ModuleList(
            _stage(dims, in_channels if n == 0 else widths[n], widths[n], count, kernels[n])
            for n, count in enumerate(CONVOLUTIONS)
        )
        self.down = nn.ModuleList(
            _normed(dims, valid_conv(dims, widths[n], widths[n + 1], stride, stride, bias=True), widths[n + 1])
            for n, stride in enumerate(strides)
        )
        self.up = nn.ModuleList(
            _normed(dims, up_conv(dims, widths[n + 1], widths[n], stride), widths[n])
            for n, stride in enumerate(strides)
        )
        self.decoder = nn.ModuleList(
            _stage(dims, widths[n], widths[n], CONVOLUTIONS[n], kernels[n]) for n in range(len(strides))
        )
        drop = nn.Dropout3d if dims == 3 else nn.Dropout2d
        self.dropout = drop(dropout)
        self.head = conv(dims, filters, classes, (1, 1, 1))
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's own size."""
        x = pad_to_multiple(image, along(self.divisor, self.spatial_dims))
        skips = []
        for stage, down in zip(self.encoder, self.down, strict=False):
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self.dropout(self.encoder[-1](x))
        for up, stage in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = stage(up(x) + skips.pop())
        return crop_to(self.head(self.dropout(x)), image.shape[2:])


def _stage(dims: int, inputs: int, outputs: int, count: int, kernel: Triple) -> nn.Module:
    layers = [_normed(dims, conv(dims, inputs if n == 0 else outputs, outputs, kernel), outputs) for n in range(count)]
    return nn.Sequential(*layers)


def _normed(dims: int, layer: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(layer, norm(dims, channels), nn.ReLU(inplace=True))
