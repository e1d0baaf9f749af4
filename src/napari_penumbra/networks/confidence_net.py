"""The confidence network of ASDNet (Nie et al., MICCAI 2018): where a label map looks like a reader's.

A fully convolutional discriminator: one logit per voxel instead of one per patch. It sees label maps only, never the
image (Eq. 3 of the paper). The paper gives no layers; these are three strided convolutions of 4^n, three transposed
ones back to full resolution, and skips that are added, so that every stage has a part in every logit. A logit sees
at most 22 voxels to each side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

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
)

LEVELS = 3
_SLOPE = 0.2
_HALO = 3
"""Context around a tile in multiples of the total stride: 24 voxels at a stride of 8, where a logit reaches 22 far."""
_TILE = 96
"""Edge in voxels of a tile of `confidence_map`; with context 144, about 1.5 GB of activations at width 32."""

_Slices = tuple[slice, ...]
_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class ConfidenceNet(nn.Module):
    """Class probabilities (B, K, Z, Y, X) to one logit per voxel (B, 1, Z, Y, X); in 2D without Z.

    The logit's sigmoid is the chance, as the network sees it, that the label map is a reader's there. Any size is
    accepted; one that ``divisor`` does not divide is padded inside and cut again. Weights start by Xavier's rule,
    biases at zero.

    Parameters
    ----------
    classes
        Classes with background (K).
    spacing
        Voxel edges (z, y, x) in mm: with thick slices the first levels halve in the plane only.
    spatial_dims
        2 or 3.
    width
        Channels at full resolution, doubled at each of the three halvings.

    Attributes
    ----------
    divisor
        (z, y, x): sizes that waste nothing are multiples of it.
    """

    def __init__(
        self,
        classes: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        width: int = 32,
    ) -> None:
        super().__init__()
        dims = spatial_dims
        strides, kernels = plan_strides(spacing, LEVELS, dims)
        widths = [width * 2**n for n in range(LEVELS + 1)]
        self.spatial_dims = dims
        self.divisor: Triple = total_stride(strides)
        self.first = nn.Sequential(conv(dims, classes, width, kernels[0]), nn.LeakyReLU(_SLOPE, inplace=True))
        self.down = nn.ModuleList(
            nn.Sequential(_halve(dims, widths[n], widths[n + 1], s), nn.LeakyReLU(_SLOPE, inplace=True))
            for n, s in enumerate(strides)
        )
        self.up = nn.ModuleList(
            nn.Sequential(_double(dims, widths[n + 1], widths[n], s), norm(dims, widths[n]), nn.ReLU(inplace=True))
            for n, s in enumerate(strides)
        )
        self.head = conv(dims, width, 1, (1, 1, 1))
        initialise_xavier(self)

    def forward(self, probability: Tensor) -> Tensor:
        """Logits of the label map's own size."""
        x = self.first(pad_to_multiple(probability, along(self.divisor, self.spatial_dims)))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up in reversed(self.up):
            x = up(x) + skips.pop()
        return crop_to(self.head(x), probability.shape[2:])


@torch.no_grad()
def confidence_map(network: ConfidenceNet, probability: Tensor, tile: int = _TILE) -> Tensor:
    """Sigmoid of a confidence network's logits over volumes of any size, one case and one tile at a time.

    Tiles have so much context that the result is that of the whole volume at once; memory stays bounded. The network
    should be in evaluation mode.

    Parameters
    ----------
    probability
        (B, K, Z, Y, X) in [0, 1], summing to 1 over K; in 2D without Z.
    tile
        Largest edge of a tile in voxels, without context; rounded up to the network's ``divisor``.

    Returns
    -------
    Tensor
        (B, Z, Y, X) in [0, 1], float32.
    """
    multiples = along(network.divisor, network.spatial_dims)
    padded = pad_to_multiple(probability, multiples)
    edges = [-(-tile // m) * m for m in multiples]
    halo = [_HALO * m for m in multiples]
    result = torch.empty((len(padded), *padded.shape[2:]), device=padded.device)
    for case in range(len(padded)):
        for tile_at, seen_at, inner in _tiles(padded.shape[2:], edges, halo):
            logits = network(padded[case : case + 1][(slice(None), slice(None), *seen_at)])
            result[case][tile_at] = logits[0, 0][inner].float().sigmoid()
    return crop_to(result, probability.shape[2:])


def _tiles(sizes: Sequence[int], edges: Sequence[int], halo: Sequence[int]) -> Iterator[tuple[_Slices, ...]]:
    """Where each tile lies, where it lies with context as far as there is any, and where in the latter the former."""
    for corner in itertools.product(*(range(0, size, edge) for size, edge in zip(sizes, edges, strict=True))):
        tile: _Slices = tuple(slice(a, min(a + e, size)) for a, e, size in zip(corner, edges, sizes, strict=True))
        seen: _Slices = tuple(
            slice(max(0, t.start - h), min(size, t.stop + h)) for t, h, size in zip(tile, halo, sizes, strict=True)
        )
        inner: _Slices = tuple(slice(t.start - s.start, t.stop - s.start) for t, s in zip(tile, seen, strict=True))
        yield tile, seen, inner


def _halve(dims: int, inputs: int, outputs: int, stride: Triple) -> nn.Module:
    """Convolution by 4 along axes of stride 2, by 1 along the others: the size is divided exactly."""
    kernel, padding = _kernel_and_padding(dims, stride)
    return _CONV[dims](inputs, outputs, kernel, along(stride, dims), padding)  # type: ignore[arg-type]


def _double(dims: int, inputs: int, outputs: int, stride: Triple) -> nn.Module:
    """Transposed convolution that undoes the size of `_halve`; without bias, as a batch normalisation follows it."""
    kernel, padding = _kernel_and_padding(dims, stride)
    return _UP[dims](inputs, outputs, kernel, along(stride, dims), padding, bias=False)  # type: ignore[arg-type]


def _kernel_and_padding(dims: int, stride: Triple) -> tuple[tuple[int, ...], tuple[int, ...]]:
    halved = [s == 2 for s in along(stride, dims)]
    return tuple(4 if h else 1 for h in halved), tuple(1 if h else 0 for h in halved)
