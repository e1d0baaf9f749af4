"""Analyze 7.5, the format before NIfTI: a header and a voxel file that do not say which side is the patient's left.

Its field ``orient`` was filled in differently by every program, and SPM stored radiological as well as neurological
pictures under the same number. The voxels are therefore taken as nibabel takes them (the first column is the patient's
right) and the reader is told to look, in words that stay with the case.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.imaging.raw import RawImage, one_volume, unreadable, usable_grid
from napari_penumbra.imaging.stored import stored_bytes

_HEADER_BYTES = 348
_ORIENT = 252
"""Where the byte lies that some programs use for the direction of the slices: 0 axial, 1 coronal, 2 sagittal."""
_SLICES = {1: "coronal", 2: "sagittal", 3: "axial (flipped)", 4: "coronal (flipped)", 5: "sagittal (flipped)"}


def frames(head: bytes) -> int:
    """How many volumes a header announces."""
    return math.prod(_parse(head).get_data_shape()[3:])


def read(header_path: Path, data_path: Path, head: bytes, frame: int | None = None) -> RawImage:
    """Read an Analyze pair as stored.

    Parameters
    ----------
    header_path, data_path
        The two halves; they may be gzipped.
    head
        First bytes of the header, unpacked.
    frame
        Which volume of several, from 0.

    Raises
    ------
    ImageError
        Damaged, cut off, absurd, several volumes, or voxels that are not plain numbers.
    """
    from nibabel.spatialimages import HeaderDataError

    try:
        header = _parse(head)
        dtype = header.get_data_dtype()
        shape = one_volume(header_path, header.get_data_shape(), frame)
        affine = np.array(header.get_best_affine(), dtype=np.float64)
        offset = int(header.get_data_offset())
    except (HeaderDataError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise unreadable(header_path, error) from error
    if dtype.names is not None or dtype.kind not in "iuf":
        raise ImageError(
            f"{header_path.name} has voxels that are not plain grey values.", "Convert it to one number per voxel."
        )
    if offset < 0:
        raise unreadable(header_path)
    grid, warnings = usable_grid(header_path, shape, affine)
    count = math.prod(shape) * dtype.itemsize
    data = stored_bytes(data_path, offset + (frame or 0) * count, count)
    ijk = np.frombuffer(data, dtype).reshape(shape, order="F")
    if not dtype.isnative:
        ijk = ijk.astype(dtype.newbyteorder("="))
    slices = _SLICES.get(head[_ORIENT] if len(head) > _ORIENT else 0)
    told = f" Its header calls the slices {slices}, which is not relied on." if slices else ""
    words = (
        f"{header_path.name} is an Analyze file, which does not say which side is the patient's left: the first column "
        f"is taken as the right side. Check it against the report before you label.{told}"
    )
    return RawImage(ijk, grid, warnings=(words, *warnings))


def _parse(head: bytes):  # type: ignore[no-untyped-def]
    from nibabel.analyze import AnalyzeHeader

    # check=False: what matters is checked by us; nibabel would print its repairs to stderr.
    return AnalyzeHeader.from_fileobj(io.BytesIO(head[:_HEADER_BYTES]), check=False)
