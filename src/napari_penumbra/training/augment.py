"""Batched augmentation on the device: the same turn for image and label, small changes of intensity for the image.

All random numbers come from one CPU generator, so a run is the same on every device and can be continued exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SCALE = 0.1
_SHIFT = 0.1
_GAMMA = (0.8, 1.25)
_NOISE = 0.1
_CHANCE = 0.3
"""Of gamma and of noise, per patch."""


class Augment:
    """Random flips, quarter turns, and intensity changes.

    Parameters
    ----------
    generator
        CPU generator; its state belongs into the checkpoint.
    quarter_turns
        Whether y and x may be exchanged: only for square voxels (and then only for square patches).
    """

    def __init__(self, generator: torch.Generator, quarter_turns: bool) -> None:
        self.generator = generator
        self.quarter_turns = quarter_turns

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
            New tensors of the same shapes; labels are moved, never interpolated.
        """
        image, label = self._turn(image, label)
        return self._tint(image), label

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

    def _tint(self, image: Tensor) -> Tensor:
        batch, channels = image.shape[:2]
        device = image.device
        # A missing modality is all zeros and stays so: a shift would make it look like a present one.
        present = (image != 0).flatten(2).any(dim=2)[:, :, None, None, None].float()
        drawn = self._gamma(batch, channels)
        if bool((drawn != 1).any()):
            gamma = drawn.to(device)
            low, high = image.flatten(2).aminmax(dim=2)
            low, high = low[:, :, None, None, None], high[:, :, None, None, None]
            span = (high - low).clamp_min(1e-6)
            image = torch.where(gamma == 1, image, ((image - low) / span).clamp(0, 1).pow(gamma) * span + low)
        scale = 1 + _SCALE * self._normal(batch, channels).to(device)
        shift = _SHIFT * self._normal(batch, channels).to(device)
        image = image * scale + shift
        strength = _NOISE * self._rand(batch, 1, 1, 1, 1) * (self._rand(batch, 1, 1, 1, 1) < _CHANCE)
        if bool((strength > 0).any()):
            # Drawn on the CPU like all else; costs 3 ms per million voxels there.
            noise = torch.randn(image.shape, generator=self.generator)
            image = image + noise.to(device) * strength.to(device)
        return image * present

    def _gamma(self, batch: int, channels: int) -> Tensor:
        low, high = _GAMMA
        drawn = low + (high - low) * self._rand(batch, channels, 1, 1, 1)
        return torch.where(self._rand(batch, 1, 1, 1, 1) < _CHANCE, drawn, torch.ones(()))

    def _normal(self, batch: int, channels: int) -> Tensor:
        return torch.randn((batch, channels, 1, 1, 1), generator=self.generator)


def _moved(volume: Tensor, axes: list[int], swap: bool) -> Tensor:
    volume = volume.flip(axes) if axes else volume
    return volume.transpose(-1, -2) if swap else volume
