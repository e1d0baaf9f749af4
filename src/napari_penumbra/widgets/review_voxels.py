"""What a verdict does to voxels, and which voxels a reader has drawn. Pure functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import CaseState, Verdict
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box, Region
from napari_penumbra.study.review import apply_verdict

Patch = npt.NDArray[np.uint8]


def values_of(labels: Patch, region: Region, verdict: Verdict, predicted: Patch) -> Patch:
    """Return the labels of a region's box after a verdict; ``labels`` and ``predicted`` are cut to that box."""
    z, y, x = labels.shape
    at_origin = replace(region, box=((0, 0, 0), (z, y, x)))
    return np.asarray(apply_verdict(labels, at_origin, verdict, predicted), dtype=np.uint8)


def drawn_by_hand(labels: LabelArray, predicted: LabelArray, state: CaseState) -> npt.NDArray[np.bool_]:
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


def overlap(box: Box, changed: npt.NDArray[np.bool_], region: Region, *, whole_box: bool) -> bool:
    """Whether changed voxels of ``box`` lie in a region's mask (or anywhere in its box)."""
    low = [max(a, b) for a, b in zip(box[0], region.box[0], strict=True)]
    high = [min(a, b) for a, b in zip(box[1], region.box[1], strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return False
    in_stroke = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, box[0], strict=True))
    in_region = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, region.box[0], strict=True))
    part = changed[in_stroke]
    return bool(part.any() if whole_box else (part & region.mask[in_region]).any())
