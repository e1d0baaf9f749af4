"""A NIfTI file of several modalities on one grid, the fourth axis telling them apart."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np

from napari_penumbra.domain.grid import AnyArray, Grid, zyx_to_ijk


def encode_4d(volumes_zyx: Sequence[AnyArray], grid: Grid) -> bytes:
    """Make the bytes of a gzipped NIfTI-1 file (NIfTI-2 if an edge exceeds 32767 voxels) of shape (i, j, k, n).

    Parameters
    ----------
    volumes_zyx
        (z, y, x) each, on ``grid``.
    grid
        Where they all lie; goes into both placements of the header.
    """
    import nibabel as nib

    for volume in volumes_zyx:
        if volume.shape != grid.array_shape:
            raise ValueError(f"array {volume.shape} does not lie on a grid of {grid.array_shape}")
    stacked = np.stack([zyx_to_ijk(volume) for volume in volumes_zyx], axis=-1)
    kind = nib.Nifti2Image if max(grid.shape) > 32767 else nib.Nifti1Image
    image = kind(stacked, grid.matrix, dtype=stacked.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(grid.matrix, code="scanner")
    # A quaternion cannot hold skewed axes; readers then fall back to the sform, which can.
    image.set_qform(grid.matrix, code="scanner" if grid.shear < 1e-4 else "unknown")
    return gzip.compress(bytes(image.to_bytes()), compresslevel=1, mtime=0)
