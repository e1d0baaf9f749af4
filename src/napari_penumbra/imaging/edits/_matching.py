"""Which piece on one slice continues which on another, for interpolating between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.imaging.edits.boxes import Mask

FARTHEST = 3.0
"""Two pieces that do not overlap are one structure when their centres are no farther apart than this many of their
radii taken together: a vessel that runs aslant, but not two lesions."""
_MARGIN = 2

Plane = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Pair:
    """Pieces of two slices that belong together, cut out of their slices.

    Attributes
    ----------
    place
        Where they were cut out; with a margin of background, except at the slice's edge where the cut is padded.
    lower, upper
        Masks of the cut's shape; one of them is empty for a piece without a partner.
    move
        From the lower piece's centre to the upper's in pixels; zero for pieces that overlap.
    """

    place: Plane
    lower: Mask
    upper: Mask
    move: tuple[float, float] = (0.0, 0.0)


def match(lower: Mask, upper: Mask, spacing: tuple[float, ...]) -> Iterator[Pair]:
    """Pair the connected pieces of two slices.

    Pieces that overlap, directly or through others, form one pair. Each of the rest takes the nearest of the other
    slice's rest, if that one takes it, too, and it is near enough. What remains stays alone.

    Parameters
    ----------
    lower, upper
        (rows, columns) bool.
    spacing
        Of rows and columns in mm.
    """
    from scipy import ndimage

    square = np.ones((3, 3), dtype=bool)
    below, count_below = ndimage.label(lower, square)
    above, count_above = ndimage.label(upper, square)
    groups = _groups(below, above, count_below, count_above)
    alone_below = [g for g in groups if not g[1]]
    alone_above = [g for g in groups if not g[0]]
    joined = _nearest(below, above, [g[0] for g in alone_below], [g[1] for g in alone_above], spacing)
    taken_below, taken_above = {a for a, _, _ in joined}, {b for _, b, _ in joined}
    for parts_below, parts_above in groups:
        if parts_below and parts_above:
            yield _pair(np.isin(below, parts_below), np.isin(above, parts_above))
    for a, b, move in joined:
        yield _pair(below == a, above == b, move)
    nothing = np.zeros(lower.shape, dtype=bool)
    for (a,), _ in alone_below:
        if a not in taken_below:
            yield _pair(below == a, nothing)
    for _, (b,) in alone_above:
        if b not in taken_above:
            yield _pair(nothing, above == b)


def _groups(
    below: npt.NDArray[np.int32], above: npt.NDArray[np.int32], count_below: int, count_above: int
) -> list[tuple[list[int], list[int]]]:
    """Numbers of the pieces that hang together by overlap, on both slices."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    both = (below > 0) & (above > 0)
    edges = np.unique(np.stack([below[both] - 1, above[both] - 1 + count_below]), axis=1)
    size = count_below + count_above
    graph = sparse.coo_array((np.ones(edges.shape[1]), (edges[0], edges[1])), shape=(size, size))
    count, group = connected_components(graph, directed=False)
    found = []
    for n in range(count):
        members = np.flatnonzero(group == n)
        found.append(
            (
                [int(m) + 1 for m in members if m < count_below],
                [int(m) - count_below + 1 for m in members if m >= count_below],
            )
        )
    return found


def _nearest(
    below: npt.NDArray[np.int32],
    above: npt.NDArray[np.int32],
    alone_below: list[list[int]],
    alone_above: list[list[int]],
    spacing: tuple[float, ...],
) -> list[tuple[int, int, tuple[float, float]]]:
    """Pair pieces that overlap nothing with their mutual nearest: (lower, upper, move in pixels)."""
    from scipy import ndimage

    ours, theirs = [a[0] for a in alone_below], [b[0] for b in alone_above]
    if not ours or not theirs:
        return []
    scale = np.asarray(spacing)
    place = [np.array(ndimage.center_of_mass(n > 0, n, i)) for n, i in ((below, ours), (above, theirs))]
    area = [np.bincount(n.ravel())[i] * scale.prod() for n, i in ((below, ours), (above, theirs))]
    radius = [np.sqrt(a / np.pi) for a in area]
    apart = np.linalg.norm((place[0][:, None] - place[1][None]) * scale, axis=-1)
    found = []
    for a, row in enumerate(apart):
        b = int(row.argmin())
        if int(apart[:, b].argmin()) == a and row[b] <= FARTHEST * (radius[0][a] + radius[1][b]):
            move = place[1][b] - place[0][a]
            found.append((ours[a], theirs[b], (float(move[0]), float(move[1]))))
    return found


def _pair(lower: Mask, upper: Mask, move: tuple[float, float] = (0.0, 0.0)) -> Pair:
    """Cut both masks out of their slices."""
    either = lower | upper
    place = []
    for axis in range(2):
        hit = np.flatnonzero(either.any(axis=1 - axis))
        place.append(slice(max(0, int(hit[0]) - _MARGIN), int(hit[-1]) + 1 + _MARGIN))
    cut = (place[0], place[1])
    return Pair(cut, lower[cut], upper[cut], move)
