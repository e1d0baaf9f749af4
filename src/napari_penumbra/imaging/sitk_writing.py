"""NRRD and MetaImage out, through SimpleITK: the grid's true axes in the header, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.grid import AnyArray, Grid
from napari_penumbra.imaging.atomic import replace_into

SUFFIXES = (".nrrd", ".mha")
"""Endings that can be written: formats of a single file."""

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_image(path: Path, array_zyx: AnyArray, grid: Grid, fields: Mapping[str, str] | None = None) -> None:
    """Write a volume as ``.nrrd`` or ``.mha``, compressed.

    Parameters
    ----------
    path
        Ends in one of `SUFFIXES`.
    array_zyx
        (z, y, x) on ``grid``, any real dtype; bool becomes uint8.
    grid
        Where it lies; oblique, left-handed and skewed axes are kept.
    fields
        Further header fields (NRRD only). Never anything about a patient.

    Raises
    ------
    DiskError
        The file could not be written.
    ValueError
        Shape and grid disagree, or another ending.
    """
    import SimpleITK as sitk

    if array_zyx.shape != grid.array_shape:
        raise ValueError(f"array {array_zyx.shape} does not lie on a grid of {grid.array_shape}")
    if not path.name.lower().endswith(SUFFIXES):
        raise ValueError(f"{path.name} must end in {' or '.join(SUFFIXES)}")
    stored = array_zyx.astype(np.uint8) if array_zyx.dtype == np.bool_ else array_zyx
    image = sitk.GetImageFromArray(np.ascontiguousarray(stored))
    lps = _RAS_TO_LPS @ grid.matrix
    image.SetSpacing(grid.spacing)
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / np.asarray(grid.spacing)).ravel().tolist())
    for key, value in (fields or {}).items():
        image.SetMetaData(key, value)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("NrrdImageIO" if path.name.lower().endswith(".nrrd") else "MetaImageIO")
    writer.UseCompressionOn()
    with replace_into(path) as temporary:
        writer.SetFileName(str(temporary))
        try:
            writer.Execute(image)
        except RuntimeError as error:
            # ITK does not say why; a full disk and a folder that is gone look the same to it.
            raise DiskError(
                f"{path.name} was not saved: it could not be written.",
                "Make room on the disk and check that its folder is there and may be written to.",
                details=type(error).__name__,
            ) from error
