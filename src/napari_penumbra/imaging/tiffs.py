"""TIFF files of several pages: stacks of slices, with the voxel size that ImageJ or OME wrote into them.

A flat TIFF is a picture (`pictures`). A stack is a volume: x to the right, y down, and its pages run upwards. Channels
and time points count as volumes of a 4D file. tifffile reads the pages; what it needs a further library for (LZW, JPEG)
is unpacked by Pillow.
"""

from __future__ import annotations

import logging
import lzma
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import AnyArray, Grid
from napari_penumbra.imaging.raw import RawImage, check_size, one_volume, truncated, unreadable

_PACKED = 3000
"""LZW packs at most about 2,700 to 1; a file that promises more lies."""
_MM = {
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0, "m": 1000.0, "inch": 25.4,
    "micron": 1e-3, "µm": 1e-3, "μm": 1e-3, "um": 1e-3, "micrometer": 1e-3, "\\u00b5m": 1e-3, "nm": 1e-6,
}  # fmt: skip
_RESOLUTION_UNIT = {2: 25.4, 3: 10.0}
_BROKEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError, AssertionError,
    EOFError, struct.error, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What a damaged file makes tifffile and what it calls stumble over."""


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file alone, without those that an OME description names, and without tifffile's own words on stderr."""
    import tifffile

    log = logging.getLogger("tifffile")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            yield file
    finally:
        log.setLevel(before)


def pages(path: Path) -> int:
    """Count the pages of a TIFF; 1 for a file that is none or is damaged (its reader says so)."""
    try:
        with _opened(path) as file:
            series = file.series[0]
            # ImageJ describes stacks of any length on one page.
            return max(
                len(file.pages), math.prod(n for a, n in zip(series.axes, series.shape, strict=True) if a not in "YXS")
            )
    except (*_BROKEN, OSError):
        return 1


def frames(path: Path) -> int:
    """How many volumes (channels, time points) a TIFF holds."""
    try:
        with _opened(path) as file:
            series = file.series[0]
            return math.prod(_sizes(_axes(path, series), series.shape)[3:])
    except (*_BROKEN, OSError, ImageError):
        return 1


def says_spacing(path: Path) -> bool:
    """Whether ImageJ or OME wrote the voxel size into a file."""
    try:
        with _opened(path) as file:
            return _spacing(file)[1]
    except (*_BROKEN, OSError):
        return False


def read(path: Path, frame: int | None = None) -> RawImage:
    """Read a stack, or one volume of a stack with channels or time points.

    Raises
    ------
    ImageError
        Damaged, cut off, coloured, several volumes and none chosen.
    """
    try:
        with _opened(path) as file:
            series = file.series[0]
            axes = _axes(path, series)
            _check(path, file, series)
            values = _pixels(path, file, series)
            spacing, spaced = _spacing(file)
    except EOFError as error:
        raise truncated(path, error) from error
    except _BROKEN as error:
        raise unreadable(path, error) from error
    zyx_first = np.transpose(values, [axes.index(a) for a in _order(axes)])
    shape = one_volume(path, _sizes(axes, values.shape), frame)
    flat = zyx_first.reshape(-1, *shape[::-1])
    ijk = flat[frame or 0].transpose()
    if ijk.dtype.kind == "b":
        ijk = ijk.astype(np.uint8) * np.uint8(255)
    grid = Grid.of(shape, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))
    words = f"{path.name} does not say how the patient lay: left and right, top and bottom are assumed, check them."
    return RawImage(ijk.astype(ijk.dtype.newbyteorder("="), copy=False), grid, warnings=(words,), spaced=spaced)


def _axes(path: Path, series: Any) -> str:
    axes = str(series.axes)
    if "S" in axes:
        raise ImageError(
            f"{path.name} is a stack of colour pictures.", "Convert it to grey values, or add its pages as pictures."
        )
    # I and Q are tifffile's names for pages that nobody named: slices.
    for unnamed in "IQ":
        if "Z" not in axes:
            axes = axes.replace(unnamed, "Z", 1)
    if "Z" not in axes and "T" in axes:
        axes = axes.replace("T", "Z")  # ImageJ calls any plain stack of unknown meaning a time series
    return axes


def _order(axes: str) -> str:
    return "".join(a for a in axes if a not in "ZYX") + "".join(a for a in "ZYX" if a in axes)


def _sizes(axes: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    size = dict(zip(axes, shape, strict=True))
    return (size["X"], size["Y"], size.get("Z", 1), *(n for a, n in size.items() if a not in "ZYX"))


def _check(path: Path, file: Any, series: Any) -> None:
    packed = int(file.pages[0].compression) != 1
    check_size(path, int(series.nbytes), path.stat().st_size, _PACKED if packed else 1)
    if series.dtype is None or series.dtype.kind not in "iufb":
        raise ImageError(f"{path.name} has pixels that are not plain numbers.", "Save grey values.")


def _pixels(path: Path, file: Any, series: Any) -> AnyArray:
    try:
        return np.asarray(series.asarray())
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        return _by_pillow(path, series.shape, len(file.pages))


def _by_pillow(path: Path, shape: tuple[int, ...], count: int) -> AnyArray:
    from PIL import Image, TiffImagePlugin  # noqa: F401

    with Image.open(path, formats=("TIFF",)) as image:
        found = []
        for n in range(count):
            image.seek(n)
            found.append(np.array(image))
    return np.stack(found).reshape(shape)


def _spacing(file: Any) -> tuple[tuple[float, float, float], bool]:
    """Edge lengths along x, y, z in mm, and whether the file gives all three."""
    found = _ome(file) if file.is_ome else _imagej(file) if file.is_imagej else None
    if found is None or not all(math.isfinite(n) and n > 0 for n in found):
        return (1.0, 1.0, 1.0), False
    return found, True


def _imagej(file: Any) -> tuple[float, float, float] | None:
    told = file.imagej_metadata or {}
    tags = file.pages[0].tags
    if "spacing" not in told or "XResolution" not in tags or "YResolution" not in tags:
        return None
    unit = _MM.get(str(told.get("unit", "")).strip().lower())
    if unit is None and "ResolutionUnit" in tags:
        unit = _RESOLUTION_UNIT.get(int(tags["ResolutionUnit"].value))
    if unit is None:
        return None
    (x, x_per), (y, y_per) = tags["XResolution"].value, tags["YResolution"].value
    return unit * x_per / x, unit * y_per / y, unit * float(told["spacing"])


def _ome(file: Any) -> tuple[float, float, float] | None:
    # tifffile's own reader of the block: XML from outside is not opened with a parser that follows entities.
    import re

    block = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", file.ome_metadata or "")
    if block is None:
        return None
    said = dict(re.findall(r'(\w+)="([^"]*)"', block[0]))
    sizes = []
    for axis in "XYZ":
        unit = _MM.get(said.get(f"PhysicalSize{axis}Unit", "µm"))
        if f"PhysicalSize{axis}" not in said or unit is None:
            return None
        sizes.append(float(said[f"PhysicalSize{axis}"]) * unit)
    return sizes[0], sizes[1], sizes[2]
