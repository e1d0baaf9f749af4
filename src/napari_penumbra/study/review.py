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
from napari_penumbra.domain.regions import Box, Found, Hidden, Region
from napari_penumbra.study.benefit import rank, with_benefits
from napari_penumbra.study.piece_counts import Usual
from napari_penumbra.study.region_parts import (
    NEAR_MM,
    BoolMap,
    Numbers,
    Slices,
    bounds,
    grown,
    near,
    number_by_class,
    number_places,
    number_places_by_class,
    section,
    smallest_voxels,
)
from napari_penumbra.study.region_words import Context, Piece, extra_region, sure_region, weak_region

MOST = 40
"""Regions that are listed unasked: more than anybody decides about one by one."""

FloatMap = npt.NDArray[np.float32]
_NOWHERE = (slice(0, 1), slice(0, 1), slice(0, 1))
"""Window where there is no foreground: a volume without voxels has no largest number, and the like."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """Numbered places of one kind inside ``window``: their sizes, sums of doubt and boxes, index 0 unused."""

    kind: str
    window: Slices
    numbered: Numbers
    sizes: npt.NDArray[np.int64]
    doubt: npt.NDArray[np.float64]

    def piece(self, n: int, box: Slices) -> Piece:
        """Cut a place out, its box in voxels of the whole volume."""
        z, y, x = (slice(w.start + b.start, w.start + b.stop) for w, b in zip(self.window, box, strict=True))
        return Piece((z, y, x), self.numbered[box] == n)


@dataclass(frozen=True, slots=True)
class _Places:
    """All places of all layers, one entry each: which layer, which number in it, and how it is ranked."""

    layer: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    decided: BoolMap
    small: BoolMap
    sure: BoolMap
    extra: BoolMap
    doubt: npt.NDArray[np.float64]

    @classmethod
    def of(cls, layers: Sequence[_Layer], boxes: Sequence[list[Slices]], decided: set[Box], fewest: int) -> _Places:
        """Collect the places of every layer."""
        numbers = [np.flatnonzero(layer.sizes) for layer in layers]
        size = np.concatenate([layer.sizes[n] for layer, n in zip(layers, numbers, strict=True)])
        known = [
            [bool(decided) and _is_one_of(decided, layer, box[n - 1]) for n in which]
            for layer, which, box in zip(layers, numbers, boxes, strict=True)
        ]
        return cls(
            np.repeat(np.arange(len(layers)), [n.size for n in numbers]),
            np.concatenate(numbers).astype(np.int64),
            np.array([flag for flags in known for flag in flags], dtype=bool),
            size < fewest,
            np.repeat([layer.kind == "sure" for layer in layers], [n.size for n in numbers]),
            np.repeat([layer.kind == "extra" for layer in layers], [n.size for n in numbers]),
            np.concatenate([layer.doubt[n] for layer, n in zip(layers, numbers, strict=True)]),
        )

    def chosen(self, most: int, small: bool) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Split into what is listed and what is not, each as (layer, number)."""
        order = np.lexsort((-self.doubt, self.sure, self.small, ~self.extra, ~self.decided))
        fits = np.ones(order.size, dtype=bool)
        if not small and not self.small.all():  # where all are small, small ones are what there is
            fits = ~self.small[order] | self.decided[order]
        fits &= np.cumsum(fits) <= most + int(self.decided.sum())
        pairs = list(zip(self.layer[order].tolist(), self.number[order].tolist(), strict=True))
        return [p for p, f in zip(pairs, fits, strict=True) if f], [
            p for p, f in zip(pairs, fits, strict=True) if not f
        ]


def find_regions(
    labels: LabelArray,
    confidence: FloatMap,
    grid: Grid,
    threshold: float = 0.5,
    most: int = MOST,
    small: bool = False,
    decisions: Sequence[Decision] = (),
    names: Mapping[int, str] | None = None,
    usual: Mapping[int, Usual] | None = None,
) -> Found:
    """List the places of a prediction that want a decision, and count those that are not listed.

    Weak voxels (confidence below ``threshold``) of one predicted class (background is one) that touch or lie close
    together are one region. Those within
    `region_parts.NEAR_MM` of the predicted foreground and those apart from it (a missed lesion leaves such a spot) are
    told apart. Where a class always has the same number of pieces, those beyond it (the smaller ones) are one region,
    which comes first. Predicted pieces without a weak voxel follow at the end, so that nothing is accepted unseen.
    Places smaller than `region_parts.smallest_voxels` are only counted, unless they are all there is or were decided
    before.

    Parameters
    ----------
    labels
        (z, y, x), what was predicted.
    confidence
        (z, y, x), 0 to 1.
    grid
        Where they lie.
    most
        Longest list, in regions; what was decided before is listed beyond that.
    small
        List small places, too, after the others.
    decisions
        Verdicts on this prediction; one on a region's box is filled in.
    names
        Class value to name, for the words.
    usual
        Class value to how many pieces it has in every finished case.

    Returns
    -------
    Found
        Regions without a verdict (weak ones by falling benefit, then sure ones), then those with one. Listed and
        hidden voxels together are all weak voxels and all voxels of pieces without a weak one.
    """
    limits = section(grid)
    layers, context = _layers(labels, confidence, threshold, limits, grid, names or {}, usual or {})
    boxes = [_boxes(layer) for layer in layers]
    places = _Places.of(layers, boxes, {decision.box for decision in decisions}, smallest_voxels(limits))
    listed, hidden = places.chosen(most, small)
    regions = [_describe(context, layers[k], layers[k].piece(n, boxes[k][n - 1])) for k, n in listed]
    return Found(_ordered(_with_verdicts(regions, decisions), grid, threshold), _hidden(layers, hidden, grid))


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


def _layers(
    labels: LabelArray,
    confidence: FloatMap,
    threshold: float,
    limits: Grid,
    told: Grid,
    names: Mapping[int, str],
    usual: Mapping[int, Usual],
) -> tuple[list[_Layer], Context]:
    """Number the weak places beside foreground, those apart from it, extra pieces, and those without a weak voxel."""
    foreground = (labels != BACKGROUND) & (labels != UNKNOWN)
    weak = (confidence < threshold) & (labels != UNKNOWN)
    found = bounds(foreground)
    # Everything near foreground lies in this window, often a tenth of the scan; the rest is not filtered at all.
    window = _NOWHERE if found is None else grown(found, NEAR_MM, limits)
    inside = foreground[window]
    pieces, sizes = number_by_class(labels[window], inside)
    close = near(inside, limits)
    weak_there = weak[window]
    part = weak_there & close
    sure = sizes.copy()
    sure[np.unique(pieces[weak_there & inside])] = 0
    sure[0] = 0
    extra = _extra(pieces, sizes, labels[window], usual)
    sure[extra] = 0
    too_many = extra[pieces]
    part &= ~too_many
    beside, count = number_places_by_class(part, labels[window], limits)
    layers = [_layer("beside", window, beside, count, confidence)]
    weak_there &= ~close  # a view: what is left in ``weak`` lies apart
    around = bounds(weak)
    if around is not None:
        apart, count = number_places(np.ascontiguousarray(weak[around]), limits)
        layers.append(_layer("apart", around, apart, count, confidence))
    if extra.any():
        by_class = np.where(too_many, labels[window], 0).astype(np.int32)
        layers.append(_layer("extra", window, by_class, int(by_class.max()), confidence))
    layers.append(replace(_layer("sure", window, pieces, sizes.size - 1, confidence), sizes=sure))
    return layers, Context(labels, confidence, limits, told, names, pieces, sizes, window, usual)


def _extra(pieces: Numbers, sizes: npt.NDArray[np.int64], labels: LabelArray, usual: Mapping[int, Usual]) -> BoolMap:
    """Tell of every piece whether its class has more than is usual and it is none of the largest."""
    extra = np.zeros(sizes.size, dtype=bool)
    for value, known in usual.items():
        mine = np.unique(pieces[labels == value])
        extra[mine[np.argsort(-sizes[mine], kind="stable")][known.pieces :]] = True
    return extra


def _layer(kind: str, window: Slices, numbered: Numbers, count: int, confidence: FloatMap) -> _Layer:
    where = np.flatnonzero(numbered)
    which = numbered.ravel()[where]
    doubt = 1.0 - confidence[window].ravel()[where].astype(np.float64)
    sizes = np.bincount(which, minlength=count + 1).astype(np.int64)
    return _Layer(kind, window, numbered, sizes, np.bincount(which, doubt, count + 1).astype(np.float64))


def _boxes(layer: _Layer) -> list[Slices]:
    from scipy import ndimage

    found: list[Slices] = ndimage.find_objects(layer.numbered)
    return found


def _is_one_of(decided: set[Box], layer: _Layer, box: Slices) -> bool:
    if not decided:
        return False
    low = [w.start + b.start for w, b in zip(layer.window, box, strict=True)]
    high = [w.start + b.stop for w, b in zip(layer.window, box, strict=True)]
    return ((low[0], low[1], low[2]), (high[0], high[1], high[2])) in decided


def _describe(context: Context, layer: _Layer, piece: Piece) -> Region:
    match layer.kind:
        case "extra":
            return extra_region(context, piece)
        case "sure":
            return sure_region(context, piece)
        case kind:
            return weak_region(context, piece, kind == "beside")


def _hidden(layers: Sequence[_Layer], rest: Sequence[tuple[int, int]], grid: Grid) -> Hidden:
    voxels = sum(int(layers[k].sizes[n]) for k, n in rest)
    doubt = sum(float(layers[k].doubt[n]) for k, n in rest)
    return Hidden(len(rest), voxels, voxels * grid.voxel_ml, 1.0 - doubt / voxels if voxels else None)


def _ordered(regions: list[Region], grid: Grid, threshold: float) -> list[Region]:
    regions = with_benefits(regions, grid)
    return sorted(regions, key=lambda region: (region.verdict is not None, *rank(region, threshold)))


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
            made = [d for d in made if d.voxels == region.voxels]
        result.append(replace(region, verdict=made[-1].verdict) if made else region)
    return result
