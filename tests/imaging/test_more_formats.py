"""Analyze, TIFF stacks, HDF5 and 4D files, each against the library that the format's own users read it with."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from napari_penumbra.domain.errors import ImageError, PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging import gz
from napari_penumbra.imaging.files import Kind, frames_of, lacks_spacing, read_image, read_labels, write_nifti
from napari_penumbra.imaging.nifti_writing import encode

RNG = np.random.default_rng(5)
ZYX = RNG.integers(0, 900, (5, 7, 6)).astype(np.uint16)
"""Unequal edges, every voxel another: no swap of axes goes unseen."""


def analyze(path: Path, ijk: np.ndarray, spacing: tuple[float, ...] = (1.5, 2.0, 3.0)) -> nib.AnalyzeImage:
    image = nib.AnalyzeImage(ijk, None)
    image.header.set_zooms((*spacing, *[1.0] * (ijk.ndim - 3)))
    nib.save(image, path)
    return nib.load(path)


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<f4"])
@pytest.mark.parametrize("half", [".hdr", ".img"])
def test_analyze_agrees_with_nibabel_and_simpleitk_and_says_what_it_cannot_know(
    tmp_path: Path, half: str, dtype: str
) -> None:
    ijk = (ZYX % 250).transpose().astype(dtype)
    other = analyze(tmp_path / "a.img", ijk)
    found = read_image(tmp_path / f"a{half}")
    np.testing.assert_allclose(found.source.matrix, other.affine)
    assert found.source.axes() == "LAS"
    np.testing.assert_array_equal(found.volume.data, np.asarray(other.dataobj)[:, ::-1].transpose())
    itk = sitk.ReadImage(str(tmp_path / "a.hdr"))
    assert itk.GetSize() == found.source.shape
    np.testing.assert_allclose(itk.GetSpacing(), found.source.spacing)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(itk), np.asarray(other.dataobj).transpose())
    assert "does not say which side is the patient's left" in found.warnings[0]
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{half}").volume.data, found.volume.data)


def test_analyze_of_foreign_byte_order_and_odd_slices(tmp_path: Path) -> None:
    header = nib.AnalyzeHeader(endianness=">")
    image = nib.AnalyzeImage(ZYX.transpose().astype(">i2"), None, header)
    nib.save(image, tmp_path / "b.img")
    head = bytearray((tmp_path / "b.hdr").read_bytes())
    head[252] = 2
    (tmp_path / "b.hdr").write_bytes(bytes(head))
    found = read_image(tmp_path / "b.hdr")
    np.testing.assert_array_equal(found.volume.data, ZYX[:, ::-1])
    assert "sagittal" in found.warnings[0]
    (tmp_path / "b.img").write_bytes(b"short")
    with pytest.raises(ImageError, match=r"b\.img"):
        read_image(tmp_path / "b.hdr")


IMAGEJ = {"spacing": 4.0, "unit": "mm", "axes": "ZYX"}
OME = {
    "axes": "ZYX", "PhysicalSizeX": 500.0, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.25,
    "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 4.0, "PhysicalSizeZUnit": "mm",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain", "deflate", "big"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_tiff_stacks_agree_with_tifffile_and_with_simpleitk(tmp_path: Path, kind: str, dtype: str) -> None:
    path = tmp_path / ("s.ome.tif" if kind == "ome" else "s.tif")
    values = ZYX.astype(dtype)
    more = {
        "imagej": {"imagej": True, "resolution": (2.0, 4.0), "metadata": IMAGEJ},
        "ome": {"ome": True, "metadata": OME},
        "plain": {"metadata": None},
        "deflate": {"metadata": None, "compression": "zlib"},
        "big": {"bigtiff": True, "metadata": None},
    }[kind]
    tifffile.imwrite(path, values, photometric="minisblack", **more)
    found = read_image(path)
    np.testing.assert_array_equal(found.volume.data, tifffile.imread(path).astype(np.float32))
    if kind != "ome":
        np.testing.assert_array_equal(found.volume.data, sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    if kind in ("imagej", "ome"):
        np.testing.assert_allclose(found.volume.grid.scale, (4.0, 0.25, 0.5), rtol=1e-5)
        assert not lacks_spacing(path)
        assert "1 mm is assumed" not in " ".join(found.warnings)
    else:
        assert found.volume.grid.scale == (1.0, 1.0, 1.0)
        assert lacks_spacing(path)
        assert "does not say how large its voxels are" in found.warnings[0]
        stated = read_image(path, spacing=(0.5, 0.25, 4.0))
        assert stated.volume.grid.scale == (4.0, 0.25, 0.5)
        assert "1 mm is assumed" not in " ".join(stated.warnings)
    assert found.volume.grid.axes() == "LPS"
    if dtype != "f4":
        np.testing.assert_array_equal(read_labels(path).volume.data, values)


def test_a_tiff_stack_packed_by_others_and_masks_in_black_and_white(tmp_path: Path) -> None:
    frames = [Image.fromarray((page % 200).astype(np.uint8)) for page in ZYX]
    frames[0].save(tmp_path / "lzw.tif", save_all=True, append_images=frames[1:], compression="tiff_lzw")
    np.testing.assert_array_equal(read_image(tmp_path / "lzw.tif").volume.data, ZYX % 200)
    tifffile.imwrite(tmp_path / "mask.tif", ZYX > 400, photometric="minisblack")
    mask = read_labels(tmp_path / "mask.tif")
    assert mask.kind is Kind.PICTURE
    np.testing.assert_array_equal(mask.volume.data, np.where(ZYX > 400, 255, 0))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own word before it refuses
def test_coloured_and_damaged_stacks_are_told(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((4, 8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(ImageError, match="stack of colour pictures"):
        read_image(tmp_path / "rgb.tif")
    tifffile.imwrite(tmp_path / "cut.tif", ZYX, photometric="minisblack", metadata=None)
    whole = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"cut\.tif"):
        read_image(tmp_path / "cut.tif")


def test_an_ome_tiff_does_not_open_other_files(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "two_0.ome.tif", ZYX, photometric="minisblack", metadata=OME)
    found = read_image(tmp_path / "two_0.ome.tif")
    block = tifffile.tiffcomment(tmp_path / "two_0.ome.tif")
    outside = block.replace(
        "<TiffData", '<TiffData><UUID FileName="../secret.tif">urn:uuid:1</UUID></TiffData><TiffData'
    )
    tifffile.tiffcomment(tmp_path / "two_0.ome.tif", outside.encode())
    again = read_image(tmp_path / "two_0.ome.tif")
    np.testing.assert_array_equal(again.volume.data, found.volume.data)


def hdf5(path: Path, **sets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in sets.items():
            file.create_dataset(name, data=values, compression="gzip")
    return path


def test_hdf5_with_image_and_label(tmp_path: Path) -> None:
    xyz = ZYX.transpose().astype(np.float32)
    path = hdf5(tmp_path / "mri_norm2.h5", image=xyz, label=(xyz > 400).astype(np.uint8))
    found = read_image(path, spacing=(0.625, 0.625, 0.625))
    np.testing.assert_array_equal(found.volume.data, ZYX)
    assert found.volume.grid.scale == (0.625, 0.625, 0.625)
    np.testing.assert_array_equal(read_labels(path).volume.data, ZYX > 400)
    with pytest.raises(ImageError, match='without a data set "label"'):
        read_labels(hdf5(tmp_path / "i.h5", image=xyz))
    (tmp_path / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(ImageError, match=r"bad\.h5 is damaged"):
        read_image(tmp_path / "bad.h5")


def test_hdf5_links_out_of_the_file_are_not_followed(tmp_path: Path) -> None:
    hdf5(tmp_path / "secret.h5", image=ZYX)
    with h5py.File(tmp_path / "trap.h5", "w") as file:
        file["image"] = h5py.ExternalLink("secret.h5", "image")
    with pytest.raises(ImageError, match="without a data set"):
        read_image(tmp_path / "trap.h5")


FOUR = RNG.integers(0, 500, (3, *ZYX.shape)).astype(np.int16)
"""(t, z, y, x)."""


def four_d(folder: Path) -> dict[str, Path]:
    files = {kind: folder / name for kind, name in FILES.items()}
    nifti = FOUR.transpose(3, 2, 1, 0)
    affine = np.diag([-1.0, -2.0, 3.0, 1.0])
    nib.save(nib.Nifti1Image(nifti, affine), files["nifti"])
    nib.save(nib.Nifti2Image(nifti, affine), files["nifti2"])
    analyze(files["analyze"], nifti)
    for kind in ("nrrd", "mha"):
        sitk.WriteImage(sitk.GetImageFromArray(FOUR, isVector=False), str(files[kind]))
    sitk.WriteImage(sitk.GetImageFromArray(FOUR.transpose(1, 2, 3, 0), isVector=True), str(files["channels"]))
    tifffile.imwrite(files["tiff"], FOUR.transpose(1, 0, 2, 3), imagej=True, metadata={"axes": "ZCYX", "spacing": 2})
    hdf5(files["hdf5"], image=nifti)
    return files


FILES = {
    "nifti": "f.nii.gz", "nifti2": "g.nii", "analyze": "a.img", "nrrd": "f.nrrd", "mha": "f.mha",
    "channels": "c.nrrd", "tiff": "t.tif", "hdf5": "h.h5",
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_4d_files_are_split_only_when_asked(tmp_path: Path, kind: str) -> None:
    path = four_d(tmp_path)[kind]
    assert frames_of(path) == 3
    with pytest.raises(ImageError, match="holds 3 volumes or channels") as refused:
        read_image(path)
    assert "--split-4d" in refused.value.remedy
    for n in range(3):
        values = read_image(path, n).volume.data
        expected = FOUR[n][:, ::-1] if kind == "analyze" else FOUR[n]
        np.testing.assert_array_equal(values, expected, err_msg=f"{kind} {n}")
    with pytest.raises(ImageError, match="no number 4"):
        read_image(path, 3)


def test_frames_of_a_plain_file_is_one(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", ZYX, photometric="minisblack", metadata=None)
    (tmp_path / "broken.nii").write_bytes(b"nothing")
    assert [frames_of(tmp_path / name) for name in ("s.tif", "broken.nii", "absent.nii.gz")] == [1, 1, 1]


@pytest.mark.parametrize("fast", [True, False])
def test_either_gzip_library_reads_what_the_other_wrote(
    tmp_path: Path, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid.of((6, 7, 5), np.diag([-1.0, -1.0, 2.0, 1.0]))
    plain = encode(ZYX, grid, gzipped=False)
    if not fast:
        monkeypatch.setattr(gz, "_library", gzip)
    write_nifti(tmp_path / "a.nii.gz", ZYX, grid)
    assert gzip.decompress((tmp_path / "a.nii.gz").read_bytes()) == plain
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain))
    for name in ("a.nii.gz", "b.nii.gz"):
        np.testing.assert_array_equal(read_image(tmp_path / name).volume.data, ZYX)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj), ZYX.transpose())


READERS: dict[Callable[[Path], Any], Callable[[Any], bool]] = {
    read_image: lambda read: all(np.isfinite(a).all() for a in (read.volume.data, read.volume.grid.affine)),
    read_labels: lambda read: read.volume.data.dtype.kind in "iu" and min(read.volume.data.shape) > 0,
    frames_of: lambda count: count >= 1,
    lacks_spacing: lambda lacks: lacks in (True, False),
}
"""Each reader, and what an answer of it must be."""


@pytest.mark.filterwarnings("ignore")  # Pillow warns before it refuses
@pytest.mark.parametrize("kind", ["plain.tif", "packed.tif", "ome.ome.tif", "h.h5", "a.hdr"])
def test_damaged_files_end_in_a_picture_or_a_sentence(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    path = tmp_path / kind
    if kind == "h.h5":
        hdf5(path, image=ZYX, label=ZYX)
    elif kind == "a.hdr":
        analyze(tmp_path / "a.img", ZYX.transpose().astype(np.int16))
    else:
        more = {"packed.tif": {"compression": "zlib", "metadata": None}, "ome.ome.tif": {"metadata": OME}}
        tifffile.imwrite(path, ZYX, photometric="minisblack", **more.get(kind, {"imagej": True, "metadata": IMAGEJ}))
    whole = path.read_bytes()
    for n in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 700 if n % 2 else len(data)), 6):
            data[at] = rng.integers(256)
        path.write_bytes(bytes(data[: rng.integers(9, len(data))] if n % 3 == 0 else data))
        for read, whole_answer in READERS.items():
            refusal = ""
            try:
                answer = read(path)
            except PenumbraError as error:
                refusal = str(error)
            if refusal:
                assert refusal.endswith("."), refusal
                assert path.stem in refusal, refusal
            else:
                assert whole_answer(answer), (read.__name__, n)
