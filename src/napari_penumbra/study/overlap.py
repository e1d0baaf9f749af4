"""Do two grids share space, and how far do they lie apart? In words for the reader of a case that is added."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import GeometryError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.resample import displacement_mm


def check_not_picture(grid: Grid, reference: Grid, what: str) -> None:
    """Refuse to lay a picture over anything of another size: without millimetres nobody knows how it would fit."""
    if grid.is_picture and reference.is_picture:
        mine, other = ("×".join(map(str, g.shape[:2])) for g in (grid, reference))
        raise GeometryError(
            f"{what} has {mine} pixels, its picture {other}.",
            "Export it in the size of the picture; masks must be scaled without smoothing (nearest neighbour).",
        )
    if grid.is_picture or reference.is_picture:
        one, other = ("a picture", "a scan") if grid.is_picture else ("a scan", "a picture")
        raise GeometryError(
            f"{what} is {one} and its reference image {other}: it is not known where they lie on each other.",
            "Give files of one sort; a mask is best saved by the program that opened the image.",
        )


def check_overlap(grid: Grid, reference: Grid, what: str) -> float:
    """Return how far two grids lie apart in mm; raises `GeometryError` when they share no space at all."""
    low, high = _extent(grid)
    other_low, other_high = _extent(reference)
    if bool((low >= other_high).any() or (high <= other_low).any()):
        raise GeometryError(
            f"{what} lies at another place in space than the reference image: they do not overlap.",
            "Check that it belongs to this scan, or register it to the reference first.",
        )
    return displacement_mm(grid, reference)


def _extent(grid: Grid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape], [1.0], indexing="ij")).reshape(4, -1)
    corners = (grid.matrix @ ends)[:3]
    return corners.min(axis=1), corners.max(axis=1)


def difference(grid: Grid, reference: Grid, moved: float) -> str:
    """Say how two grids differ."""
    if grid.shape != reference.shape:
        mine, other = ("×".join(map(str, g.shape)) for g in (grid, reference))
        return f"{mine} instead of {other} voxels"
    return f"up to {mm(moved)} apart" if moved > 0 else "its voxels run in another direction"


def mm(length: float) -> str:
    """Say a length."""
    return f"{length:.1f} mm" if length >= 0.05 else "less than 0.1 mm"
