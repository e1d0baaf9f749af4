"""The table of odd inputs: what each is, how to make or find it, and what has to come of it.

`docs/render_odd_inputs.py` gives every one of them to the program and writes down what it says.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study.store import Study

SHAPE = (20, 18, 12)
LPS = np.diag([-2.0, -2.0, 4.0, 1.0])


@dataclass(frozen=True)
class Odd:
    """One odd input.

    ``make`` writes or finds the file. ``fate`` is ``picture`` (read, and right by an independent reader) or
    ``sentence`` (refused); ``says`` are words that the reader is told, empty where nothing has to be said.
    ``label`` inputs are masks, given beside a sound image of `SHAPE`.
    """

    key: str
    what: str
    make: Callable[[Path], Path | None]
    fate: str
    says: str = ""
    label: bool = False


def values(shape: tuple[int, ...] = SHAPE, dtype: str = "int16") -> np.ndarray:
    """Whole numbers without any symmetry."""
    return np.random.default_rng(5).integers(0, 1000, shape).astype(dtype)


def nifti(folder: Path, data: np.ndarray, affine: np.ndarray = LPS, name: str = "odd.nii.gz") -> Path:
    """Write with nibabel."""
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / name)
    return folder / name


def turned(degrees: float) -> np.ndarray:
    """LPS turned about the left-right axis."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ LPS


def _packaged(package: str, *names: str) -> Callable[[Path], Path | None]:
    def find(_: Path) -> Path | None:
        try:
            path = Path(str(resources.files(package).joinpath(*names)))
        except ModuleNotFoundError:
            return None
        return path if path.is_file() else None

    return find


def _dicom(name: str) -> Callable[[Path], Path | None]:
    return _packaged("pydicom", "data", "test_files", name)


def _bytes(name: str, data: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data())
        return path

    return make


def _whole(dtype: str = "int16") -> bytes:
    return bytes(nib.Nifti1Image(values(dtype=dtype), LPS).to_bytes())


def _huge() -> bytes:
    data = bytearray(_whole()[:1024])
    data[40:56] = struct.pack("<8h", 3, 27000, 27000, 28, 1, 1, 1, 1)
    return bytes(data)


def _sheared(folder: Path) -> Path:
    affine = LPS.copy()
    affine[1, 2] = 1.5
    return nifti(folder, values(), affine)


def _not_finite(folder: Path) -> Path:
    data = values(dtype="float32")
    data[0, 0, :3] = np.nan, np.inf, -np.inf
    return nifti(folder, data)


def _unplaced(folder: Path) -> Path:
    image = nib.Nifti1Image(values(), None)
    image.header["pixdim"][1:4] = 2.0, 2.0, 4.0
    nib.save(image, folder / "odd.nii")
    return folder / "odd.nii"


def _two_placements(folder: Path) -> Path:
    image = nib.Nifti1Image(values(), LPS)
    image.set_sform(LPS, 1)
    image.set_qform(turned(5), 1)
    nib.save(image, folder / "odd.nii.gz")
    return folder / "odd.nii.gz"


def _metres(folder: Path) -> Path:
    affine = LPS.copy()
    affine[:3] /= 1000
    image = nib.Nifti1Image(values(), affine)
    image.header.set_xyzt_units("meter")
    nib.save(image, folder / "odd.nii.gz")
    return folder / "odd.nii.gz"


def _big_endian(folder: Path) -> Path:
    image = nib.Nifti1Image(values(), LPS, nib.Nifti1Header(endianness=">"))
    image.set_data_dtype(">i2")
    nib.save(image, folder / "odd.nii")
    return folder / "odd.nii"


def _no_placement_numbers(folder: Path) -> Path:
    image = nib.Nifti1Image(values(), LPS)
    image.header["srow_x"], image.header["sform_code"] = np.nan, 1
    data = bytearray(image.to_bytes())
    data[280:296] = struct.pack("<4f", *[np.nan] * 4)
    data[254:256] = struct.pack("<h", 1)
    (folder / "odd.nii").write_bytes(data)
    return folder / "odd.nii"


def _nrrd_beside(folder: Path) -> Path:
    (folder / "odd.nhdr").write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: raw\nendian: little\n"
        b"data file: ../../outside.raw\n"
    )
    return folder / "odd.nhdr"


def _colour(folder: Path) -> Path:
    image = sitk.GetImageFromArray(np.zeros((*SHAPE[::-1], 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(folder / "odd.nrrd"))
    return folder / "odd.nrrd"


def _mask(folder: Path, change: Callable[[np.ndarray], np.ndarray] = lambda a: a, affine: np.ndarray = LPS) -> Path:
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:9, 3:8, 2:6] = 1
    return nifti(folder, change(mask), affine, "odd_label.nii.gz")


def _shifted() -> np.ndarray:
    affine = LPS.copy()
    affine[0, 3] += 1.0
    return affine


def _flipped() -> np.ndarray:
    affine = LPS @ np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[0, 3] = LPS[0, 0] * (SHAPE[0] - 1)
    return affine


def _far() -> np.ndarray:
    affine = LPS.copy()
    affine[2, 3] += 900
    return affine


def _axes() -> np.ndarray:
    """Axes that grow towards P, I, R."""
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = -2.0, -2.0, 4.0, 1.0
    return affine


def _folder(folder: Path) -> Path:
    (folder / "odd.nii.gz").mkdir()
    return folder / "odd.nii.gz"


def _nib(name: str) -> Callable[[Path], Path | None]:
    return _packaged("nibabel", "tests", "data", name)


_MNI = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


ODD: tuple[Odd, ...] = (
    Odd("sheared", "skewed axes (gantry tilt)", _sheared, "picture", "skewed axes"),
    Odd("oblique", "turned by 35°", lambda f: nifti(f, values(), turned(35)), "picture"),
    Odd("PIR", "axes P, I, R", lambda f: nifti(f, values(), _axes()), "picture"),
    Odd("four axes", "real oblique 4D series (nibabel)", _nib("example4d.nii.gz"), "sentence", "2 volumes"),
    Odd("NIfTI-2", "real NIfTI-2 series (nibabel)", _nib("example_nifti2.nii.gz"), "sentence", "volumes"),
    Odd("big-endian", "big-endian voxels", _big_endian, "picture"),
    Odd("anatomical", "real big-endian NIfTI (nibabel)", _nib("anatomical.nii"), "picture"),
    Odd("moved", "real reoriented NIfTI (nibabel)", _nib("reoriented_anat_moved.nii"), "picture"),
    Odd("three slices", "real series of 3 slices (nibabel)", _nib("functional.nii"), "sentence", "20 volumes"),
    Odd("MNI", "real MNI152 T1 (nilearn)", _packaged("nilearn", "datasets", "data", _MNI), "picture"),
    Odd("one slice", "a volume of one slice", lambda f: nifti(f, values((20, 18, 1))), "picture"),
    Odd("padding", "real CT with -3024 outside (slicerio)", _packaged("slicerio", "data", "CTChest4.nrrd"), "picture"),
    Odd("NaN", "NaN and infinite voxels", _not_finite, "picture", "3 voxels that are not a number"),
    Odd("all NaN", "nothing but NaN", lambda f: nifti(f, np.full(SHAPE, np.nan, np.float32)), "sentence", "no usable"),
    Odd("metres", "a header in metres", _metres, "picture"),
    Odd("unplaced", "a header without placement", _unplaced, "picture", "left and right are assumed"),
    Odd("two placements", "qform and sform differ", _two_placements, "picture", "two placements"),
    Odd("NaN placement", "a placement of NaN", _no_placement_numbers, "sentence", "where its voxels lie"),
    Odd("complex", "complex voxels", lambda f: nifti(f, values(dtype="complex64")), "sentence", "plain numbers"),
    Odd("colour volume", "three channels per voxel", _colour, "sentence", "channels"),
    Odd(
        "cut gzip",
        "a gzip that ends early",
        _bytes("odd.nii.gz", lambda: gzip.compress(_whole())[:-900]),
        "sentence",
        "cut off",
    ),
    Odd(
        "bad checksum",
        "a gzip whose checksum is wrong",
        _bytes("odd.nii.gz", lambda: gzip.compress(_whole())[:-8] + bytes(8)),
        "sentence",
        "does not add up",
    ),
    Odd("cut", "a file that ends early", _bytes("odd.nii", lambda: _whole()[:-500]), "sentence", "cut off"),
    Odd("empty", "a file of no bytes", _bytes("odd.nii.gz", bytes), "sentence", "0 bytes"),
    Odd(
        "wrong ending",
        "an NRRD called .nii",
        _bytes("odd.nii", lambda: b"NRRD0004\ntype: short\n\n" + bytes(600)),
        "sentence",
        "wrong name",
    ),
    Odd("text", "a table called .nii", _bytes("odd.nii", lambda: b"case,age\n1,44\n"), "sentence", "text file"),
    Odd("folder", "a folder called .nii.gz", _folder, "sentence", "folder"),
    Odd("40 GB", "a header of 40 GB over 1 kB", _bytes("odd.nii", _huge), "sentence", "cannot be right"),
    Odd(
        "40 GB gzip",
        "the same, gzipped",
        _bytes("odd.nii.gz", lambda: gzip.compress(_huge())),
        "sentence",
        "cannot be right",
    ),
    Odd("data outside", "a header whose data file lies in another folder", _nrrd_beside, "sentence", "outside its own"),
    Odd("DICOM slice", "real MR slice (pydicom)", _dicom("MR_small.dcm"), "picture"),
    Odd("DICOM big-endian", "the same, big-endian", _dicom("MR_small_bigendian.dcm"), "picture"),
    Odd("DICOM RLE", "the same, RLE", _dicom("MR_small_RLE.dcm"), "picture"),
    Odd("DICOM JPEG 2000", "the same, JPEG 2000 lossless", _dicom("MR_small_jp2klossless.dcm"), "picture"),
    Odd("DICOM JPEG-LS", "the same, JPEG-LS lossless", _dicom("MR_small_jpeg_ls_lossless.dcm"), "picture"),
    Odd("DICOM padded", "the same, with padding after the pixels", _dicom("MR_small_padded.dcm"), "picture"),
    Odd("DICOM cut", "the same, cut off", _dicom("MR_truncated.dcm"), "sentence", "cut off"),
    Odd("DICOM colour", "colour picture", _dicom("SC_rgb_rle.dcm"), "sentence", ""),
    Odd("DICOM plan", "a treatment plan, no picture", _dicom("rtplan.dcm"), "sentence", ""),
    Odd("DICOM report", "a structured report, no picture", _dicom("reportsi.dcm"), "sentence", ""),
    Odd(
        "float labels",
        "whole numbers stored as floats",
        lambda f: _mask(f, lambda a: a.astype(np.float32)),
        "picture",
        label=True,
    ),
    Odd(
        "smooth labels",
        "an interpolated mask",
        lambda f: _mask(f, lambda a: a.astype(np.float32) * 0.5),
        "sentence",
        "not whole numbers",
        label=True,
    ),
    Odd(
        "thousands",
        "values up to 3000",
        lambda f: _mask(f, lambda a: a.astype(np.int16) * 3000),
        "sentence",
        "outside the study's scheme: 3000",
        label=True,
    ),
    Odd("no label", "a mask of zeros", lambda f: _mask(f, lambda a: a * 0), "picture", label=True),
    Odd(
        "larger label",
        "one voxel larger than its image",
        lambda f: _mask(f, lambda a: np.pad(a, (0, 1))),
        "sentence",
        "21×19×13 instead of 20×18×12 voxels",
        label=True,
    ),
    Odd(
        "half a voxel",
        "half a voxel off",
        lambda f: _mask(f, affine=_shifted()),
        "sentence",
        "1.0 mm apart",
        label=True,
    ),
    Odd(
        "flipped label",
        "the same place, stored from the other side",
        lambda f: _mask(f, affine=_flipped()),
        "picture",
        label=True,
    ),
    Odd(
        "far label",
        "a mask of another place",
        lambda f: _mask(f, affine=_far()),
        "sentence",
        "do not overlap",
        label=True,
    ),
)


@dataclass(frozen=True)
class Told:
    """What came of an odd input, and what the reader is told."""

    fate: str
    words: str


def tell(study: Study, odd: Odd, folder: Path) -> Told | None:
    """Add an odd input to a study whose only modality is ``MR`` and whose only class is 1; None if it is not there."""
    folder.mkdir(parents=True)
    path = odd.make(folder)
    if path is None:
        return None
    try:
        if odd.label:
            said = study.add_case(odd.key, {"MR": nifti(folder, values(), name="image.nii.gz")}, path)
        else:
            said = study.add_case(odd.key, {"MR": path})
    except PenumbraError as error:
        return Told("sentence", str(error).replace(path.name, "FILE"))
    return Told("picture", " ".join(said).replace(path.name, "FILE"))
