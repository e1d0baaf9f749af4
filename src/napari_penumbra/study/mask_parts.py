"""Reading the mask of a new case: one file whose values are the study's, or parts that are put together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_penumbra.domain.case import Volume
from napari_penumbra.domain.errors import GeometryError, LabelError
from napari_penumbra.domain.grid import AnyArray
from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.imaging.files import Kind, ReadImage, read_labels
from napari_penumbra.study.newcase import MaskPart, NewCase

_MIDDLE = 128


def read_mask(new: NewCase) -> ReadImage:
    """Read the mask of a case; of one in parts, the values are classes of the study already.

    Raises
    ------
    ImageError, LabelError
        A file cannot be read, or has a value that its part does not name.
    GeometryError
        Two parts lie on different grids.
    """
    if not new.hints.mask:
        assert new.label is not None  # the caller asked for a mask
        return read_labels(new.label, new.hints.spacing)
    whole: ReadImage | None = None
    for part in new.hints.mask:
        found = read_labels(part.path, new.hints.spacing)
        classes = _classes(found, part)
        if whole is None:
            whole = replace(found, volume=Volume(classes, found.volume.grid), kind=Kind.OWN)
            continue
        if not found.volume.grid.same_place(whole.volume.grid):
            first = new.hints.mask[0].path.name
            raise GeometryError(
                f"{part.path.name} lies on another grid than {first}, the other part of the mask.",
                "Export both on the grid of the image.",
            )
        over = classes != BACKGROUND
        whole.volume.data[over] = classes[over]
    assert whole is not None  # there is at least one part
    return whole


def _classes(found: ReadImage, part: MaskPart) -> LabelArray:
    values: AnyArray = found.volume.data
    if found.kind is Kind.LOSSY:  # compression leaves greys along every edge of what was black and white
        values = np.where(values >= _MIDDLE, 255, 0)
    classes = np.zeros(values.shape, dtype=np.uint8)
    for value in np.unique(values):
        meant = part.values.get(int(value), BACKGROUND if value == BACKGROUND else part.rest)
        if meant is None:
            known = ", ".join(map(str, sorted({BACKGROUND, *part.values})))
            raise LabelError(
                f"{part.path.name} has the value {int(value)}, which its data set does not describe.",
                f"Known are {known}: check that the file belongs to this data set.",
            )
        if meant != BACKGROUND:
            classes[values == value] = meant
    return classes
