"""Where the slices of one stack lie: an even grid, a repaired one with the reader told, or a refusal in a sentence.

DICOM speaks LPS millimetres and gives the centre of a slice's first pixel; `Grid` speaks RAS. Index i runs along a row
(to the next column), j down a column, k from slice to slice, sorted so that the three make a right-handed grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_penumbra.domain.errors import ImageError, PenumbraError
from napari_penumbra.domain.grid import FloatArray, Grid
from napari_penumbra.imaging.dicom.frames import Frame
from napari_penumbra.imaging.raw import usable_grid

EVEN = 0.05
"""How far a slice may lie off an even spacing, as a part of it, and still be taken as it is."""
_NEAR = 0.1
_LONGEST_HOLE = 3
_UNEVEN_LIMIT = 3.0
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
AGAIN = "Export the series again from the archive, whole; or add it as NIfTI made by a converter that you trust."


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of the grid: ``(1 - weight) * lower + weight * upper``, indices into `Layout.frames`."""

    lower: int
    upper: int
    weight: float


@dataclass(frozen=True, slots=True)
class Layout:
    """How frames become a volume.

    Attributes
    ----------
    grid
        Columns, rows, slices; RAS mm.
    frames
        The frames at each place from the first to the last; several where slices lie on one another.
    slices
        One per slice of the grid.
    filled
        Slices of the grid (from 0) whose values were computed from their neighbours.
    notes
        Sentences without the series' name, for the reader.
    """

    grid: Grid
    frames: tuple[tuple[Frame, ...], ...]
    slices: tuple[Slice, ...]
    filled: tuple[int, ...]
    notes: tuple[str, ...]


def lay_out(frames: Sequence[Frame], what: str) -> Layout:
    """Put the frames of one stack (equal orientation, size and pixel spacing) in order.

    Parameters
    ----------
    what
        What the stack is called in sentences, for example ``Series 3``.

    Raises
    ------
    ImageError
        No pixel size, no place in the patient, slices that form no stack, too many of them missing.
    """
    first = frames[0]
    spacing = first.spacing
    if (spacing is None or min(spacing) <= 0) and len(frames) == 1 and first.position is None:
        return _flat(first, (1.0, 1.0), what, "does not state its pixel size: one pixel counts as 1 mm")
    if spacing is None or min(spacing) <= 0:
        raise ImageError(f"{what} does not state its pixel size.", AGAIN)
    if first.position is None or first.orientation is None:
        if len(frames) == 1:
            return _flat(first, spacing, what, "does not say how the patient lay")
        raise ImageError(f"{what} does not say where its slices lie in the patient.", AGAIN)
    row, column, normal = _directions(first, what)
    ordered, places = _in_order(frames, normal)
    if len(ordered) == 1:
        return _single(ordered, spacing, row, column, normal, what)
    return _stack(ordered, places, spacing, (row, column, normal), what)


def unit_normal(frame: Frame) -> FloatArray | None:
    """Unit vector across a slice, None where the frame does not say how it lies."""
    if frame.orientation is None:
        return None
    across = np.cross(frame.orientation[:3], frame.orientation[3:])
    length = float(np.linalg.norm(across))
    return across / length if length > 1e-6 else None


def _directions(frame: Frame, what: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    orientation = np.array(frame.orientation, dtype=np.float64)
    row, column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    normal = unit_normal(frame)
    if min(lengths) < 0.5 or normal is None:
        raise ImageError(f"{what} states an impossible direction of its slices.", AGAIN)
    return row / lengths[0], column / lengths[1], normal


def _in_order(frames: Sequence[Frame], normal: FloatArray) -> tuple[list[tuple[Frame, ...]], FloatArray]:
    """Group frames that lie on one another; return the groups from the first to the last, and their (n, 3) places."""
    where = np.array([frame.position for frame in frames], dtype=np.float64)
    along = where @ normal
    order = sorted(range(len(frames)), key=lambda n: (along[n], frames[n].order, frames[n].instance))
    groups: list[list[int]] = []
    for n in order:
        if groups and abs(along[n] - along[groups[-1][0]]) < 1e-2:
            groups[-1].append(n)
        else:
            groups.append([n])
    return [tuple(frames[n] for n in group) for group in groups], np.array([where[group[0]] for group in groups])


def _stack(
    ordered: list[tuple[Frame, ...]],
    places: FloatArray,
    spacing: tuple[float, float],
    axes: tuple[FloatArray, FloatArray, FloatArray],
    what: str,
) -> Layout:
    row, column, normal = axes
    along = places @ normal
    along = along - along[0]
    slices, notes = _plan(along, what)
    count = len(slices)
    step = (places[-1] - places[0]) / (count - 1)
    drift = (places - places[0]) - np.outer(along / along[-1], places[-1] - places[0])
    sideways = float(np.abs(drift).max())
    if sideways > max(0.25, 0.25 * min(spacing)):
        raise ImageError(f"The slices of {what[0].lower()}{what[1:]} do not lie behind one another: they are shifted "
                         f"sideways by up to {sideways:.1f} mm.", AGAIN)  # fmt: skip
    across = normal * (along[-1] / (count - 1))
    if float(np.linalg.norm((step - across) * (count - 1))) < 0.1 * min(spacing):
        step = across  # places are rounded when written: this is no tilt
    grid, more = _grid(ordered[0][0], spacing, row, column, step, places[0], count, what)
    filled = tuple(n for n, one in enumerate(slices) if one.weight)
    return Layout(grid, tuple(ordered), tuple(slices), filled, (*notes, *more))


def _plan(along: FloatArray, what: str) -> tuple[list[Slice], list[str]]:
    """Decide which slices the grid has, from the mm of those that there are; ``along`` rises from 0."""
    gaps = np.diff(along)
    count = len(along)
    even = along[-1] / (count - 1)
    off = float(np.abs(along - even * np.arange(count)).max())
    own = [Slice(n, n, 0.0) for n in range(count)]
    if off <= max(EVEN * even, 0.01):
        told = off > 0.01 * even and off > 0.05
        return own, [f"its slices lie up to {off:.2g} mm off an even spacing of {even:.4g} mm."] if told else []
    step = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    times = np.rint(gaps / step)
    if float(np.abs(gaps / step - times).max()) < _NEAR:
        return _fill(along, times, what)
    if float(gaps.max() / gaps.min()) > _UNEVEN_LIMIT:
        raise ImageError(
            f"The slices of {what[0].lower()}{what[1:]} lie {gaps.min():.3g} to {gaps.max():.3g} mm apart: that is no "
            "regular stack.", AGAIN,
        )  # fmt: skip
    return _respace(along, round(float(along[-1] / np.median(gaps))) + 1), [
        f"its slices lie unevenly, {gaps.min():.3g} to {gaps.max():.3g} mm apart: they were brought to an even "
        "spacing, values in between computed from both neighbours."
    ]


def _fill(along: FloatArray, times: FloatArray, what: str) -> tuple[list[Slice], list[str]]:
    """Slices are missing, the others lie where they should."""
    count, missing, hole = len(along), int(times.sum()) - len(times), int(times.max()) - 1
    if hole > _LONGEST_HOLE or (hole > 1 and missing > count / 4):
        raise ImageError(
            f"{what} is not whole: {missing} of {missing + count} slices are missing, {hole} of them in a row.", AGAIN
        )
    slices = _respace(along, missing + count)
    numbers = [n + 1 for n, one in enumerate(slices) if one.weight]
    one = missing == 1
    listed = ", ".join(map(str, numbers[:6])) + (" …" if len(numbers) > 6 else "")
    return slices, [
        f"{missing} of {missing + count} slices {'is' if one else 'are'} missing (number {listed}): computed from "
        f"{'its' if one else 'their'} neighbours, so do not trust what {'it shows' if one else 'they show'}."
    ]


def _respace(along: FloatArray, count: int) -> list[Slice]:
    """Lay ``count`` even slices over the uneven ones; those that nearly meet an existing one are that one."""
    wanted = np.linspace(0.0, along[-1], count)
    near = _NEAR * along[-1] / (count - 1)
    made = []
    for place in wanted:
        closest = int(np.abs(along - place).argmin())
        if abs(along[closest] - place) <= near:
            made.append(Slice(closest, closest, 0.0))
            continue
        upper = int(np.searchsorted(along, place))
        weight = float((place - along[upper - 1]) / (along[upper] - along[upper - 1]))
        made.append(Slice(upper - 1, upper, weight))
    return made


def _single(
    ordered: list[tuple[Frame, ...]],
    spacing: tuple[float, float],
    row: FloatArray,
    column: FloatArray,
    normal: FloatArray,
    what: str,
) -> Layout:
    frame = ordered[0][0]
    notes: tuple[str, ...] = ()
    thickness = frame.thickness
    if thickness is None or thickness <= 0:
        thickness, notes = 1.0, ("it does not state how thick its slice is: 1 mm is assumed.",)
    grid, more = _grid(frame, spacing, row, column, normal * thickness, np.array(frame.position), 1, what)
    return Layout(grid, tuple(ordered), (Slice(0, 0, 0.0),), (), (*notes, *more))


def _flat(frame: Frame, spacing: tuple[float, float], what: str, why: str) -> Layout:
    """A single picture without a place: left and right as radiologists show them."""
    if min(spacing) <= 0:
        raise ImageError(f"{what} does not state its pixel size.", AGAIN)
    axes = np.eye(3)
    grid, _ = _grid(frame, spacing, axes[0], axes[1], axes[2], np.zeros(3), 1, what)
    note = f"it {why}; left and right are assumed, check them."
    return Layout(grid, ((frame,),), (Slice(0, 0, 0.0),), (), (note,))


def _grid(
    frame: Frame,
    spacing: tuple[float, float],
    row: FloatArray,
    column: FloatArray,
    step: FloatArray,
    origin: FloatArray,
    count: int,
    what: str,
) -> tuple[Grid, tuple[str, ...]]:
    affine = np.eye(4)
    # PixelSpacing is the distance of the rows first: that is how far one goes down a column.
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * spacing[1], column * spacing[0], step
    affine[:3, 3] = origin
    shape = (frame.stored.columns, frame.stored.rows, count)
    try:
        grid, notes = usable_grid(Path("it"), shape, _LPS_TO_RAS @ affine)
    except PenumbraError:
        raise ImageError(f"{what} states an impossible voxel size or direction.", AGAIN) from None
    return grid, notes
