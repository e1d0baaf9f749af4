"""Keep the largest piece of a class, or those that are large enough, or the one that is clicked."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.imaging.edits.base import Edit, Options, Report, Scene, Tool, edit_of, need_painted, option
from napari_penumbra.imaging.edits.boxes import Spacing, slices_of

Keep = Literal["the largest", "all above a size", "the one I click"]


class PiecesOptions(Options):
    """What the reader may choose."""

    keep: Keep = option("the largest", "Keep", "Which connected pieces of the picked class stay.")
    smallest_ml: float = option(
        0.5, "Smallest size", "Pieces below it are taken away, for “all above a size”.", unit="ml", ge=0, le=20
    )


def keep_pieces(
    labels: LabelArray,
    spacing: Spacing,
    value: int,
    *,
    keep: Keep = "the largest",
    smallest_ml: float = 0.5,
    point: tuple[int, int, int] | None = None,
    name: str = "",
) -> Edit:
    """Take away the other pieces of a class. Voxels that touch at a face, an edge or a corner are one piece.

    Parameters
    ----------
    labels
        (z, y, x) uint8, not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    value
        The class; its voxels that go become background.
    keep
        Which pieces stay.
    smallest_ml
        For ``all above a size``.
    point
        For ``the one I click``: a voxel of the piece.
    name
        The class's name, for errors.

    Raises
    ------
    UsageError
        Nothing is painted, or the click is not on a piece.
    """
    from scipy import ndimage

    box = need_painted(labels, value, name or f"class {value}")
    before = labels[slices_of(box)]
    pieces, count = ndimage.label(before == value, np.ones((3, 3, 3)))
    stay = np.zeros(count + 1, dtype=bool)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    if keep == "the largest":
        stay[1 + int(sizes[1:].argmax())] = True
    elif keep == "all above a size":
        stay[1:] = sizes[1:] * float(np.prod(spacing)) / 1000 >= smallest_ml
    else:
        stay[_piece_at(pieces, box[0], point)] = True
    goes = (pieces > 0) & ~stay[pieces]
    wanted = np.where(goes, BACKGROUND, before).astype(np.uint8)
    notes = (f"{int(stay.sum())} of {count} piece{'s' if count > 1 else ''} {'stays' if stay.sum() == 1 else 'stay'}.",)
    return edit_of(labels, box, wanted, own=(value,), notes=notes)


def _piece_at(pieces: npt.NDArray[np.int32], corner: tuple[int, int, int], point: tuple[int, int, int] | None) -> int:
    """Number of the piece at a voxel of the whole array."""
    if point is not None:
        z, y, x = (p - c for p, c in zip(point, corner, strict=True))
        inside = all(0 <= v < n for v, n in zip((z, y, x), pieces.shape, strict=True))
        if inside and pieces[z, y, x]:
            return int(pieces[z, y, x])
    raise UsageError("That is not on a piece of the picked class.", "Click on the piece that shall stay.")


def _run(scene: Scene, options: PiecesOptions, report: Report) -> Edit:
    point = scene.seed() if options.keep == "the one I click" else None
    return keep_pieces(
        scene.labels,
        scene.spacing,
        scene.value,
        keep=options.keep,
        smallest_ml=options.smallest_ml,
        point=point,
        name=scene.classes.get(scene.value, ""),
    )


TOOL = Tool(
    key="pieces",
    title="Keep largest",
    tip="Takes away the small pieces of the picked class.",
    options=PiecesOptions,
    run=_run,
    shortcut="Shift+K",
    wants_click=lambda options: options.keep == "the one I click",
)
