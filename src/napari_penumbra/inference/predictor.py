"""Class probabilities of a volume of any size, seen as the network saw its patches in training.

1. A network with a ``margin`` (valid convolutions) is given large tiles whose outputs touch but do not overlap: exact.
2. Any other sees overlapping windows of the very size of its training patches, blended with Gaussian weights (MONAI's
   sliding window).

A padded network learns at what distance from an edge it stands, at its deepest level everywhere. The whole volume at
once has other edges: a third of the time, and worse. Measured on 8 unseen left atria, 4 labelled, mean Dice in windows
and whole: U-Net with patches of 32x64x64 .767 and .724, ASDNet's V-Net with 16x64x64 .724 and .599.
"""

from __future__ import annotations

import functools
import gc
import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_penumbra.inference.machine import Machine, is_out_of_memory
from napari_penumbra.inference.plan import Shape
from napari_penumbra.inference.slices import SLICES_AT_ONCE, SliceWise
from napari_penumbra.methods._functional import evaluating

_LARGEST_TILE = 48
"""Edge in voxels up to which the output of a valid-convolution network's tile grows; DeepMedic then holds 1 GB."""
_TILE_UNIT = 6
"""Tiles start at multiples of this: a pathway that is down-sampled by 2 or 3 then sees the same blocks in each tile."""


class Predictor:
    """Runs a network over volumes of any size.

    Parameters
    ----------
    network
        (B, C, Z, Y, X) to logits (B, K, Z, Y, X), smaller by ``margin`` on each side if it has that attribute. An
        attribute ``divisor`` (a number or one per axis) says of what its input, or with a margin its output, must
        be a multiple.
    patch
        Size (z, y, x) of a training patch: known to work, and the size of windows.
    overlap
        Share of a window that the next one covers again.
    spatial_dims
        2 for a network that sees slices, (B, C, Y, X); ``patch`` then has one voxel along z.
    """

    def __init__(
        self, network: nn.Module, patch: Shape, machine: Machine, overlap: float = 0.5, spatial_dims: int = 3
    ) -> None:
        self.slice_wise = spatial_dims == 2
        self.network = SliceWise(network) if self.slice_wise else network
        self.patch = patch
        self.machine = machine
        self.overlap = overlap
        self.margin = margin_of(network)
        self.divisor = divisor_of(network, patch)
        self._small = False

    def probabilities(self, image: Tensor) -> Tensor:
        """Predict one volume.

        Parameters
        ----------
        image
            (C, z, y, x) float32, prepared by the plan.

        Returns
        -------
        Tensor
            (K, z, y, x) float32 on the device, summing to 1 over K.
        """
        with evaluating(self.network), self.machine.autocast():
            try:
                return self._predict(image)
            except (RuntimeError, MemoryError) as error:
                if self._small or not is_out_of_memory(error):
                    raise
                # The traceback holds the frames and these hold the tensors: free them before trying again.
                error.__traceback__ = None
            self._small = True
            free_memory()
            return self._predict(image)

    def _predict(self, image: Tensor) -> Tensor:
        return self._tiles(image) if any(self.margin) else self._windows(image)

    # ------------------------------------------------------------- windows

    def _windows(self, image: Tensor) -> Tensor:
        result: Any = _sliding_window()(
            image[None].to(self.machine.device),
            roi_size=(SLICES_AT_ONCE, *self.patch[1:]) if self.slice_wise else self.patch,
            sw_batch_size=1 if self._small or self.machine.device.type == "cpu" else 4,
            predictor=self._window,
            # Slices do not know each other: one that is seen twice is the same twice.
            overlap=(0.0, self.overlap, self.overlap) if self.slice_wise else self.overlap,
            mode="gaussian",
        )
        probability: Tensor = result[0]
        return probability / probability.sum(dim=0, keepdim=True)

    def _window(self, batch: Tensor) -> Tensor:
        logits: Tensor = self.network(self.machine.tensor(batch)).float()
        return logits.softmax(dim=1)

    # ------------------------------------------------------------- tiles

    def _tiles(self, image: Tensor) -> Tensor:
        """Cut tiles that overlap by the margin, so that their outputs fill the volume without a seam."""
        shape = tuple(image.shape[1:])
        tile = self._tile_shape(shape)
        counts = [-(-n // t) for n, t in zip(shape, tile, strict=True)]
        pads = [(m, c * t - n + m) for n, t, c, m in zip(shape, tile, counts, self.margin, strict=True)]
        padded = functional.pad(image[None], (*pads[2], *pads[1], *pads[0]))
        result: Tensor | None = None
        for index in itertools.product(*map(range, counts)):
            start = [i * t for i, t in zip(index, tile, strict=True)]
            source = [slice(s, s + t + 2 * m) for s, t, m in zip(start, tile, self.margin, strict=True)]
            logits = self.network(self.machine.tensor(padded[:, :, source[0], source[1], source[2]])).float()
            if tuple(logits.shape[2:]) != tile:
                raise RuntimeError(f"the network answered {tuple(logits.shape[2:])} where {tile} was expected")
            if result is None:
                result = torch.empty((logits.shape[1], *shape), device=logits.device)
            target = [slice(s, min(s + t, n)) for s, t, n in zip(start, tile, shape, strict=True)]
            keep = [slice(0, t.stop - t.start) for t in target]
            result[:, target[0], target[1], target[2]] = logits[0].softmax(dim=0)[:, keep[0], keep[1], keep[2]]
        assert result is not None
        return result

    def _tile_shape(self, shape: Sequence[int]) -> Shape:
        """Output size of a tile: as large as pays, and of the multiple that the network asks for."""
        trained = [p - 2 * m for p, m in zip(self.patch, self.margin, strict=True)]
        if self._small or not hasattr(self.network, "divisor"):
            z, y, x = trained  # the one size that is known to work
        else:
            units = [math.lcm(d, _TILE_UNIT) for d in self.divisor]
            z, y, x = (min(-(-n // u), max(1, _LARGEST_TILE // u)) * u for n, u in zip(shape, units, strict=True))
        return z, y, x


def margin_of(network: nn.Module) -> Shape:
    """Voxels (z, y, x) by which a network's output is smaller than its input on each side."""
    return _three(getattr(network, "margin", 0))


def divisor_of(network: nn.Module, patch: Shape) -> Shape:
    """Of what a network's input must be a multiple.

    A network that does not say so worked on ``patch``; poolings halve, so the largest power of two in it (at most 32)
    is a multiple of whatever the network needs.
    """
    if hasattr(network, "divisor"):
        return _three(network.divisor)
    z, y, x = (min(32, n & -n) for n in patch)
    return z, y, x


def _three(value: Any) -> Shape:
    z, y, x = (int(v) for v in (value if isinstance(value, Sequence) else (value, value, value)))
    return z, y, x


@functools.cache
def _sliding_window() -> Any:
    """MONAI's sliding window: it takes seconds to import, which a training's first step need not wait for.

    The import draws random numbers; a resumed training must not have drawn more of them than an unbroken one.
    """
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([]):
        from monai.inferers import sliding_window_inference
    random.setstate(python)
    np.random.set_state(numpy)
    return sliding_window_inference


def free_bytes(device: torch.device) -> int:
    """Memory that may still be taken on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def free_memory() -> None:
    """Give back what is no longer referenced."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
