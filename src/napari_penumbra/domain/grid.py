"""The voxel grid of a case and the one place where axes are swapped.

Two index orders meet in this program:

* **ijk** is the order of files: ``Grid.shape`` and ``Grid.affine`` speak it, exactly as nibabel does.
* **zyx** is the order of arrays in memory, in napari and in tensors: ``array.shape == grid.array_shape``.

``ijk_to_zyx`` and ``zyx_to_ijk`` convert an array between them and nothing else in the program transposes a volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]

CANONICAL = "LPS"
"""Direction in which i, j and k grow in every array that the study keeps.

With ``L P S`` a napari canvas shows an axial slice as a radiologist reads it (patient's right on the left of the
screen, front at the top) with positive scales, and the slider runs from feet to head.
"""


def ijk_to_zyx(array: AnyArray) -> AnyArray:
    """Reverse the axes of an array in file order; a view, no copy."""
    return array.transpose(range(array.ndim)[::-1])


def zyx_to_ijk(array: AnyArray) -> AnyArray:
    """Reverse the axes of an array in memory order; a view, no copy."""
    return array.transpose(range(array.ndim)[::-1])


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of a volume lie in the patient.

    Attributes
    ----------
    shape
        Number of voxels along i, j, k.
    affine
        4x4, row by row: voxel index (i, j, k, 1) to RAS+ millimetres, as nibabel gives it.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, shape: Sequence[int], affine: npt.ArrayLike) -> Grid:
        """Build a grid from anything that looks like a shape and a 4x4 matrix."""
        matrix = np.asarray(affine, dtype=np.float64)
        if len(shape) != 3 or matrix.shape != (4, 4):
            raise ValueError(f"a grid needs 3 sizes and a 4x4 affine, got {tuple(shape)} and {matrix.shape}")
        i, j, k = (int(n) for n in shape)
        return cls((i, j, k), tuple(tuple(float(v) for v in row) for row in matrix))

    @classmethod
    def picture(cls, width: int, height: int) -> Grid:
        """Grid of a flat picture without millimetres: x to the right, y down, and one pixel counts as 1 mm."""
        return cls.of((width, height, 1), np.diag([-1.0, -1.0, 1.0, 1.0]))

    @property
    def is_picture(self) -> bool:
        """Whether this is the grid of a picture (`picture`): nobody measured its millimetres."""
        return self.shape[2] == 1 and self == Grid.picture(*self.shape[:2])

    @property
    def matrix(self) -> FloatArray:
        """The affine as a fresh (4, 4) array."""
        return np.array(self.affine, dtype=np.float64)

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, (z, y, x)."""
        return self.shape[::-1]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along i, j, k in mm."""
        a, b, c = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(a), float(b), float(c)

    @property
    def scale(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along z, y, x in mm: napari's ``scale``."""
        return self.spacing[::-1]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.matrix[:3, :3]))) / 1000.0

    @property
    def shear(self) -> float:
        """Largest cosine between two voxel axes: 0 for a right-angled grid."""
        unit = self.matrix[:3, :3] / np.asarray(self.spacing)
        gram = np.abs(unit.T @ unit - np.eye(3))
        return float(gram.max())

    def axes(self) -> str:
        """Name the closest patient direction in which i, j, k grow, for example ``LPS`` or ``PIR``."""
        return "".join(_name_direction(axis, sign) for axis, sign in self._closest())

    def _closest(self) -> list[tuple[int, int]]:
        """For i, j, k: the RAS axis (0, 1, 2) it follows most closely, each used once, and the sign."""
        unit = np.abs(self.matrix[:3, :3] / np.asarray(self.spacing))
        found: dict[int, int] = {}
        free_ras = [0, 1, 2]
        # The clearest pair first, so that two voxel axes never claim the same patient axis on oblique scans.
        while len(found) < 3:
            rest = [(unit[r, v], r, v) for r in free_ras for v in range(3) if v not in found]
            _, ras, voxel = max(rest)
            found[voxel] = ras
            free_ras.remove(ras)
        return [(found[v], 1 if self.matrix[found[v], v] >= 0 else -1) for v in range(3)]

    def reorientation(self, axes: str = CANONICAL) -> Reorientation:
        """How an array on this grid is permuted and flipped so that its axes grow along ``axes``."""
        wanted = [_parse_direction(letter) for letter in axes]
        mine = self._closest()
        order = tuple(next(v for v in range(3) if mine[v][0] == ras) for ras, _ in wanted)
        flip = tuple(mine[v][1] != sign for v, (_, sign) in zip(order, wanted, strict=True))
        return Reorientation(self, order, flip)

    def same_place(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether every voxel of the two grids lies on the same millimetre (to ``tolerance_mm``)."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], [1], indexing="ij")).reshape(4, -1)
        return bool(np.abs((self.matrix - other.matrix) @ corners).max() <= tolerance_mm)

    def to_json(self) -> dict[str, Any]:
        """Plain data for files."""
        return {"shape": list(self.shape), "affine": [list(row) for row in self.affine]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Grid:
        """Inverse of `to_json`."""
        return cls.of(data["shape"], data["affine"])


@dataclass(frozen=True, slots=True)
class Reorientation:
    """A lossless permutation and flip of the axes of one grid: no voxel value is ever computed.

    Attributes
    ----------
    source
        The grid before.
    order
        ``order[n]`` is the source axis (ijk) that becomes axis n.
    flip
        Whether new axis n runs against its source axis.
    """

    source: Grid
    order: tuple[int, ...]
    flip: tuple[bool, ...]

    @property
    def target(self) -> Grid:
        """The grid after."""
        shape = [self.source.shape[v] for v in self.order]
        step = np.zeros((4, 4))
        step[3, 3] = 1
        for new, (old, flipped) in enumerate(zip(self.order, self.flip, strict=True)):
            step[old, new] = -1 if flipped else 1
            if flipped:
                step[old, 3] = self.source.shape[old] - 1
        return Grid.of(shape, self.source.matrix @ step)

    def apply(self, ijk: AnyArray) -> AnyArray:
        """Bring an array in the source's ijk order to the target's ijk order."""
        return np.ascontiguousarray(self.view(ijk))

    def view(self, ijk: AnyArray) -> AnyArray:
        """As `apply`, without a copy."""
        return ijk.transpose(self.order)[tuple(slice(None, None, -1 if f else 1) for f in self.flip)]

    def undo(self, ijk: AnyArray) -> AnyArray:
        """Bring an array in the target's ijk order back to the source's ijk order."""
        turned = ijk[tuple(slice(None, None, -1 if f else 1) for f in self.flip)]
        return np.ascontiguousarray(turned.transpose(np.argsort(self.order)))


def _name_direction(ras_axis: int, sign: int) -> str:
    return ("RAS" if sign > 0 else "LPI")[ras_axis]


def _parse_direction(letter: str) -> tuple[int, int]:
    return ("RAS".index(letter), 1) if letter in "RAS" else ("LPI".index(letter), -1)
