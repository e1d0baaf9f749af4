"""Overlap and surface distance between two label volumes, in millimetres.

Definitions (A the prediction's mask of a class, B the reference's; unknown voxels belong to neither)

* Dice ``2|A∩B| / (|A|+|B|)``, Jaccard ``|A∩B| / |A∪B|``.
* A *surface voxel* is a voxel of a mask with at least one of its six face neighbours outside (the volume's edge counts
  as outside). In a volume of one slice the neighbours are the four in the slice: every pixel of a picture would be
  surface otherwise. d(A→B) are the Euclidean distances in mm from each surface voxel of A to the nearest one of B.
* HD ``max(max d(A→B), max d(B→A))``.
* HD95 the larger of the two 95th percentiles (linear interpolation), as MONAI computes it.
* HD95 pooled: the 95th percentile of both sets of distances thrown together, as medpy and most left-atrium tables do.
* ASSD: the mean over both sets thrown together. ``assd_mean_of_means``: the mean of the two directed means (COL-Net).

Empty masks: both empty, Dice and Jaccard are 1 and there are no distances (None). Only one empty, Dice and Jaccard are
0, every distance is the diagonal of the image in mm, and the case counts as *missed* (nothing predicted) or *spurious*
(nothing there). Libraries return 0, infinity or NaN here; averages over those hide misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_penumbra.domain.labels import UNKNOWN

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]

PERCENTILE = 95.0
_FACES = ndimage.generate_binary_structure(3, 1)
_EDGES = _FACES & np.array([False, True, False])[:, None, None]
"""The neighbours within a slice."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one class in one case; distances in mm, None when both masks are empty. See the module's text.

    ``missed``: the reference has the class, the prediction nothing of it. ``spurious``: the other way round.
    """

    dice: float
    jaccard: float
    hd: float | None
    hd95: float | None
    assd: float | None
    hd95_pooled: float | None
    assd_mean_of_means: float | None
    missed: bool = False
    spurious: bool = False
    predicted_ml: float = 0.0
    reference_ml: float = 0.0


FIGURES = tuple(f.name for f in fields(Scores) if f.name not in ("missed", "spurious"))


def score(
    prediction: npt.NDArray[np.generic],
    reference: npt.NDArray[np.generic],
    spacing_zyx: Sequence[float],
    values: Sequence[int],
) -> dict[int, Scores]:
    """Compare two label volumes class by class.

    Parameters
    ----------
    prediction, reference
        (z, y, x) label values on the same grid. Voxels that are 255 in either are left out of both.
    spacing_zyx
        Voxel edges in mm along z, y, x.
    values
        Foreground values to score.

    Returns
    -------
    dict
        Value to its `Scores`.

    Raises
    ------
    ValueError
        Shapes differ, are not 3D, or the spacing is not three positive numbers.
    """
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise ValueError(f"two 3D volumes of one shape are needed, got {prediction.shape} and {reference.shape}")
    spacing = tuple(float(s) for s in spacing_zyx)
    if len(spacing) != 3 or not all(0 < s < np.inf for s in spacing):
        raise ValueError(f"spacing must be three positive lengths in mm, got {spacing}")
    known = (prediction != UNKNOWN) & (reference != UNKNOWN)
    diagonal = float(np.linalg.norm(np.multiply(prediction.shape, spacing)))
    return {
        int(v): _score_class((prediction == v) & known, (reference == v) & known, spacing, diagonal) for v in values
    }


def _score_class(a: Mask, b: Mask, spacing: tuple[float, ...], diagonal: float) -> Scores:
    size_a, size_b = int(np.count_nonzero(a)), int(np.count_nonzero(b))
    ml = float(np.prod(spacing)) / 1000.0
    if not size_a or not size_b:
        both_empty = size_a == size_b
        overlap, distance = (1.0, None) if both_empty else (0.0, diagonal)
        return Scores(
            overlap, overlap, distance, distance, distance, distance, distance,
            missed=size_b > 0, spurious=size_a > 0, predicted_ml=size_a * ml, reference_ml=size_b * ml,
        )  # fmt: skip
    common = int(np.count_nonzero(a & b))
    there, back = directed_distances(a, b, spacing)
    pooled = np.concatenate([there, back])
    return Scores(
        dice=2 * common / (size_a + size_b),
        jaccard=common / (size_a + size_b - common),
        hd=float(pooled.max()),
        hd95=float(max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))),
        assd=float(pooled.mean()),
        hd95_pooled=float(np.percentile(pooled, PERCENTILE)),
        assd_mean_of_means=float((there.mean() + back.mean()) / 2),
        predicted_ml=size_a * ml,
        reference_ml=size_b * ml,
    )


def directed_distances(a: Mask, b: Mask, spacing: Sequence[float]) -> tuple[Distances, Distances]:
    """Distances from each surface voxel of one mask to the other's surface, both ways.

    Parameters
    ----------
    a, b
        (z, y, x), neither empty.
    spacing
        Voxel edges in mm along z, y, x.

    Returns
    -------
    tuple
        d(a→b) and d(b→a) in mm, one entry per surface voxel.
    """
    box = _box(a | b)
    flat = a.shape[0] == 1
    # One voxel of nothing around, so that the volume's edge counts as outside; nothing beyond the box can be nearest.
    edge_a, edge_b = surface(np.pad(a[box], 1), flat), surface(np.pad(b[box], 1), flat)
    to_b = ndimage.distance_transform_edt(~edge_b, sampling=spacing)
    there: Distances = to_b[edge_a]
    del to_b
    back: Distances = ndimage.distance_transform_edt(~edge_a, sampling=spacing)[edge_b]
    return there, back


def surface(mask: Mask, flat: bool = False) -> Mask:
    """Voxels of a mask with a face neighbour outside it; the volume's edge counts as outside.

    ``flat`` looks for neighbours within the slice only.
    """
    inner: Mask = ndimage.binary_erosion(mask, _EDGES if flat else _FACES, border_value=0)
    return mask & ~inner


def _box(mask: Mask) -> tuple[slice, ...]:
    slices = []
    for axis in range(mask.ndim):
        others = tuple(n for n in range(mask.ndim) if n != axis)
        used = np.flatnonzero(mask.any(axis=others))
        slices.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(slices)
