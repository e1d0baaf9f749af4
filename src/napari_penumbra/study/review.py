"""Where a prediction wants a look: weak regions in the order of what a look would settle, and what a verdict does.

numpy and scipy only: no database, no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import Decision, Verdict
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box, Region

NEAR_MM = 10.0
"""How far from the prediction a weak spot of any size still counts."""
LONGEST_MM = 60.0
"""A weak region longer than this along an axis is cut into blocks: a reader decides about places."""
BLOCK_MM = 40.0
"""Edge of those blocks."""
SMALL_ML = 0.5
"""A predicted piece below this volume is called small."""
PICTURE_MM = (200.0, 5.0)
"""Long edge and thickness that a picture counts as here: its pixels have no millimetres, and may be very many."""

FloatMap = npt.NDArray[np.float32]
BoolMap = npt.NDArray[np.bool_]
_CONNECTED = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A connected set of voxels: its box and its mask in the box."""

    box: tuple[slice, slice, slice]
    mask: BoolMap


@dataclass(frozen=True, slots=True)
class _Context:
    """What the words about a region need; ``pieces`` numbers the connected predicted pieces, each of one class.

    ``voxel_ml`` and ``steps`` are for the limits above, ``grid`` for what is told to the reader.
    """

    labels: LabelArray
    confidence: FloatMap
    voxel_ml: float
    steps: tuple[float, float, float]
    names: Mapping[int, str]
    pieces: npt.NDArray[np.int32]
    piece_sizes: npt.NDArray[np.int64]
    grid: Grid

    def amount(self, voxels: float) -> str:
        """Size in words: millilitres, or pixels of a picture."""
        if self.grid.is_picture:
            return f"{voxels:,.0f} px"
        return _ml(voxels * self.grid.voxel_ml)


def find_regions(
    labels: LabelArray,
    confidence: FloatMap,
    grid: Grid,
    threshold: float = 0.5,
    min_ml: float = 0.02,
    most: int = 60,
    decisions: Sequence[Decision] = (),
    names: Mapping[int, str] | None = None,
) -> list[Region]:
    """List the places of a prediction that want a decision.

    Weak voxels (confidence below ``threshold``) within `NEAR_MM` of the predicted foreground fall into connected
    regions; so do those farther away where they amount to ``min_ml``, because a missed lesion leaves such a spot.
    Predicted pieces without a weak voxel follow at the end, so that nothing is accepted unseen.

    Parameters
    ----------
    labels
        (z, y, x), what was predicted.
    confidence
        (z, y, x), 0 to 1.
    grid
        Where they lie.
    most
        Longest list, in regions.
    decisions
        Verdicts on this prediction; one on a region's box is filled in.
    names
        Class value to name, for the words.

    Returns
    -------
    list of Region
        Weak regions by falling benefit, then sure pieces by falling benefit.
    """
    from scipy import ndimage

    foreground = (labels != BACKGROUND) & (labels != UNKNOWN)
    weak = (confidence < threshold) & (labels != UNKNOWN)
    told, grid = grid, _section(grid)
    near = _near(foreground, grid)
    pieces, sizes = _label_by_class(labels, foreground)
    context = _Context(labels, confidence, grid.voxel_ml, grid.scale, names or {}, pieces, sizes, told)
    doubt = np.where(weak, 1.0 - confidence, 0.0).astype(np.float32)
    found: list[Region] = []
    for part, least, beside in ((weak & near, 0.0, True), (weak & ~near, min_ml, False)):
        numbered, count = ndimage.label(part, structure=_CONNECTED)
        count = _split_long(numbered, count, grid)
        chosen = _most_doubtful(numbered, count, doubt, least / grid.voxel_ml, most)
        found += [_weak_region(context, piece, beside) for piece in _cut(numbered, chosen)]
    found = sorted(found, key=lambda region: -region.benefit)[:most]
    touched = np.unique(pieces[weak & foreground])
    sure = np.setdiff1d(np.arange(1, len(sizes)), touched)
    sure = sure[np.argsort(-sizes[sure], kind="stable")][: most - len(found)]
    rest = [_sure_region(context, piece) for piece in _cut(pieces, sure)]
    return _with_verdicts([*found, *sorted(rest, key=lambda region: -region.benefit)], decisions)


def apply_verdict(labels: LabelArray, region: Region, verdict: Verdict, predicted: LabelArray) -> LabelArray:
    """Return a copy of ``labels`` after a verdict on a region.

    Accepting puts the predicted classes there, rejecting background, leaving unknown 255; ``fixed`` changes nothing,
    because the reader has painted what is right. Voxels outside the region's mask are never touched.

    Parameters
    ----------
    labels, predicted
        (z, y, x), of the same shape.
    """
    result = labels.copy()
    inside = result[region.slices]  # a view: writing to it writes to the result
    match verdict:
        case Verdict.ACCEPT:
            inside[region.mask] = predicted[region.slices][region.mask]
        case Verdict.REJECT:
            inside[region.mask] = BACKGROUND
        case Verdict.UNKNOWN:
            inside[region.mask] = UNKNOWN
        case Verdict.FIXED:
            pass
    return result


def _section(grid: Grid) -> Grid:
    """Grid on which the limits of this module are meant; a picture counts as a section of `PICTURE_MM`."""
    if not grid.is_picture:
        return grid
    step = PICTURE_MM[0] / max(grid.shape)
    return Grid.of(grid.shape, np.diag([-step, -step, PICTURE_MM[1], 1.0]))


def _near(foreground: BoolMap, grid: Grid) -> BoolMap:
    """Grow the foreground by `NEAR_MM` along each axis: a box and not a ball, which takes a tenth of the time."""
    from scipy import ndimage

    result = foreground.astype(np.uint8)
    for axis, step in enumerate(grid.scale):
        reach = min(int(NEAR_MM / step), foreground.shape[axis])
        if reach:
            result = ndimage.maximum_filter1d(result, 2 * reach + 1, axis=axis, mode="constant")
    return result.astype(bool)


def _label_by_class(labels: LabelArray, foreground: BoolMap) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Number the connected pieces of every class from 1, and count their voxels (index 0 unused)."""
    from scipy import ndimage

    numbered = np.zeros(labels.shape, dtype=np.int32)
    total = 0
    for value in np.unique(labels[foreground]):
        mine, count = ndimage.label(labels == value, structure=_CONNECTED)
        inside = mine > 0
        numbered[inside] = mine[inside] + total
        total += count
    sizes = np.bincount(numbered.ravel(), minlength=total + 1).astype(np.int64)
    return numbered, sizes


def _split_long(numbered: npt.NDArray[np.int32], count: int, grid: Grid) -> int:
    """Cut components longer than `LONGEST_MM` into blocks, in place; returns the highest number then used."""
    from scipy import ndimage

    # A connected line of this length has at least so many voxels; most of thousands of specks have not.
    large = np.bincount(numbered.ravel(), minlength=count + 1) > LONGEST_MM / max(grid.scale)
    large[0] = False
    if not large.any():
        return count
    boxes = ndimage.find_objects(numbered)
    for n in np.flatnonzero(large).tolist():
        box = boxes[n - 1]
        extent = [(s.stop - s.start) * step for s, step in zip(box, grid.scale, strict=True)]
        if max(extent) <= LONGEST_MM:
            continue
        part = numbered[box]
        mine = part == n
        block = np.zeros(part.shape, dtype=np.int64)
        for axis, (length, step) in enumerate(zip(part.shape, grid.scale, strict=True)):
            along = (np.arange(length) * step // BLOCK_MM).astype(np.int64)
            block = block * (int(along[-1]) + 1) + np.expand_dims(along, tuple(a for a in range(3) if a != axis))
        _, which = np.unique(block[mine], return_inverse=True)
        # The first block keeps the component's number, the others get new ones.
        part[mine] = np.where(which == 0, n, count + which)
        count += int(which.max())
    return count


def _most_doubtful(
    numbered: npt.NDArray[np.int32], count: int, doubt: FloatMap, fewest_voxels: float, most: int
) -> npt.NDArray[np.int64]:
    """Numbers of the components with the largest sum of doubt, those below a size left out."""
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    where = np.flatnonzero(numbered)
    which = numbered.ravel()[where]
    sums = np.bincount(which, weights=doubt.ravel()[where], minlength=count + 1)
    sums[np.bincount(which, minlength=count + 1) < fewest_voxels - 1e-9] = 0
    order = np.argsort(-sums, kind="stable")[:most]
    return order[sums[order] > 0].astype(np.int64)


def _cut(numbered: npt.NDArray[np.int32], chosen: npt.NDArray[np.int64]) -> list[_Piece]:
    from scipy import ndimage

    boxes = ndimage.find_objects(numbered)
    return [_Piece(boxes[n - 1], numbered[boxes[n - 1]] == n) for n in chosen]


def _region(context: _Context, piece: _Piece, value: int, why: str) -> Region:
    sure = context.confidence[piece.box][piece.mask]
    z, y, x = piece.box
    return Region(
        box=((z.start, y.start, x.start), (z.stop, y.stop, x.stop)),
        mask=piece.mask,
        value=value,
        confidence=float(sure.mean()),
        ml=float(piece.mask.sum() * context.grid.voxel_ml),
        benefit=float((1.0 - sure.astype(np.float64)).sum()),
        why=why,
    )


def _weak_region(context: _Context, piece: _Piece, near: bool) -> Region:
    values = context.labels[piece.box][piece.mask]
    value = int(np.bincount(values).argmax())
    ml = context.amount(float(piece.mask.sum()))
    if value == BACKGROUND:
        beside = _class_beside(context, piece) if near else None
        if beside is None:
            return _region(context, piece, value, f"possibly missed, apart from what was predicted, {ml}")
        return _region(context, piece, value, f"possible missed {_name(context, beside)}, {ml}")
    name = _name(context, value)
    involved = np.unique(context.pieces[piece.box][piece.mask & (context.labels[piece.box] == value)])
    whole = float(context.piece_sizes[involved].sum())
    weak = float((values == value).sum())
    if weak < 0.8 * whole:
        return _region(context, piece, value, f"weak border of {name}, {ml}")
    small = whole * context.voxel_ml < SMALL_ML and involved.size == 1
    return _region(context, piece, value, f"isolated small piece of {name}, {ml}" if small else f"weak {name}, {ml}")


def _sure_region(context: _Context, piece: _Piece) -> Region:
    value = int(context.labels[piece.box][piece.mask][0])
    volume = float(piece.mask.sum() * context.voxel_ml)
    kind = "isolated small piece of" if volume < SMALL_ML else "sure"
    return _region(context, piece, value, f"{kind} {_name(context, value)}, {context.amount(float(piece.mask.sum()))}")


def _class_beside(context: _Context, piece: _Piece) -> int | None:
    """Class that most voxels near the region have; None without any foreground there."""
    reach = [int(NEAR_MM / step) + 1 for step in context.steps]
    box = tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(piece.box, reach, strict=True))
    counts = np.bincount(context.labels[box].ravel(), minlength=256)
    counts[[BACKGROUND, UNKNOWN]] = 0
    return int(counts.argmax()) if counts.any() else None


def _name(context: _Context, value: int) -> str:
    return context.names.get(value, f"class {value}")


def _ml(volume: float) -> str:
    return f"{volume:.1f} ml" if volume >= 0.1 else f"{volume:.2f} ml" if volume >= 0.01 else "under 0.01 ml"


def _with_verdicts(regions: list[Region], decisions: Sequence[Decision]) -> list[Region]:
    """Fill in verdicts. Two regions may share a box; then the voxel count tells them apart."""
    by_box: dict[Box, list[Decision]] = {}
    for decision in decisions:
        by_box.setdefault(decision.box, []).append(decision)
    shared = [region.box for region in regions]
    result = []
    for region in regions:
        made = by_box.get(region.box, [])
        if shared.count(region.box) > 1:
            made = [d for d in made if d.voxels == int(region.mask.sum())]
        result.append(replace(region, verdict=made[-1].verdict) if made else region)
    return result
