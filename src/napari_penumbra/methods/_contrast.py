"""Changes of intensity as they differ between scanners: for augmentation, and for what a student sees of a patch."""

from __future__ import annotations

import torch
from torch import Tensor

_SCALE = 0.1
_SHIFT = 0.1
_GAMMA = (0.8, 1.25)
_NOISE = 0.1
_CHANCE = 0.3
"""Of gamma and of noise, per patch."""
_FLATTEST = 0.2
"""Contrast is never reduced further, nor inverted."""


def vary_contrast(image: Tensor, strength: float, generator: torch.Generator | None = None) -> Tensor:
    """Change gamma, contrast, brightness and noise of each patch at random.

    Parameters
    ----------
    image
        (B, C, Z, Y, X) or (B, C, Y, X), standardised intensities. A modality that is 0 throughout is missing and
        stays so.
    strength
        1 for small changes (a tenth of a standard deviation); 0 for none.
    generator
        CPU generator; None for torch's own. All is drawn on the CPU, so that it is the same on every device; the noise
        costs 3 ms per million voxels there.

    Returns
    -------
    Tensor
        A new image.
    """
    device = image.device
    single = [1] * (image.ndim - 2)
    each, per_patch = (*image.shape[:2], *single), (len(image), 1, *single)
    # A shift would make a missing modality look like a present one.
    present = (image != 0).flatten(2).any(dim=2).reshape(each).float()
    image = _with_gamma(image, _gamma(each, per_patch, strength, generator))
    scale = 1 + _SCALE * strength * torch.randn(each, generator=generator)
    shift = _SHIFT * strength * torch.randn(each, generator=generator)
    image = image * scale.clamp_min(_FLATTEST).to(device) + shift.to(device)
    spread = _NOISE * strength * torch.rand(per_patch, generator=generator)
    spread = spread * (torch.rand(per_patch, generator=generator) < _CHANCE)
    if bool((spread > 0).any()):
        image = image + torch.randn(image.shape, generator=generator).to(device) * spread.to(device)
    return image * present


def _with_gamma(image: Tensor, drawn: Tensor) -> Tensor:
    """Bend intensities between the darkest and the brightest voxel of each modality."""
    if not bool((drawn != 1).any()):
        return image
    gamma = drawn.to(image.device)
    low, high = (edge.reshape(gamma.shape) for edge in image.flatten(2).aminmax(dim=2))
    span = (high - low).clamp_min(1e-6)
    return torch.where(gamma == 1, image, ((image - low) / span).clamp(0, 1).pow(gamma) * span + low)


def _gamma(
    each: tuple[int, ...], per_patch: tuple[int, ...], strength: float, generator: torch.Generator | None
) -> Tensor:
    low, high = (edge**strength for edge in _GAMMA)
    drawn = low + (high - low) * torch.rand(each, generator=generator)
    return torch.where(torch.rand(per_patch, generator=generator) < _CHANCE, drawn, torch.ones(()))
