"""Class probabilities of volumes of any size from inside a method, in pieces that fit into memory.

`napari_penumbra.inference` does this for the network that predicts; a confidence that asks further networks needs it
below that layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from napari_penumbra.methods._functional import evaluating
from napari_penumbra.networks import context, divisor

_UNIT = 6
"""A pathway that sees means of 2 or 3 voxels then sees the same blocks in each piece."""


def dense_softmax(network: nn.Module, image: Tensor, patch: Sequence[int]) -> Tensor:
    """Softmax of a network's logits at every voxel of an image.

    Pieces of twice a training patch along each axis are answered one by one, each seen with a quarter of a patch
    around it that is cut off again; an image no larger than that is answered at once. A network with valid
    convolutions gets the context it needs, zeros beyond the image.

    Parameters
    ----------
    network
        (B, C, Z, Y, X) to logits (B, K, Z, Y, X), smaller by its ``margin`` if it has one.
    image
        (B, C, Z, Y, X), or (B, C, Y, X) for a network in 2D.
    patch
        Size (z, y, x) of a training patch.

    Returns
    -------
    Tensor
        (B, K, Z, Y, X) float32.
    """
    dims = image.ndim - 2
    margin, multiple = context(network)[-dims:], divisor(network)[-dims:]
    inner = [max(p - 2 * m, 1) for p, m in zip(patch[-dims:], margin, strict=True)]
    # Multiples of what the network divides by: every piece is then down-sampled on the same grid as the whole is.
    units = [math.lcm(m, _UNIT) if any(margin) else m for m in multiple]
    core = [2 * -(-p // u) * u for p, u in zip(inner, units, strict=True)]
    halo = [0 if any(margin) else -(-c // (8 * u)) * u for c, u in zip(core, units, strict=True)]
    pads = [n for m in reversed(margin) for n in (m, m)]
    padded = F.pad(image, pads) if any(margin) else image
    result: Tensor | None = None
    with evaluating(network):
        for target in _pieces(image.shape[2:], core):
            seen, kept = _surrounded(target, halo, margin, image.shape[2:])
            logits: Tensor = network(padded[(slice(None), slice(None), *seen)])
            probability = logits.float().softmax(1)[(slice(None), slice(None), *kept)]
            if result is None:
                result = probability.new_empty((len(image), probability.shape[1], *image.shape[2:]))
            result[(slice(None), slice(None), *target)] = probability
    assert result is not None
    return result


def _pieces(shape: Sequence[int], core: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    axes = [
        [slice(start, min(start + edge, size)) for start in range(0, size, edge)]
        for size, edge in zip(shape, core, strict=True)
    ]
    return itertools.product(*axes)


def _surrounded(
    target: Sequence[slice], halo: Sequence[int], margin: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What the network is shown for a piece, in the padded image, and which part of its answer is the piece."""
    seen, kept = [], []
    for part, around, m, size in zip(target, halo, margin, shape, strict=True):
        start, stop = max(0, part.start - around), min(size, part.stop + around)
        seen.append(slice(start, stop + 2 * m))
        kept.append(slice(part.start - start, part.stop - start))
    return tuple(seen), tuple(kept)
