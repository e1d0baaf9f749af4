"""What the networks share: convolutions by dimension, strides by spacing, crops and pads.

A triple is always (z, y, x), in 2D as well (its z entry is then unused), so that nothing outside this folder has to
know how many dimensions a network has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

Triple = tuple[int, int, int]

_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def along(triple: Triple, dims: int) -> tuple[int, ...]:
    """Entries of a (z, y, x) triple that a network of 2 or 3 dimensions uses."""
    return triple[3 - dims :]


def conv(
    dims: int, inputs: int, outputs: int, kernel: Triple, stride: Triple = (1, 1, 1), bias: bool = True
) -> nn.Module:
    """Convolution that keeps the size (at stride 1): zero padding of half the kernel."""
    size = along(kernel, dims)
    layer = _CONV[dims]
    return layer(inputs, outputs, size, along(stride, dims), tuple(k // 2 for k in size), bias=bias)  # type: ignore[arg-type]


def valid_conv(
    dims: int, inputs: int, outputs: int, kernel: Triple, stride: Triple = (1, 1, 1), bias: bool = False
) -> nn.Module:
    """Convolution without padding; without bias too, as a batch normalisation follows it."""
    layer = _CONV[dims]
    return layer(inputs, outputs, along(kernel, dims), along(stride, dims), bias=bias)  # type: ignore[arg-type]


def up_conv(dims: int, inputs: int, outputs: int, stride: Triple, bias: bool = True) -> nn.Module:
    """Transposed convolution whose kernel equals its stride: every output voxel comes from one input voxel."""
    return _UP[dims](inputs, outputs, along(stride, dims), along(stride, dims), bias=bias)  # type: ignore[arg-type]


def norm(dims: int, channels: int) -> nn.Module:
    """Batch normalisation. Not instance normalisation: with channels-last memory that is 2.2 times slower on a CPU."""
    return _NORM[dims](channels)


def plan_strides(spacing: tuple[float, float, float], levels: int, dims: int = 3) -> tuple[list[Triple], list[Triple]]:
    """Strides and kernels of each level for anisotropic voxels.

    An axis is halved at a level only if its spacing there is less than twice the finest one; until then a kernel is
    also one voxel thick along it. Thick slices so keep their number until the other axes have caught up.

    Parameters
    ----------
    spacing
        Voxel edges (z, y, x) in mm at full resolution.
    levels
        How many down-samplings.
    dims
        2 or 3; in 2D the z entries are 1.

    Returns
    -------
    strides, kernels
        One triple per level for the strides; ``levels + 1`` for the kernels, from full resolution to the deepest.
    """
    edges = list(spacing)
    axes = range(3 - dims, 3)
    strides: list[Triple] = []
    kernels: list[Triple] = []
    for level in range(levels + 1):
        finest = min(edges[a] for a in axes)
        fine = [a in axes and edges[a] < 2 * finest * (1 - 1e-6) for a in range(3)]
        kernels.append(_triple(3 if f else 1 for f in fine))
        if level < levels:
            strides.append(_triple(2 if f else 1 for f in fine))
            edges = [e * s for e, s in zip(edges, strides[-1], strict=True)]
    return strides, kernels


def total_stride(strides: Sequence[Triple]) -> Triple:
    """Product of the strides per axis: what a patch must be divisible by."""
    product = [1, 1, 1]
    for stride in strides:
        product = [p * s for p, s in zip(product, stride, strict=True)]
    return _triple(product)


def pad_to_multiple(image: Tensor, divisor: tuple[int, ...]) -> Tensor:
    """Repeat the last voxels so that each spatial size is divisible.

    Parameters
    ----------
    image
        (B, C, ...) with as many spatial axes as ``divisor`` has entries.
    divisor
        One whole number per spatial axis.
    """
    pads = [-size % d for size, d in zip(image.shape[2:], divisor, strict=True)]
    if not any(pads):
        return image
    return F.pad(image, [n for pad in reversed(pads) for n in (0, pad)], mode="replicate")


def crop_to(image: Tensor, sizes: Sequence[int], start: Sequence[int] | int = 0) -> Tensor:
    """Cut ``sizes`` voxels from ``start`` on along the last axes; leading axes stay whole."""
    starts = [start] * len(sizes) if isinstance(start, int) else start
    for axis, (a, size) in enumerate(zip(starts, sizes, strict=True), start=image.ndim - len(starts)):
        image = image.narrow(axis, a, size)
    return image


def initialise(network: nn.Module) -> None:
    """He's initialisation for every convolution (rectifiers follow them), zero biases."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_xavier(network: nn.Module) -> None:
    """Xavier's initialisation for every convolution, zero biases."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _triple(values: Iterable[int]) -> Triple:
    z, y, x = values
    return z, y, x
