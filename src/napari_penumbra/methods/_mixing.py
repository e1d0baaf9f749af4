"""Patches mixed from two by a box, with their labels: INDMIX and OUTDMIX of the co-learning paper, as pure functions.

The paper's mask is 0 inside a random box and 1 outside. Its Eq. 13 puts the annotation inside the box although Eq. 11
puts the annotated image outside; here image and label always come from the same side. Random numbers are torch's own,
drawn on the CPU, so that a seed gives the same boxes on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_penumbra.methods._base import IGNORE
from napari_penumbra.methods._functional import centre_crop, one_hot

Box = tuple[slice, ...]
"""One slice per spatial axis."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How boxes are cut.

    Attributes
    ----------
    share
        Edge of the box as a share of the patch's edge, along every axis.
    full_depth_below
        3D patches of fewer slices are cut through their whole depth.
    """

    share: float
    full_depth_below: int = 8


@dataclass(frozen=True, slots=True)
class Mixed:
    """Mixed patches ``image`` (B, C, Z, Y, X) and their ``label`` (B, z, y, x) with `IGNORE`."""

    image: Tensor
    label: Tensor


def draw_box(shape: Sequence[int], cut: Cut) -> Box:
    """Draw a box that lies inside a patch, every position equally likely.

    Parameters
    ----------
    shape
        Size of the patch, (Z, Y, X) or (Y, X).
    """
    box = []
    for axis, size in enumerate(shape):
        flat = len(shape) == 3 and axis == 0 and size < cut.full_depth_below
        edge = size if flat else min(size, max(1, round(cut.share * size)))
        start = int(torch.randint(size - edge + 1, ()))
        box.append(slice(start, start + edge))
    return tuple(box)


def outside_mask(shape: Sequence[int], boxes: Sequence[Box], device: torch.device | None = None) -> Tensor:
    """Mask of the paper's section 2.2: (B, Z, Y, X) bool, False inside each patch's box."""
    mask = torch.ones((len(boxes), *shape), dtype=torch.bool, device=device)
    for patch, box in zip(mask, boxes, strict=True):
        patch[box] = False
    return mask


def mix_images(outside: Tensor, inside: Tensor, mask: Tensor) -> Tensor:
    """Eqs. 11 and 12: ``outside * mask + inside * (1 - mask)`` of (B, C, Z, Y, X); mask as of `outside_mask`."""
    return torch.where(mask.unsqueeze(1), outside, inside)


def mix_labels(outside: Tensor, inside: Tensor, mask: Tensor) -> Tensor:
    """Eqs. 13 and 14 with image and label on the same side: (B, Z, Y, X) int64; `IGNORE` stays where it was."""
    return torch.where(mask, outside, inside)


def mix_across(image: Tensor, label: Tensor, unlabelled: Tensor, pseudo: Tensor, cut: Cut) -> tuple[Mixed, Mixed]:
    """INDMIX and OUTDMIX: annotated patches around boxes of unannotated ones, and the other way round.

    The first half of either batch makes the first mix, the last half the second one, as in the paper with 2 + 2
    patches. A batch of one gives its patch to both; the shorter batch says how many.

    Parameters
    ----------
    image, label
        (B, C, Z, Y, X) and (B, Z, Y, X) with `IGNORE`.
    unlabelled
        (U, C, Z, Y, X).
    pseudo
        (U, z, y, x) int64: labels for ``unlabelled`` made from whole patches; smaller than these by the margin of the
        network that made them, if it has one.

    Returns
    -------
    tuple
        Mix 1 (Eqs. 11, 13: annotation outside the box) and mix 2 (Eqs. 12, 14: annotation inside), each of
        ``max(1, min(B, U) // 2)`` patches, with labels of the size of ``pseudo``.
    """
    count = max(1, min(len(image), len(unlabelled)) // 2)
    label = centre_crop(label, pseudo.shape[1:])
    first, last = slice(count), slice(-count, None)
    one, two = (_masks(image, count, cut, pseudo.shape[1:]) for _ in range(2))
    return (
        Mixed(
            mix_images(image[first], unlabelled[first], one[0]),
            mix_labels(label[first], pseudo[first], one[1]),
        ),
        Mixed(
            mix_images(unlabelled[last], image[last], two[0]),
            mix_labels(pseudo[last], label[last], two[1]),
        ),
    )


def mix_labelled(image: Tensor, label: Tensor, cut: Cut) -> Mixed | None:
    """Mix annotated patches with each other: each one's surroundings with a box of the next one.

    Parameters
    ----------
    image, label
        (B, C, Z, Y, X) and (B, Z, Y, X) with `IGNORE`.

    Returns
    -------
    Mixed or None
        B patches; None for a batch of one, which has nothing to be mixed with.
    """
    if len(image) < 2:
        return None
    mask, _ = _masks(image, len(image), cut, image.shape[2:])
    return Mixed(mix_images(image, image.roll(-1, 0), mask), mix_labels(label, label.roll(-1, 0), mask))


def _masks(image: Tensor, count: int, cut: Cut, answered: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Masks of ``count`` new boxes, whole for images and cut to what a network with a margin answers for labels."""
    shape = image.shape[2:]
    mask = outside_mask(shape, [draw_box(shape, cut) for _ in range(count)], image.device)
    return mask, centre_crop(mask, answered)


def pseudo_label(probability: Tensor, above: float = 0.0) -> Tensor:
    """Most probable class; `IGNORE` where its probability is not above a bound.

    Parameters
    ----------
    probability
        (B, K, Z, Y, X).
    above
        0 lets every voxel count.

    Returns
    -------
    Tensor
        (B, Z, Y, X) int64, without gradient.
    """
    best, label = probability.detach().max(1)
    return label.masked_fill(best <= above, IGNORE) if above > 0 else label


def largest_components(label: Tensor, classes: int) -> Tensor:
    """Keep each class's largest connected piece (faces touch) in every patch; the others become background.

    For one organ, of which nothing lies apart. Wrong for lesions, which may be several. `IGNORE` stays and is no class.

    Parameters
    ----------
    label
        (B, Z, Y, X) int64.
    classes
        K with background.
    """
    # Imported here: seconds at start for something few ask for.
    from scipy import ndimage

    # KNOWN COST: this waits for the device, and labels components on the CPU.
    values = label.cpu().numpy().copy()
    for patch in values:
        for k in range(1, classes):
            pieces, count = ndimage.label(patch == k)
            if count > 1:
                sizes = np.bincount(pieces.ravel())
                sizes[0] = 0
                patch[(pieces > 0) & (pieces != sizes.argmax())] = 0
    return torch.from_numpy(values).to(label.device)


def masked_mse(probability: Tensor, label: Tensor) -> Tensor:
    """Eq. 17: mean squared difference between a prediction and one-hot labels, over known voxels and all classes.

    Parameters
    ----------
    probability
        (B, K, Z, Y, X).
    label
        (B, Z, Y, X) int64 with `IGNORE`, which carries no gradient.

    Returns
    -------
    Tensor
        Scalar; 0 (with zero gradient) if no voxel is known.
    """
    known = label != IGNORE
    target = one_hot(label.masked_fill(~known, 0), probability.shape[1]).to(probability.dtype)
    squares = (probability - target).square() * known.unsqueeze(1)
    return squares.sum() / (known.sum() * probability.shape[1]).clamp(min=1)
