"""Enhanced multi-frame objects as the source of a segmentation: their frames as slices, and back again.

Slices are described by small data sets with the attributes of single-frame images, whatever they came from; see
`dicom_source`. Nothing that names a patient is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import AnyArray
from napari_penumbra.imaging.dicom.decode import stored_frames
from napari_penumbra.imaging.dicom.frames import Frame, Header
from napari_penumbra.imaging.dicom.headers import read_header

_UIDS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "Rows", "Columns",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FrameOf:
    """One frame of an enhanced object.

    Attributes
    ----------
    image
        pydicom data set as a single-frame image would have it: UIDs, rows and columns, place.
    number
        From 1, as DICOM counts.
    stack
        What frames of one stack share: b-value, direction, echo, kind of image, position in time.
    """

    image: Any
    number: int
    stack: tuple[Any, ...]


def frames_in(path: Path) -> list[FrameOf]:
    """List the frames of a file that have a place; none when it is no enhanced object or cannot be read."""
    import pydicom

    found = read_header(path)
    if not isinstance(found, Header) or len(found.frames) < 2:
        return []
    with contextlib.suppress(Exception):  # headers come from outside: pydicom raises a dozen kinds of errors
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_UIDS))
        placed = [f for f in found.frames if f.position and f.orientation and f.spacing]
        return [FrameOf(_as_slice(header, f), f.index + 1, _stack_of(f)) for f in placed]
    return []


def _as_slice(header: Any, frame: Frame) -> Any:
    from pydicom import Dataset

    made = Dataset()
    for name in _UIDS:
        if name in header:
            setattr(made, name, getattr(header, name))
    made.PixelSpacing, made.SliceThickness = list(frame.spacing or ()), frame.thickness or 1.0
    made.ImageOrientationPatient = list(frame.orientation or ())
    made.ImagePositionPatient = list(frame.position or ())
    return made


def _stack_of(frame: Frame) -> tuple[Any, ...]:
    return (frame.b_value, frame.direction, frame.echo, frame.kind, frame.order[0])


def frame_pixels(path: Path, number: int) -> AnyArray:
    """Decode one frame: (row, column) values as stored.

    Raises
    ------
    ImageError
        It cannot be decoded, or is not there any more.
    """
    found = read_header(path, "a multi-frame file")
    if not isinstance(found, Header) or len(found.frames) < number:
        raise ImageError("A multi-frame DICOM file changed while it was read.", "Try again.")
    return stored_frames(path, found.frames[number - 1].stored, [number - 1], "a multi-frame file")[number - 1]


def as_enhanced(images: Sequence[Any]) -> Any:
    """Describe slices as one multi-frame object, frame by frame in the given order, the way highdicom reads it."""
    from pydicom import Dataset
    from pydicom.uid import ExplicitVRLittleEndian

    first, made = images[0], Dataset()
    for element in first:
        if element.keyword not in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"):
            made.add(element)
    made.NumberOfFrames = len(images)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = first.PixelSpacing, first.SliceThickness
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = [_at(image.ImagePositionPatient) for image in images]
    made.file_meta = Dataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def _at(position: Any) -> Any:
    from pydicom import Dataset

    place, group = Dataset(), Dataset()
    place.ImagePositionPatient = position
    group.PlanePositionSequence = [place]
    return group


def name_frames(segmentation: Any, numbers: Sequence[int]) -> None:
    """Let a segmentation of `as_enhanced` refer to the frames by the numbers that they have in their own file."""
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        for derivation in group.get("DerivationImageSequence", ()):
            for source in derivation.SourceImageSequence:
                if "ReferencedFrameNumber" in source:
                    source.ReferencedFrameNumber = numbers[int(source.ReferencedFrameNumber) - 1]
