"""One annotation out of several of the same case.

Unknown (255) of a reader is no vote. Rules:

* **agree**: what all readers say; unknown where they differ or one of them does not know.
* **majority**: the class with most votes; unknown on a tie and where nobody knows.
* **union**: a class where any reader has one; unknown where readers name different classes.
* **intersection**: a class where all readers have the same one; background where any reader says background.
* **staple**: the most probable class given an estimate of each reader's reliability (Warfield, Zou and Wells,
  IEEE TMI 2004; several classes as in Rohlfing, Russakoff and Maurer, IPMI 2003), for three readers or more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray

Stack = npt.NDArray[np.uint8]

FEWEST_FOR_STAPLE = 3
_MOST_ROUNDS = 200


def consensus(labels: Sequence[LabelArray], rule: str) -> LabelArray:
    """Make one annotation out of several.

    Parameters
    ----------
    labels
        Two or more (z, y, x) uint8 arrays of one shape.
    rule
        One of `RULES`.

    Returns
    -------
    LabelArray
        A new array; 255 where the rule does not decide.

    Raises
    ------
    UsageError
        An unknown rule, or too few readers for it.
    ValueError
        The shapes differ.
    """
    if rule not in RULES:
        raise UsageError(f'"{rule}" is no rule for a consensus.', f"Choose one of {', '.join(RULES)}.")
    fewest = FEWEST_FOR_STAPLE if rule == "staple" else 2
    if len(labels) < fewest:
        raise UsageError(
            f"The rule {rule} needs {fewest} readers, there are {len(labels)}.",
            "Choose another rule, or let another reader read the case.",
        )
    if len({array.shape for array in labels}) != 1:
        raise ValueError("the annotations have different shapes")
    result = np.zeros(labels[0].shape, dtype=np.uint8)
    box = _drawn_box(labels)
    result[box] = RULES[rule](np.stack([array[box] for array in labels]))
    return result


def _drawn_box(labels: Sequence[LabelArray]) -> tuple[slice, ...]:
    """Smallest box outside which every reader says background; one voxel when all of them say so everywhere."""
    box = []
    for axis in range(3):
        others = tuple(n for n in range(3) if n != axis)
        used = np.flatnonzero(np.any([array.any(axis=others) for array in labels], axis=0))
        box.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1))
    return tuple(box)


def _agree(stack: Stack) -> LabelArray:
    same = (stack == stack[0]).all(axis=0)
    return np.where(same, stack[0], UNKNOWN).astype(np.uint8)


def _votes(stack: Stack) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """Values that any reader gave (background first, unknown never), and how many gave each, (value, z, y, x)."""
    values = np.unique(stack)
    values = np.union1d([BACKGROUND], values[values != UNKNOWN]).astype(np.uint8)
    return values, np.stack([(stack == value).sum(axis=0, dtype=np.int16) for value in values])


def _majority(stack: Stack) -> LabelArray:
    values, votes = _votes(stack)
    most = votes.max(axis=0)
    decided = ((votes == most).sum(axis=0) == 1) & (most > 0)
    return np.where(decided, values[votes.argmax(axis=0)], UNKNOWN).astype(np.uint8)


def _union(stack: Stack) -> LabelArray:
    values, votes = _votes(stack)
    named = (votes[1:] > 0).sum(axis=0)
    doubtful = (stack == UNKNOWN).any(axis=0)
    result = np.where(doubtful, UNKNOWN, BACKGROUND).astype(np.uint8)
    if values.size > 1:
        first = values[1:][(votes[1:] > 0).argmax(axis=0)]
        result = np.where(named == 1, first, result).astype(np.uint8)
    result[named > 1] = UNKNOWN
    return result


def _intersection(stack: Stack) -> LabelArray:
    result = _agree(stack)
    result[(stack == BACKGROUND).any(axis=0)] = BACKGROUND
    return result


def _staple(stack: Stack) -> LabelArray:
    import SimpleITK as sitk

    images = [sitk.GetImageFromArray(array) for array in stack]
    rule: Any = sitk.MultiLabelSTAPLEImageFilter()
    rule.SetLabelForUndecidedPixels(UNKNOWN)
    rule.SetMaximumNumberOfIterations(_MOST_ROUNDS)
    return np.asarray(sitk.GetArrayFromImage(rule.Execute(images)), dtype=np.uint8)


RULES: dict[str, Callable[[Stack], LabelArray]] = {
    "agree": _agree,
    "majority": _majority,
    "union": _union,
    "intersection": _intersection,
    "staple": _staple,
}
"""Name of each rule and what it does with a stack (reader, z, y, x)."""
