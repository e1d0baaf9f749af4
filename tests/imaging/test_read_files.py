"""Odd and broken files: a right picture or a plain sentence with the file's name, never a crash."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import save

from napari_penumbra.domain.errors import ImageError, LabelError, PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.files import read_image, read_labels, read_volume, suffix_of, write_nifti


def nifti_bytes(voxels: np.ndarray) -> bytes:
    return nib.Nifti1Image(voxels, np.eye(4)).to_bytes()


NOISE = np.random.default_rng(0).integers(0, 1000, (12, 11, 10)).astype(np.int16)
NRRD = (
    b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: %b\n"
    b"space directions: (1,0,0) (0,2,0) (0,0,3)\nendian: little\nencoding: %b\nspace origin: (0,0,0)\n"
)
META_HEAD = b"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = %b\nDimSize = %b\nElementType = %b\n"
META = META_HEAD + b"ElementDataFile = %b\n"


def huge_nifti() -> bytes:
    """40 GB announced, 1 kB there."""
    data = bytearray(nifti_bytes(NOISE)[:1000])
    data[40:56] = struct.pack("<8h", 3, 4096, 4096, 1250, 1, 1, 1, 1)
    return bytes(data)


def damaged_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(b ^ 0x55 for b in data[middle : middle + 20]) + data[middle + 20 :]


def rgb_nifti() -> bytes:
    return nifti_bytes(np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


WHOLE = gzip.compress(nifti_bytes(NOISE))
BROKEN: dict[str, tuple[str, bytes, str]] = {
    "zero bytes": ("a.nii.gz", b"", "empty"),
    "zero bytes nrrd": ("a.nrrd", b"", "empty"),
    "gzip cut off": ("a.nii.gz", WHOLE[: len(WHOLE) // 2], "cut off"),
    "gzip cut in its header": ("a.nii.gz", WHOLE[:12], "cut off"),
    "gzip without its checksum": ("a.nii.gz", WHOLE[:-8], "cut off"),
    "gzip damaged": ("a.nii.gz", damaged_middle(WHOLE), "damaged"),
    "gzip wrong checksum": ("a.nii.gz", WHOLE[:-8] + b"\1\2\3\4" + WHOLE[-4:], "damaged"),
    "nii cut off": ("a.nii", nifti_bytes(NOISE)[:-100], "cut off"),
    "nii only a header": ("a.nii", nifti_bytes(NOISE)[:348], "cannot be right"),
    "nii half a header": ("a.nii", nifti_bytes(NOISE)[:200], "not a NIfTI image"),
    "40 GB in 1 kB": ("a.nii", huge_nifti(), "cannot be right"),
    "40 GB in 1 kB gzipped": ("a.nii.gz", gzip.compress(huge_nifti()), "cannot be right"),
    "text": ("a.nii", b"patient,age\n1,44\n", "text file"),
    "text as nrrd": ("a.nrrd", b"patient,age\n1,44\n", "text file"),
    "text gzipped": ("a.nii.gz", gzip.compress(b"patient,age\n1,44\n"), "text file"),
    "png": ("a.nii.gz", b"\x89PNG\r\n\x1a\n" + bytes(600), "PNG"),
    "dicom": ("a.nii", bytes(128) + b"DICM" + bytes(600), "DICOM"),
    "nrrd called nii": ("a.nii", NRRD % (b"2 2 2", b"raw") + b"\n" + bytes(16), "NRRD file under a wrong name"),
    "nifti called nrrd": ("a.nrrd", nifti_bytes(NOISE), "NIfTI file under a wrong name"),
    "nifti without a name": ("a", nifti_bytes(NOISE), "under a wrong name"),
    "random bytes": ("a.nii", np.random.default_rng(1).bytes(900), "not a NIfTI image"),
    "unknown": ("a.xyz", np.random.default_rng(1).bytes(900), "not an image"),
    "half of an analyze pair": ("a.hdr", struct.pack("<i", 348) + bytes(344), "a.img is missing"),
    "analyze called nii": ("a.nii", struct.pack("<i", 348) + bytes(344), "Analyze file under a wrong name"),
    "colour": ("a.nii", rgb_nifti(), "colour"),
    "complex": ("a.nii", nifti_bytes(np.zeros((3, 3, 3), np.complex64)), "plain numbers"),
    "time series": ("a.nii.gz", gzip.compress(nifti_bytes(np.zeros((3, 4, 5, 6), np.int16))), "6 volumes"),
    "no voxels": ("a.nii", nifti_bytes(np.zeros((3, 0, 5), np.int16)), "no image"),
    "all NaN": ("a.nii", nifti_bytes(np.full((3, 3, 3), np.nan, np.float32)), "no usable values"),
    "half a pair": ("a.img", bytes(500), "a.hdr is missing"),
    "nrrd cut off": ("a.nrrd", NRRD % (b"8 7 6", b"raw") + b"\n" + bytes(600), "cut off"),
    "nrrd 128 TB": ("a.nrrd", NRRD % (b"40000 40000 40000", b"raw") + b"\n" + bytes(600), "cannot be right"),
    "nrrd 128 TB gzip": ("a.nrrd", NRRD % (b"40000 40000 40000", b"gzip") + b"\n" + bytes(600), "cannot be right"),
    "nrrd gzip garbage": ("a.nrrd", NRRD % (b"8 7 6", b"gzip") + b"\n" + bytes(600), "damaged"),
    "nrrd zero size": ("a.nrrd", NRRD % (b"8 0 6", b"raw") + b"\n" + bytes(600), "no image"),
    "nrrd sizes of words": ("a.nrrd", NRRD % (b"a b c", b"raw") + b"\n" + bytes(600), "damaged"),
    "nrrd odd packing": ("a.nrrd", NRRD % (b"8 7 6", b"zip") + b"\n" + bytes(600), "cannot be read"),
    "nrrd header alone": ("a.nhdr", NRRD % (b"8 7 6", b"raw") + b"data file: b.raw\n", "b.raw is missing"),
    "nrrd many files": ("a.nhdr", NRRD % (b"8 7 6", b"raw") + b"data file: b%03d.raw 1 6 1\n", "several data files"),
    "mha cut off": ("a.mha", META % (b"False", b"8 7 6", b"MET_SHORT", b"LOCAL") + bytes(600), "cut"),
    "mha huge": ("a.mha", META % (b"True", b"99999 99999 99999", b"MET_SHORT", b"LOCAL"), "cannot be"),
    "mha garbage": ("a.mha", META % (b"True", b"8 7 6", b"MET_SHORT", b"LOCAL") + bytes(600), "damaged"),
    "mha odd type": ("a.mha", META % (b"False", b"2 2 2", b"MET_STRING", b"LOCAL") + bytes(9), "kind"),
    "mhd header alone": ("a.mhd", META % (b"False", b"2 2 2", b"MET_SHORT", b"b.raw"), "b.raw is missing"),
    "mhd no end": ("a.mhd", META_HEAD % (b"False", b"2 2 2", b"MET_SHORT"), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("read", [read_image, read_labels])
def test_broken_file_is_a_sentence_with_its_name(tmp_path: Path, case: str, read: Callable[[Path], object]) -> None:
    name, data, words = BROKEN[case]
    folder = tmp_path / "MUELLER_HANS_1944"
    folder.mkdir()
    (folder / name).write_bytes(data)
    tracemalloc.start()
    with pytest.raises(LabelError if (case, read) == ("all NaN", read_labels) else ImageError) as caught:
        read(folder / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    error = caught.value
    if case != "all NaN" or read is read_image:
        assert words in error.message
    assert name in error.message
    assert error.message.endswith(".")
    assert error.remedy
    assert "MUELLER" not in str(error) + error.details
    assert peak < 20e6


def test_missing_file_directory_and_forbidden_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"p1\.nii\.gz does not exist"):
        read_image(tmp_path / "p1.nii.gz")
    (tmp_path / "d.nii.gz").mkdir()
    with pytest.raises(ImageError, match=r"d\.nii\.gz is a folder"):
        read_volume(tmp_path / "d.nii.gz")
    with pytest.raises(ImageError, match="does not exist"):
        read_image(tmp_path / "file.txt" / "p1.nii.gz")
    if hasattr(os, "mkfifo"):  # not on Windows
        os.mkfifo(tmp_path / "pipe.nii")
        with pytest.raises(ImageError, match="not an ordinary file"):
            read_image(tmp_path / "pipe.nii")


def test_every_cut_of_a_small_file_ends_in_a_sentence(tmp_path: Path) -> None:
    """No length of a half-copied file gives a picture or another exception."""
    small = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    save(tmp_path / "a.mha", small, Grid.of((2, 3, 4), np.eye(4)))
    save(tmp_path / "a.nrrd", small, Grid.of((2, 3, 4), np.eye(4)))
    whole = {
        "a.nii": nifti_bytes(small),
        "a.nii.gz": gzip.compress(nifti_bytes(small)),
        "a.mha": (tmp_path / "a.mha").read_bytes(),
        "a.nrrd": (tmp_path / "a.nrrd").read_bytes(),
    }
    for name, data in whole.items():
        for length in range(0, len(data) - 8 if name == "a.nrrd" else len(data), 3):
            (tmp_path / name).write_bytes(data[:length])
            with pytest.raises(PenumbraError, match=name):
                read_image(tmp_path / name)


def test_random_headers_never_crash(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    original = nifti_bytes(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    for _ in range(300):
        data = bytearray(original)
        for position in rng.integers(4, 344, 6):
            data[position] = rng.integers(256)
        (tmp_path / "f.nii").write_bytes(data)
        try:
            read = read_image(tmp_path / "f.nii")
        except PenumbraError:
            continue
        assert np.isfinite(read.volume.data).all()


def test_nan_and_infinity_become_zero_with_a_warning(tmp_path: Path) -> None:
    voxels = np.ones((3, 4, 5), np.float64)
    voxels[0, 0, 0], voxels[1, 1, 1], voxels[2, 2, 2] = np.nan, -np.inf, 1e300
    (tmp_path / "n.nii").write_bytes(nifti_bytes(voxels))
    read = read_image(tmp_path / "n.nii")
    assert np.isfinite(read.volume.data).all()
    assert (read.volume.data == 0).sum() == 3
    assert read.warnings[-1].startswith("n.nii has 3 voxels")
    with pytest.raises(LabelError, match=r"n\.nii has label values that are not whole"):
        read_labels(tmp_path / "n.nii")


def test_one_frame_of_four_dimensions_is_a_volume(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(nifti_bytes(np.ones((3, 4, 5, 1, 1), np.int16)))
    assert read_image(tmp_path / "a.nii").volume.data.shape == (5, 4, 3)
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((1, 5, 4, 3), np.int16), isVector=False), str(tmp_path / "a.nrrd"))
    assert read_image(tmp_path / "a.nrrd").volume.data.shape == (5, 4, 3)


def test_several_channels_of_nrrd_are_refused(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.ones((5, 4, 3, 2), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "two.seg.nrrd"))
    with pytest.raises(ImageError, match="holds 2 volumes or channels"):
        read_labels(tmp_path / "two.seg.nrrd")


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", [">i2", "<i2", ">f4", ">f8", "u1", "<u4", ">i8"])
def test_versions_types_and_byte_orders(tmp_path: Path, kind: type, dtype: str) -> None:
    voxels = np.arange(60).reshape(3, 4, 5).astype(dtype)
    header = kind.header_class(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(dtype)
    nib.save(kind(voxels, np.diag([-1.0, -1.0, 2.0, 1.0]), header, dtype=dtype), tmp_path / "b.nii.gz")
    read = read_image(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(read.volume.data, voxels.transpose().astype(np.float32))
    assert read.volume.data.dtype.isnative
    assert read.volume.data.flags.writeable
    labels = read_labels(tmp_path / "b.nii.gz").volume.data
    np.testing.assert_array_equal(labels, voxels.transpose().astype(np.int64))
    assert labels.dtype.kind in "iu"
    assert labels.dtype.isnative
    assert labels.flags.writeable


def test_scale_factors_apply_to_images_and_labels(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([-1.0, -1, 1, 1]))
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / "s.nii")
    np.testing.assert_allclose(
        read_image(tmp_path / "s.nii").volume.data, np.arange(24).reshape(2, 3, 4).transpose() * 0.5 - 3
    )
    with pytest.raises(LabelError):
        read_labels(tmp_path / "s.nii")
    mask = nib.Nifti1Image(np.array([0, 255], np.uint8).reshape(2, 1, 1), np.diag([-1.0, -1, 1, 1]))
    mask.header.set_slope_inter(1 / 255, 0)
    nib.save(mask, tmp_path / "m.nii")
    np.testing.assert_array_equal(read_labels(tmp_path / "m.nii").volume.data.ravel(), [0, 1])


def test_labels_up_to_thousands_stay_exact_and_floats_must_be_whole(tmp_path: Path) -> None:
    values = np.array([0, 1, 255, 4096, 16_777_217, 2**31 - 1], np.int64).reshape(6, 1, 1)
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1, 1, 1]), dtype=np.int64), tmp_path / "i.nii.gz")
    np.testing.assert_array_equal(read_labels(tmp_path / "i.nii.gz").volume.data.ravel(), values.ravel())
    nib.save(nib.Nifti1Image(values.astype(np.float64), np.diag([-1.0, -1, 1, 1])), tmp_path / "f.nii.gz")
    np.testing.assert_array_equal(read_labels(tmp_path / "f.nii.gz").volume.data.ravel(), values.ravel())
    nib.save(nib.Nifti1Image(values * 0.25, np.eye(4)), tmp_path / "g.nii.gz")
    with pytest.raises(LabelError, match=r"g\.nii\.gz .* not whole numbers"):
        read_labels(tmp_path / "g.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)), tmp_path / "z.nii.gz")
    assert not read_labels(tmp_path / "z.nii.gz").volume.data.any()


def test_names_in_any_case_and_gzip_under_plain_name(tmp_path: Path) -> None:
    (tmp_path / "A.NII.GZ").write_bytes(WHOLE)
    (tmp_path / "b.nii").write_bytes(WHOLE)
    (tmp_path / "c.nii.gz").write_bytes(nifti_bytes(NOISE))
    reads = [read_image(tmp_path / n).volume.data for n in ("A.NII.GZ", "b.nii", "c.nii.gz")]
    assert all((r == reads[0]).all() for r in reads)
    assert suffix_of(Path("a.b.NII.GZ")) == ".nii.gz"
    assert suffix_of(Path("x.seg.nrrd")) == ".nrrd"
    assert suffix_of(Path("x.gz")) == ""


def test_mhd_and_nhdr_with_their_data_files(tmp_path: Path) -> None:
    for name in ("a.mhd", "a.nhdr"):
        save(tmp_path / name, NOISE, Grid.of(NOISE.shape, np.diag([-1.0, -1, 1, 1])))
        np.testing.assert_array_equal(read_image(tmp_path / name).volume.data, NOISE.transpose())


def test_write_refuses_to_change_values_silently(tmp_path: Path) -> None:
    grid = Grid.of((2, 2, 2), np.eye(4))
    with pytest.raises(ValueError, match="do not fit"):
        write_nifti(tmp_path / "a.nii.gz", np.full((2, 2, 2), 300), grid, np.uint8)
    with pytest.raises(ValueError, match="do not fit"):
        write_nifti(tmp_path / "a.nii.gz", np.full((2, 2, 2), 0.5), grid, np.uint8)
    with pytest.raises(ValueError, match="does not lie"):
        write_nifti(tmp_path / "a.nii.gz", np.zeros((2, 2, 3), np.uint8), grid)
    with pytest.raises(ValueError, match="must end in"):
        write_nifti(tmp_path / "a.png", np.zeros((2, 2, 2), np.uint8), grid)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("bool", "uint8"), ("int64", "int32"), ("float16", "float32"), ("float32", "float32"), ("uint8", "uint8")],
)
def test_write_keeps_values_and_the_same_array_gives_the_same_bytes(tmp_path: Path, dtype: str, stored: str) -> None:
    grid = Grid.of((2, 3, 4), np.diag([-1.0, -1, 3, 1]))
    array = (np.arange(24).reshape(4, 3, 2) % 2).astype(dtype)
    for name in ("a.nii.gz", "b.nii.gz", "c.nii"):
        write_nifti(tmp_path / name, array, grid)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    image = nib.load(tmp_path / "c.nii")
    assert image.get_data_dtype() == stored
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").volume.data, array.astype(np.float32))


def test_maps_in_one_byte(tmp_path: Path) -> None:
    confidence = np.random.default_rng(0).random((4, 3, 2), dtype=np.float32)
    write_nifti(
        tmp_path / "c.nii.gz", confidence, Grid.of((2, 3, 4), np.diag([-1.0, -1, 1, 1])), np.uint8, slope=1 / 255
    )
    assert nib.load(tmp_path / "c.nii.gz").get_data_dtype() == np.uint8
    np.testing.assert_allclose(read_image(tmp_path / "c.nii.gz").volume.data, confidence, atol=0.5 / 255 + 1e-6)


NIBABEL_FILES = Path(nib.__file__).parent / "tests" / "data"


@pytest.mark.parametrize(
    ("name", "shape", "axes"),
    [
        ("anatomical.nii", (25, 41, 33), "LAS"),  # big-endian
        ("reoriented_anat_moved.nii", (22, 26, 21), "RAS"),  # big-endian
        ("standard.nii.gz", (7, 5, 4), "RAS"),
    ],
)
def test_real_oddities_agree_with_nibabel(name: str, shape: tuple[int, ...], axes: str) -> None:
    read = read_image(NIBABEL_FILES / name)
    assert read.volume.data.shape == shape
    assert read.source.axes() == axes
    image = nib.load(NIBABEL_FILES / name)
    np.testing.assert_allclose(read.source.matrix, image.affine, rtol=1e-6)
    turned = nib.as_closest_canonical(image)
    np.testing.assert_allclose(read.volume.data, turned.get_fdata()[::-1, ::-1].transpose(), rtol=1e-6)


@pytest.mark.parametrize("name", ["example4d.nii.gz", "functional.nii", "example_nifti2.nii.gz"])
def test_real_series_are_refused(name: str) -> None:
    """Two of them carry long header extensions, which must not get in the way."""
    with pytest.raises(ImageError, match="volumes or channels"):
        read_image(NIBABEL_FILES / name)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_header_extensions_are_skipped(tmp_path: Path, kind: type) -> None:
    image = kind(NOISE, np.diag([-1.0, -1, 1, 1]))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"MUELLER" * 300))
    nib.save(image, tmp_path / "e.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "e.nii.gz").volume.data, NOISE.transpose())
