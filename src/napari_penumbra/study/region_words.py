"""Why a region wants a look, in words, and the `Region` made of a connected piece. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import LEVELS, Region, center_of
from napari_penumbra.study.benefit import expected_benefit
from napari_penumbra.study.piece_counts import Usual
from napari_penumbra.study.region_parts import NEAR_MM, BoolMap, Numbers, Slices, grown

SMALL_ML = 0.5
"""A predicted piece below this volume is called small."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A connected set of voxels: its box and its mask in the box."""

    box: Slices
    mask: BoolMap


@dataclass(frozen=True, slots=True)
class Context:
    """What the words about a region need.

    Attributes
    ----------
    labels, confidence
        (z, y, x), what was predicted and how sure.
    grid, told
        Where they lie: for the limits, and for what is told to the reader. They differ for pictures.
    names
        Class value to name.
    pieces, piece_sizes
        Connected predicted pieces, each of one class, numbered from 1, and their voxels; ``pieces`` covers ``window``.
    window
        Part of the volume that holds all foreground.
    usual
        Class value to how many pieces it has in every finished case, where that is known and always the same.
    """

    labels: LabelArray
    confidence: npt.NDArray[np.float32]
    grid: Grid
    told: Grid
    names: Mapping[int, str]
    pieces: Numbers
    piece_sizes: npt.NDArray[np.int64]
    window: Slices
    usual: Mapping[int, Usual]

    def name(self, value: int) -> str:
        """Name of a class."""
        return self.names.get(value, f"class {value}")

    def pieces_in(self, box: Slices) -> tuple[Numbers, Slices]:
        """Predicted pieces inside a box, and the part of the box that they are known for."""
        low = [max(b.start, w.start) for b, w in zip(box, self.window, strict=True)]
        high = [max(lo, min(b.stop, w.stop)) for lo, b, w in zip(low, box, self.window, strict=True)]
        there = tuple(slice(a - w.start, b - w.start) for a, b, w in zip(low, high, self.window, strict=True))
        a, b, c = (slice(lo - s.start, hi - s.start) for lo, hi, s in zip(low, high, box, strict=True))
        return self.pieces[there], (a, b, c)


def weak_region(context: Context, piece: Piece, beside: bool) -> Region:
    """Describe a weak place; ``beside`` says whether it lies near predicted foreground."""
    value = int(context.labels[piece.box][piece.mask][0])
    if value == BACKGROUND:
        missed = _class_beside(context, piece) if beside else None
        if missed is None:
            return _region(context, piece, value, "possibly missed, apart from what was predicted")
        return _region(context, piece, value, f"possible missed {context.name(missed)}")
    pieces, part = context.pieces_in(piece.box)
    involved = np.unique(pieces[piece.mask[part]])
    whole = float(context.piece_sizes[involved].sum())
    name = context.name(value)
    if float(piece.mask.sum()) < 0.8 * whole:
        return _region(context, piece, value, f"weak border of {name}")
    small = whole * context.grid.voxel_ml < SMALL_ML and involved.size == 1
    return _region(context, piece, value, f"isolated small piece of {name}" if small else f"weak {name}")


def extra_region(context: Context, piece: Piece) -> Region:
    """Describe all pieces of a class beyond those that it has in every finished case, as one region.

    What is looked at is the largest of them.
    """
    value = int(context.labels[piece.box][piece.mask][0])
    numbered, part = context.pieces_in(piece.box)
    involved = np.unique(numbered[piece.mask[part]])
    largest = numbered == involved[np.argmax(context.piece_sizes[involved])]
    several = "s" if involved.size > 1 else ""
    known = context.usual[value]
    region = _region(context, piece, value, f"{involved.size} extra piece{several} of {context.name(value)}")
    return replace(
        region,
        focus=center_of(largest, region.box),
        against=f"in all {known.cases} finished cases that have it, it is {pieces_words(known.pieces)}",
    )


def pieces_words(count: int) -> str:
    """``in one piece``, ``in 2 pieces``."""
    return "in one piece" if count == 1 else f"in {count} pieces"


def sure_region(context: Context, piece: Piece) -> Region:
    """Describe a predicted piece without a weak voxel."""
    value = int(context.labels[piece.box][piece.mask][0])
    small = float(piece.mask.sum() * context.grid.voxel_ml) < SMALL_ML
    return _region(context, piece, value, f"{'isolated small piece of' if small else 'sure'} {context.name(value)}")


def _region(context: Context, piece: Piece, value: int, why: str) -> Region:
    sure = context.confidence[piece.box][piece.mask]
    levels = np.bincount(np.rint(sure * (LEVELS - 1)).astype(np.int64), minlength=LEVELS).astype(np.int64)
    z, y, x = piece.box
    box = ((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
    mean = float(sure.mean(dtype=np.float64))
    return Region(
        box=box,
        mask=piece.mask,
        value=value,
        confidence=mean,
        ml=float(sure.size * context.told.voxel_ml),
        benefit=expected_benefit(sure.size, min(1.0, max(0.0, mean))),
        why=why,
        levels=levels,
        focus=center_of(piece.mask, box),
    )


def _class_beside(context: Context, piece: Piece) -> int | None:
    """Class that most voxels near the region have; None without any foreground there."""
    counts = np.bincount(context.labels[grown(piece.box, NEAR_MM, context.grid)].ravel(), minlength=256)
    counts[[BACKGROUND, UNKNOWN]] = 0
    return int(counts.argmax()) if counts.any() else None
