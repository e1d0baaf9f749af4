"""NRRD, NHDR, MHA and MHD through SimpleITK, after a look at the header with our own eyes.

SimpleITK asks for the memory that a header announces and prints to the console when a file is cut off, so sizes are
compared before it is let near the file.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import AnyArray, FloatArray, zyx_to_ijk
from napari_penumbra.imaging.raw import (
    DEFLATE_RATIO,
    RawImage,
    check_size,
    one_volume,
    truncated,
    unreadable,
    usable_grid,
)

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_HEADER_LIMIT = 4 << 20
_STEP = 1 << 20
_KNOWN_SPACES = {
    "left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las",
    "left-posterior-superior-time", "lpst", "right-anterior-superior-time", "rast",
}  # fmt: skip
_BYTES = {"char": 1, "int8": 1, "short": 2, "int16": 2, "int": 4, "int32": 4, "float": 4, "long": 4} | dict.fromkeys(
    ("longlong", "int64", "double"), 8
)
"""Bytes per voxel by the bare type names of NRRD and MetaImage (whose ``long`` has 4 bytes on every machine)."""


@dataclass(frozen=True, slots=True)
class _Header:
    sizes: tuple[int, ...]
    item_bytes: int
    encoding: str
    data: Path
    offset: int
    placed: bool


def looks_like_nrrd(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an NRRD header."""
    return head.startswith(b"NRRD000")


def looks_like_meta(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a MetaImage header."""
    first = head.lstrip().split(b"=", 1)[0].strip()
    return first in (b"ObjectType", b"NDims", b"Comment") and b"\n" in head


def read(path: Path, frame: int | None = None) -> RawImage:
    """Read an NRRD or MetaImage file as stored, its placement turned from LPS to RAS.

    Parameters
    ----------
    frame
        Which volume or channel of several, from 0; None wants a file of one volume.

    Raises
    ------
    ImageError
        Damaged, cut off, absurd, several volumes or channels, colour, data file missing.
    """
    import SimpleITK as sitk

    with path.open("rb") as file:
        nrrd = looks_like_nrrd(file.read(16))
    header = _nrrd_header(path) if nrrd else _meta_header(path)
    _check_plausible(path, header)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO" if nrrd else "MetaImageIO")
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    channels = image.GetNumberOfComponentsPerPixel()
    sizes = (*image.GetSize(), 1)[:3] + image.GetSize()[3:] + (channels,)
    shape = one_volume(path, sizes, frame)
    if image.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise ImageError(
            f"{path.name} has voxels that are not plain numbers.", "Save magnitudes, one number per voxel."
        )
    ijk = zyx_to_ijk(_chosen(sitk.GetArrayViewFromImage(image), sizes, frame or 0))
    grid, warnings = usable_grid(path, shape, _affine(image))
    if not header.placed:
        warnings = (f"{path.name} does not say how the patient lay: left and right are assumed, check them.", *warnings)
    return RawImage(ijk, grid, warnings=warnings)


def frames(path: Path) -> int:
    """How many volumes or channels a header announces; 1 when it cannot be read."""
    try:
        with path.open("rb") as file:
            nrrd = file.read(16).startswith(b"NRRD000")
        sizes = [n for n in (_nrrd_header(path) if nrrd else _meta_header(path)).sizes if n > 1]
    except (ImageError, OSError, ValueError):
        return 1  # whoever reads it says what is wrong with it
    # NRRD may put its channels first; the count is the same wherever they stand.
    return math.prod(sizes) // math.prod(sorted(sizes)[-3:]) if len(sizes) > 3 else 1


def _chosen(array: AnyArray, sizes: tuple[int, ...], frame: int) -> AnyArray:
    """One volume, (z, y, x), of an array whose further axes come first and whose channels come last."""
    i, j, k = sizes[:3]
    flat = array.reshape(-1, k, j, i, sizes[-1])
    return np.array(flat[frame // sizes[-1], ..., frame % sizes[-1]])


def _affine(image: Any) -> FloatArray:
    """Voxel to RAS mm from an ITK image of 2 to 4 dimensions, of which the first three lie in space."""
    n = image.GetDimension()
    direction = np.array(image.GetDirection(), dtype=np.float64).reshape(n, n)
    m = min(n, 3)
    affine = np.eye(4)
    affine[:m, :m] = (direction * np.array(image.GetSpacing()))[:m, :m]
    affine[:m, 3] = image.GetOrigin()[:m]
    return _LPS_TO_RAS @ affine


def _check_plausible(path: Path, header: _Header) -> None:
    if not header.data.is_file():
        raise ImageError(
            f"{path.name} is only a header: its data file {header.data.name} is missing.",
            "Put both files into the same folder.",
        )
    if not header.sizes or min(header.sizes) < 1:
        one_volume(path, header.sizes)
    present = header.data.stat().st_size - header.offset
    voxels = math.prod(header.sizes)
    promised = voxels * header.item_bytes
    match header.encoding:
        case "raw":
            check_size(path, promised, present)
        case "gzip":
            check_size(path, promised, present, DEFLATE_RATIO)
            _check_stream(path, header, promised)
        case _:
            check_size(path, 2 * voxels - 1, present)  # text: a digit and a blank at least


def _check_stream(path: Path, header: _Header, promised: int) -> None:
    """Unpack once and throw away: MetaIO returns whatever lay in memory when a compressed stream is damaged."""
    stream = zlib.decompressobj(wbits=47)  # zlib or gzip, whichever the stream says, checksum included
    count = 0
    try:
        with header.data.open("rb") as file:
            file.seek(header.offset)
            while not stream.eof and (block := stream.unconsumed_tail or file.read(_STEP)):
                count += len(stream.decompress(block, _STEP))
                if count > promised:
                    break
    except zlib.error as error:
        raise unreadable(path, error) from error
    if count < promised or (count == promised and not stream.eof):
        raise truncated(path)


def _nrrd_header(path: Path) -> _Header:
    text = _beginning(path)
    end = re.search(rb"\r?\n\r?\n", text)
    offset = end.end() if end else len(text)
    fields: dict[str, str] = {}
    for line in text[:offset].decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(": ")
        if colon and not line.startswith("#"):
            fields[name.strip().lower()] = value.strip()
    encoding = {"gz": "gzip", "txt": "text", "ascii": "text"}.get(
        fields.get("encoding", "").lower(), fields.get("encoding", "").lower()
    )
    if encoding not in ("raw", "gzip", "text"):
        raise ImageError(
            f"{path.name} is packed in a way that cannot be read ({encoding or 'not stated'}).",
            "Save it as NRRD with raw or gzip encoding.",
        )
    data = _data_file(path, fields.get("data file", fields.get("datafile", "")))
    return _Header(
        _sizes(path, fields.get("sizes", "")),
        _item_bytes(path, fields.get("type", "")),
        encoding,
        data,
        offset if data == path else 0,
        fields.get("space", "").lower() in _KNOWN_SPACES and "space directions" in fields,
    )


def _meta_header(path: Path) -> _Header:
    text = _beginning(path)
    end = re.search(rb"^\s*ElementDataFile\s*=[^\n]*(\n|$)", text, re.MULTILINE)
    if end is None:
        raise unreadable(path)
    pairs = (line.partition("=") for line in text[: end.end()].decode("latin-1").splitlines())
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    packed = fields.get("CompressedData", "False").lower() == "true"
    as_text = fields.get("BinaryData", "True").lower() == "false"
    local = fields.get("ElementDataFile", "").upper() == "LOCAL"
    channels = _sizes(path, fields.get("ElementNumberOfChannels", "1"))
    return _Header(
        (*_sizes(path, fields.get("DimSize", "")), *channels),
        _item_bytes(path, fields.get("ElementType", "")),
        "gzip" if packed else "text" if as_text else "raw",
        path if local else _data_file(path, fields.get("ElementDataFile", "LIST")),
        end.end() if local else 0,
        any(key in fields for key in ("TransformMatrix", "Rotation", "Orientation")),
    )


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER_LIMIT)


def _sizes(path: Path, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split())
    except ValueError as error:
        raise unreadable(path, error) from error


def _item_bytes(path: Path, name: str) -> int:
    # "unsigned short int", "uint16_t" and "MET_USHORT" are all the same.
    plain = re.sub(r"^(met_)?(signed |unsigned |u)?|(_t|_array)$|(?<=.) int$", "", name.lower())
    plain = plain.replace(" ", "").replace("_", "")
    if plain in _BYTES:
        return _BYTES[plain]
    raise ImageError(
        f"{path.name} has voxels of a kind that cannot be read ({name[:40] or 'not stated'}).",
        "Save it with whole or decimal numbers.",
    )


def _data_file(path: Path, text: str) -> Path:
    """Find the file that holds the voxels: the header's own unless it names one other."""
    if not text:
        return path
    if text.upper().startswith("LIST") or "%" in text:
        raise ImageError(
            f"{path.name} is spread over several data files.", "Save it as one file: .nrrd, .mha or .nii.gz."
        )
    named = PurePosixPath(text.replace("\\", "/"))
    if named.is_absolute() or ".." in named.parts or ":" in text:
        # A header from outside must not make voxels of any file of this machine.
        raise ImageError(
            f"{path.name} names a data file outside its own folder.", "Put both files into the same folder."
        )
    return path.parent / named
