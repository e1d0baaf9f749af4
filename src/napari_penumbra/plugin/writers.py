"""Saves a labels layer as NIfTI, NRRD, MetaImage or a Slicer segmentation, on the grid of the scan it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import GeometryError, LabelError
from napari_penumbra.domain.grid import AnyArray, Grid
from napari_penumbra.domain.labels import PALETTE, UNKNOWN, LabelClass

_EXACT = 1e-6
_SEG_NRRD = ".seg.nrrd"
SUFFIXES = (".nii.gz", ".nii", _SEG_NRRD, ".nrrd", ".mha")
"""Endings that can be written; the first is appended to a name without one."""


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one labels layer (npe2 writer contribution).

    Parameters
    ----------
    path
        Ends in one of `SUFFIXES`; ``.nii.gz`` is appended otherwise. ``.seg.nrrd`` keeps the names and colours of the
        classes for 3D Slicer.
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
    from napari_penumbra.imaging.files import onto_source
    from napari_penumbra.plugin.layers import METADATA_KEY

    target = Path(path if path.lower().endswith(SUFFIXES) else f"{path}{SUFFIXES[0]}")
    array = np.asarray(data)
    name = str(attributes.get("name", "The layer"))
    if array.ndim != 3:
        raise GeometryError(f"{name} has {array.ndim} axes, a label file needs 3.", "Save one volume at a time.")
    stored = _smallest(array, name)
    note = attributes.get("metadata", {}).get(METADATA_KEY, {})
    canonical = Grid.from_json(note["grid"]) if "grid" in note else None
    if canonical is not None and canonical.array_shape == array.shape:
        grid = Grid.from_json(note.get("source_grid", note["grid"]))
        stored = onto_source(stored, grid)
    else:
        grid = grid_of_layer(array.shape, attributes, name)
    _write(target, stored, grid, attributes)
    return [str(target)]


def _write(target: Path, stored: AnyArray, grid: Grid, attributes: dict[str, Any]) -> None:
    from napari_penumbra.imaging.files import write_nifti
    from napari_penumbra.imaging.seg_nrrd import write_seg_nrrd
    from napari_penumbra.imaging.sitk_writing import write_image

    ending = next(s for s in SUFFIXES if target.name.lower().endswith(s))
    if ending == _SEG_NRRD:
        write_seg_nrrd(target, stored, grid, _segments(stored, attributes))
    elif ending in (".nrrd", ".mha"):
        write_image(target, stored, grid)
    else:
        write_nifti(target, stored, grid)


def _segments(stored: AnyArray, attributes: dict[str, Any]) -> list[LabelClass]:
    """Value, name and colour of what a layer holds: its classes if it is one of a case, else its values as painted."""
    features = attributes.get("features")
    names: dict[int, str] = {}
    if features is not None and {"index", "class"} <= set(features):
        names = {int(v): str(n) for v, n in zip(features["index"], features["class"], strict=False)}
    present = [int(v) for v in np.unique(stored) if v]
    values = [v for v in names if v and (v in present or v != UNKNOWN)] + [v for v in present if v not in names]
    colours = attributes.get("colormap")
    return [LabelClass(v, names.get(v, f"label {v}"), _colour(colours, v, n)) for n, v in enumerate(values)]


def _colour(colormap: Any, value: int, n: int) -> str:
    """Colour of a label value as ``#rrggbb``; one of the palette where the layer does not say."""
    try:
        red, green, blue = (round(255 * float(c)) for c in np.asarray(colormap.map(value)).ravel()[:3])
    except (AttributeError, TypeError, ValueError, KeyError):
        return PALETTE[n % len(PALETTE)]
    return f"#{red:02x}{green:02x}{blue:02x}"


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
