"""The one way in for images and labels: any supported file to canonical (z, y, x) voxels, or a sentence.

The rest of the program never sees a file format. Arrays come out growing towards L, P, S (`domain.grid.CANONICAL`)
by permuting and flipping whole axes, so no voxel value is ever computed and `onto_source` brings labels back exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import Volume
from napari_penumbra.domain.colour import COLOUR
from napari_penumbra.domain.errors import ImageError, LabelError, PenumbraError
from napari_penumbra.domain.grid import AnyArray, Grid, ijk_to_zyx, zyx_to_ijk
from napari_penumbra.imaging import hdf5, nifti, pictures, sitk, tiffs
from napari_penumbra.imaging.formats import (
    PICTURES,
    SUFFIXES,
    Format,
    check_present,
    format_of,
    is_picture_file,
    suffix_of,
)
from napari_penumbra.imaging.nifti_writing import write_nifti
from napari_penumbra.imaging.raw import RawImage, technical, unreadable

__all__ = [
    "PICTURES", "SUFFIXES", "Kind", "ReadImage", "Spacing", "frames_of", "is_picture_file", "lacks_spacing",
    "load_readers", "onto_source", "read_channels", "read_image", "read_labels", "read_volume", "suffix_of",
    "write_nifti",
]  # fmt: skip
T = TypeVar("T")
Spacing = tuple[float, float, float]
"""Edge lengths of a voxel along x, y, z in mm."""

_READERS: dict[Format, Callable[[Path, int | None], RawImage]] = {
    "NIfTI": nifti.read, "Analyze": nifti.read, "NRRD": sitk.read, "MetaImage": sitk.read,
}  # fmt: skip
# How far a whole number may be off after a stored scale factor in single precision (SPM masks: 255 × 1/255).
_SCALED_LABEL_TOLERANCE = 1e-3


class Kind(StrEnum):
    """What sort of file label values came from; `study.masks` reads 255 accordingly."""

    SCAN = "scan"
    PICTURE = "picture"
    LOSSY = "lossy picture"
    """JPEG: values near an edge have changed."""
    OWN = "own picture"
    """Labels that this program exported as PNG."""


@dataclass(frozen=True, slots=True)
class ReadImage:
    """What a file holds.

    Attributes
    ----------
    volume
        Canonical voxels (z, y, x) on the canonical grid.
    source
        The file's own grid, so that labels can go back onto it with `onto_source`.
    warnings
        Sentences for the reader: values replaced, orientation assumed.
    kind
        The sort of file.
    replaced
        Voxels that were no number and became 0.
    """

    volume: Volume
    source: Grid
    warnings: tuple[str, ...] = ()
    kind: Kind = Kind.SCAN
    replaced: int = 0


def read_image(path: Path, frame: int | None = None, spacing: Spacing | None = None) -> ReadImage:
    """Read a scan or a grey picture.

    Parameters
    ----------
    path
        NIfTI (``.nii``, ``.nii.gz``, ``.hdr``/``.img``), Analyze (``.hdr``/``.img``), NRRD (``.nrrd``, ``.nhdr``),
        MetaImage (``.mha``, ``.mhd``), HDF5 (``.h5`` with ``image``), a TIFF stack, or a grey PNG, JPEG, TIFF or BMP
        picture (one slice, see `pictures`); or a folder or file of DICOM that holds one volume (see `dicom`).
    frame
        Which volume of a 4D file, from 0; None wants a file of one volume.
    spacing
        Edge lengths of a voxel along x, y, z in mm, for a file that does not say them (TIFF stacks, HDF5).

    Returns
    -------
    ReadImage
        ``volume.data`` is float32 and finite: NaN and infinity become 0, with a warning.

    Raises
    ------
    ImageError
        The file is missing, empty, cut off, not an image, absurd, coloured, or holds more than one volume.
    """
    if _is_dicom(Path(path)):
        from napari_penumbra.imaging import dicom  # it makes what this module defines

        return dicom.read_path(Path(path), frame)
    raw, kind = _guarded(path, lambda path, kind: _raw_image(path, kind, frame))
    return _intensities(path, _spaced(path, raw, spacing), kind)


def _is_dicom(path: Path) -> bool:
    """Whether a path is a folder, or begins like DICOM does; a file that is gone is for others to tell."""
    try:
        if path.is_dir():
            return True
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def frames_of(path: Path) -> int:
    """How many volumes a file holds, from its header alone: 1 for pictures and for what cannot be read."""
    try:
        kind = format_of(Path(path))
    except (PenumbraError, OSError):
        return 1
    if kind in ("NIfTI", "Analyze"):
        return nifti.frames(path)
    if kind in ("NRRD", "MetaImage"):
        return sitk.frames(path)
    return {"TIFF": tiffs.frames, "HDF5": hdf5.frames}.get(kind, lambda _: 1)(path)


def lacks_spacing(path: Path) -> bool:
    """Whether a file is a volume that may not say how large its voxels are: somebody has to."""
    return SUFFIXES.get(suffix_of(path)) == "HDF5" or (is_stack(path) and not tiffs.says_spacing(path))


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF of several pages: a volume, not a picture."""
    return SUFFIXES.get(suffix_of(path)) == "TIFF" and tiffs.pages(path) > 1


def _spaced(path: Path, raw: RawImage, spacing: Spacing | None) -> RawImage:
    """Give a volume of unknown voxel size the one that somebody stated, or say that 1 mm is only assumed."""
    if raw.spaced:
        return raw
    if spacing is None:
        words = (
            f"{path.name} does not say how large its voxels are: 1 mm is assumed. State it when you add it "
            "(--spacing x,y,z), or volumes and distances are wrong."
        )
        return replace(raw, warnings=(words, *raw.warnings))
    edges = np.diag([*spacing, 1.0])
    return replace(raw, grid=Grid.of(raw.grid.shape, raw.grid.matrix @ edges))


def read_channels(path: Path) -> dict[str, ReadImage]:
    """Read a colour picture as three one-slice images on one grid; a grey one gives three equal ones, with a warning.

    Returns
    -------
    dict
        `COLOUR` to image; see `read_image` for the rest.

    Raises
    ------
    ImageError
        As for `read_image`, or the file is a scan.
    """

    def channels(path: Path, kind: Format) -> dict[str, RawImage]:
        if kind not in PICTURES:
            raise ImageError(f"{path.name} is not a picture: it has no colours.", "Give one file per modality.")
        if is_stack(path):
            raise ImageError(f"{path.name} is a stack of pictures, not one.", "Save each page as a file of its own.")
        picture = pictures.read_picture(path)
        return {name: pictures.plane(picture, path, name) for name in COLOUR}

    found = {name: _intensities(path, raw, Kind.PICTURE) for name, raw in _guarded(path, channels).items()}
    # What is to be said of the file is said once.
    rest = {name: replace(one, warnings=()) for name, one in found.items() if name != COLOUR[0]}
    return {**found, **rest}


def _raw_image(path: Path, kind: Format, frame: int | None) -> tuple[RawImage, Kind]:
    if kind == "HDF5":
        return hdf5.read(path, hdf5.IMAGE, frame), Kind.SCAN
    if is_stack(path):
        return tiffs.read(path, frame), Kind.PICTURE
    if kind in PICTURES:
        return pictures.plane(pictures.read_picture(path), path), Kind.PICTURE
    return _READERS[kind](path, frame), Kind.SCAN


def _raw_labels(path: Path, kind: Format) -> tuple[RawImage, Kind]:
    if kind == "HDF5":
        return hdf5.read(path, hdf5.LABEL), Kind.SCAN
    if is_stack(path):
        return tiffs.read(path), Kind.PICTURE
    if kind not in PICTURES:
        return _READERS[kind](path, None), Kind.SCAN
    found = pictures.read_mask(path)
    raw = pictures.as_raw(found.pixels, found.source, found.warnings)
    return raw, Kind.OWN if found.own else Kind.LOSSY if found.lossy else Kind.PICTURE


def _intensities(path: Path, raw: RawImage, kind: Kind) -> ReadImage:
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinity and is reported below
        if raw.slope != 1.0 or raw.intercept != 0.0:
            data = (_canonical(raw, np.float64) * raw.slope + raw.intercept).astype(np.float32)
        else:
            data = _canonical(raw, np.float32)  # turned and converted in one go: one copy, not two
    warnings, replaced = raw.warnings, 0
    if raw.ijk.dtype.kind == "f" or raw.slope != 1.0:
        data, more, replaced = _finite(data, path)
        warnings += more
    return ReadImage(Volume(data, raw.grid.reorientation().target), raw.grid, warnings, kind, replaced)


def read_volume(path: Path) -> Volume:
    """Read a scan and keep only its canonical voxels; see `read_image`."""
    return read_image(path).volume


def read_labels(path: Path, spacing: Spacing | None = None) -> ReadImage:
    """Read a label map without any rounding.

    Parameters
    ----------
    path
        As for `read_image`; of an HDF5 file its ``label``.
    spacing
        As for `read_image`.

    Returns
    -------
    ReadImage
        ``volume.data`` has an integer dtype wide enough for every value. Whether the values belong to a study's scheme
        is for `LabelScheme.check` to say.

    Raises
    ------
    ImageError
        As for `read_image`.
    LabelError
        Values that are not whole numbers (a scan chosen by mistake, a mask that was interpolated).
    """
    raw, kind = _guarded(path, _raw_labels)
    raw = _spaced(path, raw, spacing)
    values = _canonical(raw)
    scaled = raw.slope != 1.0 or raw.intercept != 0.0
    if scaled:
        values = values.astype(np.float64) * raw.slope + raw.intercept
    if values.dtype.kind == "f":
        values = _whole(values, path, _SCALED_LABEL_TOLERANCE if scaled else 0.0)
    return ReadImage(Volume(values, raw.grid.reorientation().target), raw.grid, raw.warnings, kind)


def onto_source(array_zyx: AnyArray, source: Grid) -> AnyArray:
    """Bring a canonical array back to the axis order of the file that it belongs to.

    Parameters
    ----------
    array_zyx
        (z, y, x) on ``source.reorientation().target``.
    source
        The file's own grid (`ReadImage.source`).

    Returns
    -------
    ndarray
        (z, y, x) on ``source``: ready for `write_nifti` with that grid.
    """
    return ijk_to_zyx(source.reorientation().undo(zyx_to_ijk(array_zyx)))


def _canonical(raw: RawImage, dtype: npt.DTypeLike | None = None) -> AnyArray:
    # A copy: what was read may be read-only memory.
    return np.array(ijk_to_zyx(raw.grid.reorientation().view(raw.ijk)), dtype=dtype, order="C")


def _finite(data: npt.NDArray[np.float32], path: Path) -> tuple[npt.NDArray[np.float32], tuple[str, ...], int]:
    bad = ~np.isfinite(data)
    count = int(bad.sum())
    if count == 0:
        return data, (), 0
    if count == data.size:
        raise ImageError(f"{path.name} has no usable values: every voxel is NaN or infinite.", "Export it anew.")
    data[bad] = 0.0
    what = "1 voxel that is" if count == 1 else f"{count:,} voxels that are"
    return data, (f"{path.name} has {what} not a number (NaN or infinite); shown and learnt as 0.",), count


def _whole(values: AnyArray, path: Path, tolerance: float) -> AnyArray:
    with np.errstate(invalid="ignore"):
        rounded = np.rint(values)
        fits = np.isfinite(values).all() and (np.abs(values - rounded) <= tolerance).all()
    if not fits or (values.size and np.abs(rounded).max() >= 2**53):
        raise LabelError(
            f"{path.name} has label values that are not whole numbers.", "Check that it is a mask and not an image."
        )
    return rounded.astype(np.int64)


def _guarded(path: Path, read: Callable[[Path, Format], T]) -> T:
    path = Path(path)
    try:
        check_present(path)
        return read(path, format_of(path))
    except OSError as error:
        raise ImageError(
            f"{path.name} cannot be opened.", "Check its permissions and that the disk or share is connected.",
            technical(error, path),
        ) from error  # fmt: skip
    except MemoryError as error:
        raise ImageError(f"{path.name} does not fit into this machine's memory.", "Crop or down-sample it.") from error
    except (ValueError, OverflowError, IndexError) as error:
        # Headers are input from outside: whatever a hostile one makes a library stumble over ends in a sentence.
        raise unreadable(path, error) from error


def load_readers() -> None:
    """Import the NIfTI reader now; call it before reading files in several threads.

    nibabel is imported late because it takes a tenth of a second, and its modules import each other in a circle: two
    threads that are the first to ask for it meet half-made modules (``ImportError: partially initialized module``).
    """
    import nibabel.nifti1
    import nibabel.nifti2  # noqa: F401
