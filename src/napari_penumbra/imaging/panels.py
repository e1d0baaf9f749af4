"""Small pictures of slices for checks and reports: grey values, outlines, chequerboards, side by side, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.imaging.alignment import Mask

Plane = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
FIRST, SECOND = (86, 180, 233), (230, 159, 0)
"""Colours of outlines (light blue and orange of Okabe and Ito): told apart with any common colour blindness."""
HEIGHT = 200
WIDEST = 300
_TILES = 6
_CAPTION = 16
_GAP = 6
_GROUND = (38, 41, 48)
_INK = (235, 235, 235)


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a row: RGB pixels (y, x, 3), the edges of a pixel along y and x in mm, and a caption."""

    pixels: Pixels
    scale: tuple[float, float]
    caption: str


def grey(plane: Plane) -> Pixels:
    """Scale a slice to RGB grey between its 1st and 99th percentile."""
    low, high = (float(v) for v in np.percentile(plane, (1, 99)))
    if high <= low:
        low, high = float(plane.min()), float(plane.max())
    scaled = np.clip((plane - low) / ((high - low) or 1.0), 0, 1) * 255
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2)


def outlined(pixels: Pixels, mask: Mask, colour: tuple[int, int, int]) -> Pixels:
    """Draw the inner edge of a mask (y, x) in a colour."""
    from scipy import ndimage

    edge = mask & ~ndimage.binary_erosion(mask)
    out = pixels.copy()
    out[edge] = colour
    return out


def chequer(a: Plane, b: Plane) -> Pixels:
    """Lay two slices in the squares of a chequerboard: where they fit, edges run on from square to square."""
    y, x = np.indices(a.shape)
    side = max(2, max(a.shape) // _TILES)
    odd = ((y // side + x // side) % 2).astype(bool)
    out = grey(a)
    out[odd] = grey(b)[odd]
    return out


def png(panels: Sequence[Panel]) -> bytes:
    """Put panels side by side, each with its caption above, not stretched; a PNG of some 10 to 60 kB."""
    from PIL import Image, ImageDraw

    images = []
    for panel in panels:
        height, width = (n * s for n, s in zip(panel.pixels.shape[:2], panel.scale, strict=True))
        factor = min(HEIGHT / height, WIDEST / width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        images.append(Image.fromarray(np.ascontiguousarray(panel.pixels)).resize(size, Image.Resampling.BICUBIC))
    wide = sum(image.width for image in images) + _GAP * (len(images) - 1)
    sheet = Image.new("RGB", (max(1, wide), max(image.height for image in images) + _CAPTION), _GROUND)
    draw, at = ImageDraw.Draw(sheet), 0
    for image, panel in zip(images, panels, strict=True):
        # PIL's built-in font knows Latin-1 only.
        words = panel.caption.encode("latin-1", "replace").decode("latin-1")
        while len(words) > 4 and draw.textlength(words) > image.width:
            words = words[:-1]
        draw.text((at + 1, 2), words, fill=_INK)
        sheet.paste(image, (at, _CAPTION))
        at += image.width + _GAP
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
