"""The DICOM series that a segmentation refers to: UIDs and geometry, and nothing that names a patient.

Only the attributes in `KEPT` are taken from a header. Whatever else stands there (names, numbers, dates, descriptions,
private tags) never gets as far as the file that is written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import ImageError, UsageError
from napari_penumbra.domain.grid import AnyArray, Grid
from napari_penumbra.imaging.dicom_enhanced import frame_pixels, frames_in

KEPT = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "ImageOrientationPatient",
    "ImagePositionPatient",
)  # fmt: skip
EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes that DICOM demands and that stay empty."""

_GEOMETRY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "PixelSpacing")
_PLACE = ("ImageOrientationPatient", "ImagePositionPatient")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_EVEN_MM = 0.05
_MOST_FILES = 200_000


@dataclass(frozen=True, slots=True)
class SourceSeries:
    """One stack of slices, in the order of their places: single-frame images, or frames of one enhanced object.

    Attributes
    ----------
    images
        pydicom data sets with `KEPT` and `EMPTY` only; ``images[k]`` is slice k of ``grid``.
    grid
        Columns, rows, slices; RAS mm.
    files
        Where the pixels are; empty when only UIDs are known.
    frames
        Number (from 1) of each slice in its enhanced object; empty for single-frame images.
    """

    images: tuple[Any, ...]
    grid: Grid
    files: tuple[Path, ...] = ()
    frames: tuple[int, ...] = ()

    def pixels(self, k: int) -> AnyArray:
        """Decode slice k: (row, column) intensities.

        Raises
        ------
        ImageError
            Its file cannot be decoded.
        """
        if self.frames:
            return frame_pixels(self.files[k], self.frames[k]).astype(np.float64)
        import SimpleITK as sitk

        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(self.files[k]))
        try:
            array = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            raise ImageError(
                "The pixels of a DICOM slice cannot be decoded.",
                "Export the series uncompressed.",
                type(error).__name__,
            ) from error
        return np.asarray(array, dtype=np.float64).reshape(self.grid.shape[1], self.grid.shape[0])


def read_tree(folder: Path) -> list[SourceSeries]:
    """Find the stacks in a folder and everything below it; headers only.

    Files that are no DICOM image, films and series that are no even stack are passed over: a segmentation cannot refer
    to them slice by slice.

    Raises
    ------
    UsageError
        No such folder, or no stack in it.
    """
    if not folder.is_dir():
        raise UsageError(f"The DICOM folder {folder} does not exist.", "Name the folder that holds the series.")
    stacks: dict[tuple[Any, ...], list[tuple[Any, Path, int]]] = {}
    for path in _files(folder):
        image = _header(path)
        if image is not None:
            stacks.setdefault(_stack_of(image), []).append((image, path, 0))
            continue
        for frame in frames_in(path):
            image = clean(frame.image)
            stacks.setdefault((path, *_stack_of(image), *frame.stack), []).append((image, path, frame.number))
    found = []
    for slices in stacks.values():
        images, files, numbers = zip(*slices, strict=True)
        made = stack(images, files, numbers if any(numbers) else ())
        found += [made] if made is not None else []
    if not found:
        raise UsageError(
            f"The folder {folder.name} holds no DICOM series that a segmentation can refer to.",
            "Name the folder of the series that the cases were made from.",
        )
    return found


def stack(images: Sequence[Any], files: Sequence[Path] = (), frames: Sequence[int] = ()) -> SourceSeries | None:
    """Put images of one series in order; None when they are no even stack.

    Parameters
    ----------
    images
        Data sets with `KEPT` attributes.
    files
        Their files, in the same order, or none.
    frames
        Their numbers in an enhanced object, in the same order; none for single-frame images.
    """
    first = images[0]
    row, column = (np.array(first.ImageOrientationPatient, dtype=np.float64)[n : n + 3] for n in (0, 3))
    normal = np.cross(row, column)
    places = np.array([[float(v) for v in image.ImagePositionPatient] for image in images])
    along = places @ normal
    order = np.argsort(along, kind="stable")
    places = places[order]
    thickness = float(first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 1.0)
    step = normal * thickness if len(images) == 1 else (places[-1] - places[0]) / (len(images) - 1)
    wanted = places[0] + np.arange(len(images))[:, None] * step
    if float(np.abs(wanted - places).max()) > _EVEN_MM or float(np.linalg.norm(step)) < 1e-3:
        return None
    affine = np.eye(4)
    # PixelSpacing is the distance of the rows first: that is how far one goes down a column.
    affine[:3, 0], affine[:3, 1] = row * float(first.PixelSpacing[1]), column * float(first.PixelSpacing[0])
    affine[:3, 2], affine[:3, 3] = step, places[0]
    grid = Grid.of((int(first.Columns), int(first.Rows), len(images)), _LPS_TO_RAS @ affine)
    of_images, of_files, of_frames = (tuple(seq[n] for n in order) if seq else () for seq in (images, files, frames))
    return SourceSeries(of_images, grid, of_files, of_frames)


def clean(header: Any) -> Any:
    """Copy what is needed of a header into a new data set; everything else stays behind."""
    from pydicom import Dataset
    from pydicom.uid import ExplicitVRLittleEndian

    made = Dataset()
    for name in KEPT:
        if name in header:
            setattr(made, name, getattr(header, name))
    for name in EMPTY:
        setattr(made, name, "")
    made.file_meta = Dataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def looks_alike(one: AnyArray, other: AnyArray) -> bool:
    """Whether two slices show the same picture, whatever factor and offset lie between their intensities."""
    a, b = (np.asarray(x, dtype=np.float64) - float(np.mean(x)) for x in (one, other))
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if size == 0:
        return not a.any() and not b.any()
    return float((a * b).sum()) / size > 0.99


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                raise UsageError(f"The folder {folder.name} holds too many files.", "Name the folder of the series.")
            if not name.startswith("."):
                yield Path(place, name)


def _header(path: Path) -> Any | None:
    """Read and clean one header; None when it is no single slice with a place."""
    import pydicom

    with contextlib.suppress(Exception):  # headers come from outside: pydicom raises a dozen kinds of errors
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return None
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*KEPT, "NumberOfFrames"])
        if all(name in header for name in (*_GEOMETRY, *_PLACE)) and int(header.get("NumberOfFrames") or 1) == 1:
            return clean(header)
    return None


def _stack_of(image: Any) -> tuple[Any, ...]:
    """What slices of one stack share: a series may hold several (scout views, other angles)."""
    return (
        str(image.SeriesInstanceUID),
        int(image.Rows),
        int(image.Columns),
        *_rounded(image.ImageOrientationPatient, 3),
        *_rounded(image.PixelSpacing, 4),
    )


def _rounded(values: Iterable[Any], digits: int) -> list[float]:
    return [round(float(v), digits) for v in values]
