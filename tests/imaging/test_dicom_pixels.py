"""Values as the scanner meant them, out of every way to store them; what is damaged ends in a sentence."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from dicom_phantom import header, phantom, place, save, write_enhanced, write_series
from napari_penumbra.domain.errors import ImageError
from napari_penumbra.imaging.dicom import has_dicom, headers, only_volume, scan
from napari_penumbra.imaging.files import read_image, read_labels

PACKED = {
    "MR_small_RLE.dcm": "MR_small.dcm",
    "MR_small_jp2klossless.dcm": "MR_small.dcm",
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "MR_small_bigendian.dcm": "MR_small.dcm",
    "MR_small_expb.dcm": "MR_small.dcm",
    "MR_small_implicit.dcm": "MR_small.dcm",
    "MR_small_padded.dcm": "MR_small.dcm",
}


def shipped(name: str) -> Path:
    """A file that lies in the pydicom wheel; nothing is downloaded."""
    found = get_testdata_file(name, download=False)
    assert found is not None
    return Path(str(found))


@pytest.mark.parametrize("name", PACKED)
def test_every_encoding_holds_the_same_slice(name: str) -> None:
    found, plain = only_volume(shipped(name)).read(), only_volume(shipped(PACKED[name])).read()
    np.testing.assert_array_equal(found.volume.data, plain.volume.data)
    assert found.source.same_place(plain.source)
    assert plain.volume.data.max() == 2145


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small.dcm", "J2K_pixelrep_mismatch.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm",
     "JPEG2000.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "image_dfl.dcm"],
)  # fmt: skip
def test_values_equal_those_of_simpleitk(name: str) -> None:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(shipped(name)))
    reader.SetImageIO("GDCMImageIO")
    theirs = sitk.GetArrayFromImage(reader.Execute()).reshape(-1)
    found = only_volume(shipped(name)).read()
    np.testing.assert_allclose(np.sort(found.volume.data.reshape(-1)), np.sort(theirs.astype(np.float32)), atol=1e-3)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_stored_kinds(tmp_path: Path, syntax: str, dtype: type[np.generic]) -> None:
    data = phantom((3, 24, 32)).clip(0, 250).astype(dtype)
    if dtype is np.int16:
        data -= 125

    def pack(one: Dataset, n: int) -> None:
        if syntax == RLELossless:
            one.compress(RLELossless, generate_instance_uid=False)
        one.file_meta.TransferSyntaxUID = syntax

    write_series(tmp_path, data, change=pack)
    np.testing.assert_array_equal(only_volume(tmp_path).read().volume.data, data)


def test_big_endian(tmp_path: Path) -> None:
    data = phantom((3, 24, 32))

    def swap(one: Dataset, n: int) -> None:
        one.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        one.PixelData = data[n].astype(">i2").tobytes()
        one["PixelData"].VR = "OW"

    write_series(tmp_path, data, change=swap)
    np.testing.assert_array_equal(only_volume(tmp_path).read().volume.data, data)


def test_unused_high_bits_are_no_values(tmp_path: Path) -> None:
    """Old scanners keep overlays in the upper bits."""
    data = phantom((3, 24, 32)).astype(np.uint16) & 0xFFF
    write_series(tmp_path, data | np.uint16(0xA000), BitsStored=12, HighBit=11, PixelRepresentation=0)
    np.testing.assert_array_equal(only_volume(tmp_path).read().volume.data, data)


def test_each_slice_has_its_own_scale(tmp_path: Path) -> None:
    """As in PET."""
    data = phantom()

    def scale(one: Dataset, n: int) -> None:
        one.RescaleSlope, one.RescaleIntercept = 0.5 + n, -10.0

    write_series(tmp_path, data, change=scale)
    wanted = data * (0.5 + np.arange(8))[:, None, None] - 10
    np.testing.assert_allclose(only_volume(tmp_path).read().volume.data, wanted, rtol=1e-6)


@pytest.mark.parametrize(("modality", "turned"), [("MR", True), ("CT", False)])
def test_monochrome1(tmp_path: Path, modality: str, turned: bool) -> None:
    data = phantom((3, 24, 32)).astype(np.uint16)
    write_series(tmp_path, data, modality=modality, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    found = only_volume(tmp_path).read()
    np.testing.assert_array_equal(found.volume.data, 4095 - data.astype(int) if turned else data)
    assert bool(found.warnings) == turned
    assert not turned or "black and white exchanged" in found.warnings[0]


def test_padding_gets_the_lowest_measured_value(tmp_path: Path) -> None:
    data = phantom() - 500
    data[:, :4] = -2000
    write_series(tmp_path, data, modality="CT", PixelPaddingValue=-2000)
    found = only_volume(tmp_path).read()
    assert found.volume.data.min() == data[:, 4:].min()
    np.testing.assert_array_equal(found.volume.data[:, 4:], data[:, 4:])
    assert "1,024 voxels outside the measured field" in found.warnings[0]


def test_padding_beside_the_measured_values_stays(tmp_path: Path) -> None:
    data = phantom() + 1
    data[:, :4] = 0
    write_series(tmp_path, data, PixelPaddingValue=0)
    found = only_volume(tmp_path).read()
    np.testing.assert_array_equal(found.volume.data, data)
    assert not found.warnings


@pytest.mark.parametrize("packer", ["rle", "jpeg_ls"])
def test_packed_frames_of_one_file(tmp_path: Path, packer: str) -> None:
    data = phantom().clip(0, 4000)
    path = write_enhanced(tmp_path / "one.dcm", data)
    if packer == "jpeg_ls":
        pytest.importorskip("jpeg_ls")
    one = dcmread(path)
    one.compress(RLELossless if packer == "rle" else JPEGLSLossless, generate_instance_uid=False)
    one.save_as(path)
    np.testing.assert_array_equal(only_volume(path).read().volume.data, data)


def test_a_film_is_refused(tmp_path: Path) -> None:
    one = header(np.zeros((7, 20, 30), np.uint8), modality="XA", NumberOfFrames=7, PixelSpacing=[1.0, 1.0])
    save(one, tmp_path / "one")
    (offer,) = scan(tmp_path).exams[0].offers
    assert "holds 7 pictures that do not say where they lie" in offer.problem


def test_a_table_of_values_is_applied(tmp_path: Path) -> None:
    from pydicom.sequence import Sequence as DicomSequence

    from dicom_phantom import item

    data = phantom((3, 24, 32)).clip(0, 255).astype(np.uint8)
    table = (np.arange(256) * 3 + 7).astype(np.uint16)

    def add(one: Dataset, n: int) -> None:
        lut = item(LUTDescriptor=[256, 0, 16], ModalityLUTType="US")
        lut.add_new("LUTData", "OW", table.tobytes())
        one.ModalityLUTSequence = DicomSequence([lut])

    write_series(tmp_path, data, change=add)
    np.testing.assert_array_equal(only_volume(tmp_path).read().volume.data, table[data])


def test_files_without_preamble_or_meta_header(tmp_path: Path) -> None:
    data = phantom()
    for path in write_series(tmp_path, data):
        one = dcmread(path)
        del one.file_meta
        one.preamble = None
        one.save_as(path, implicit_vr=True, little_endian=True)
        assert path.read_bytes()[128:132] != b"DICM"
    assert has_dicom(tmp_path)
    np.testing.assert_array_equal(only_volume(tmp_path).read().volume.data, data)


def test_copies_and_twins(tmp_path: Path) -> None:
    data = phantom()
    paths = write_series(tmp_path, data)
    (tmp_path / "copy").write_bytes(paths[2].read_bytes())
    offer = only_volume(tmp_path)
    assert "1 file came twice" in offer.notes[0]
    np.testing.assert_array_equal(offer.read().volume.data, data)
    (tmp_path / "copy").unlink()
    twin = dcmread(paths[2])
    twin.SOPInstanceUID = "1.2.3.777"
    save(twin, tmp_path / "twin")
    assert "1 slice was there twice, with equal pixels" in only_volume(tmp_path).read().warnings[0]
    twin.PixelData = bytes(len(twin.PixelData))
    save(twin, tmp_path / "twin")
    with pytest.raises(ImageError, match="two different slices at one place"):
        only_volume(tmp_path).read()


def test_damage_is_told_and_nothing_of_the_header_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ImageError, match="cut off") as told:
        only_volume(shipped("MR_truncated.dcm")).read()
    paths = write_series(tmp_path / "a", phantom(), PatientName="ZZPLANTED")
    offer = only_volume(tmp_path / "a")
    paths[3].unlink()
    with pytest.raises(ImageError, match=r"File \d of 8 is gone") as gone:
        offer.read()
    paths[3].write_bytes(paths[4].read_bytes()[:400])
    with pytest.raises(ImageError, match=r"File \d of 8"):
        offer.read()
    packed = bytearray(shipped("MR_small_jp2klossless.dcm").read_bytes())
    packed[-2000:] = bytes(2000)
    (tmp_path / "torn.dcm").write_bytes(packed)
    with pytest.raises(ImageError, match=r"File 1 of 1 (is damaged|holds no pixels)"):
        only_volume(tmp_path / "torn.dcm").read()
    for error in (told.value, gone.value):
        assert str(tmp_path) not in f"{error} {error.details}"
    said = capfd.readouterr()
    assert "ZZPLANTED" not in said.out + said.err + caplog.text


def test_a_header_that_announces_too_much_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    one = header(phantom((1, 24, 32))[0], Rows=60_000, Columns=60_000, PixelSpacing=[1.0, 1.0])
    one.ImagePositionPatient, one.ImageOrientationPatient = place(0), [1, 0, 0, 0, 1, 0]
    save(one, tmp_path / "one")
    with pytest.raises(ImageError, match="announces more pixels than it holds"):
        only_volume(tmp_path / "one").read()


def test_a_deflate_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "_MOST_UNPACKED", 1 << 24)  # 1 GB takes half a minute to make
    path = save(header(phantom((1, 24, 32))[0]), tmp_path / "one")
    raw = path.read_bytes()
    start = 144 + int.from_bytes(raw[140:144], "little")
    meta = raw[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta[:140] + (len(meta) - 144).to_bytes(4, "little") + meta[144:]
    at = meta.index(b"1.2.840.10008.1.2.1.99")
    meta = meta[: at - 2] + (22).to_bytes(2, "little") + meta[at:]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(2)) + packer.flush()
    path.write_bytes(meta + bomb)
    assert "1 DICOM file is damaged" in scan(path).notes[0]


def test_a_captured_picture_is_taken_with_a_warning(tmp_path: Path) -> None:
    write_series(tmp_path, phantom(), SOPClassUID=SecondaryCaptureImageStorage, BurnedInAnnotation="YES")
    notes = " ".join(only_volume(tmp_path).notes)
    assert "text is burnt into its pixels, possibly a name" in notes
    assert "is a secondary capture" in notes


def test_nothing_in_the_wheel_crashes_the_search(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("always")
    folder = shipped("MR_small.dcm").parent
    found = scan(folder)
    assert found.files > 90
    for exam in found.exams:
        for offer in exam.offers:
            with contextlib.suppress(ImageError):  # anything else is a crash
                assert np.isfinite(offer.read().volume.data).all()
    assert any("DICOM segmentation" in note for note in found.notes)
    assert not [one for one in recwarn if "pydicom" in str(one.filename)]


def test_one_volume_reads_like_any_image_file(tmp_path: Path) -> None:
    data = phantom()
    write_series(tmp_path / "a", data)
    np.testing.assert_array_equal(read_image(tmp_path / "a").volume.data, data)
    write_enhanced(tmp_path / "b.dcm", data)
    np.testing.assert_array_equal(read_image(tmp_path / "b.dcm").volume.data, data)
    with pytest.raises(ImageError, match="give a mask as NIfTI"):
        read_labels(tmp_path / "b.dcm")
    write_series(tmp_path / "a", data, prefix="other", SeriesInstanceUID="1.7", SeriesNumber=8)
    with pytest.raises(ImageError, match="holds 2 DICOM volumes: series 3 MR 3 mm, series 8 MR 3 mm"):
        read_image(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="is a folder, not an image"):
        read_image(tmp_path / "empty")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and links as files are a thing of Unix")
def test_the_folder_may_hold_anything(tmp_path: Path) -> None:
    write_series(tmp_path / "a" / "b", phantom())
    (tmp_path / "DICOMDIR").write_bytes(b"index")
    (tmp_path / ".hidden").write_bytes(b"x")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "ünïcode 😀").write_bytes(b"text")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = scan(tmp_path)
    assert [len(exam.offers) for exam in found.exams] == [1]
    assert found.notes == ("2 files are not DICOM and were left out.",)
    assert found.files == 10


@pytest.mark.parametrize("at", ["file", "folder"])
def test_what_cannot_be_opened_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """A share that goes away, or a ward's folder without permission; root may open everything, so it is acted."""
    data = phantom()
    write_series(tmp_path / "a", data)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_bytes(b"x")

    def refuse(path: Any, *more: Any, **options: Any) -> Any:
        if Path(str(path)).name == ("x" if at == "file" else "b"):
            raise PermissionError(13, "no", str(path))
        return real(path, *more, **options)

    module, name = (headers, "looks_like_dicom") if at == "file" else (os, "scandir")
    real = getattr(module, name)
    monkeypatch.setattr(module, name, refuse)
    found = scan(tmp_path)
    assert [len(exam.offers) for exam in found.exams] == [1]
    wanted = "1 file could not be opened" if at == "file" else "1 folder inside could not be opened"
    assert found.notes[0].startswith(wanted)


def test_reading_does_not_hold_three_volumes(tmp_path: Path) -> None:
    import tracemalloc

    data: Any = np.zeros((30, 160, 160), np.int16)
    data += np.arange(30, dtype=np.int16)[:, None, None]
    write_series(tmp_path, data, step=-3.0)
    offer = only_volume(tmp_path)
    offer.read()
    tracemalloc.start()
    offer.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * data.size * 4
