"""A U-Net whose encoder is a ResNet34: Res-UNet, the network of the self-correction paper (Zhang et al., MICCAI 2021).

The encoder is MONAI's ResNet, set up so that it is He et al.'s (CVPR 2016) under torchvision's parameter names:
21,284,672 parameters in 2D with three channels and width 64. A smaller width or depth is the same for small computers.
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
)

DEPTHS: dict[int, tuple[int, int, int, int]] = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Residual blocks per stage of the ResNets that are made of basic blocks, by their usual number."""
LEVELS = 5
"""Down-samplings of the encoder, hence of scales in the decoder."""
_NARROWEST = 8
"""Least channels between two convolutions, however small the width: fewer would let hardly anything through."""

_POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_DROP = {2: nn.Dropout2d, 3: nn.Dropout3d}
_LINEAR = {2: "bilinear", 3: "trilinear"}


class ResNetEncoder(nn.Module):
    """(B, C, Z, Y, X) to five feature maps, e1 to e5, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size.

    Their channels are width, width, 2, 4 and 8 times width. Along an axis with thick slices the strides are 1 until the
    other axes are as coarse.

    Parameters
    ----------
    in_channels, spacing, spatial_dims
        As for every network.
    width
        Channels of the first stage; 64 is the published ResNet.
    depth
        Which ResNet: 34, 18 or 10.

    Attributes
    ----------
    strides
        (z, y, x) of each level.
    channels
        Of e1 to e5.
    """

    def __init__(
        self,
        in_channels: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        width: int = 64,
        depth: int = 34,
    ) -> None:
        super().__init__()
        # Imported here: MONAI takes seconds to import, and most trainings do without it.
        from monai.networks.nets.resnet import ResNet

        self.spatial_dims = spatial_dims
        self.channels = (width, width, 2 * width, 4 * width, 8 * width)
        self.strides: list[Triple] = plan_strides(spacing, LEVELS, spatial_dims)[0]
        net = ResNet(
            block="basic",
            layers=list(DEPTHS[depth]),
            block_inplanes=list(self.channels[1:]),
            spatial_dims=spatial_dims,
            n_input_channels=in_channels,
            conv1_t_size=7,
            conv1_t_stride=along(self.strides[0], spatial_dims),
            shortcut_type="B",
            bias_downsample=False,
            feed_forward=False,
        )
        # Only these: the pooling at its end would make inference believe that answers depend on the size of the input.
        self.conv1, self.bn1 = net.conv1, net.bn1
        stride = along(self.strides[1], spatial_dims)
        kernel = tuple(3 if s > 1 else 1 for s in stride)
        self.maxpool = _POOL[spatial_dims](kernel, stride, tuple(k // 2 for k in kernel))
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        for layer, level in zip((self.layer2, self.layer3, self.layer4), self.strides[2:], strict=True):
            for module in (layer[0].conv1, layer[0].downsample[0]):
                module.stride = along(level, spatial_dims)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps, the largest first. Sizes must be multiples of the product of the strides."""
        features = [torch.relu(self.bn1(self.conv1(image)))]
        x = self.maxpool(features[0])
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Five blocks that climb from e5 to the size of the image.

    A block is two 3^3 convolutions, each batch-normalised and rectified (to a quarter of the channels that come in,
    then to those that go out), and an up-sampling: linear interpolation for segmentation, a transposed convolution
    with normalisation for inpainting. The next encoder feature joins by concatenation.

    Parameters
    ----------
    encoder
        Whose features it takes.
    transposed
        Up-sample by transposed convolutions.
    """

    def __init__(self, encoder: ResNetEncoder, transposed: bool = False) -> None:
        super().__init__()
        dims, channels = encoder.spatial_dims, encoder.channels
        self.blocks = nn.ModuleList()
        below = 0
        for level in reversed(range(LEVELS)):
            inputs, outputs = channels[level] + below, channels[level]
            self.blocks.append(DecoderBlock(dims, inputs, outputs, encoder.strides[level], transposed))
            below = outputs

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Encoder features e1 to e5 (the largest first) to decoder features d1 to d5 at 1, 1/2, 1/4, 1/8, 1/16."""
        climbed: list[Tensor] = []
        for block, feature in zip(self.blocks, reversed(features), strict=True):
            climbed.append(block(torch.cat([feature, climbed[-1]], dim=1) if climbed else feature))
        return climbed[::-1]


class DecoderBlock(nn.Module):
    """Two convolutions and an up-sampling."""

    def __init__(self, dims: int, inputs: int, outputs: int, stride: Triple, transposed: bool) -> None:
        super().__init__()
        narrow = max(inputs // 4, _NARROWEST)
        self.convs = nn.Sequential(conv_norm_relu(dims, inputs, narrow), conv_norm_relu(dims, narrow, outputs))
        self.stride = along(stride, dims)
        self.mode = _LINEAR[dims]
        self.up: nn.Module | None = None
        if transposed:
            kernel, padding = (3,) * dims, (1,) * dims
            extra = tuple(s - 1 for s in self.stride)
            layer = _UP[dims](outputs, outputs, kernel, self.stride, padding, extra, bias=False)  # type: ignore[arg-type]
            self.up = nn.Sequential(layer, norm(dims, outputs), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) to (B, outputs, ... * stride)."""
        x = self.convs(x)
        if self.up is not None:
            larger: Tensor = self.up(x)
            return larger
        size = [n * s for n, s in zip(x.shape[2:], self.stride, strict=True)]
        return F.interpolate(x, size=size, mode=self.mode, align_corners=False)


class Head(nn.Sequential):
    """From features to maps: a narrowing convolution, dropout of whole channels, a 1^3 convolution."""

    def __init__(self, dims: int, inputs: int, narrow: int, outputs: int, dropout: float) -> None:
        narrow = max(narrow, _NARROWEST)
        super().__init__(
            conv_norm_relu(dims, inputs, narrow), _DROP[dims](dropout), conv(dims, narrow, outputs, (1, 1, 1))
        )


def conv_norm_relu(dims: int, inputs: int, outputs: int) -> nn.Sequential:
    """3^3 convolution that keeps the size, batch normalisation, rectifier."""
    return nn.Sequential(conv(dims, inputs, outputs, (3, 3, 3), bias=False), norm(dims, outputs), nn.ReLU(inplace=True))


def pad_for(encoder: ResNetEncoder, image: Tensor) -> Tensor:
    """Repeat the last voxels until every size is a multiple of the encoder's stride.

    A single patch that would shrink to a single voxel is doubled along its last axis: batch normalisation cannot train
    on one value.
    """
    divisor = list(along(total_stride(encoder.strides), encoder.spatial_dims))
    image = pad_to_multiple(image, tuple(divisor))
    if encoder.training and len(image) == 1 and list(image.shape[2:]) == divisor:
        divisor[-1] *= 2
        image = pad_to_multiple(image, tuple(divisor))
    return image


class ResUNet(nn.Module):
    """(B, C, Z, Y, X) to logits (B, K, Z, Y, X); in 2D without Z.

    Any size is accepted; one that ``divisor`` does not divide is padded inside and cut again.

    Parameters
    ----------
    in_channels, classes, spacing, spatial_dims
        As for every network.
    width
        Channels of the first stage; 64 is ResNet34.
    depth
        34, 18 or 10.
    dropout
        Chance that a channel before the last convolution is dropped, in training.

    Attributes
    ----------
    divisor
        (z, y, x): patch sizes that waste nothing are multiples of it; 32 along each axis for cubic voxels.
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
        depth: int = 34,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(in_channels, spacing, spatial_dims, width, depth)
        self.decoder = Decoder(self.encoder)
        self.head = Head(spatial_dims, width, width // 2, classes, dropout)
        initialise(self.decoder)
        initialise(self.head)
        self.margin: Triple = (0, 0, 0)
        self.divisor: Triple = total_stride(self.encoder.strides)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's own size."""
        features = self.encoder(pad_for(self.encoder, image))
        return crop_to(self.head(self.decoder(features)[0]), image.shape[2:])
