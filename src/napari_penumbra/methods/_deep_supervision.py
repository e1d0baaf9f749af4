"""Targets and losses at several scales, for networks that answer at each of them.

Legend: F foreground classes, each with a sigmoid of its own; scale 0 is full size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_penumbra.methods._base import IGNORE
from napari_penumbra.methods._functional import one_hot

DICE_SMOOTH = 1.0
"""Added above and below the fraction bar: a class that is nowhere costs nothing once nothing is predicted."""
_LEAST = 1e-6


def shrink(maps: Tensor, stride: Sequence[int]) -> Tensor:
    """Mean of each block of ``stride`` voxels: for a stride of 2, linear interpolation at half the size.

    Parameters
    ----------
    maps
        (B, F, Z, Y, X); in 2D without Z.
    stride
        One whole number per spatial axis, dividing the size.
    """
    if all(s == 1 for s in stride):
        return maps
    pool = F.avg_pool3d if maps.ndim == 5 else F.avg_pool2d
    return pool(maps, tuple(stride))


def target_pyramid(label: Tensor, classes: int, strides: Sequence[Sequence[int]]) -> list[tuple[Tensor, Tensor]]:
    """Soft targets at every scale, and how much of each voxel is annotated.

    A coarse voxel's target is the share of a class among its annotated voxels, and it counts as much as they are of it:
    what is unknown has no say at any scale.

    Parameters
    ----------
    label
        (B, Z, Y, X) int64 with `IGNORE`.
    classes
        K, with background.
    strides
        From each scale to the next.

    Returns
    -------
    list
        Per scale the target (B, F, ...) and the weight (B, 1, ...), both in [0, 1].
    """
    known = label != IGNORE
    weight = known.unsqueeze(1).float()
    amount = one_hot(label.masked_fill(~known, 0), classes)[:, 1:].float() * weight
    scales = [(amount, weight)]
    for stride in strides:
        amount, weight = shrink(amount, stride), shrink(weight, stride)
        scales.append((amount / weight.clamp(min=_LEAST), weight))
    return scales


def image_pyramid(image: Tensor, strides: Sequence[Sequence[int]]) -> list[Tensor]:
    """The image at every scale, full size first."""
    images = [image]
    for stride in strides:
        images.append(shrink(images[-1], stride))
    return images


def sigmoid_losses(logits: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross entropy and Dice loss of one scale (Zhang et al., MICCAI 2021, Eq. 9).

    Parameters
    ----------
    logits, target
        (B, F, Z, Y, X); the target may be soft.
    weight
        (B, 1, Z, Y, X): how much a voxel counts.

    Returns
    -------
    cross_entropy
        Weighted mean over voxels and classes; 0 if nothing counts.
    dice
        ``1 - mean_f (2 sum(w p q) + 1) / (sum(w p) + sum(w q) + 1)``, sums over the batch; 0 if nothing counts.
    """
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight
    mean = entropy.sum() / (weight.sum() * logits.shape[1]).clamp(min=_LEAST)
    axes = (0, *range(2, logits.ndim))
    # The weight once in every term: squared above the bar, a voxel known in part could never be predicted perfectly.
    p = logits.sigmoid() * weight
    both = p.sum(axes) + (target * weight).sum(axes)
    dice = (2 * (p * target).sum(axes) + DICE_SMOOTH) / (both + DICE_SMOOTH)
    return mean, 1 - dice.mean()


def masked_l1(painted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference inside a mask (Eq. 10, with the mean of the authors' code for the printed sum).

    Parameters
    ----------
    painted, image
        (B, C, Z, Y, X).
    mask
        (B, 1, Z, Y, X) bool.

    Returns
    -------
    Tensor
        Scalar; 0, with zero gradient, for an empty mask, where the plain mean would not be a number.
    """
    difference = (painted.float() - image.float()).abs()
    # Not a product with the mask: what is outside must not count even if it is not finite.
    inside = torch.where(mask, difference, torch.zeros_like(difference))
    return inside.sum() / (mask.sum() * image.shape[1]).clamp(min=1)
