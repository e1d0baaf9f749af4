"""Losses, ramps, noise and averaging that the methods share: functions with a name, no state.

Legend: B batch, K classes with background, N anything that lies in space. Probabilities and logits are (B, K, Z, Y, X),
labels (B, Z, Y, X); all of it holds in 2D without Z.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_penumbra.methods._base import IGNORE

SMOOTH = 1e-5
"""Added above and below the fraction bar of every Dice: 1, not 0/0, where neither side has anything."""


def masked_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Mean cross entropy over the voxels that are annotated.

    Parameters
    ----------
    logits
        (B, K, Z, Y, X).
    label
        (B, Z, Y, X) int64 with `IGNORE` where nothing is known.

    Returns
    -------
    Tensor
        Scalar; 0 (with zero gradient) if no voxel is annotated, where the plain mean would be 0/0.
    """
    total = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="sum")
    return total / (label != IGNORE).sum().clamp(min=1)


def soft_dice_loss(
    p: Tensor, q: Tensor, weight: Tensor | None = None, over: Literal["batch", "patch"] = "batch"
) -> Tensor:
    """``1 - mean_k (2 sum(p q) + e) / (sum(p) + sum(q) + e)``: Dice of two soft maps, squares nowhere.

    It is not zero for two equal maps unless they are certain (0.5 if every p is 0.5), so it also sharpens.

    Parameters
    ----------
    p, q
        (B, K, Z, Y, X) in [0, 1].
    weight
        (B, 1, Z, Y, X): 1 for voxels that count, 0 for those that do not.
    over
        Sum each class over space and the whole batch, or over each patch alone (then the mean of the patches).
    """
    axes = tuple(range(2, p.ndim)) if over == "patch" else (0, *range(2, p.ndim))
    if weight is not None:
        p, q = p * weight, q * weight
    shared = (p * q).sum(axes)
    return 1 - ((2 * shared + SMOOTH) / (p.sum(axes) + q.sum(axes) + SMOOTH)).mean()


def masked_dice_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Soft Dice loss of a prediction against an annotation, over its annotated voxels; background is a class too.

    Parameters
    ----------
    logits
        (B, K, Z, Y, X).
    label
        (B, Z, Y, X) int64 with `IGNORE`.
    """
    known = label != IGNORE
    target = one_hot(label.masked_fill(~known, 0), logits.shape[1]).to(logits.dtype)
    return soft_dice_loss(logits.softmax(1), target, known.unsqueeze(1).to(logits.dtype))


def one_hot(label: Tensor, classes: int) -> Tensor:
    """(B, Z, Y, X) int64 below ``classes`` to (B, K, Z, Y, X) bool."""
    shape = (1, classes, *[1] * (label.ndim - 1))
    return label.unsqueeze(1) == torch.arange(classes, device=label.device).reshape(shape)


def centre_crop(volume: Tensor, sizes: Iterable[int]) -> Tensor:
    """Cut the centre along the last axes, as a network with a margin cuts its output out of its input.

    Parameters
    ----------
    volume
        (..., Z, Y, X); leading axes stay whole.
    sizes
        Sizes to keep of the last axes.
    """
    sizes = tuple(sizes)
    for axis, size in enumerate(sizes, start=volume.ndim - len(sizes)):
        volume = volume.narrow(axis, (volume.shape[axis] - size) // 2, size)
    return volume


def add_noise(image: Tensor, additive: float, multiplicative: float) -> Tensor:
    """Noise of the mean-teacher paper, Eq. 5: ``(I + n_s) * n_m``, drawn anew for every voxel.

    Parameters
    ----------
    image
        (B, C, Z, Y, X), standardised intensities.
    additive, multiplicative
        Standard deviations of ``n_s ~ N(0, .)`` and ``n_m ~ N(1, .)``.
    """
    noisy = image + additive * torch.randn_like(image)
    return noisy * (1 + multiplicative * torch.randn_like(image))


def gaussian_ramp(step: int, length: int) -> float:
    """``exp(-5 (1 - step / length)^2)`` until ``length``, then 1; 0 before step 0 (Laine and Aila, ICLR 2017)."""
    if step < 0:
        return 0.0
    if step >= length:
        return 1.0
    return math.exp(-5 * (1 - step / length) ** 2)


def polynomial_decay(step: int, steps: int, power: float) -> float:
    """``(1 - step / steps) ** power``, never below zero; 1 throughout for power 0."""
    return max(0.0, 1 - step / steps) ** power


def warm_decay(step: int, decay: float) -> float:
    """Decay of an average that starts at step 0: it looks back over a tenth of the steps done, and ever further.

    So the starting weights are soon forgotten, and while the network still learns fast its average stays close behind.
    That matters most for the running statistics of deep batch normalisations: averaged over weights that were still far
    apart they fit none of them. When the average looked back over a hundred steps from the start, COL-Net's S, trained
    on two cases for 250 steps, stood at a Dice of .28 where its last weights reached .95; this way both reach .95.
    """
    return min(decay, (step + 1) / (step + 10))


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and buffers: ``average = decay * average + (1 - decay) * network``.

    Running statistics of a batch normalisation are averaged like the weights they belong to; whole-number buffers
    (counters) are copied. At decay 0 the average becomes the network, bit for bit.
    """
    ours, theirs = _tensors(average), _tensors(network)
    if decay == 0:
        torch._foreach_copy_([*ours[0], *ours[1]], [*theirs[0], *theirs[1]])
        return
    torch._foreach_lerp_(ours[0], theirs[0], 1 - decay)
    if ours[1]:
        torch._foreach_copy_(ours[1], theirs[1])


def freeze(network: nn.Module) -> nn.Module:
    """Switch off gradients of a network that only averages move."""
    return network.requires_grad_(False).eval()


def _tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    every = [t.detach() for t in (*network.parameters(), *network.buffers())]
    return [t for t in every if t.is_floating_point()], [t for t in every if not t.is_floating_point()]


@contextlib.contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Within: the modules are in evaluation mode and nothing is recorded for gradients; each flag is put back after."""
    flags = [(m, m.training) for module in modules for m in module.modules()]
    try:
        for module in modules:
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for m, training in flags:
            m.training = training


@contextlib.contextmanager
def without_gradient(network: nn.Module) -> Iterator[None]:
    """Within: gradients pass through the network, but its weights get none; for an adversary that judges."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
