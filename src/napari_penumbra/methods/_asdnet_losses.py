"""The losses of ASDNet (Nie et al., MICCAI 2018): generalised Dice, sample weight, adversary's cross entropy.

Legend: B batch, K classes with background. Probabilities and targets are (B, K, Z, Y, X), labels (B, Z, Y, X); all of
it holds in 2D without Z.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_penumbra.methods._base import IGNORE
from napari_penumbra.methods._functional import SMOOTH, one_hot


def generalised_dice_loss(probability: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Loss of each patch, ``1 - 2 sum_c w_c sum_v P P^ / sum_c w_c sum_v (P + P^)`` with ``w_c = 1 / (sum_v P)^2``.

    Eq. 1 of the paper (Sudre et al., DLMIA 2017). A class that the target lacks would weigh infinitely much; as in
    MONAI it weighs as much as the smallest class that is present, so that a false organ costs something.

    All weights are divided by the largest one, which cancels in the fraction, before the smoothing term is added: it
    then counts in voxels of the smallest class. Added to the sums of the bare weights, which are 1e-5 in a patch of
    10^5 voxels of one class, it would be as large as they are.

    Parameters
    ----------
    probability
        P^, (B, K, Z, Y, X) in [0, 1].
    target
        P, (B, K, Z, Y, X), zeros and ones; no gradient goes into it.
    weight
        (B, 1, Z, Y, X): 1 for voxels that count, 0 for those that do not.

    Returns
    -------
    Tensor
        (B,); 0 with zero gradient for a patch of which no voxel counts.
    """
    target = target.detach()
    if weight is not None:
        probability, target = probability * weight, target * weight
    axes = tuple(range(2, target.ndim))
    volume = target.sum(axes)
    present = volume > 0
    smallest = torch.where(present, volume, torch.inf).amin(1, keepdim=True)
    w = torch.where(present, (smallest / volume.clamp(min=SMOOTH)) ** 2, present.any(1, keepdim=True).to(volume.dtype))
    shared = (w * (probability * target).sum(axes)).sum(1)
    both = (w * (probability.sum(axes) + volume)).sum(1)
    return 1 - (2 * shared + SMOOTH) / (both + SMOOTH)


@torch.no_grad()
def hard_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Dice of each patch's decision, mean over the foreground classes that its annotation has.

    Parameters
    ----------
    logits
        (B, K, Z, Y, X).
    label
        (B, Z, Y, X) int64; voxels with `IGNORE` do not count.

    Returns
    -------
    Tensor
        (B,) in [0, 1]; 0 where the annotation has no foreground.
    """
    classes, known = logits.shape[1], (label != IGNORE).unsqueeze(1)
    truth = one_hot(label, classes)
    found = one_hot(logits.argmax(1), classes) & known
    axes = tuple(range(2, logits.ndim))
    volume = truth.sum(axes)[:, 1:]
    dice = 2 * (truth & found).sum(axes)[:, 1:] / (volume + found.sum(axes)[:, 1:]).clamp(min=1)
    present = volume > 0
    mean: Tensor = (dice * present).sum(1) / present.sum(1).clamp(min=1)
    return mean


def sample_weight(dice: Tensor, power: float, floor: float = 0.0) -> Tensor:
    """Weight of each patch, ``(1 - dsc)^beta`` (Eq. 2 of the paper), never below ``floor``; no gradient."""
    return ((1 - dice.detach()) ** power).clamp(min=floor)


def masked_bce(logits: Tensor, target: float, known: Tensor) -> Tensor:
    """Binary cross entropy (Eq. 4) against 1 or 0, mean over the voxels that count; 0 if none does.

    Taken from the logits: finite, and with a gradient, however sure the confidence network has become.

    Parameters
    ----------
    logits
        (B, 1, Z, Y, X).
    target
        1 or 0, of every voxel.
    known
        (B, 1, Z, Y, X) bool: voxels that count.
    """
    loss = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target), reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)
