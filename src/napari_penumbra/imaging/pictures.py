"""PNG, JPEG, TIFF and BMP pictures: grey or colour planes, and masks without a changed value.

A picture has no millimetres: the resolution in its header tells printers about paper, and cameras and endoscopes write
a fixed 72 or 96 dpi into it. It is therefore never used; one pixel counts as 1 mm (`Grid.picture`).

The orientation that a camera notes in EXIF goes into the file's own grid, as the axes of a scan do: the picture is
shown upright, and exported labels return to the pixels as stored, with the same note.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.colour import COLOUR
from napari_penumbra.domain.errors import ImageError, LabelError
from napari_penumbra.domain.grid import AnyArray, Grid, ijk_to_zyx, zyx_to_ijk
from napari_penumbra.imaging.raw import DEFLATE_RATIO, RawImage, check_size, truncated, unreadable

MOST_PIXELS = 64_000_000
"""Larger pictures are refused before they are unpacked: a small file can announce any number of pixels."""
OWN_NOTE = "napari-penumbra"
"""Text field of a PNG that marks a label file of this program, in which 255 means unknown."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_ORIENTATION = 0x0112
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N")
_PLAIN = {"1", "L", "I", "F", "RGB", *_GREY_16}
_WITH_ALPHA = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB", "PA": "RGB"}
_LOSSY = {"jpeg", "old-jpeg", "tiff_jpeg", "webp"}
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
_NEUTRAL = 2
"""Difference between channels that the rounding of JPEG leaves in a grey picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded file, upright.

    Attributes
    ----------
    pixels
        (y, x) or (y, x, 3), any real dtype.
    source
        Grid of the stored pixels.
    lossy
        Whether compression has changed values.
    own
        Whether this program wrote it as a label file.
    warnings
        Sentences for the reader.
    """

    pixels: AnyArray
    source: Grid
    lossy: bool = False
    own: bool = False
    warnings: tuple[str, ...] = ()


def read_picture(path: Path) -> Picture:
    """Decode a picture to intensities.

    Raises
    ------
    ImageError
        Damaged, cut off, too large, several pages, printing colours (CMYK) or another kind of colour.
    """
    return _decode(path, mask=False)


def read_mask(path: Path) -> Picture:
    """Decode a mask: (y, x) label values, palette numbers instead of their colours; white of any depth is 255.

    Raises
    ------
    ImageError
        As for `read_picture`.
    LabelError
        Coloured or transparent pixels, which name no label value.
    """
    return _decode(path, mask=True)


def plane(picture: Picture, path: Path, channel: str | None = None) -> RawImage:
    """Take one channel of a picture as a slice of a scan.

    Parameters
    ----------
    channel
        One of `COLOUR`; a grey picture is the same in all three. None wants a grey picture.

    Raises
    ------
    ImageError
        No channel was named and the picture is coloured.
    """
    pixels, warnings = picture.pixels, picture.warnings
    if pixels.ndim == 3 and channel is None:
        raise ImageError(
            f"{path.name} is a colour picture, not a grey one.",
            f"Add it to a study of the modalities {', '.join(COLOUR)} (new study: RGB), or convert it to grey values.",
        )
    if pixels.ndim == 2 and channel is not None:
        warnings = (*warnings, f"{path.name} is a grey picture: red, green and blue are the same.")
    if pixels.ndim == 3 and channel is not None:
        pixels = pixels[..., COLOUR.index(channel)]
    return as_raw(pixels, picture.source, warnings)


def as_raw(pixels: AnyArray, source: Grid, warnings: tuple[str, ...] = ()) -> RawImage:
    """Turn an upright (y, x) plane into the stored one-slice image that readers of scans return."""
    return RawImage(source.reorientation().undo(zyx_to_ijk(pixels[None])), source, warnings=warnings)


def encode_png(stored_zyx: AnyArray, source: Grid, note: str) -> bytes:
    """Make the bytes of a grey 8-bit PNG on the pixels of a picture file.

    Parameters
    ----------
    stored_zyx
        (1, y, x) uint8 on ``source`` (`files.onto_source`).
    source
        The picture's own grid; its EXIF orientation is written again, so that programs that heed it and programs that
        do not both find the mask over its picture.
    note
        What the values mean, for the file's text field `OWN_NOTE`.
    """
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text(OWN_NOTE, note)
    image = Image.fromarray(np.ascontiguousarray(stored_zyx[0], dtype=np.uint8))
    buffer = io.BytesIO()
    options: dict[str, Any] = {}
    orientation = _orientation_of(source)
    if orientation != 1:
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        options["exif"] = exif
    image.save(buffer, format="PNG", pnginfo=text, **options)
    return buffer.getvalue()


def stored_grid(width: int, height: int, orientation: int = 1) -> Grid:
    """Grid of stored pixels whose upright picture lies on `Grid.picture`.

    Parameters
    ----------
    width, height
        Of the stored pixels.
    orientation
        EXIF's number, 1 to 8.
    """
    right, down = float(width - 1), float(height - 1)
    # Rows: where column i and row j of the file are seen, x to the right and y down.
    seen = {
        1: ((1, 0, 0), (0, 1, 0)),
        2: ((-1, 0, right), (0, 1, 0)),
        3: ((-1, 0, right), (0, -1, down)),
        4: ((1, 0, 0), (0, -1, down)),
        5: ((0, 1, 0), (1, 0, 0)),
        6: ((0, -1, down), (1, 0, 0)),
        7: ((0, -1, down), (-1, 0, right)),
        8: ((0, 1, 0), (-1, 0, right)),
    }[orientation]
    matrix = np.eye(4)
    for row, (i, j, offset) in enumerate(seen):  # x grows to the left, y to the back: RAS counts the other way
        matrix[row] = (
            -i,
            -j,
            0.0,
            -offset,
        )
    return Grid.of((width, height, 1), matrix)


def _orientation_of(source: Grid) -> int:
    width, height, _ = source.shape
    return next((n for n in range(1, 9) if stored_grid(width, height, n) == source), 1)


def _decode(path: Path, *, mask: bool) -> Picture:
    # Each registers itself on import; Pillow would otherwise import all of its fifty formats to find these four.
    from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin  # noqa: F401

    with path.open("rb") as file:
        try:
            with Image.open(file, formats=_FORMATS) as image:
                _check(path, image)
                return _mask(path, image) if mask else _picture(path, image)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(path) from error
        except _BROKEN as error:
            raise (truncated if "truncated" in str(error).lower() else unreadable)(path, error) from error


def _check(path: Path, image: Any) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise _too_large(path, f" of {width}×{height} pixels")
    if image.format == "PNG":
        bits = {"1": 1, "P": 1, "L": 1}.get(image.mode, 8)  # palettes and greys may have one bit
        check_size(path, width * height * bits // 8, path.stat().st_size, DEFLATE_RATIO)
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format != "MPO":  # a camera's JPEG with previews: the first is the picture
        raise ImageError(
            f"{path.name} holds {pages} pages, not one picture.", "Save the one to label as a file of its own."
        )


def _too_large(path: Path, size: str = "") -> ImageError:
    return ImageError(
        f"{path.name} is too large a picture{size}: at most {MOST_PIXELS // 1_000_000} million pixels can be read.",
        "Crop it or scale it down.",
    )


def _picture(path: Path, image: Any) -> Picture:
    warnings: list[str] = []
    raw, lossy = _raw_mode(image), _is_lossy(image)  # first: asking a PNG for its EXIF decodes it
    orientation = _orientation(image)
    image.load()
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in _WITH_ALPHA:
        alpha = np.asarray(image.getchannel(image.getbands()[-1]))
        if alpha.min() < alpha.max():
            warnings.append(f"{path.name} has transparent pixels; their transparency is ignored.")
        image = image.convert(_WITH_ALPHA[image.mode])
    if image.mode not in _PLAIN:
        raise _other_colours(path, image.mode)
    pixels = _native(np.asarray(image))
    if pixels.ndim == 3:
        if ";16" in raw:
            warnings.append(f"{path.name} has 16 bits per colour; the upper 8 are used.")
        spread = pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)
        if spread.max() <= (_NEUTRAL if lossy else 0):
            pixels = pixels[..., 1]
    return _upright(path, image, pixels, orientation, lossy, warnings)


def _mask(path: Path, image: Any) -> Picture:
    warnings: list[str] = []
    raw, lossy = _raw_mode(image), _is_lossy(image)  # first: asking a PNG for its EXIF decodes it
    orientation = _orientation(image)
    own = OWN_NOTE in getattr(image, "info", {})
    image.load()
    if image.mode in _WITH_ALPHA or (image.mode == "P" and "transparency" in image.info):
        image = _without_alpha(path, image)
    if image.mode == "P":
        pixels, words = _palette_values(path, image)
        warnings += words
    elif image.mode not in _PLAIN:
        raise _other_colours(path, image.mode)
    else:
        pixels = _native(np.asarray(image))
        if raw in ("L;2", "L;4"):  # Pillow spreads few grey levels over 0 to 255; the file says 0, 1, 2 …
            pixels = pixels // (85 if raw == "L;2" else 17)
    if pixels.ndim == 3:
        spread = pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)
        if spread.max() > (_NEUTRAL if lossy else 0):
            raise LabelError(
                f"{path.name} is coloured, so its pixels are no label values.",
                "Save the mask in grey values: 0 background, then the number of each class.",
            )
        pixels = pixels[..., 1]
    if pixels.dtype == np.uint16 and not np.any((pixels != 0) & (pixels != 65535)):
        pixels = (pixels > 0).astype(np.uint8) * np.uint8(255)
    found = _upright(path, image, pixels, orientation, lossy, warnings)
    return Picture(found.pixels, found.source, lossy, own, found.warnings)


def _without_alpha(path: Path, image: Any) -> Any:
    """Drop an alpha channel that says nothing; what is transparent may mean background, or anything."""
    if image.mode == "P":
        image = image.convert("RGBA")
    alpha = np.asarray(image.getchannel(image.getbands()[-1]))
    if alpha.min() < alpha.max():
        raise LabelError(
            f"{path.name} has transparent pixels, so its label values are unclear.",
            "Save the mask without transparency (no alpha channel).",
        )
    return image.convert(_WITH_ALPHA[image.mode])


def _palette_values(path: Path, image: Any) -> tuple[AnyArray, list[str]]:
    """Label values of a palette picture: its numbers, unless its colours are plainly black and white."""
    numbers = np.asarray(image)
    colours = np.asarray(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    used = np.unique(numbers)
    if used.max() >= len(colours):
        raise unreadable(path)
    shown = colours[used]
    black, white = (shown == 0).all(axis=1), (shown == 255).all(axis=1)
    if (black | white).all() and white.any():
        return colours[numbers, 0], []
    return numbers, [f"{path.name} has a colour table; the numbers of its entries are read as label values."]


def _upright(path: Path, image: Any, pixels: AnyArray, orientation: int, lossy: bool, warnings: list[str]) -> Picture:
    """Turn stored pixels as EXIF says; TIFF comes turned already."""
    if orientation == 1:
        height, width = pixels.shape[:2]
        return Picture(pixels, stored_grid(width, height), lossy, warnings=tuple(warnings))
    height, width = pixels.shape[:2]
    turned = _orientation(image) == 1
    if turned and orientation > 4:
        height, width = width, height
    source = stored_grid(width, height, orientation)
    if not turned:
        planes = pixels[..., None] if pixels.ndim == 2 else pixels
        seen = [_turn(planes[..., n], source) for n in range(planes.shape[2])]
        pixels = seen[0] if pixels.ndim == 2 else np.stack(seen, axis=-1)
    warnings.append(f"{path.name} is stored turned or mirrored (EXIF) and shown upright: a mask must fit that view.")
    return Picture(pixels, source, lossy, warnings=tuple(warnings))


def _turn(stored: AnyArray, source: Grid) -> AnyArray:
    return ijk_to_zyx(source.reorientation().apply(zyx_to_ijk(stored[None])))[0]


def _native(pixels: AnyArray) -> AnyArray:
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _orientation(image: Any) -> int:
    found = image.getexif().get(_ORIENTATION, 1)
    return int(found) if found in range(1, 9) else 1


def _raw_mode(image: Any) -> str:
    """How the file itself packs its pixels, for example ``RGB;16B``: Pillow's modes hide it."""
    for tile in image.tile:
        args = tile[3]
        for text in args if isinstance(args, tuple) else (args,):
            if isinstance(text, str):
                return text
    return ""


def _is_lossy(image: Any) -> bool:
    return image.format in ("JPEG", "MPO") or image.info.get("compression", "") in _LOSSY


def _other_colours(path: Path, mode: str) -> ImageError:
    what = "in printing colours (CMYK)" if mode == "CMYK" else f"of a kind that cannot be read ({mode})"
    return ImageError(f"{path.name} is a picture {what}.", "Save it in RGB or in grey values.")
