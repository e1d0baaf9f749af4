"""Networks of COL-Net (Liu et al., 2021): segmentation S, reconstruction R, transfer T, discriminator D.

S and R have encoders of one architecture and weights of their own. The paper gives the kinds of layers and how they
are joined; widths and strides are not printed. Chosen here: ``width`` channels at full resolution, doubled at each of
four halvings (32 to 512 for the published method); two residual blocks at every level, the first of which halves; a
block's inner width is half of its outer one.

The paper's block fuses by concatenation instead of addition, which would make every level wider than the one before; a
1x1 convolution brings it back to its width. The last 1x1 convolution inside the block has its own rectifier: without
one the two 1x1 convolutions would be a single linear map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
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
)

LEVELS = 4
"""Halvings between full resolution and the bottleneck."""
HIDDEN = 512
"""Neurons of the discriminator's first fully connected layer (section 2.2.2)."""
_ONE: Triple = (1, 1, 1)


class ColNet(nn.Module):
    """S: residual encoder, skips, up-sampling decoder; (B, C, Z, Y, X) to logits (B, K, Z, Y, X), in 2D without Z.

    Any size is accepted; one that ``divisor`` does not divide is padded inside and cut again.

    Parameters
    ----------
    in_channels, classes, spacing, spatial_dims
        As for every network; axes with thick slices are not down-sampled until the others are as coarse.
    width
        Channels of the stem, doubled at each of the four levels below it.
    dropout
        Chance that a value of the bottleneck is dropped, in training.

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
        width: int = 32,
        dropout: float = 0.01,
    ) -> None:
        super().__init__()
        strides, kernels = plan_strides(spacing, LEVELS, spatial_dims)
        widths = widths_of(width)
        self.spatial_dims = spatial_dims
        self.margin: Triple = (0, 0, 0)
        self.divisor: Triple = total_stride(strides)
        self.encoder = Encoder(in_channels, spacing, spatial_dims, width, dropout)
        self.up = nn.ModuleList()
        self.refine = nn.ModuleList()
        for level in reversed(range(LEVELS)):
            to = widths[level]
            up = up_conv(spatial_dims, widths[level + 1], to, strides[level], bias=False)
            self.up.append(nn.Sequential(up, norm(spatial_dims, to), nn.ReLU(inplace=True)))
            self.refine.append(ConcatBlock(spatial_dims, 2 * to, to, kernels[level]))
        self.head = conv(spatial_dims, width, classes, _ONE)
        initialise(self)

    def forward(self, image: Tensor, added: Tensor | None = None) -> Tensor:
        """Logits of the image's own size.

        Parameters
        ----------
        image
            (B, C, Z, Y, X).
        added
            (B, 16 width, z, y, x) at the bottleneck's resolution, what `Transfer` brings over from R; summed with S's
            own bottleneck (Eq. 4). None for S alone.
        """
        *skips, x = self.encoder(pad_to_multiple(image, along(self.divisor, self.spatial_dims)))
        if added is not None:
            x = x + added
        for up, refine in zip(self.up, self.refine, strict=True):
            x = refine(torch.cat([skips.pop(), up(x)], dim=1))
        return crop_to(self.head(x), image.shape[2:])


class Encoder(nn.Module):
    """Of S and of R: a stem, then two concatenation blocks at each of five levels."""

    def __init__(
        self,
        in_channels: int,
        spacing: tuple[float, float, float],
        spatial_dims: int,
        width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        strides, kernels = plan_strides(spacing, LEVELS, spatial_dims)
        widths = widths_of(width)
        self.stem = _normed(spatial_dims, in_channels, width, kernels[0])
        self.levels = nn.ModuleList()
        for level in range(LEVELS + 1):
            above = max(level - 1, 0)
            # A halving belongs to the level above it: there its kernel spans what the stride skips.
            stride = strides[above] if level else _ONE
            self.levels.append(
                nn.Sequential(
                    ConcatBlock(spatial_dims, widths[above], widths[level], kernels[above], stride),
                    ConcatBlock(spatial_dims, widths[level], widths[level], kernels[level]),
                )
            )
        self.dropout = nn.Dropout(dropout)
        initialise(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of every level, full resolution first, the bottleneck last.

        Parameters
        ----------
        image
            (B, C, Z, Y, X), divisible by the total stride.
        """
        x = self.stem(image)
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        features[-1] = self.dropout(x)
        return features


class ConcatBlock(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions whose input is concatenated, not added (section 2.2.3).

    With a stride, the 3x3 convolution takes it and the input is averaged, so that no voxel is skipped.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, kernel: Triple, stride: Triple = _ONE) -> None:
        super().__init__()
        inner = max(outputs // 2, 1)
        self.stride = along(stride, dims)
        self.inside = nn.Sequential(
            _normed(dims, inputs, inner, _ONE),
            _normed(dims, inner, inner, kernel, stride),
            _normed(dims, inner, outputs, _ONE),
        )
        self.fuse = _normed(dims, inputs + outputs, outputs, _ONE)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) to (B, outputs, ... / stride)."""
        beside = x
        if any(s > 1 for s in self.stride):
            pool = F.avg_pool3d if len(self.stride) == 3 else F.avg_pool2d
            beside = pool(x, self.stride)
        fused: Tensor = self.fuse(torch.cat([beside, self.inside(x)], dim=1))
        return fused


class Transfer(nn.Sequential):
    """T: 1x1 convolution of stride 1, batch normalisation, rectifier (section 2.2.4)."""

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__(*_normed(spatial_dims, channels, channels, _ONE))
        initialise(self)


class CoSegmenter(nn.Module):
    """S with what R's encoder knows: the network that COL-Net trains and predicts with.

    Image to R's encoder to T; image to S's encoder; their sum to S's decoder. R's decoder and D are not in it: nothing
    but the training needs them.

    Parameters
    ----------
    As of `ColNet`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        width: int = 32,
        dropout: float = 0.01,
    ) -> None:
        super().__init__()
        self.segmenter = ColNet(in_channels, classes, spacing, spatial_dims, width, dropout)
        self.encoder = Encoder(in_channels, spacing, spatial_dims, width, dropout)
        self.transfer = Transfer(spatial_dims, widths_of(width)[-1])
        self.margin = self.segmenter.margin
        self.divisor = self.segmenter.divisor

    def forward(self, image: Tensor, features: Tensor | None = None) -> Tensor:
        """Logits (B, K, Z, Y, X) of the image's own size.

        Parameters
        ----------
        image
            (B, C, Z, Y, X).
        features
            R's middle layer for it, if it is known already.
        """
        if features is None:
            features = self.features(image)
        logits: Tensor = self.segmenter(image, self.transfer(features))
        return logits

    def features(self, image: Tensor) -> Tensor:
        """R's middle layer, (B, 16 width, z, y, x)."""
        padded = pad_to_multiple(image, along(self.divisor, self.segmenter.spatial_dims))
        deepest: Tensor = self.encoder(padded)[-1]
        return deepest


class ReconstructionDecoder(nn.Module):
    """R's second half: four times up-sampling, convolution, batch normalisation, rectifier; convolution; tanh.

    It has no skips, which the paper describes for S alone: with them R would copy the image past its middle layer, and
    that layer is all that S gets from R.
    """

    def __init__(
        self,
        in_channels: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        width: int = 32,
    ) -> None:
        super().__init__()
        strides, kernels = plan_strides(spacing, LEVELS, spatial_dims)
        widths = widths_of(width)
        order = list(reversed(range(LEVELS)))
        self.scales = [along(strides[level], spatial_dims) for level in order]
        self.blocks = nn.ModuleList(
            _normed(spatial_dims, widths[level + 1], widths[level], kernels[level]) for level in order
        )
        self.head = conv(spatial_dims, width, in_channels, kernels[0])
        initialise(self)

    def forward(self, features: Tensor, sizes: Sequence[int]) -> Tensor:
        """Reconstruct an image in [-1, 1].

        Parameters
        ----------
        features
            (B, 16 width, z, y, x), from `CoSegmenter.features`.
        sizes
            Spatial size of the image.

        Returns
        -------
        Tensor
            (B, C, *sizes).
        """
        x = features
        for scale, block in zip(self.scales, self.blocks, strict=True):
            x = block(F.interpolate(x, scale_factor=[float(s) for s in scale], mode="nearest"))
        return crop_to(torch.tanh(self.head(x)), sizes)


class Discriminator(nn.Module):
    """D: tells images from reconstructions. Four 3x3 convolutions, 512 neurons, two classes (section 2.2.2, Fig. 3).

    The convolutions halve, and a mean over space follows, so that any size will do. No batch normalisation: a batch
    is all real or all reconstructed, and its statistics would give that away.
    """

    def __init__(
        self,
        in_channels: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        width: int = 32,
    ) -> None:
        super().__init__()
        strides, kernels = plan_strides(spacing, LEVELS, spatial_dims)
        widths = widths_of(width)[:LEVELS]
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(zip([in_channels, *widths[:-1]], widths, strict=True)):
            layers += [
                conv(spatial_dims, inputs, outputs, kernels[level], strides[level]),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.classify = nn.Sequential(nn.Linear(widths[-1], HIDDEN), nn.LeakyReLU(0.2, inplace=True))
        self.head = nn.Linear(HIDDEN, 2)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, Z, Y, X) in [-1, 1] to logits (B, 2): 0 reconstructed, 1 real."""
        pooled = self.convolutions(image).flatten(2).mean(dim=2)
        logits: Tensor = self.head(self.classify(pooled))
        return logits


def widths_of(width: int) -> list[int]:
    """Channels of every level, full resolution first."""
    return [width * 2**level for level in range(LEVELS + 1)]


def _normed(dims: int, inputs: int, outputs: int, kernel: Triple, stride: Triple = _ONE) -> nn.Sequential:
    return nn.Sequential(
        conv(dims, inputs, outputs, kernel, stride, bias=False), norm(dims, outputs), nn.ReLU(inplace=True)
    )
