"""Where two annotations of one case agree and where they do not: overlap, distances, volumes, and the places.

A *disagreement* is a set of voxels, connected face to face, that have one and the same class in the first and one and
the same other class in the second: what the first calls core and the second background is one place, what lies beside
it the other way round is another. Voxels that are unknown (255) in either are no disagreement and enter no figure; how
much they are is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box, Region, center_of
from napari_penumbra.evaluation.metrics import Scores, score

MOST = 200
"""Disagreements that are listed, the largest; the rest is told as a number."""

Slices = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """One class in both annotations.

    ``first_ml`` and ``second_ml`` are the whole volumes. ``agreed_ml``, ``only_first_ml`` and ``only_second_ml`` count
    voxels that are known in both.
    """

    value: int
    scores: Scores
    first_ml: float
    second_ml: float
    agreed_ml: float
    only_first_ml: float
    only_second_ml: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One place: ``first`` and ``second`` are the classes that it has (0 for background)."""

    region: Region
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two annotations compared.

    Attributes
    ----------
    classes
        Per class of the scheme, in its order.
    places
        Disagreements, the largest first; at most `MOST`.
    more, more_ml
        How many further ones there are, and their volume.
    unknown_ml
        Volume that is labelled in one and unknown in the other: left out of all figures.
    """

    classes: tuple[ClassAgreement, ...]
    places: tuple[Disagreement, ...]
    more: int
    more_ml: float
    unknown_ml: float

    @property
    def disagreed_ml(self) -> float:
        """Volume of all disagreements."""
        return sum(place.region.ml for place in self.places) + self.more_ml


def agreement(first: LabelArray, second: LabelArray, grid: Grid, values: tuple[int, ...]) -> Agreement:
    """Compare two annotations of a case.

    Parameters
    ----------
    first, second
        (z, y, x) uint8 on ``grid``.
    values
        Foreground values of the scheme.

    Raises
    ------
    ValueError
        Their shapes are not the grid's.
    """
    if first.shape != grid.array_shape or second.shape != grid.array_shape:
        raise ValueError(f"labels of shape {first.shape} and {second.shape} on a grid of {grid.array_shape}")
    box = foreground_box(first, second)
    a, b = first[box], second[box]
    places, more, more_voxels = _places(a, b, box, grid.voxel_ml)
    scores = score(a, b, grid.scale, values)
    known = (a != UNKNOWN) & (b != UNKNOWN)
    left_out = ((a == UNKNOWN) & (b != UNKNOWN) & (b != BACKGROUND)) | ((b == UNKNOWN) & _labelled(a))
    return Agreement(
        classes=tuple(_class(v, a == v, b == v, known, scores[v], grid.voxel_ml) for v in values),
        places=places,
        more=more,
        more_ml=more_voxels * grid.voxel_ml,
        unknown_ml=int(np.count_nonzero(left_out)) * grid.voxel_ml,
    )


def foreground_box(*arrays: LabelArray) -> Slices:
    """Smallest box that holds every labelled voxel of any of the arrays; one voxel when there is none."""
    masks = [_labelled(array) for array in arrays]
    box = [slice(0, 1)] * 3
    for axis in range(3):
        others = tuple(n for n in range(3) if n != axis)
        used = np.flatnonzero(np.any([mask.any(axis=others) for mask in masks], axis=0))
        if not used.size:
            return slice(0, 1), slice(0, 1), slice(0, 1)
        box[axis] = slice(int(used[0]), int(used[-1]) + 1)
        # What lies outside need not be looked at again for the next axis.
        masks = [mask[(slice(None),) * axis + (box[axis],)] for mask in masks]
    z, y, x = box
    return z, y, x


def _labelled(array: LabelArray) -> npt.NDArray[np.bool_]:
    return (array != BACKGROUND) & (array != UNKNOWN)


def _class(
    value: int,
    a: npt.NDArray[np.bool_],
    b: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
    scores: Scores,
    voxel_ml: float,
) -> ClassAgreement:
    def ml(mask: npt.NDArray[np.bool_]) -> float:
        return int(np.count_nonzero(mask)) * voxel_ml

    return ClassAgreement(value, scores, ml(a), ml(b), ml(a & b), ml(a & ~b & known), ml(b & ~a & known))


def _places(a: LabelArray, b: LabelArray, box: Slices, voxel_ml: float) -> tuple[tuple[Disagreement, ...], int, int]:
    """List the largest disagreements of two boxes; also how many others there are, and of how many voxels."""
    from scipy import ndimage
    from skimage.measure import label

    pairs = a.astype(np.int32) * 256 + b
    pairs[(a == b) | (a == UNKNOWN) | (b == UNKNOWN)] = 0
    # Pieces of equal value, so that what only the first has is never joined to what only the second has.
    numbered = label(pairs, background=0, connectivity=1)
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    boxes = ndimage.find_objects(numbered)
    places = []
    for number in order[:MOST]:
        piece = boxes[number - 1]
        mask = numbered[piece] == number
        pair = int(pairs[piece][mask][0])
        places.append(_place(mask, piece, box, pair // 256, pair % 256, voxel_ml))
    rest = order[MOST:]
    return tuple(places), int(rest.size), int(sizes[rest].sum())


def _place(
    mask: npt.NDArray[np.bool_], piece: Slices, box: Slices, first: int, second: int, voxel_ml: float
) -> Disagreement:
    z, y, x = (p.start + b.start for p, b in zip(piece, box, strict=True))
    depth, height, width = mask.shape
    where: Box = ((z, y, x), (z + depth, y + height, x + width))
    region = Region(
        box=where,
        mask=np.ascontiguousarray(mask),
        value=first or second,
        confidence=0.0,
        ml=int(np.count_nonzero(mask)) * voxel_ml,
        benefit=float(np.count_nonzero(mask)),
        why="the two differ here",
        focus=center_of(mask, where),
    )
    return Disagreement(region, first, second)
