"""Small DICOM series made on the spot: a phantom with an L on the patient's left and an R on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from napari_penumbra.domain.grid import Grid

LETTERS = {
    "L": ("X....", "X....", "X....", "X....", "XXXXX"),
    "R": ("XXXX.", "X...X", "XXXX.", "X..X.", "X...X"),
}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def phantom(shape: tuple[int, int, int] = (8, 24, 32), seed: int = 0) -> np.ndarray:
    """(k, j, i) int16 in LPS order: an R at small i (the patient's right), an L at large i, bright towards the head."""
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 40, shape).astype(np.int16)
    data += (np.arange(shape[0], dtype=np.int16) * 50)[:, None, None]
    for letter, left in (("R", 3), ("L", 22)):
        if left + 5 > shape[2] or shape[1] < 13:
            continue
        bits = np.array([[c == "X" for c in row] for row in LETTERS[letter]])
        data[1:-2, 8:13, left : left + 5][:, bits] += 800
    return data


def place(
    n: int, origin: Sequence[float] = (-20.0, -15.0, 12.5), step: float = 3.0, orientation: Sequence[float] = AXIAL
) -> list[float]:
    """LPS mm of the first pixel of slice n."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [float(v) for v in np.array(origin) + normal * step * n]


def grid_of(
    shape: Sequence[int],
    *,
    spacing: tuple[float, float] = (1.5, 1.25),
    step: float = 3.0,
    origin: Sequence[float] = (-20.0, -15.0, 12.5),
    orientation: Sequence[float] = AXIAL,
) -> Grid:
    """The RAS grid of a series of (k, j, i) voxels, worked out apart from the product's own code."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1], lps[:3, 2] = row * spacing[1], column * spacing[0], np.cross(row, column) * step
    lps[:3, 3] = origin
    return Grid.of(shape[::-1], np.diag([-1, -1, 1, 1]) @ lps)


def header(pixels: np.ndarray, *, modality: str = "MR", enhanced: bool = False, **tags: Any) -> Dataset:
    """A data set with all that a slice needs, its pixels of (j, i) or (frames, j, i) included."""
    data = Dataset()
    sop = EnhancedMRImageStorage if enhanced else CTImageStorage if modality == "CT" else MRImageStorage
    data.SOPClassUID, data.SOPInstanceUID = sop, generate_uid()
    data.Modality, data.PatientID, data.PatientName = modality, "p1", "Doe^Jane"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    data.FrameOfReferenceUID, data.SeriesNumber, data.InstanceNumber = "1.2.3.9", 3, 1
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape[-2:]
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.PixelData = np.ascontiguousarray(pixels).tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in tags.items():
        if value is None:
            data.pop(name, None)
        else:
            setattr(data, name, value)
    return data


def save(data: Dataset, path: Path) -> Path:
    """Write a data set as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    data: np.ndarray,
    *,
    spacing: tuple[float, float] | None = (1.5, 1.25),
    step: float = 3.0,
    origin: Sequence[float] = (-20.0, -15.0, 12.5),
    orientation: Sequence[float] = AXIAL,
    positions: Sequence[Sequence[float]] | None = None,
    skip: Sequence[int] = (),
    change: Callable[[Dataset, int], None] | None = None,
    prefix: str = "im",
    **tags: Any,
) -> list[Path]:
    """Write a (k, j, i) volume as one file per slice; ``change`` may alter each data set before it is written."""
    made = []
    for n, pixels in enumerate(data):
        if n in skip:
            continue
        one = header(pixels, **tags)
        one.InstanceNumber = n + 1
        one.ImageOrientationPatient = list(orientation)
        one.ImagePositionPatient = list(positions[n]) if positions else place(n, origin, step, orientation)
        if spacing is not None:
            one.PixelSpacing = list(spacing)
        one.SliceThickness = abs(step)
        if change is not None:
            change(one, n)
        # Named so that the order of the names is not that of the slices.
        made.append(save(one, folder / f"{prefix}{(n * 7) % 101:03d}_{n}"))
    return made


def item(**tags: Any) -> Dataset:
    """An item of a sequence."""
    data = Dataset()
    for name, value in tags.items():
        setattr(data, name, value)
    return data


def write_enhanced(
    path: Path, data: np.ndarray, b_values: Sequence[float] = (), slopes: Sequence[float] = (), **tags: Any
) -> Path:
    """Write volumes of (b, k, j, i), or one of (k, j, i), as one enhanced multi-frame file."""
    volumes = data if data.ndim == 4 else data[None]
    frames, groups = [], []
    for n, volume in enumerate(volumes):
        for k, pixels in enumerate(volume):
            group = item(
                PlanePositionSequence=DicomSequence([item(ImagePositionPatient=place(k))]),
                FrameContentSequence=DicomSequence([item(TemporalPositionIndex=n + 1, StackID="1")]),
            )
            if b_values:
                group.MRDiffusionSequence = DicomSequence([item(DiffusionBValue=b_values[n])])
            if slopes:
                scale = item(RescaleSlope=slopes[k], RescaleIntercept=0.0, RescaleType="US")
                group.PixelValueTransformationSequence = DicomSequence([scale])
            groups.append(group)
            frames.append(pixels)
    one = header(np.stack(frames), enhanced=True, NumberOfFrames=len(frames), **tags)
    one.SharedFunctionalGroupsSequence = DicomSequence(
        [
            item(
                PixelMeasuresSequence=DicomSequence([item(PixelSpacing=[1.5, 1.25], SliceThickness=3.0)]),
                PlaneOrientationSequence=DicomSequence([item(ImageOrientationPatient=list(AXIAL))]),
            )
        ]
    )
    one.PerFrameFunctionalGroupsSequence = DicomSequence(groups)
    return save(one, path)


def colour_capture(path: Path) -> Path:
    """Write a coloured screenshot."""
    one = header(np.zeros((20, 30), np.uint8), modality="OT", SOPClassUID=SecondaryCaptureImageStorage)
    one.SamplesPerPixel, one.PhotometricInterpretation, one.PlanarConfiguration = 3, "RGB", 0
    one.PixelData = bytes(20 * 30 * 3)
    one.SeriesNumber, one.SeriesInstanceUID = 99, "1.2.3.4.99"
    return save(one, path)
