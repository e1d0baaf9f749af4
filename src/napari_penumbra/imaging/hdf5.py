"""HDF5 files that hold one scan as ``image`` and its mask as ``label``: the form in which method papers pass sets on.

They know no millimetres and no orientation: the first axis is taken as x, the last as z, as in the NRRD files that the
left-atrium set was made from, and the recipe that imports such a set knows its voxel size.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.raw import RawImage, check_size, one_volume, unreadable

IMAGE, LABEL = "image", "label"
_MOST_PACKED = 1100


def read(path: Path, what: str = IMAGE, frame: int | None = None) -> RawImage:
    """Read one data set of a file.

    Parameters
    ----------
    what
        Its name: `IMAGE` or `LABEL`.
    frame
        Which volume of several, from 0.

    Raises
    ------
    ImageError
        h5py is not installed, the file is damaged, or it has no such data set.
    """
    h5py = _library(path)
    try:
        with h5py.File(path, "r") as file:
            found = file.get(what, getlink=True)
            # A link to another file or a data set kept outside could read any file of the machine.
            if not isinstance(found, h5py.HardLink) or not isinstance(file[what], h5py.Dataset) or file[what].external:
                raise _lacks(path, what)
            data = file[what]
            shape = one_volume(path, data.shape, frame)
            if data.dtype.kind not in "iufb":
                raise ImageError(f"{path.name} has voxels that are not plain numbers.", "Save one number per voxel.")
            size = math.prod(shape) * data.dtype.itemsize
            check_size(path, size, path.stat().st_size, _MOST_PACKED if data.compression else 1)
            values = data[...] if len(data.shape) <= 3 else data[(..., *np.unravel_index(frame or 0, data.shape[3:]))]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise unreadable(path, error) from error
    ijk = np.asarray(values).reshape(shape)
    if ijk.dtype.kind == "b":
        ijk = ijk.astype(np.uint8)
    ijk = ijk.astype(ijk.dtype.newbyteorder("="), copy=False)
    words = f"{path.name} does not say how the patient lay: left and right are assumed, check them."
    return RawImage(ijk, Grid.of(shape, np.diag([-1.0, -1.0, 1.0, 1.0])), warnings=(words,), spaced=False)


def frames(path: Path) -> int:
    """How many volumes the image of a file holds; 1 when that cannot be told."""
    try:
        with _library(path).File(path, "r") as file:
            return math.prod(file[IMAGE].shape[3:])
    except (OSError, KeyError, RuntimeError, AttributeError):
        return 1


def _library(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImageError(
            f"{path.name} is an HDF5 file, and the library that reads them is not installed.",
            "Install it: pip install h5py (or pip install 'napari-penumbra[hdf5]').",
        ) from error
    return h5py


def _lacks(path: Path, what: str) -> ImageError:
    return ImageError(
        f'{path.name} is an HDF5 file without a data set "{what}".',
        f"The scan must be called {IMAGE} and the mask {LABEL}; save it as NIfTI otherwise.",
    )
