"""What a verdict does to voxels, which voxels a reader has drawn, and what has become of them since. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import CaseState, Verdict
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box, Region
from napari_penumbra.study.review import apply_verdict

Patch = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Change:
    """Voxels that a verdict changed: what was there, and what it put there."""

    box: Box
    before: Patch
    after: Patch

    @property
    def where(self) -> Mask:
        """Which voxels of the box differ."""
        return np.asarray(self.before != self.after)


def values_of(labels: Patch, region: Region, verdict: Verdict, predicted: Patch) -> Patch:
    """Return the labels of a region's box after a verdict; ``labels`` and ``predicted`` are cut to that box."""
    z, y, x = labels.shape
    at_origin = replace(region, box=((0, 0, 0), (z, y, x)))
    return np.asarray(apply_verdict(labels, at_origin, verdict, predicted), dtype=np.uint8)


def drawn_by_hand(labels: LabelArray, predicted: LabelArray, state: CaseState) -> Mask:
    """Tell which voxels a reader has drawn in an earlier sitting: those that differ from the prediction.

    In a case that was never reviewed, background and unknown say nothing: they are what nobody has drawn yet, or what
    a partial closing filled in.

    Parameters
    ----------
    labels, predicted
        (z, y, x) uint8.
    state
        Of the case when it was opened.
    """
    differs = labels != predicted
    if state in (CaseState.IN_PROGRESS, CaseState.NEW):
        return differs & (labels != BACKGROUND) & (labels != UNKNOWN)
    if state is CaseState.ANNOTATED:
        return differs & (labels != UNKNOWN)
    return differs


def overlap(box: Box, changed: Mask, region: Region, *, whole_box: bool) -> bool:
    """Whether changed voxels of ``box`` lie in a region's mask (or anywhere in its box)."""
    low = [max(a, b) for a, b in zip(box[0], region.box[0], strict=True)]
    high = [min(a, b) for a, b in zip(box[1], region.box[1], strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return False
    in_stroke = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, box[0], strict=True))
    in_region = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, region.box[0], strict=True))
    part = changed[in_stroke]
    return bool(part.any() if whole_box else (part & region.mask[in_region]).any())


def cut(volume: npt.NDArray[_T], box: Box) -> npt.NDArray[_T]:
    """The voxels of a box: a view."""
    return volume[tuple(slice(a, b) for a, b in zip(*box, strict=True))]


def touch(a: Box, b: Box) -> bool:
    """Whether two boxes share a voxel."""
    return all(max(p, r) < min(q, s) for p, q, r, s in zip(*a, *b, strict=True))


def hull(boxes: Sequence[Box]) -> Box:
    """Smallest box around some."""
    low = np.min([box[0] for box in boxes], axis=0)
    high = np.max([box[1] for box in boxes], axis=0)
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))


def merged(labels: LabelArray, parts: Sequence[tuple[Box, Mask, Patch]]) -> tuple[Box, Patch]:
    """Lay parts (box, which voxels, their values) over the labels: one box to write, so that it is one step of undo."""
    box = hull([part[0] for part in parts])
    values = np.array(cut(labels, box), dtype=np.uint8)
    for own, where, new in parts:
        there = tuple(slice(a - o, b - o) for a, b, o in zip(*own, box[0], strict=True))
        inside = values[there]
        inside[where] = new[where]
    return box, values


def is_undone(labels: LabelArray, changes: Sequence[Change]) -> bool:
    """Whether every voxel that some changes touched is again what it was before."""
    return all(bool((cut(labels, c.box)[c.where] == c.before[c.where]).all()) for c in changes)


@dataclass(frozen=True, slots=True)
class Since:
    """What the labels were inside a box, which holds all that has changed since some moment."""

    box: Box
    before: Patch

    @classmethod
    def of(cls, box: Box, labels: LabelArray, earlier: Since | None = None) -> Since:
        """Take in a change that ``labels``, (z, y, x), do not have yet."""
        if earlier is None:
            return cls(box, np.array(cut(labels, box), dtype=np.uint8))
        wider = hull([earlier.box, box])
        before = np.array(cut(labels, wider), dtype=np.uint8)
        before[tuple(slice(a - o, b - o) for a, b, o in zip(*earlier.box, wider[0], strict=True))] = earlier.before
        return cls(wider, before)

    def is_undone(self, labels: LabelArray) -> bool:
        """Whether the labels are what they were."""
        return bool(np.array_equal(cut(labels, self.box), self.before))


class UnknownCounter:
    """Unknown voxels of the shown case, kept per z slice, so that a stroke costs its slices and not the volume."""

    def __init__(self, labels: LabelArray) -> None:
        self._slices = [int(np.count_nonzero(plane == UNKNOWN)) for plane in labels]

    def update(self, labels: LabelArray, box: Box) -> None:
        """Count the slices of ``box`` anew."""
        for z in range(max(0, box[0][0]), min(box[1][0], len(labels))):
            self._slices[z] = int(np.count_nonzero(labels[z] == UNKNOWN))

    @property
    def voxels(self) -> int:
        """How many there are."""
        return sum(self._slices)
