"""What a file says before anything is done with it, and the checks that all formats share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import AnyArray, FloatArray, Grid

DEFLATE_RATIO = 1100
"""Deflate cannot pack more than 1032 to 1, so a header that promises more lies."""

SPLIT = (
    "Say how to split it when you add it: each volume a modality (--split-4d channels) or a case of its own "
    "(--split-4d time); or save the one to label as a file of its own."
)
COPY_AGAIN = "Copy it again from where it came, or export it anew."


@dataclass(frozen=True, slots=True)
class RawImage:
    """Voxels as stored, in the file's own axis order.

    Attributes
    ----------
    ijk
        Native byte order, any real dtype; ``ijk.shape == grid.shape``.
    grid
        The file's own grid, in millimetres.
    slope, intercept
        Meaning of a stored value: ``slope * stored + intercept``.
    warnings
        Sentences for the reader.
    spaced
        Whether the file says how large its voxels are; otherwise ``grid`` has 1 mm.
    """

    ijk: AnyArray
    grid: Grid
    slope: float = 1.0
    intercept: float = 0.0
    warnings: tuple[str, ...] = ()
    spaced: bool = True


def technical(error: BaseException, path: Path) -> str:
    """An exception's own words for "Details", without the folder names, which may name a patient."""
    text = str(error).replace(str(path), path.name).replace(str(path.parent), "…")
    return f"{type(error).__name__}: {text[:400]}"


def unreadable(path: Path, error: BaseException | None = None) -> ImageError:
    """Build the error for a file that claims to be an image and cannot be read as one."""
    details = "" if error is None else technical(error, path)
    return ImageError(f"{path.name} is damaged and cannot be read as an image.", COPY_AGAIN, details)


def truncated(path: Path, error: BaseException | None = None) -> ImageError:
    """Build the error for a file that ends too early."""
    details = "" if error is None else technical(error, path)
    return ImageError(f"{path.name} is cut off: the file ends before the image does.", COPY_AGAIN, details)


def check_size(path: Path, promised: int, present: int, ratio: int = 1) -> None:
    """Compare what a header promises with what the file can hold, before any memory is asked for.

    Parameters
    ----------
    promised, present
        Bytes of voxels that the header announces, and bytes in the file.
    ratio
        Largest factor by which the file's compression can shrink data; 1 for none.

    Raises
    ------
    ImageError
        When the file cannot possibly hold that much.
    """
    if promised <= present * ratio:
        return
    if ratio == 1 and promised < 4 * present:
        raise truncated(path)
    raise ImageError(
        f"{path.name} cannot be right: its header announces {_human(promised)} but the file has {_human(present)}.",
        COPY_AGAIN,
    )


def one_volume(path: Path, shape: Sequence[int], frame: int | None = None) -> tuple[int, int, int]:
    """Reduce a stored shape to three sizes, or say why it is not one volume.

    A flat image becomes one slice; further axes of one frame are dropped.

    Parameters
    ----------
    frame
        Which volume of several is wanted, from 0; None wants a file of one volume.

    Raises
    ------
    ImageError
        No voxels at all, a profile of one dimension, several frames and none chosen, or too few of them.
    """
    sizes = [int(n) for n in shape]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ImageError(
            f"{path.name} holds no image: its size is {'×'.join(map(str, sizes)) or 'nothing'}.", COPY_AGAIN
        )
    frames = math.prod(sizes[3:])
    if frame is None and frames > 1:
        raise ImageError(f"{path.name} holds {frames} volumes or channels, not one.", SPLIT)
    if frame is not None and not 0 <= frame < frames:
        raise ImageError(f"{path.name} holds {frames} volumes: there is no number {frame + 1}.", SPLIT)
    i, j, k = (*sizes, 1)[:3]
    return i, j, k


def usable_grid(path: Path, shape: tuple[int, int, int], affine: FloatArray) -> tuple[Grid, tuple[str, ...]]:
    """Check that a header places its voxels somewhere sensible.

    Returns
    -------
    grid, warnings
        The grid, and a sentence if its axes are not at right angles.

    Raises
    ------
    ImageError
        Placement with NaN, zero-sized voxels or axes that coincide.
    """
    matrix = np.array(affine, dtype=np.float64)
    matrix[3] = (0, 0, 0, 1)
    if shape[2] == 1 and not np.any(matrix[:3, 2]):
        # Flat images often leave the third axis empty: it is the normal of the first two, 1 mm thick.
        normal = np.cross(matrix[:3, 0], matrix[:3, 1])
        length = float(np.linalg.norm(normal))
        matrix[:3, 2] = normal / length if length > 0 else 0.0
    edges = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or edges.min() <= 0 or abs(np.linalg.det(matrix[:3, :3] / edges)) < 1e-6:
        raise ImageError(
            f"{path.name} does not say where its voxels lie: its voxel size or direction is impossible.",
            "Export it anew from the scanner or archive, or correct its header.",
        )
    grid = Grid.of(shape, matrix)
    if grid.shear < 1e-3:
        return grid, ()
    degrees = math.degrees(math.asin(min(1.0, grid.shear)))
    return grid, (
        f"{path.name} has skewed axes ({degrees:.0f}° off a right angle, as with a tilted gantry): it is drawn as if "
        "they were straight, and labels still lie on the right millimetres.",
    )


def _human(count: int) -> str:
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"
