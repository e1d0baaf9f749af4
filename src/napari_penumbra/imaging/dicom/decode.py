"""Stored pixel values of one file: pydicom for plain and run-length data, SimpleITK's GDCM for the JPEG family.

GDCM is shown the pixels only, in a temporary file without any other tag: it then returns what is stored, rescales
nothing, and no copy of a patient's header comes to lie on the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import ImageError, PenumbraError
from napari_penumbra.domain.grid import AnyArray
from napari_penumbra.imaging.dicom._quiet import quiet
from napari_penumbra.imaging.dicom.bounded import parse
from napari_penumbra.imaging.dicom.frames import Frame, Stored
from napari_penumbra.imaging.raw import COPY_AGAIN

_PLAIN = frozenset(
    {"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
     "1.2.840.10008.1.2.5"}
)  # fmt: skip
"""Transfer syntaxes that pydicom decodes without help: uncompressed, deflated, run-length."""
_RUN_LENGTH = "1.2.840.10008.1.2.5"
_FILMS = {
    "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.104", "1.2.840.10008.1.2.4.105", "1.2.840.10008.1.2.4.106",
}  # fmt: skip
_MOST_PACKED = 20_000
"""A JPEG 2000 of an all-black slice is about this much smaller than the slice; nothing real comes near it."""
_MOST_BYTES = 8 << 30
_LUT_TAGS = ("ModalityLUTSequence",)
_PIXEL_TAGS = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "NumberOfFrames", "PlanarConfiguration", "PixelData",
)  # fmt: skip


def stored_frames(path: Path, stored: Stored, wanted: Iterable[int], place: str) -> dict[int, AnyArray]:
    """Decode frames of a file.

    Parameters
    ----------
    wanted
        Frame numbers from 0.
    place
        What to call the file, for example ``file 12 of 240``.

    Returns
    -------
    dict
        Frame number to (rows, columns) values as stored, in native byte order.

    Raises
    ------
    ImageError
        Cut off, damaged, without pixels, packed in a way that cannot be read, gone.
    """
    _check_claim(path, stored, place)
    try:
        with quiet():
            data = parse(path, force=True)
            if "PixelData" not in data:
                raise ImageError(f"{place} holds no pixels.", COPY_AGAIN)
            syntax = stored.syntax
            if syntax in _FILMS:
                raise ImageError(f"{place} is a film (video).", "Export single pictures.")
            if syntax in _PLAIN:
                return _plain(data, stored, sorted(set(wanted)), place)
            return _packed(data, stored, sorted(set(wanted)), place)
    except PenumbraError:
        raise
    except OSError as error:
        raise ImageError(
            f"{place} cannot be opened.", "Check its permissions and that the disk or share is connected.",
            type(error).__name__,
        ) from None  # fmt: skip
    except MemoryError:
        raise ImageError(f"{place} does not fit into this machine's memory.", "Add fewer or smaller series.") from None
    except Exception as error:  # noqa: BLE001 - pixels come from outside; the words of a decoder may quote the header
        raise ImageError(f"{place} is damaged: its pixels cannot be read.", COPY_AGAIN, type(error).__name__) from None


def _check_claim(path: Path, stored: Stored, place: str) -> None:
    """Compare what the header promises with the size of the file before memory is asked for."""
    promised = stored.rows * stored.columns * stored.frames * stored.samples * max(1, stored.bits // 8)
    try:
        present = path.stat().st_size
    except OSError as error:
        raise ImageError(
            f"{place} is gone or cannot be opened.", "Check that the disk or share is connected.", type(error).__name__
        ) from None
    ratio = 1 if stored.syntax in _PLAIN - {_RUN_LENGTH, "1.2.840.10008.1.2.1.99"} else _MOST_PACKED
    if promised > _MOST_BYTES or promised > present * ratio:
        raise ImageError(f"{place} is cut off, or its header announces more pixels than it holds.", COPY_AGAIN)


def _plain(data: Any, stored: Stored, wanted: list[int], place: str) -> dict[int, AnyArray]:
    if getattr(getattr(data, "file_meta", None), "TransferSyntaxUID", None) is None:
        _guess_syntax(data)
    from pydicom.pixels import pixel_array

    needed = stored.rows * stored.columns * stored.frames * stored.samples * stored.bits // 8
    if stored.syntax != _RUN_LENGTH and len(data.PixelData) < needed:
        raise ImageError(f"{place} is cut off: the file ends before its pixels do.", COPY_AGAIN)
    found = {}
    for index in wanted:
        array = np.asarray(pixel_array(data, index=index, raw=True))
        found[index] = _native(_shaped(array, stored, place))
    return found


def _guess_syntax(data: Any) -> None:
    """Say how the pixels lie in a file without a meta header, as pydicom found out from its first tags."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = data.original_encoding
    if not hasattr(data, "file_meta"):
        data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    )


def _packed(data: Any, stored: Stored, wanted: list[int], place: str) -> dict[int, AnyArray]:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with tempfile.TemporaryDirectory(prefix="penumbra-") as folder:
        bare = Path(folder) / "pixels.dcm"
        _pixels_only(data).save_as(bare, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(bare))
        reader.SetImageIO("GDCMImageIO")
        try:
            volume = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError:
            raise ImageError(
                f"{place} is damaged, or packed in a way that cannot be read.",
                "Export it again without compression (Explicit VR Little Endian).",
            ) from None
    volume = volume.reshape(-1, stored.rows, stored.columns)
    if max(wanted) >= len(volume):
        raise ImageError(f"{place} is cut off: frames are missing.", COPY_AGAIN)
    return {index: _native(volume[index]) for index in wanted}


def _pixels_only(data: Any) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    bare = Dataset()
    for keyword in _PIXEL_TAGS:
        if keyword in data:
            bare[keyword] = data[keyword]
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = data.file_meta.TransferSyntaxUID
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    return bare


def _shaped(array: AnyArray, stored: Stored, place: str) -> AnyArray:
    if array.shape != (stored.rows, stored.columns):
        raise ImageError(f"{place} is not a grey picture of {stored.columns}×{stored.rows} pixels.", COPY_AGAIN)
    return array


def _native(array: AnyArray) -> AnyArray:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def through_table(path: Path, values: AnyArray, place: str) -> AnyArray:
    """Send stored values through the file's Modality LUT."""
    from pydicom.pixels import apply_modality_lut

    try:
        with quiet():
            data = parse(path, stop_before_pixels=True, force=True, specific_tags=list(_LUT_TAGS))
            return np.asarray(apply_modality_lut(values, data))
    except Exception as error:  # noqa: BLE001 - as for the pixels
        raise ImageError(f"{place} has a damaged table of values.", COPY_AGAIN, type(error).__name__) from None


def by_file(frames: Iterable[Frame]) -> dict[Path, list[Frame]]:
    """Group frames by their file, so that each file is opened once."""
    found: dict[Path, list[Frame]] = {}
    for frame in frames:
        found.setdefault(frame.path, []).append(frame)
    return found
