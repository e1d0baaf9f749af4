"""Takes one series apart: what lies in other directions or sizes, echoes, b-values, kinds of image, points in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_penumbra.imaging.dicom.frames import Frame
from napari_penumbra.imaging.dicom.geometry import unit_normal


@dataclass(frozen=True, slots=True)
class Part:
    """Frames that belong into one volume, or into several that differ in time only.

    Attributes
    ----------
    times
        The frames of each point in time; one tuple for an ordinary stack.
    b_value, echo
        s/mm² and ms where the series holds several, or the b-value where it states one.
    averages
        How many images (directions, repetitions) of one b-value are to be averaged: the entries of ``times``.
    copies
        Files that were there twice.
    """

    times: tuple[tuple[Frame, ...], ...]
    b_value: float | None
    echo: float | None
    averages: int
    copies: int


def split_series(frames: Sequence[Frame]) -> list[Part]:
    """Take the frames of a series apart into volumes, in the order of instance numbers, b-values and echoes."""
    unique = list({frame.twin: frame for frame in frames}.values())
    copies = len(frames) - len(unique)
    parts: list[Part] = []
    for group in _by_geometry(unique):
        for _, of_kind in _by(group, lambda f: f.kind):
            for echo, of_echo in _by(of_kind, lambda f: None if f.echo is None else round(f.echo, 1)):
                for b_value, rest in _by(of_echo, lambda f: None if f.b_value is None else round(f.b_value)):
                    parts.append(_part(rest, echo, b_value, copies))
    return sorted(parts, key=lambda part: (min(f.instance for f in part.times[0]), part.b_value or 0, part.echo or 0))


def _part(frames: list[Frame], echo: float | None, b_value: float | None, copies: int) -> Part:
    if b_value is None and all(f.b_value is not None for f in frames):
        found = {round(f.b_value) for f in frames if f.b_value is not None}
        b_value = float(found.pop()) if len(found) == 1 else None
    times = _times(frames)
    averages = len(times) if b_value is not None else 1
    return Part(times, b_value, echo, averages, copies)


def _by_geometry(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Group frames of equal direction, size, pixel spacing and colour."""
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if _alike(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _alike(one: Frame, other: Frame) -> bool:
    a, b = one.stored, other.stored
    if (a.rows, a.columns, a.samples > 1) != (b.rows, b.columns, b.samples > 1):
        return False
    if (one.position is None) != (other.position is None):
        return False
    # A picture without a place belongs to no other: nothing says that the two are of one stack.
    return _near(one.orientation, other.orientation, 1e-3) and _near(one.spacing, other.spacing, 1e-3)


def _near(one: Sequence[float] | None, other: Sequence[float] | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def _places(frames: Sequence[Frame]) -> dict[float, list[Frame]]:
    """Frames by how far they lie along the normal, in 0.01 mm."""
    normal = unit_normal(frames[0])
    found: dict[float, list[Frame]] = {}
    for n, frame in enumerate(frames):
        if frame.position is None or normal is None:
            found[float(n)] = [frame]
        else:
            found.setdefault(round(float(np.dot(frame.position, normal)), 2), []).append(frame)
    return found


def _by(frames: list[Frame], key: Callable[[Frame], Any]) -> list[tuple[Any, list[Frame]]]:
    """Split by a value, but only where slices would lie on one another otherwise and each part is a stack itself.

    Scanners write an echo time that wobbles from slice to slice, and derived slices among original ones.
    """
    places = _places(frames)
    if len(places) == len(frames):
        return [(None, frames)]
    groups: dict[Any, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    whole = all(len(_places(group)) * 2 >= len(places) for group in groups.values())
    return list(groups.items()) if len(groups) > 1 and whole else [(None, frames)]


def _times(frames: list[Frame]) -> tuple[tuple[Frame, ...], ...]:
    """Split into points in time when every place was measured equally often; else leave it as it is."""
    places = _places(frames)
    counts = {len(group) for group in places.values()}
    if frames[0].position is None or len(counts) != 1 or counts == {1}:
        return (tuple(frames),)
    ordered = [sorted(group, key=lambda f: f.order) for group in places.values()]
    return tuple(tuple(group[n] for group in ordered) for n in range(counts.pop()))
