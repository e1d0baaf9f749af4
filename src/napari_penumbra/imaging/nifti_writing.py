"""Writing NIfTI, slice by slice: a file never needs a second copy of its volume in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import AnyArray, Grid
from napari_penumbra.imaging import gz
from napari_penumbra.imaging.atomic import replace_into

_STEP = 1 << 21
"""Voxels that are converted and packed at once."""


def encode(
    array_zyx: AnyArray,
    grid: Grid,
    dtype: npt.DTypeLike | None = None,
    *,
    slope: float = 1.0,
    description: str = "",
    gzipped: bool = True,
) -> bytes:
    """Make the bytes of a NIfTI-1 file (NIfTI-2 if an edge exceeds 32767 voxels).

    The same array gives the same bytes on the same machine. See `write_nifti` for the parameters.
    """
    buffer = io.BytesIO()
    _write(buffer, array_zyx, grid, dtype, slope, description, gzipped)
    return buffer.getvalue()


def write_nifti(
    path: Path,
    array_zyx: AnyArray,
    grid: Grid,
    dtype: npt.DTypeLike | None = None,
    *,
    slope: float = 1.0,
    description: str = "",
) -> None:
    """Write a volume as NIfTI, whole or not at all.

    Parameters
    ----------
    path
        Ends in ``.nii`` or ``.nii.gz``.
    array_zyx
        (z, y, x) on ``grid``.
    grid
        Where it lies; goes into both placements of the header.
    dtype
        Type to store; by default the array's own (bool as uint8, 64-bit integers as int32 where they fit, float16 as
        float32). Values must survive the change exactly unless they are floats stored as smaller floats.
    slope
        Store ``round(array / slope)`` and this scale factor, e.g. 1/255 with ``uint8`` for a map in [0, 1].
    description
        Up to 79 ASCII characters for the header, such as ``simulated``. Never anything about a patient.

    Raises
    ------
    DiskError
        The file could not be written.
    ValueError
        Shape and grid disagree, the name does not end in .nii or .nii.gz, or values do not fit ``dtype``.
    """
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path.name} must end in .nii or .nii.gz")
    with replace_into(path) as temporary, temporary.open("wb") as file:
        _write(file, array_zyx, grid, dtype, slope, description, name.endswith(".gz"))


def _write(
    file: IO[bytes],
    array: AnyArray,
    grid: Grid,
    dtype: npt.DTypeLike | None,
    slope: float,
    description: str,
    gzipped: bool,
) -> None:
    if array.shape != grid.array_shape:
        raise ValueError(f"array {array.shape} does not lie on a grid of {grid.array_shape}")
    wanted = _wanted(array, dtype)
    header = _header(grid, wanted, slope, description)
    packed = gz.writing(file) if gzipped else None
    target = packed or file
    target.write(header)
    for slab in _slabs(array, wanted, slope):
        target.write(slab)
    if packed is not None:
        packed.close()


def _header(grid: Grid, dtype: np.dtype[Any], slope: float, description: str) -> bytes:
    """352 bytes (NIfTI-2: 544): the header, and four zeros that say that no extensions follow."""
    import nibabel as nib

    large = max(grid.shape) > 32767
    empty = np.broadcast_to(dtype.type(0), grid.shape)  # shape and type for the header; takes no memory
    image = (nib.Nifti2Image if large else nib.Nifti1Image)(empty, grid.matrix, dtype=dtype)
    header = image.header
    header.set_xyzt_units("mm")
    header["descrip"] = description.encode("ascii", "replace")[:79]
    image.set_sform(grid.matrix, code="scanner")
    # A quaternion cannot hold skewed axes; readers then fall back to the sform, which can.
    image.set_qform(grid.matrix, code="scanner" if grid.shear < 1e-4 else "unknown")
    header.set_slope_inter(slope, 0.0)
    header.set_data_offset(header.single_vox_offset)
    return bytes(header.binaryblock) + bytes(4)


def _wanted(array: AnyArray, dtype: npt.DTypeLike | None) -> np.dtype[Any]:
    if dtype is not None:
        return np.dtype(dtype)
    name = {"bool": "uint8", "float16": "float32"}.get(array.dtype.name, array.dtype.name)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        fits = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
        name = "int32" if fits else array.dtype.name
    return np.dtype(name)


def _slabs(array: AnyArray, wanted: np.dtype[Any], slope: float) -> Iterator[memoryview]:
    """Voxels in the order of the file, a few slices at a time. Raises `ValueError` for values that do not fit."""
    step = max(1, _STEP // max(1, array[0].size)) if array.shape[0] else 1
    for start in range(0, array.shape[0], step):
        slab = array[start : start + step]
        if slope != 1.0:
            slab = np.rint(slab.astype(np.float64) / slope)
        if wanted != slab.dtype:
            _check_fits(slab, wanted)
        yield np.ascontiguousarray(slab, dtype=wanted).data.cast("B")


def _check_fits(slab: AnyArray, wanted: np.dtype[Any]) -> None:
    if wanted.kind == "f" or not slab.size:
        return
    limits = np.iinfo(wanted)
    whole = slab.dtype.kind != "f" or bool((slab == np.rint(slab)).all())
    if not whole or slab.min() < limits.min or slab.max() > limits.max:
        raise ValueError(f"values of {slab.dtype} do not fit {wanted} exactly")
