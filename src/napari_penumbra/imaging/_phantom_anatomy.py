"""The head of a simulated case: the MNI152 tissue maps in a new pose, size and shape."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from napari_penumbra.imaging.samples import sample_dir

ANATOMY = "mni152_anatomy_2mm.nii.gz"
Field = npt.NDArray[np.float64]

# The brain's extent in MNI space, mm: right to left, back to front, bottom to top.
_LOW = np.array([-70.0, -104.0, -62.0])
_HIGH = np.array([70.0, 70.0, 78.0])


@dataclass(frozen=True, slots=True)
class Head:
    """Tissue of one case on its grid; all arrays (z, y, x).

    Attributes
    ----------
    grey, white, fluid
        Volume fractions, 0 to 1.
    inside
        Where the brain is.
    mni
        (3, z, y, x): the place of each voxel in MNI mm (R to L, back to front, bottom to top), for anatomy by name.
    edge_mm
        Depth below the surface of the brain, in mm; 0 outside.
    spacing
        Edges of a voxel, mm (z, y, x).
    """

    grey: Field
    white: Field
    fluid: Field
    inside: npt.NDArray[np.bool_]
    mni: Field
    edge_mm: Field
    spacing: tuple[float, float, float]

    def place(self, height: float, depth: float, side: float) -> tuple[float, float, float]:
        """Position in mm from the first voxel (z, y, x) of a spot given in shares of the brain's own extent.

        Parameters
        ----------
        height, depth, side
            0 bottom to 1 top; 0 front to 1 back; -0.5 patient's right to 0.5 left.
        """
        found = np.argwhere(self.inside)
        low, high = found.min(axis=0), found.max(axis=0)
        share = np.array([height, depth, side + 0.5])
        z, y, x = (low + share * (high - low)) * np.array(self.spacing)
        return float(z), float(y), float(x)


@functools.cache
def _maps() -> tuple[npt.NDArray[np.float32], Field]:
    """Tissue maps (map, i, j, k) and the matrix from MNI mm to their voxels. Read once."""
    import nibabel as nib

    image = nib.load(sample_dir() / ANATOMY)
    maps = np.asarray(image.dataobj).astype(np.float32) / 255.0
    return np.ascontiguousarray(np.moveaxis(maps, -1, 0)), np.linalg.inv(image.affine)


def draw_head(rng: Generator, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Head:
    """Draw pose, size and warp, and sample the tissue there.

    Parameters
    ----------
    shape, spacing
        Of the case's grid, (z, y, x) and mm.
    """
    from scipy import ndimage

    mm = _scanner_mm(shape, spacing)
    warp = np.stack([_warp(rng, shape, spacing) for _ in range(3)]) * rng.uniform(1.5, 4.0)
    mni = _pose(rng, mm) + warp
    maps, to_voxel = _maps()
    sampled = []
    thickness = spacing[0]
    shifts = np.array([-1, 0, 1]) * thickness / 3  # a thick slice averages what lies within it
    for tissue in maps:
        layers = []
        for shift in shifts:
            point = mni + np.array([0, 0, shift]).reshape(3, 1, 1, 1)
            voxel = np.tensordot(to_voxel[:3, :3], point, 1) + to_voxel[:3, 3].reshape(3, 1, 1, 1)
            layers.append(ndimage.map_coordinates(tissue, voxel, order=1, output=np.float64))
        sampled.append(np.mean(layers, axis=0))
    grey, white, fluid = sampled
    inside = ndimage.binary_fill_holes(grey + white + fluid > 0.4)
    edge = ndimage.distance_transform_edt(inside, sampling=spacing)
    return Head(grey, white, fluid, inside, mni, edge, spacing)


def _scanner_mm(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Field:
    """Voxel centres as (3, z, y, x) in RAS order around the middle of the brain; arrays grow towards L, P, S."""
    z, y, x = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True))
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    return np.stack([-xx, -yy, zz])


def _pose(rng: Generator, mm: Field) -> Field:
    """Scanner to MNI millimetres: shifted, turned and scaled as patients lie and differ."""
    middle = (_LOW + _HIGH) / 2
    angles = np.deg2rad(rng.normal(0, (6.0, 4.0, 5.0)))
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    scale = rng.uniform(0.93, 1.08) * rng.uniform(0.96, 1.04, 3)
    offset = middle + rng.normal(0, (2.5, 4.0, 0.0)) + (0, 0, rng.uniform(-6, 10))
    matrix = turn @ np.diag(1 / scale)
    return np.tensordot(matrix, mm, 1) + offset.reshape(3, 1, 1, 1)


def _warp(rng: Generator, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Field:
    """One smooth displacement field of unit spread."""
    from scipy import ndimage

    field = ndimage.gaussian_filter(rng.normal(size=shape), [22.0 / s for s in spacing], mode="reflect")
    return np.asarray(field / field.std())
