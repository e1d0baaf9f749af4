"""How many pieces each class has in the finished cases: one left atrium, two kidneys, any number of lesions.

Where that number never changes, a prediction with more of them is wrong somewhere, and the review says so first
(`review.find_regions`). Counts are kept in one JSON file of the study's cache.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelArray
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.study.core import Core
from napari_penumbra.study.region_parts import number_by_class, section, smallest_voxels
from napari_penumbra.study.revisions import newest_by_case, read_label_file
from napari_penumbra.study.schema import AnnotationTable, CaseTable

FEWEST_CASES = 4
"""Fewer cases that agree say too little: single lesions would often do so by chance."""
MOST_CASES = 40
"""So many, the newest, are looked at: the first time, each costs the reading of a label file."""
VERSION = 1

Counts = Mapping[int, int]
"""Pieces of each class in one case; a class without any is left out."""


@dataclass(frozen=True, slots=True)
class Usual:
    """So many ``pieces`` of a class in every one of so many finished ``cases`` that have it."""

    pieces: int
    cases: int


def usual(counts: Iterable[Counts]) -> dict[int, Usual]:
    """Find the classes whose number of pieces is the same in all cases that have them, if those are enough.

    Parameters
    ----------
    counts
        One entry per finished case.

    Returns
    -------
    dict
        Class value to what is usual; nothing about classes that differ from case to case.
    """
    seen: dict[int, list[int]] = {}
    for case in counts:
        for value, pieces in case.items():
            seen.setdefault(value, []).append(pieces)
    return {
        value: Usual(found[0], len(found))
        for value, found in sorted(seen.items())
        if len(found) >= FEWEST_CASES and len(set(found)) == 1
    }


def count_pieces(labels: LabelArray, grid: Grid) -> dict[int, int]:
    """Count the connected pieces of every class; specks that a slip of the brush leaves are none.

    Parameters
    ----------
    labels
        (z, y, x); unknown voxels (255) are no class.
    grid
        Where they lie: for `region_parts.smallest_voxels`.
    """
    numbered, sizes = number_by_class(labels, (labels != 0) & (labels != UNKNOWN))
    first = np.zeros(sizes.size, dtype=np.intp)
    inside = np.flatnonzero(numbered)
    first[numbered.ravel()[inside]] = inside
    real = np.flatnonzero(sizes >= smallest_voxels(section(grid)))
    values = labels.ravel()[first[real[real > 0]]]
    return {int(value): int((values == value).sum()) for value in np.unique(values)}


class PieceCounts:
    """The part of `store.Study` that knows how many pieces a class usually has."""

    _core: Core

    def usual_pieces(self) -> dict[int, Usual]:
        """What has been counted of the cases that are finished now; no label file is read."""
        known = _read(self._core)
        return usual(known[row.id] for row, _ in _finished(self._core) if row.id in known)

    def count_pieces(self) -> dict[int, Usual]:
        """Count the finished cases that have not been counted yet: call it off the window's thread.

        A case whose label file cannot be read is left out. Nothing is written where the study is open for reading
        only.
        """
        known = _read(self._core)
        rows = _finished(self._core)
        counted: dict[int, Counts] = {row.id: known[row.id] for row, _ in rows if row.id in known}
        for row, case in rows:
            if row.id not in counted:
                # A case that cannot be read is told where it is opened.
                with contextlib.suppress(PenumbraError):
                    grid = Grid.from_json(case.grid)
                    labels = read_label_file(self._core, row.path, grid, f"A label file of {case.name}")
                    counted[row.id] = count_pieces(labels, grid)
        if counted.keys() != known.keys() and self._core.db.write_allowed:
            _write(self._core, counted)
        return usual(counted.values())


def _finished(core: Core) -> list[tuple[AnnotationTable, CaseTable]]:
    """Newest revisions that are complete, with their cases: in a partial one a piece may end where nobody looked."""
    with core.db.read() as session:
        complete = [row for row in newest_by_case(session).values() if row.closing == Closing.COMPLETE.value]
        complete = sorted(complete, key=lambda row: row.id)[-MOST_CASES:]
        cases = {case.id: case for case in session.scalars(select(CaseTable))}
        return [(row, cases[row.case_id]) for row in complete]


def _read(core: Core) -> dict[int, Counts]:
    # A damaged file is made again: what it holds was counted in files that are still there.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        data = json.loads(core.layout.pieces.read_text(encoding="utf-8"))
        if data["version"] == VERSION:
            return {int(i): {int(v): int(n) for v, n in found.items()} for i, found in data["annotations"].items()}
    return {}


def _write(core: Core, counted: Mapping[int, Counts]) -> None:
    data = {"version": VERSION, "annotations": {i: dict(found) for i, found in counted.items()}}
    # A folder that cannot be written to costs time, not the result.
    with contextlib.suppress(PenumbraError, OSError):
        core.layout.cache.mkdir(parents=True, exist_ok=True)
        write_text(core.layout.pieces, json.dumps(data))
