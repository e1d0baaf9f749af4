"""NIfTI-1 and NIfTI-2, single files and pairs, plain or gzipped, of either byte order."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import FloatArray, Grid
from napari_penumbra.imaging import analyze
from napari_penumbra.imaging.nifti_writing import encode, write_nifti
from napari_penumbra.imaging.raw import RawImage, one_volume, truncated, unreadable, usable_grid
from napari_penumbra.imaging.stored import head_of, stored_bytes

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

__all__ = [
    "encode", "frames", "grid_of", "header_file", "looks_like_analyze", "looks_like_nifti", "parse_header",
    "read", "write", "write_nifti",
]  # fmt: skip

_MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}


def frames(path: Path) -> int:
    """How many volumes the header of a NIfTI or Analyze file announces; 1 when it cannot be read."""
    from nibabel.imageglobals import LoggingOutputSuppressor

    try:
        header_path, data_path = _pair_of(path)
        head = head_of(header_path)
        if header_path != data_path and looks_like_analyze(head):
            return analyze.frames(head)
        with LoggingOutputSuppressor():
            return math.prod(parse_header(path, head).get_data_shape()[3:])
    except (ImageError, OSError, ValueError, TypeError, KeyError):
        return 1  # whoever reads it says what is wrong with it


def header_file(path: Path) -> Path:
    """The header half of a pair, or the file itself."""
    return _pair_of(path)[0]


def looks_like_nifti(head: bytes) -> bool:
    """Whether the first (unpacked) bytes of a file are a NIfTI header of either version and byte order."""
    size = head[:4]
    if size in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        return head[344:348] in (b"n+1\0", b"ni1\0")
    return size in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") and head[4:8] in (b"n+2\0", b"ni2\0")


def looks_like_analyze(head: bytes) -> bool:
    """Whether the bytes are the header of the format before NIfTI, which cannot tell left from right."""
    return len(head) >= 348 and head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and not looks_like_nifti(head)


def read(path: Path, frame: int | None = None) -> RawImage:
    """Read a NIfTI or Analyze file as stored.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz``, or the ``.hdr`` or ``.img`` of a pair.
    frame
        Which volume of several, from 0; None wants a file of one volume.

    Raises
    ------
    ImageError
        Damaged, cut off, absurd, several volumes, colour or complex voxels, half of a pair.
    """
    from nibabel.imageglobals import LoggingOutputSuppressor
    from nibabel.spatialimages import HeaderDataError

    header_path, data_path = _pair_of(path)
    head = head_of(header_path)
    if header_path != data_path and looks_like_analyze(head):
        return analyze.read(header_path, data_path, head, frame)
    try:
        with LoggingOutputSuppressor():  # nibabel prints its header repairs to stderr
            header = parse_header(header_path, head)
            dtype = _plain_dtype(path, header)
            shape = one_volume(path, header.get_data_shape(), frame)
            affine, warnings = _affine(path, header)
            slope, intercept = header.get_slope_inter()
            offset = int(header.get_data_offset())
    except (HeaderDataError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise unreadable(path, error) from error
    if offset < (len(header.binaryblock) if header_path == data_path else 0):
        raise unreadable(path)
    count = math.prod(shape) * dtype.itemsize
    grid, more = usable_grid(path, shape, affine)
    data = stored_bytes(data_path, offset + (frame or 0) * count, count)
    ijk = np.frombuffer(data, dtype).reshape(shape, order="F")
    if not dtype.isnative:
        ijk = ijk.astype(dtype.newbyteorder("="))
    return RawImage(ijk, grid, 1.0 if slope is None else float(slope), float(intercept or 0.0), (*warnings, *more))


write = write_nifti
"""For callers that say ``nifti.write``."""


def _pair_of(path: Path) -> tuple[Path, Path]:
    """Header and voxel file: the same for a single file, two for a pair."""
    name = path.name
    stem, packed = (name[:-3], name[-3:]) if name.lower().endswith(".gz") else (name, "")
    if not stem.lower().endswith((".hdr", ".img")):
        return path, path
    upper = stem[-1].isupper()
    header = path.with_name(stem[:-4] + (".HDR" if upper else ".hdr") + packed)
    data = path.with_name(stem[:-4] + (".IMG" if upper else ".img") + packed)
    for half, other in ((header, data), (data, header)):
        if not half.is_file():
            raise ImageError(
                f"{half.name} is missing: {other.name} is one half of a pair.", "Put both files into the same folder."
            )
    return header, data


def grid_of(path: Path, head: bytes) -> Grid:
    """Where the voxels of a file lie, from its first unpacked bytes alone.

    Raises
    ------
    ImageError
        The bytes are no header of one volume of plain numbers.
    """
    from nibabel.imageglobals import LoggingOutputSuppressor
    from nibabel.spatialimages import HeaderDataError

    try:
        with LoggingOutputSuppressor():
            header = parse_header(path, head)
            _plain_dtype(path, header)
            return usable_grid(path, one_volume(path, header.get_data_shape()), _affine(path, header)[0])[0]
    except (HeaderDataError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise unreadable(path, error) from error


def parse_header(path: Path, head: bytes) -> Nifti1Header:
    """Parse the first unpacked bytes of a file; raises `ImageError` when they are no NIfTI header."""
    from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
    from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader

    if not looks_like_nifti(head):
        raise unreadable(path)
    single = head[4:8] == b"n+2\0" or head[344:348] == b"n+1\0"
    second = head[4:8] in (b"n+2\0", b"ni2\0")
    kinds = (Nifti2Header, Nifti2PairHeader) if second else (Nifti1Header, Nifti1PairHeader)
    kind = kinds[0] if single else kinds[1]
    # Four zeros say "no extensions follow": they may be long, and may hold a patient's name.
    size = 540 if second else 348
    if len(head) < size:
        raise truncated(path)
    block = head[:size] + bytes(4)
    # check=False: nibabel would refuse repairable oddities; what matters is checked by us.
    header: Nifti1Header = kind.from_fileobj(io.BytesIO(block), check=False)
    return header


def _plain_dtype(path: Path, header: Nifti1Header) -> np.dtype[Any]:
    dtype: np.dtype[Any] = header.get_data_dtype()
    if dtype.names is not None:
        raise ImageError(
            f"{path.name} is a colour picture, not a scan.", "Convert it to grey values, one number per voxel."
        )
    if dtype.kind not in "iuf":
        raise ImageError(
            f"{path.name} has voxels that are not plain numbers.", "Save magnitudes, one number per voxel."
        )
    return dtype


def _affine(path: Path, header: Nifti1Header) -> tuple[FloatArray, tuple[str, ...]]:
    """Placement in mm: sform, else qform, else the voxel sizes alone, as nibabel ranks them."""
    warnings = []
    sform = header.get_sform(coded=True)[0]
    try:
        qform = header.get_qform(coded=True)[0]
    except ValueError:
        # A broken quaternion matters only when there is nothing better.
        if sform is None:
            raise
        qform = None
    if sform is None and qform is None:
        warnings.append(f"{path.name} does not say how the patient lay: left and right are assumed, check them.")
    elif sform is not None and qform is not None:
        i, j, k = (*header.get_data_shape(), 1, 1)[:3]
        corners = np.array(np.meshgrid((0, i - 1), (0, j - 1), (0, k - 1), [1], indexing="ij")).reshape(4, -1)
        apart = float(np.abs((sform - qform) @ corners).max())
        if apart > 1.0:
            warnings.append(
                f"{path.name} gives two placements that differ by up to {apart:.1f} mm; the one called sform is used."
            )
    scale = _MM_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)
    affine = np.array(header.get_best_affine(), dtype=np.float64)
    affine[:3] *= scale
    return affine, tuple(warnings)
