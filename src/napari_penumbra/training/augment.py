"""Batched augmentation on the device: the same turn for image and label, changes of intensity for the image.

All random numbers come from one CPU generator, so a run is the same on every device and can be continued exactly.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from napari_penumbra.methods._base import IGNORE, MethodConfig
from napari_penumbra.methods._contrast import vary_contrast

_SQUARE = 1.05
"""Voxels whose in-plane edges differ by less may be turned by a right angle."""


class Augment:
    """Random flips, quarter turns, turns by any angle, zoom, and intensity changes.

    Parameters
    ----------
    generator
        CPU generator; its state belongs into the checkpoint.
    quarter_turns
        Whether y and x may be exchanged: only for square voxels (and then only for square patches).
    contrast
        How strong the changes of intensity are; 1 is little, 0 none.
    degrees, zoom
        Largest angle of a turn in the plane of y and x, and largest share by which it is enlarged or reduced. 0 for
        both: no voxel is interpolated.
    aspect
        Height of a voxel over its width.
    dropout
        Share of modalities that are blanked, as a missing one is.
    """

    def __init__(
        self,
        generator: torch.Generator,
        quarter_turns: bool,
        contrast: float = 1.0,
        degrees: float = 0.0,
        zoom: float = 0.0,
        aspect: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        self.generator = generator
        self.quarter_turns = quarter_turns
        self.contrast = contrast
        self.degrees, self.zoom, self.aspect = degrees, zoom, aspect
        self.dropout = dropout

    @classmethod
    def of(cls, config: MethodConfig, spacing: tuple[float, float, float], seed: int) -> Self:
        """Make the augmentation of a method's parameters, for voxels of a size (z, y, x) in mm."""
        _, height, width = spacing
        square = max(height, width) <= _SQUARE * min(height, width)
        turned = (config.augment_contrast, config.augment_degrees, config.augment_zoom)
        return cls(torch.Generator().manual_seed(seed), square, *turned, height / width, config.modality_dropout)

    def __call__(self, image: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Augment a batch.

        Parameters
        ----------
        image
            (B, C, Z, Y, X).
        label
            (B, Z, Y, X) or None.

        Returns
        -------
        tuple
            New tensors of the same shapes; labels are moved, never interpolated. What a turn brings in from beyond the
            patch is 0 and `IGNORE`, as beyond the volume.
        """
        image, label = self._turn(image, label)
        if self.degrees or self.zoom:
            image, label = self._warp(image, label)
        image = vary_contrast(image, self.contrast, self.generator)
        return (self._blank(image) if self.dropout else image), label

    def _rand(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)

    def _turn(self, image: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor | None]:
        turns = self.quarter_turns and image.shape[-1] == image.shape[-2]
        images, labels = [], []
        for n, choice in enumerate((self._rand(len(image), 4) < 0.5).tolist()):
            axes = [axis for axis, flip in zip((-3, -2, -1), choice, strict=False) if flip]
            # Three flips and one exchange of y and x make all 16 turns that keep the patch's box.
            swap = turns and choice[3]
            images.append(_moved(image[n], axes, swap))
            if label is not None:
                labels.append(_moved(label[n], axes, swap))
        return torch.stack(images), torch.stack(labels) if label is not None else None

    def _warp(self, image: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Turn and zoom in the plane of y and x; all slices of a patch alike, as the slices' thickness demands."""
        height, width = image.shape[-2:]
        grid = self._grid(len(image), height, width).to(image.device)
        planes = image.flatten(1, 2)
        moved = grid_sample(planes, grid, "bilinear", "zeros", align_corners=False).view_as(image)
        if label is None:
            return moved, None
        # One more than the label: what comes from beyond the patch is 0 then, and no class is.
        raised = label.float() + 1
        nearest = grid_sample(raised, grid, "nearest", "zeros", align_corners=False).round().to(label.dtype) - 1
        return moved, nearest.masked_fill(nearest < 0, IGNORE)

    def _blank(self, image: Tensor) -> Tensor:
        """Blank some modalities of each patch; one of those that are there always stays."""
        batch, channels = image.shape[:2]
        drawn = self._rand(batch, channels).to(image.device)
        there = (image != 0).flatten(2).any(dim=2)
        stays = drawn.masked_fill(~there, -1).argmax(1, keepdim=True)
        kept = (drawn >= self.dropout).scatter(1, stays, value=True)
        return image * kept[:, :, None, None, None]

    def _grid(self, batch: int, height: int, width: int) -> Tensor:
        """Where each pixel comes from, (B, Y, X, 2) as (x, y) in -1 to 1; distances are kept on oblong voxels."""
        angle = (2 * self._rand(batch) - 1) * math.radians(self.degrees)
        size = (1 + self.zoom) ** (2 * self._rand(batch) - 1)
        y = ((torch.arange(height) + 0.5) / height * 2 - 1)[None, :, None]
        x = ((torch.arange(width) + 0.5) / width * 2 - 1)[None, None, :]
        # Half the patch's height over half its width, in mm.
        shape = height * self.aspect / width
        cos, sin = (torch.cos(angle) / size)[:, None, None], (torch.sin(angle) / size)[:, None, None]
        return torch.stack([cos * x + sin * y * shape, cos * y - sin * x / shape], dim=-1)


def _moved(volume: Tensor, axes: list[int], swap: bool) -> Tensor:
    volume = volume.flip(axes) if axes else volume
    return volume.transpose(-1, -2) if swap else volume
