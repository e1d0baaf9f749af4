"""From laid-out frames to canonical float32 voxels on a `Grid`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import ImageArray, Volume
from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import AnyArray, ijk_to_zyx, zyx_to_ijk
from napari_penumbra.imaging.dicom.decode import by_file, stored_frames, through_table
from napari_penumbra.imaging.dicom.frames import Frame
from napari_penumbra.imaging.dicom.geometry import AGAIN, Layout
from napari_penumbra.imaging.files import ReadImage

_CLOSE = 0.05
"""Part of the measured range below it in which a padding value is left alone."""


@dataclass(slots=True)
class _Told:
    """What reading found."""

    padded: int = 0
    inverted: bool = False
    same: int = 0
    holes: list[tuple[int, AnyArray]] = field(default_factory=list)


def read_layout(layout: Layout, what: str, *, quantitative: bool = False) -> ReadImage:
    """Read a stack's voxels.

    Parameters
    ----------
    what
        What it is called in sentences, for example ``Series 3``.
    quantitative
        Values are a measure (HU): MONOCHROME1 then only asks for another display and changes no value.

    Returns
    -------
    ReadImage
        Float32, canonical; its ``source`` is the grid of columns, rows and slices.

    Raises
    ------
    ImageError
        A file is gone, damaged or cut off; two different slices lie at one place.
    """
    told = _Told()
    count, columns, rows = layout.grid.shape[2], layout.grid.shape[0], layout.grid.shape[1]
    data = np.zeros((count, rows, columns), dtype=np.float32)
    # Where each frame goes: a slice of its own, and a part of those that were computed from it and a neighbour.
    uses: list[list[tuple[int, float]]] = [[] for _ in layout.frames]
    for n, one in enumerate(layout.slices):
        uses[one.lower].append((n, 1.0 - one.weight))
        if one.weight:
            uses[one.upper].append((n, one.weight))
    pending: dict[int, ImageArray] = {}
    place_of = {id(frame): n for n, group in enumerate(layout.frames) for frame in group}
    for path, frames in by_file(frame for group in layout.frames for frame in group).items():
        found = stored_frames(path, frames[0].stored, [f.index for f in frames], frames[0].place)
        for frame in frames:
            n = place_of[id(frame)]
            values = _values(found[frame.index], frame, told, quantitative, uses[n])
            if len(layout.frames[n]) > 1 and not _first(pending, n, values, told, what):
                continue
            for target, weight in uses[n]:
                data[target] += values if weight == 1.0 else values * np.float32(weight)
    _fill_padding(data, told)
    turn = layout.grid.reorientation()
    canonical = np.ascontiguousarray(ijk_to_zyx(turn.view(zyx_to_ijk(data))))
    notes = (*(f"{what}: {note}" for note in layout.notes), *(f"{what}: {note}" for note in _sentences(told)))
    return ReadImage(Volume(canonical, turn.target), layout.grid, notes)


def _values(
    stored: AnyArray, frame: Frame, told: _Told, quantitative: bool, uses: Sequence[tuple[int, float]]
) -> ImageArray:
    how = frame.stored
    empty: npt.NDArray[np.bool_] | None = None
    if how.padding is not None:
        empty = (stored >= how.padding[0]) & (stored <= how.padding[1])
        if not empty.any() or empty.all():
            empty = None
    if how.lut:
        values = np.array(through_table(frame.path, stored, frame.place), dtype=np.float32)
    else:
        values = (stored.astype(np.float64) * frame.slope + frame.intercept).astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError(f"{frame.place} has values that are no numbers.", AGAIN)
    if how.inverted and not quantitative:
        told.inverted = True
        values = np.float32(_ends(frame)) - values
    if empty is not None:
        told.holes += [(target, empty) for target, _ in uses]
    return values


def _ends(frame: Frame) -> float:
    """Sum of the values of black and white: what turning over subtracts from."""
    bits = min(max(frame.stored.used_bits, 1), 32)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if frame.stored.signed else (0, 2**bits - 1)
    return (low + high) * frame.slope + 2 * frame.intercept


def _first(pending: dict[int, ImageArray], place: int, values: ImageArray, told: _Told, what: str) -> bool:
    """Whether a frame is the first at its place; raises where a second one differs."""
    if place not in pending:
        pending[place] = values
        return True
    if not np.array_equal(pending[place], values):
        raise ImageError(
            f"{what} has two different slices at one place (slice {place + 1}): nothing tells which is right.", AGAIN
        )
    told.same += 1
    return False


def _fill_padding(data: ImageArray, told: _Told) -> None:
    """Give voxels that were never measured the lowest value that was: a pad of -2000 would spoil every window.

    A pad that lies close to the measured values (0 below the air of an MR image) does no harm and stays.
    """
    if not told.holes:
        return
    measured = np.ones(data.shape, dtype=bool)
    for target, empty in told.holes:
        measured[target] &= ~empty
    if not measured.any():
        return
    lowest, highest = data[measured].min(), data[measured].max()
    margin = _CLOSE * (highest - lowest)
    changed = ~measured & ((data < lowest - margin) | (data > highest))
    told.padded = int(changed.sum())
    data[changed] = lowest


def _sentences(told: _Told) -> list[str]:
    notes = []
    if told.padded:
        notes.append(f"{told.padded:,} voxels outside the measured field were set to the lowest measured value.")
    if told.inverted:
        notes.append("it is stored with black and white exchanged, and was turned over.")
    if told.same:
        notes.append(f"{told.same} slice{'s were' if told.same > 1 else ' was'} there twice, with equal pixels.")
    return notes
