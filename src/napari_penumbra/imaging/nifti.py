"""NIfTI-1 and NIfTI-2, single files and pairs, plain or gzipped, of either byte order."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import AnyArray, FloatArray, Grid, zyx_to_ijk
from napari_penumbra.imaging.atomic import write_bytes
from napari_penumbra.imaging.raw import (
    COPY_AGAIN,
    DEFLATE_RATIO,
    RawImage,
    check_size,
    one_volume,
    truncated,
    unreadable,
    usable_grid,
)

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

_MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
_GZIP_MAGIC = b"\x1f\x8b"
_READ_STEP = 1 << 20


def looks_like_nifti(head: bytes) -> bool:
    """Whether the first (unpacked) bytes of a file are a NIfTI header of either version and byte order."""
    size = head[:4]
    if size in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        return head[344:348] in (b"n+1\0", b"ni1\0")
    return size in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") and head[4:8] in (b"n+2\0", b"ni2\0")


def looks_like_analyze(head: bytes) -> bool:
    """Whether the bytes are the header of the format before NIfTI, which cannot tell left from right."""
    return len(head) >= 348 and head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and not looks_like_nifti(head)


def head_of(path: Path) -> bytes:
    """First 544 bytes of a file, unpacked when it is gzipped. Raises `ImageError` for a broken gzip."""
    with path.open("rb") as file:
        head = file.read(544)
    if head[:2] != _GZIP_MAGIC:
        return head
    return _unpack(path, 544, to_end=False)


def read(path: Path) -> RawImage:
    """Read a NIfTI file as stored.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz``, or the ``.hdr`` or ``.img`` of a pair.

    Raises
    ------
    ImageError
        Damaged, cut off, absurd, several volumes, colour or complex voxels, half of a pair.
    """
    from nibabel.imageglobals import LoggingOutputSuppressor
    from nibabel.spatialimages import HeaderDataError

    header_path, data_path = _pair_of(path)
    try:
        with LoggingOutputSuppressor():  # nibabel prints its header repairs to stderr
            header = _header(header_path)
            dtype = _plain_dtype(path, header)
            shape = one_volume(path, header.get_data_shape())
            affine, warnings = _affine(path, header)
            slope, intercept = header.get_slope_inter()
            offset = int(header.get_data_offset())
    except (HeaderDataError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise unreadable(path, error) from error
    if offset < (len(header.binaryblock) if header_path == data_path else 0):
        raise unreadable(path)
    data = _leading_bytes(data_path, offset + math.prod(shape) * dtype.itemsize)
    grid, more = usable_grid(path, shape, affine)
    ijk = np.frombuffer(data, dtype, offset=offset).reshape(shape, order="F")
    if not dtype.isnative:
        ijk = ijk.astype(dtype.newbyteorder("="))
    return RawImage(ijk, grid, 1.0 if slope is None else float(slope), float(intercept or 0.0), (*warnings, *more))


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

    The same array gives the same bytes, so content can be compared by hash. See `write_nifti` for the parameters.
    """
    import nibabel as nib

    if array_zyx.shape != grid.array_shape:
        raise ValueError(f"array {array_zyx.shape} does not lie on a grid of {grid.array_shape}")
    stored = _as_stored(array_zyx, dtype, slope)
    large = max(grid.shape) > 32767
    image = (nib.Nifti2Image if large else nib.Nifti1Image)(zyx_to_ijk(stored), grid.matrix, dtype=stored.dtype)
    header = image.header
    header.set_xyzt_units("mm")
    header["descrip"] = description.encode("ascii", "replace")[:79]
    image.set_sform(grid.matrix, code="scanner")
    # A quaternion cannot hold skewed axes; readers then fall back to the sform, which can.
    image.set_qform(grid.matrix, code="scanner" if grid.shear < 1e-4 else "unknown")
    if slope != 1.0:
        header.set_slope_inter(slope, 0.0)
    data = bytes(image.to_bytes())
    # Level 1: label maps shrink as well at any level, and the reader waits for this.
    return gzip.compress(data, compresslevel=1, mtime=0) if gzipped else data


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
    gzipped = name.endswith(".gz")
    write_bytes(path, encode(array_zyx, grid, dtype, slope=slope, description=description, gzipped=gzipped))


write = write_nifti
"""For callers that say ``nifti.write``."""


def _as_stored(array: AnyArray, dtype: npt.DTypeLike | None, slope: float) -> AnyArray:
    if slope != 1.0:
        array = np.rint(array.astype(np.float64) / slope)
    if dtype is None:
        dtype = {"bool": "uint8", "float16": "float32"}.get(array.dtype.name, array.dtype.name)
        if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            fits = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
            dtype = np.int32 if fits else array.dtype
    wanted = np.dtype(dtype)
    if wanted == array.dtype:
        return array
    if wanted.kind != "f" and array.size:
        limits = np.iinfo(wanted)
        whole = array.dtype.kind != "f" or bool((array == np.rint(array)).all())
        if not whole or array.min() < limits.min or array.max() > limits.max:
            raise ValueError(f"values of {array.dtype} do not fit {wanted} exactly")
    return array.astype(wanted)


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


def _header(path: Path) -> Nifti1Header:
    from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
    from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader

    head = head_of(path)
    if not looks_like_nifti(head):
        raise unreadable(path)
    single = head[4:8] == b"n+2\0" or head[344:348] == b"n+1\0"
    second = head[4:8] in (b"n+2\0", b"ni2\0")
    kinds = (Nifti2Header, Nifti2PairHeader) if second else (Nifti1Header, Nifti1PairHeader)
    kind = kinds[0] if single else kinds[1]
    # Four zeros say "no extensions follow": they may be long, and may hold a patient's name.
    block = head[: 540 if second else 348] + bytes(4)
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


def _leading_bytes(path: Path, count: int) -> bytes:
    """Read exactly ``count`` bytes, unpacked; refuse before allocating when the file cannot hold them."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    check_size(path, count, path.stat().st_size, DEFLATE_RATIO if packed else 1)
    if packed:
        return _unpack(path, count, to_end=True)
    with path.open("rb") as file:
        data = file.read(count)
    if len(data) < count:
        raise truncated(path)
    return data


def _unpack(path: Path, count: int, *, to_end: bool) -> bytes:
    """Unpack the first ``count`` bytes; with ``to_end`` also run to the checksum, so that damage does not go unseen."""
    try:
        with gzip.open(path, "rb") as file:
            data = file.read(count)
            if to_end:
                if len(data) < count:
                    raise truncated(path)
                while file.read(_READ_STEP):
                    pass
    except EOFError as error:
        raise truncated(path, error) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ImageError(
            f"{path.name} is damaged: its compressed data does not add up.", COPY_AGAIN, type(error).__name__
        ) from error
    return data
