"""What a look at a region is expected to settle, and in which order regions are therefore looked at. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.regions import Region

FAR_MM = 30.0
"""Beyond this distance from all that was decided a place counts as unseen: half of the narrowest field of view that the
camera takes when it goes to a region."""
BESIDE = 0.5
"""What is left of a region's benefit where the reader has just decided: its surroundings have been seen, it has not."""


def expected_benefit(voxels: float, confidence: float, distance_mm: float = math.inf) -> float:
    """Size x uncertainty x distance to what was already decided.

    ``voxels * (1 - confidence)`` is the number of wrong voxels to expect when a confidence is the share of voxels that
    are right. A look at a place shows its surroundings as well, so what lies near a decided region has less to give;
    the factor rises in a straight line from `BESIDE` at its centre to 1 at `FAR_MM` and stays there.

    Parameters
    ----------
    voxels
        Size of the region.
    confidence
        Mean confidence of its voxels, 0 to 1.
    distance_mm
        From the region's centre to the nearest centre of a decided one; infinite when nothing was decided yet.

    Returns
    -------
    float
        Expected number of wrong voxels that the look settles, those half seen before counted by half.

    Raises
    ------
    ValueError
        A negative size or distance, or a confidence outside 0 to 1.
    """
    if voxels < 0 or not 0 <= confidence <= 1 or not distance_mm >= 0:
        raise ValueError(f"no benefit of {voxels} voxels, confidence {confidence}, {distance_mm} mm away")
    near = min(1.0, distance_mm / FAR_MM)
    return voxels * (1.0 - confidence) * (BESIDE + (1.0 - BESIDE) * near)


def with_benefits(regions: Sequence[Region], grid: Grid) -> list[Region]:
    """Return the regions in the same order, their benefits as they are after the decisions that stand.

    A decided region keeps the benefit that it had.

    Parameters
    ----------
    grid
        Where they lie: distances are taken in mm.
    """
    scale = np.asarray(grid.scale)
    centers = [region.center for region in regions if region.verdict is not None]
    decided = np.array(centers, dtype=np.float64).reshape(-1, 3) * scale
    result = []
    for region in regions:
        if region.verdict is not None:
            result.append(region)
            continue
        distance = math.inf
        if len(decided):
            distance = float(np.sqrt(((decided - np.asarray(region.center) * scale) ** 2).sum(axis=1)).min())
        result.append(replace(region, benefit=expected_benefit(region.voxels, region.confidence, distance)))
    return result


def reordered(regions: Sequence[Region], settled: Collection[int], weak_below: float) -> list[int]:
    """Put the regions that a reader has not come to yet into the order of their benefits.

    Those that have been looked at or decided keep their rows, so that the list does not move under the reader's eyes;
    the others share the remaining rows anew, see `rank`.

    Parameters
    ----------
    settled
        Rows that stay.
    weak_below
        Mean confidence from which on a region is a sure one.

    Returns
    -------
    list of int
        For every row, which region now stands there.
    """
    kept = set(settled)
    rows = [n for n in range(len(regions)) if n not in kept]
    order = iter(sorted(rows, key=lambda n: rank(regions[n], weak_below)))
    return [n if n in kept else next(order) for n in range(len(regions))]


def rank(region: Region, weak_below: float) -> tuple[bool, bool, float]:
    """Sort key of a region without a verdict: those with something against them, then weak ones, by falling benefit."""
    return not region.against, region.confidence >= weak_below, -region.benefit
