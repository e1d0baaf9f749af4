"""Where a grid is drawn in napari's world: millimetres, axis-aligned, the patient's directions by letter.

napari cannot draw a rotated slice, so a scan is shown as if its axes were straight; the true affine stays on the
`Grid` and goes into every file. The world is (S, P, L) millimetres of the first voxel plus steps of the spacing, so
that two scans of one session lie over each other and a position read off the status bar means something.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_penumbra.domain.grid import Grid

OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}
UNITS = ("mm", "mm", "mm")
_RAS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def placement(grid: Grid) -> dict[str, Any]:
    """Layer arguments that put an array of ``grid`` on the screen: ``scale``, ``translate`` and ``units``.

    Parameters
    ----------
    grid
        A canonical grid (its axes grow towards L, P, S); an oblique one is drawn straight.
    """
    first = grid.matrix[:3, 3]
    patient = np.array([_RAS[letter] for letter in grid.axes()], dtype=np.float64)
    # Position of the first voxel along the direction in which each axis grows, in mm.
    along_ijk = patient @ first
    return {"scale": grid.scale, "translate": tuple(float(v) for v in along_ijk[::-1]), "units": UNITS}


def placement_of_part(grid: Grid, first: Sequence[int], plane: Sequence[int], parts: int) -> dict[str, Any]:
    """Layer arguments that put a part of a case, its voxels divided for thin lines, where it belongs.

    Parameters
    ----------
    grid
        As for `placement`.
    first
        (z, y, x) of the part's first voxel on the grid; negative outside it.
    plane
        Axes (of z, y, x) along which voxels are divided.
    parts
        Pieces of a voxel's edge along these.
    """
    place = placement(grid)
    scale = tuple(s / parts if axis in plane else s for axis, s in enumerate(place["scale"]))
    # A layer is placed by the centre of its first voxel: half a coarse voxel back, half a fine one forward.
    translate = tuple(
        t + start * s - s / 2 + f / 2
        for t, s, f, start in zip(place["translate"], place["scale"], scale, first, strict=True)
    )
    return {**place, "scale": scale, "translate": translate}


def growing_letters(grid: Grid) -> tuple[str, str, str]:
    """Patient direction in which z, y and x grow, for example ``("S", "P", "L")``."""
    axes = grid.axes()
    return axes[2], axes[1], axes[0]


def ras_of(letter: str) -> tuple[int, int, int]:
    """Unit vector of a patient direction in RAS."""
    return _RAS[letter]
