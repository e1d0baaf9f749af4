"""Ways to store a scan that do not go through the code under test."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from napari_penumbra.domain.grid import Grid

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def turned(grid: Grid, degrees: float) -> Grid:
    """The same voxels after the patient was tilted about an odd axis."""
    axis = np.array([1.0, 2.0, 0.5]) / np.linalg.norm([1.0, 2.0, 0.5])
    a, (x, y, z) = np.deg2rad(degrees), axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(4)
    rotation[:3, :3] = np.eye(3) + np.sin(a) * cross + (1 - np.cos(a)) * cross @ cross
    return Grid.of(grid.shape, rotation @ grid.matrix)


def save(path: Path, ijk: np.ndarray, grid: Grid) -> Path:
    """Write with the format's own library."""
    if path.name.endswith((".nii", ".nii.gz", ".img")):
        kind = nib.Nifti1Pair if path.suffix == ".img" else nib.Nifti1Image
        image = kind(ijk, grid.matrix)
        image.set_qform(grid.matrix, 1)
        image.set_sform(grid.matrix, 1)
        nib.save(image, path)
        return path
    lps = LPS_TO_RAS @ grid.matrix
    image = sitk.GetImageFromArray(np.ascontiguousarray(ijk.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing)
    image.SetDirection((lps[:3, :3] / np.asarray(grid.spacing)).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), path.suffix == ".nrrd")
    return path


def millimetres(mask_ijk: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Where the voxels of a mask lie, in RAS mm, in an order that does not depend on the axes."""
    index = np.argwhere(mask_ijk)
    points = (affine @ np.c_[index, np.ones(len(index))].T)[:3].T
    return points[np.lexsort(np.round(points, 2).T)]
