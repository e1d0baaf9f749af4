"""The small picture of a case in the table."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelArray
from napari_penumbra.imaging import atomic

SIZE = 64
"""Longest edge in pixels."""


def write_thumbnail(path: Path, image: npt.NDArray[np.float32], grid: Grid, labels: LabelArray | None = None) -> None:
    """Write the most telling axial slice as a PNG of at most `SIZE` pixels, grey or in colour.

    Parameters
    ----------
    path
        Where to.
    image, labels
        (z, y, x) on ``grid``; an image of red, green and blue (3, z, y, x). With labels, the slice with most foreground
        is taken, otherwise the middle one.
    grid
        For the shape of a voxel: the picture is not stretched.

    Raises
    ------
    DiskError
        The file could not be written.
    """
    from PIL import Image  # not needed to open a study

    z = image.shape[-3] // 2
    if labels is not None:
        foreground = ((labels > 0) & (labels != UNKNOWN)).sum(axis=(1, 2))
        if foreground.any():
            z = int(foreground.argmax())
    _, dy, dx = grid.scale
    height, width = image.shape[-2] * dy, image.shape[-1] * dx
    factor = SIZE / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    pixels = _grey(image[z]) if image.ndim == 3 else np.moveaxis(colour_bytes(image[:, z]), 0, -1)
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    atomic.write_bytes(path, buffer.getvalue())


def colour_bytes(channels: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Scale channels of a picture to 8 bits, all alike so that hues stay; 8-bit pictures stay as they are."""
    top = max(float(channels.max()), 255.0)
    return np.clip(np.rint(channels * (255.0 / top)), 0, 255).astype(np.uint8)


def _grey(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    low, high = np.percentile(plane, (1, 99))
    if high <= low:
        low, high = float(plane.min()), float(plane.max())
    span = float(high - low) or 1.0
    return (np.clip((plane - low) / span, 0, 1) * 255).astype(np.uint8)
