"""The part of `store.Study` that keeps strokes until a revision holds them."""

from __future__ import annotations

from dataclasses import dataclass

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.study import reading
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.revisions import live_of
from napari_penumbra.study.stroke_count import StrokeCount


@dataclass(frozen=True, slots=True)
class Moment:
    """How far the strokes of a case had come when its voxels were copied for a save.

    Attributes
    ----------
    mark
        End of the journal; see `journal.Journal.mark`.
    strokes
        Strokes since the last save.
    live
        Number of the annotation that the strokes were made on; None when there was none.
    """

    mark: int
    strokes: int
    live: int | None
    painted_on: str = ""
    """See `journal.Journal.painted_on`."""


class Journals:
    """A journal and a count of strokes per case."""

    _core: Core
    _journals: dict[str, Journal]
    _strokes: dict[str, StrokeCount]

    def stroke(self, name: str, box: Box, after: LabelArray) -> None:
        """Journal a change and count it; see `journal.Journal.append`."""
        self.journal(name).append(box, after)
        self._strokes.setdefault(name, StrokeCount()).add(box)

    def strokes_made(self, name: str) -> int:
        """Strokes on a case since its last save, as far as this program has seen them."""
        counted = self._strokes.get(name)
        return counted.count if counted is not None else 0

    def moment(self, name: str) -> Moment:
        """Note how far a case's strokes have come, together with a copy of its voxels: see `store.Study.save`."""
        with self._core.db.read() as session:
            live = live_of(session, case_of(session, name).id)
            journal = self.journal(name)
            number = None if live is None else live.id
            return Moment(journal.mark(), self.strokes_made(name), number, journal.painted_on)

    def journal(self, name: str) -> Journal:
        """Where the strokes on a case go until they are saved."""
        found = self._journals.get(name)
        return found if found is not None else self._journal(name, reading.base_of(self._core, name))

    def _journal(self, name: str, base: str) -> Journal:
        known = self._journals.get(name)
        if known is not None:  # another thread may be clearing it: one file, one object
            known.rebase(base)
            return known
        with self._core.db.read() as session:
            folder = self._core.journal(case_of(session, name).slug)
        journal = self._journals[name] = Journal(folder, base)
        return journal
