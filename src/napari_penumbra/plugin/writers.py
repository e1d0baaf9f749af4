"""Saves a labels layer as NIfTI, on the very grid of the scan that it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import GeometryError, LabelError
from napari_penumbra.domain.grid import AnyArray, Grid

_EXACT = 1e-6


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one labels layer (npe2 writer contribution).

    Parameters
    ----------
    path
        Ends in ``.nii`` or ``.nii.gz``; ``.nii.gz`` is appended otherwise.
    data
        Whole numbers, (z, y, x).
    attributes
        The layer's arguments. Labels of a case, or read by this plugin, go back onto the grid of the file that the
        scan came from; any other layer onto its scale and translation, read as millimetres growing towards S, P, L.

    Returns
    -------
    list of str
        The path that was written.

    Raises
    ------
    GeometryError
        The layer is not 3D, or is rotated or sheared: there is no saying where its voxels lie.
    DiskError
        The file could not be written.
    """
    from napari_penumbra.imaging.files import onto_source, write_nifti
    from napari_penumbra.plugin.layers import METADATA_KEY

    target = Path(path if path.lower().endswith((".nii", ".nii.gz")) else f"{path}.nii.gz")
    array = np.asarray(data)
    name = str(attributes.get("name", "The layer"))
    if array.ndim != 3:
        raise GeometryError(f"{name} has {array.ndim} axes, a NIfTI label file needs 3.", "Save one volume at a time.")
    note = attributes.get("metadata", {}).get(METADATA_KEY, {})
    canonical = Grid.from_json(note["grid"]) if "grid" in note else None
    if canonical is not None and canonical.array_shape == array.shape:
        source = Grid.from_json(note.get("source_grid", note["grid"]))
        write_nifti(target, onto_source(_smallest(array, name), source), source)
    else:
        write_nifti(target, _smallest(array, name), grid_of_layer(array.shape, attributes, name))
    return [str(target)]


def grid_of_layer(shape: tuple[int, ...], attributes: dict[str, Any], name: str) -> Grid:
    """Grid of a layer that was not read from a medical file.

    Raises
    ------
    GeometryError
        It is rotated, sheared or moved by an affine of its own.
    """
    straight = (
        np.allclose(np.asarray(attributes.get("rotate", np.eye(3))), np.eye(3), atol=_EXACT)
        and np.allclose(np.asarray(attributes.get("shear", np.zeros(3))), 0.0, atol=_EXACT)
        and np.allclose(np.asarray(attributes.get("affine", np.eye(4))), np.eye(4), atol=_EXACT)
    )
    scale = np.asarray(attributes.get("scale", np.ones(3)), dtype=np.float64)
    if not straight or (scale <= 0).any():
        raise GeometryError(
            f"{name} is rotated, sheared or mirrored, so it cannot be written onto a scan's grid.",
            "Draw the labels in a layer made for the scan.",
        )
    translate = np.asarray(attributes.get("translate", np.zeros(3)), dtype=np.float64)
    # World (S, P, L) to RAS+ millimetres.
    (sz, sy, sx), (tz, ty, tx) = scale, translate
    affine = [[-sx, 0, 0, -tx], [0, -sy, 0, -ty], [0, 0, sz, tz], [0, 0, 0, 1]]
    return Grid.of(shape[::-1], affine)


def _smallest(array: AnyArray, name: str) -> AnyArray:
    """Smallest unsigned type that holds the values: what other programs expect of a label file."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        raise LabelError(f"{name} has values that no label file can hold.", "Labels are whole numbers from 0.")
    top = int(array.max()) if array.size else 0
    for dtype in (np.uint8, np.uint16, np.uint32):
        if top <= np.iinfo(dtype).max:
            return array.astype(dtype)
    raise LabelError(f"{name} has label values beyond {np.iinfo(np.uint32).max}.", "Renumber its labels.")
