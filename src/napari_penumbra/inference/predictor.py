"""Class probabilities of a whole volume, by the cheapest way that the network and the memory allow.

1. A network with a ``margin`` (valid convolutions) is given large tiles whose outputs touch but do not overlap: exact.
2. A fully convolutional network whose answer does not depend on the input's size sees the volume at once: 4 times
   faster than windows on 2 CPU cores (measured), and every voxel has all the context there is.
3. Otherwise overlapping windows are blended with Gaussian weights (MONAI's sliding window).
"""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Sequence
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_penumbra.inference.machine import Machine, is_out_of_memory
from napari_penumbra.inference.plan import Shape
from napari_penumbra.inference.slices import SLICES_AT_ONCE, SliceWise
from napari_penumbra.methods._functional import evaluating

_BYTES_PER_VOXEL = 2048
"""Generous estimate of what a forward pass holds at once per voxel: 16 channels of float32, eight tensors deep, x4."""
_SHARE_OF_ALL = 0.3
"""Of a device's whole memory that a volume in one piece may take. What else runs must not decide: windows see less
around a voxel, and the same case would come out a little different while a training goes on."""
_SHARE_OF_FREE = 0.7
"""And of what is free, lest the machine run out: the estimate is generous."""
_LARGEST_TILE = 48
"""Edge in voxels up to which the output of a valid-convolution network's tile grows; DeepMedic then holds 1 GB."""
_TILE_UNIT = 6
"""Tiles start at multiples of this: a pathway that is down-sampled by 2 or 3 then sees the same blocks in each tile."""
_SIZE_DEPENDENT = ("InstanceNorm", "GroupNorm", "LayerNorm", "AdaptiveAvgPool", "AdaptiveMaxPool", "Linear")


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
        if any(self.margin):
            return self._tiles(image)
        if not self._small and self._whole_fits(image):
            return self._whole(image)
        return self._windows(image)

    # ------------------------------------------------------------- whole volume

    def _whole_fits(self, image: Tensor) -> bool:
        if any(type(m).__name__.startswith(_SIZE_DEPENDENT) for m in self.network.modules()):
            return False
        depth = min(image.shape[1], SLICES_AT_ONCE) if self.slice_wise else image.shape[1]
        wanted, device = depth * image[0, 0].numel() * _BYTES_PER_VOXEL, self.machine.device
        return wanted <= _SHARE_OF_ALL * all_bytes(device) and wanted <= _SHARE_OF_FREE * free_bytes(device)

    def _whole(self, image: Tensor) -> Tensor:
        shape = image.shape[1:]
        extra = [-n % d for n, d in zip(shape, self.divisor, strict=True)]
        padded = functional.pad(image[None], (0, extra[2], 0, extra[1], 0, extra[0]), mode="replicate")
        logits = self.network(self.machine.tensor(padded)).float()
        return logits[0, :, : shape[0], : shape[1], : shape[2]].softmax(dim=0)

    # ------------------------------------------------------------- windows

    def _windows(self, image: Tensor) -> Tensor:
        # Imported here: MONAI takes seconds to import and most volumes do not need it.
        from monai.inferers import sliding_window_inference

        result: Any = sliding_window_inference(
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


def free_bytes(device: torch.device) -> int:
    """Memory that may still be taken on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def all_bytes(device: torch.device) -> int:
    """Memory that a device has."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return int(psutil.virtual_memory().total)


def free_memory() -> None:
    """Give back what is no longer referenced."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
