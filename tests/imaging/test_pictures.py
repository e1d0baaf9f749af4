"""PNG, JPEG, TIFF and BMP written by Pillow: the pixels come through, or a sentence says why not."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from napari_penumbra.domain.colour import COLOUR, expand, expand_images, sources
from napari_penumbra.domain.errors import ImageError, LabelError
from napari_penumbra.domain.grid import CANONICAL, Grid
from napari_penumbra.imaging.files import Kind, onto_source, read_channels, read_image, read_labels
from napari_penumbra.imaging.pictures import MOST_PIXELS, OWN_NOTE, encode_png, stored_grid

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (7, 9)).astype(np.uint8)
RGB = RNG.integers(0, 256, (7, 9, 3)).astype(np.uint8)
DEEP = RNG.integers(0, 65536, (7, 9)).astype(np.uint16)
ORIENTATION = 0x0112


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "a.tif", "a.tiff", "a.bmp"])
def test_colour_comes_through_unchanged(tmp_path: Path, name: str) -> None:
    found = read_channels(save(tmp_path / name, RGB))
    assert tuple(found) == COLOUR
    for n, channel in enumerate(COLOUR):
        one = found[channel]
        assert one.volume.data.dtype == np.float32
        np.testing.assert_array_equal(one.volume.data, RGB[None, ..., n])
        assert one.volume.grid == one.source == Grid.picture(9, 7)
        assert one.volume.grid.is_picture
        assert one.volume.grid.axes() == CANONICAL
        assert one.warnings == ()
        assert one.kind is Kind.PICTURE


def test_jpeg_is_close(tmp_path: Path) -> None:
    smooth = np.stack(np.broadcast_arrays(np.arange(64)[:, None] * 3, np.arange(80)[None] * 2, 90), axis=-1)
    found = read_channels(save(tmp_path / "a.jpg", smooth.astype(np.uint8), quality=95))
    got = np.stack([found[c].volume.data[0] for c in COLOUR], axis=-1)
    assert np.abs(got - smooth).max() < 12


@pytest.mark.parametrize("array", [GREY, DEEP, DEEP.astype(np.float32) / 7, DEEP.astype(np.int32)])
def test_grey_of_any_depth(tmp_path: Path, array: np.ndarray) -> None:
    names = ["a.tif"] if array.dtype.kind == "f" or array.dtype.itemsize > 2 else ["a.png", "a.tif"]
    for name in names:
        np.testing.assert_array_equal(read_image(save(tmp_path / name, array)).volume.data[0], array)


def test_colour_file_without_colour_is_grey_and_real_colour_is_told(tmp_path: Path) -> None:
    same = save(tmp_path / "same.png", np.repeat(GREY[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_image(same).volume.data[0], GREY)
    grey_jpeg = save(tmp_path / "same.jpg", np.repeat(GREY[..., None], 3, axis=2))
    assert read_image(grey_jpeg).volume.data.shape == (1, 7, 9)
    with pytest.raises(ImageError, match=r"c\.png is a colour picture") as caught:
        read_image(save(tmp_path / "c.png", RGB))
    assert "RGB" in caught.value.remedy
    found = read_channels(same)
    assert [len(found[c].warnings) for c in COLOUR] == [1, 0, 0]
    assert "same" in found["Red"].warnings[0]
    np.testing.assert_array_equal(found["Blue"].volume.data, found["Red"].volume.data)


def test_palette_alpha_and_depth(tmp_path: Path) -> None:
    few = (RGB // 128 * 255).astype(np.uint8)
    Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_channels(tmp_path / "p.png")["Green"].volume.data[0], few[..., 1])
    opaque = np.dstack([RGB, np.full((7, 9), 255, np.uint8)])
    found = read_channels(save(tmp_path / "opaque.png", opaque))
    assert found["Red"].warnings == ()
    np.testing.assert_array_equal(found["Red"].volume.data[0], RGB[..., 0])
    opaque[0, 0, 3] = 0
    assert "transparen" in read_channels(save(tmp_path / "alpha.png", opaque))["Red"].warnings[0]
    (tmp_path / "deep.png").write_bytes(png(9, 7, 16, 2, np.dstack([DEEP] * 2 + [DEEP[::-1]]).astype(">u2")))
    found = read_channels(tmp_path / "deep.png")
    assert "16 bits" in found["Red"].warnings[0]
    np.testing.assert_array_equal(found["Red"].volume.data[0], DEEP >> 8)


def png(width: int, height: int, bits: int, colour: int, rows: np.ndarray | bytes) -> bytes:
    """A PNG put together by hand: Pillow writes neither 16-bit colour nor lies about its size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = rows if isinstance(rows, bytes) else b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def cmyk(path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(path)


def pages(path: Path) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    first.save(path, save_all=True, append_images=[second])


def cut(path: Path) -> None:
    big = RNG.integers(0, 256, (90, 90, 3)).astype(np.uint8)
    Image.fromarray(big).save(path)
    path.write_bytes(path.read_bytes()[:900])


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "cmyk": ("a.jpg", cmyk, "printing colours"),
    "cmyk tiff": ("a.tif", cmyk, "printing colours"),
    "lab": ("a.tif", lambda p: Image.fromarray(RGB).convert("LAB").save(p), "cannot be read (LAB)"),
    "pages": ("a.tif", pages, "is a stack of"),
    "animation": ("a.png", pages, "2 pages"),
    "cut png": ("a.png", cut, "a.png is"),
    "cut jpeg": ("a.jpg", cut, "a.jpg is"),
    "cut tiff": ("a.tif", cut, "a.tif is"),
    "cut bmp": ("a.bmp", cut, "a.bmp is"),
    "bomb": ("a.png", lambda p: p.write_bytes(png(8001, 8001, 8, 2, b"")), "too large"),
    "bigger bomb": ("a.png", lambda p: p.write_bytes(png(60000, 60000, 8, 2, b"")), "too large"),
    "lies about its size": ("a.png", lambda p: p.write_bytes(png(7900, 7900, 8, 2, b"")), "cannot be right"),
    "jpeg called png": ("a.png", lambda p: Image.fromarray(RGB).save(p, format="JPEG"), "JPEG file under a wrong name"),
    "png called nii": ("a.nii", lambda p: Image.fromarray(RGB).save(p, format="PNG"), "PNG file under a wrong name"),
    "gif": ("a.gif", lambda p: Image.fromarray(GREY).save(p), "GIF"),
    "text": ("a.png", lambda p: p.write_text("patient,age\n"), "text file"),
    "only a signature": ("a.png", lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"), "a.png is"),
    "only a jpeg signature": ("a.jpg", lambda p: p.write_bytes(b"\xff\xd8\xff\xe0" + bytes(60)), "a.jpg is"),
    "only a tiff signature": ("a.tif", lambda p: p.write_bytes(b"II*\0" + bytes(60)), "a.tif is"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own words on odd metadata
@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("read", [read_image, read_channels, read_labels])
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, case: str, read: Callable[[Path], object]) -> None:
    name, make, words = BAD[case]
    folder = tmp_path / "MUELLER_HANS"
    folder.mkdir()
    make(folder / name)
    tracemalloc.start()
    with pytest.raises(ImageError) as caught:
        read(folder / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert words in caught.value.message
    assert caught.value.message.startswith("a.")
    assert caught.value.remedy
    assert "MUELLER" not in str(caught.value) + caught.value.details
    assert peak < 20e6
    assert MOST_PIXELS > 7900**2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp"])
def test_random_damage_never_crashes(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, RNG.integers(0, 256, (40, 50, 3)).astype(np.uint8))
    whole = path.read_bytes()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 200 if seed % 2 else len(data)), 4):
            data[at] = int(rng.integers(0, 256))
        path.write_bytes(bytes(data))
        for read in (read_channels, read_labels):
            try:
                read(path)
            except (ImageError, LabelError) as error:
                assert name in error.message  # noqa: PT017 - reading may as well succeed


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_upright_here_and_stored_in_the_file(tmp_path: Path, name: str, orientation: int) -> None:
    smooth = np.clip(np.stack(np.broadcast_arrays(*np.ogrid[0:240:10, 0:200:10], 60), axis=-1), 0, 255).astype(np.uint8)
    image = Image.fromarray(smooth)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(tmp_path / name, exif=exif, **({"quality": 100, "subsampling": 0} if name == "a.jpg" else {}))
    image.getexif()[ORIENTATION] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    found = read_channels(tmp_path / name)
    got = np.stack([found[c].volume.data[0] for c in COLOUR], axis=-1)
    assert np.abs(got - upright.astype(int)).max() <= (4 if name == "a.jpg" else 0)
    one = found["Red"]
    assert one.volume.grid == Grid.picture(*upright.shape[1::-1])
    assert one.source == stored_grid(20, 24, orientation)
    assert bool(one.warnings) == (orientation != 1)
    # Labels drawn upright go back onto the stored pixels, with the same note, so that both kinds of program agree.
    labels = (upright[..., 0] > 100).astype(np.uint8)
    target = tmp_path / "mask.png"
    target.write_bytes(encode_png(onto_source(labels[None], one.source), one.source, "labels"))
    with Image.open(target) as saved:
        np.testing.assert_array_equal(np.asarray(saved), smooth[..., 0] > 100)
        np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(saved)), labels)
        assert saved.info[OWN_NOTE] == "labels"
    again = read_labels(target)
    np.testing.assert_array_equal(again.volume.data[0], labels)
    assert (again.source, again.kind) == (one.source, Kind.OWN)


VALUES = RNG.integers(0, 4, (7, 9)).astype(np.uint8)


def test_masks_keep_their_values(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif", "a.bmp"):
        found = read_labels(save(tmp_path / name, VALUES))
        np.testing.assert_array_equal(found.volume.data[0], VALUES)
        assert found.kind is Kind.PICTURE
    np.testing.assert_array_equal(read_labels(save(tmp_path / "d.png", DEEP)).volume.data[0], DEEP)
    three = save(tmp_path / "three.png", np.repeat(VALUES[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_labels(three).volume.data[0], VALUES)
    white = (VALUES > 1).astype(np.uint8) * 255
    for depth in (white, white.astype(np.uint16) * 257):
        np.testing.assert_array_equal(read_labels(save(tmp_path / "w.png", depth)).volume.data[0], white)
    Image.fromarray(white).convert("1").save(tmp_path / "one.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "one.png").volume.data[0], white)
    assert read_labels(save(tmp_path / "a.jpg", white)).kind is Kind.LOSSY


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_are_not_spread(tmp_path: Path, bits: int) -> None:
    values = np.arange(8, dtype=np.uint8).reshape(1, 8) % (1 << bits)
    per_byte = 8 // bits
    packed = bytearray()
    for start in range(0, 8, per_byte):
        byte = 0
        for value in values[0, start : start + per_byte]:
            byte = (byte << bits) | int(value)
        packed.append(byte)
    (tmp_path / "a.png").write_bytes(png(8, 1, bits, 0, b"\0" + bytes(packed)))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").volume.data[0], values)


def test_palettes_of_masks(tmp_path: Path) -> None:
    coloured = Image.fromarray(VALUES).convert("L")
    coloured = Image.frombytes("P", coloured.size, coloured.tobytes())
    coloured.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    coloured.save(tmp_path / "voc.png")
    found = read_labels(tmp_path / "voc.png")
    np.testing.assert_array_equal(found.volume.data[0], VALUES)
    assert "colour table" in found.warnings[0]
    # The first entry is white here: what is seen counts, not the order in which a program listed its colours.
    swapped = Image.frombytes("P", (9, 7), (VALUES > 1).astype(np.uint8).tobytes())
    swapped.putpalette([255, 255, 255, 0, 0, 0])
    swapped.save(tmp_path / "bw.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "bw.png").volume.data[0], np.where(VALUES > 1, 0, 255))


def test_coloured_and_transparent_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"a\.png is coloured"):
        read_labels(save(tmp_path / "a.png", RGB))
    seen = np.dstack([VALUES] * 3 + [np.full((7, 9), 255, np.uint8)])
    np.testing.assert_array_equal(read_labels(save(tmp_path / "b.png", seen)).volume.data[0], VALUES)
    seen[0, 0, 3] = 0
    with pytest.raises(LabelError, match="transparent"):
        read_labels(save(tmp_path / "b.png", seen))
    with pytest.raises(LabelError, match="not whole numbers"):
        read_labels(save(tmp_path / "c.tif", GREY.astype(np.float32) / 3))


def test_a_scan_has_no_colours(tmp_path: Path) -> None:
    from napari_penumbra.imaging.nifti import write_nifti

    write_nifti(tmp_path / "a.nii", GREY[None], Grid.of((9, 7, 1), np.eye(4)))
    with pytest.raises(ImageError, match="not a picture"):
        read_channels(tmp_path / "a.nii")
    assert not read_image(tmp_path / "a.nii").volume.grid.is_picture


def test_names_of_colour() -> None:
    assert expand(["T2", "rgb"]) == ("T2", *COLOUR)
    assert sources(("T2", *COLOUR)) == ("T2", "RGB")
    assert sources(("Red", "T2")) == ("Red", "T2")
    assert expand_images({"RGB": 1, "Green": 2, "T2": 3}) == {"Red": 1, "Green": 2, "Blue": 1, "T2": 3}
