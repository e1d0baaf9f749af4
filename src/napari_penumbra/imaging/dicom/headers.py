"""Reads the header of one file: is it DICOM, does it hold a picture, and what is to be known of its slices."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Any

from napari_penumbra.imaging.dicom.bounded import parse
from napari_penumbra.imaging.dicom.frames import About, Frame, Header, Stored
from napari_penumbra.imaging.dicom.groups import GROUP_TAGS, b_value, direction, frames_of, groups_of, slice_time
from napari_penumbra.imaging.dicom.technical import MODALITIES, NUMBERS, technical
from napari_penumbra.imaging.dicom.values import element, items, number, numbers, whole, words

_KEY = os.urandom(32)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MOST_UNPACKED = 1 << 30
_STEP = 1 << 20
# Tag (0002,0000) to (0008,00xx) in either byte order: how a file without the 128 bytes in front begins.
_BARE = re.compile(rb"(\x02\x00|\x08\x00)[\x00-\xff]\x00|\x00\x08\x00[\x00-\xff]", re.DOTALL)
_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_LOCALISER = re.compile(r"LOCALI[SZ]ER|\bSCOUT\b|\bSURVEY\b|TOPOGRAM|\bLOC\b|SURVIEW|\bSCANOGRAM\b")

_TAGS: list[Any] = [
    "PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality",
    "FrameOfReferenceUID", "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "SeriesDescription", "ProtocolName",
    "SequenceName",
    "ImageType", "ScanningSequence", "EchoTime", "TemporalPositionIdentifier", "TriggerTime", "AcquisitionTime",
    "ContentTime", "Rows", "Columns", "NumberOfFrames", "PixelSpacing", "ImagerPixelSpacing", "SpacingBetweenSlices",
    "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "PhotometricInterpretation", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "BurnedInAnnotation", "Manufacturer",
    "ManufacturerModelName", "ModalityLUTSequence",
    "ContrastBolusAgent", "Units", *NUMBERS.values(), *GROUP_TAGS,
]  # fmt: skip


class Left(StrEnum):
    """Why a file is no slice."""

    OTHER = "not DICOM"
    NO_PICTURE = "DICOM without a picture"
    """Reports, plans, structures, waveforms, directories."""
    SEGMENTATION = "DICOM segmentation"
    DAMAGED = "damaged"
    CLOSED = "cannot be opened"
    """No permission, or a share that went away."""


def looks_like_dicom(path: Path) -> bool:
    """Whether a file's first bytes are those of DICOM, with or without the 128 bytes in front. May raise `OSError`."""
    with path.open("rb") as file:
        head = file.read(132)
    return head[128:132] == b"DICM" or (len(head) >= 16 and _BARE.match(head) is not None)


def read_header(path: Path, place: str = "the file") -> Header | Left:
    """Read what is known of one file, its pixels aside.

    Parameters
    ----------
    place
        What to call the file in error texts, for example ``file 12 of 240``.

    Returns
    -------
    Header or Left
        Why not, where it is no picture. Nothing is raised, whatever the file holds: the rest of a folder must go on.
    """
    try:
        if not looks_like_dicom(path):
            return Left.OTHER
        if not _unpacks_sensibly(path):
            return Left.DAMAGED
        header = parse(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
    except OSError:
        return Left.CLOSED
    except Exception:  # noqa: BLE001 - headers come from outside, and pydicom raises a dozen kinds of errors on bad ones
        return Left.DAMAGED
    rows, columns = whole(header, "Rows"), whole(header, "Columns")
    if words(header, "SOPClassUID").startswith("1.2.840.10008.5.1.4.1.1.66."):
        return Left.SEGMENTATION
    if rows is None or columns is None or min(rows, columns) < 1 or words(header, "Modality") == "RTDOSE":
        # A file with no preamble that only happens to begin like DICOM has none of the tags that every object has.
        return Left.NO_PICTURE if words(header, "SOPClassUID") or element(header, "Modality") else Left.OTHER
    try:
        return Header(_about(header), _frames(path, place, header, _stored(header, rows, columns)))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError):
        return Left.DAMAGED


def _unpacks_sensibly(path: Path) -> bool:
    """Whether a deflated file unpacks to a size that fits into memory; others always do."""
    with path.open("rb") as file:
        head = file.read(1024)
        if _DEFLATED not in head or head[132:136] != b"\x02\0\0\0":
            return True
        file.seek(144 + int.from_bytes(head[140:144], "little"))
        stream, count = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not stream.eof and (block := stream.unconsumed_tail or file.read(_STEP)):
            count += len(stream.decompress(block, _STEP))
            if count > _MOST_UNPACKED:
                return False
    return True


def _digest(*texts: object) -> bytes:
    return hashlib.blake2b("\0".join(map(str, texts)).encode("utf-8", "replace"), key=_KEY, digest_size=16).digest()


def _about(header: Any) -> About:
    patient = words(header, "PatientID") or words(header, "PatientName")
    exam = words(header, "StudyInstanceUID")
    series = words(header, "SeriesInstanceUID") or f"number {whole(header, 'SeriesNumber')}"
    modality = words(header, "Modality")
    image_type = words(header, "ImageType")
    text = " ".join(words(header, tag) for tag in ("SeriesDescription", "ProtocolName", "SequenceName"))
    return About(
        patient=_digest(patient),
        exam=_digest(patient, exam),
        series=_digest(patient, exam, series),
        space=_digest(words(header, "FrameOfReferenceUID")) if words(header, "FrameOfReferenceUID") else b"",
        number=whole(header, "SeriesNumber"),
        modality=modality if modality in MODALITIES else "image",
        text=f"{text} {'+C' if words(header, 'ContrastBolusAgent').strip() else ''}",
        scanning=words(header, "ScanningSequence"),
        technical=technical(header),
        unit="HU" if "HU" in words(header, "RescaleType") or modality == "CT" else "",
        burned_in=words(header, "BurnedInAnnotation").strip() == "YES",
        capture=words(header, "SOPClassUID").startswith(_CAPTURES),
        localiser=bool(_LOCALISER.search(f"{image_type} {text}")),
        diffusion="DIFFUSION" in image_type or b_value(header) is not None,
    )


def _stored(header: Any, rows: int, columns: int) -> Stored:
    photometric = words(header, "PhotometricInterpretation").strip()
    low = number(header, "PixelPaddingValue")
    high = number(header, "PixelPaddingRangeLimit")
    padding = None if low is None else (low, low) if high is None else (min(low, high), max(low, high))
    meta = getattr(header, "file_meta", None)
    return Stored(
        rows=rows,
        columns=columns,
        frames=max(1, whole(header, "NumberOfFrames") or 1),
        samples=3 if photometric == "PALETTE COLOR" else whole(header, "SamplesPerPixel") or 1,
        bits=whole(header, "BitsAllocated") or 16,
        used_bits=whole(header, "BitsStored") or whole(header, "BitsAllocated") or 16,
        signed=whole(header, "PixelRepresentation") == 1,
        inverted=photometric == "MONOCHROME1",
        padding=padding,
        syntax=words(meta, "TransferSyntaxUID") if meta is not None else "",
        lut=bool(items(header, "ModalityLUTSequence")),
    )


def _frames(path: Path, place: str, header: Any, stored: Stored) -> tuple[Frame, ...]:
    shared, per_frame = groups_of(header)
    if per_frame:
        return frames_of(path, place, header, stored, shared, per_frame, _twin(header, path))
    spacing = numbers(header, "PixelSpacing", 2) or numbers(header, "ImagerPixelSpacing", 2)
    return (
        Frame(
            path=path,
            index=0,
            place=place,
            instance=whole(header, "InstanceNumber") or 0,
            stored=stored,
            # Several frames without a place each are a film, and one frame stands for all of it.
            position=numbers(header, "ImagePositionPatient", 3) if stored.frames == 1 else None,  # type: ignore[arg-type]
            orientation=numbers(header, "ImageOrientationPatient", 6),  # type: ignore[arg-type]
            spacing=spacing,  # type: ignore[arg-type]
            thickness=number(header, "SpacingBetweenSlices") or number(header, "SliceThickness"),
            slope=number(header, "RescaleSlope") or 1.0,
            intercept=number(header, "RescaleIntercept") or 0.0,
            b_value=b_value(header),
            direction=direction(header),
            echo=number(header, "EchoTime"),
            kind=words(header, "ImageType"),
            order=slice_time(header),
            twin=_twin(header, path),
        ),
    )


def _twin(header: Any, path: Path) -> bytes:
    return _digest(words(header, "SOPInstanceUID") or path)
