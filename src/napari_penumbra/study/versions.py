"""The part of `store.Study` that keeps what was: history, restoring, second readings, takings back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy.typing as npt

from napari_penumbra.domain.case import Annotation, Closing, OpenCase, Origin
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.study import history, readings, revisions, sources
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.history import Event
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.provenance import How, Provenance
from napari_penumbra.study.readings import Reading
from napari_penumbra.study.schema import AnnotationTable
from napari_penumbra.study.sources import Source, SourceKind


class Versions:
    """Older revisions, other readers and where things came from. Nothing here ever overwrites or deletes a file."""

    _core: Core

    def journal(self, name: str) -> Journal:
        """Where the strokes on a case go; implemented by `store.Study`."""
        raise NotImplementedError

    def _repaint(self, name: str) -> None:
        """Note that a case's newest revision is another one with the same voxels; implemented by `store.Study`."""
        raise NotImplementedError

    # ------------------------------------------------------------------ looking back

    def history(self, name: str) -> list[Event]:
        """Everything that happened to a case, oldest first."""
        return history.history(self._core, name)

    def sources(self, name: str) -> list[Source]:
        """All labels of a case: revisions, second readings and predictions, the newest first."""
        return sources.sources(self._core, name)

    def read_source(self, name: str, key: str) -> LabelArray:
        """Read one of the `sources`, (z, y, x) on the case's grid."""
        return sources.read_source(self._core, name, key)

    # ------------------------------------------------------------------ making revisions of what is there

    def restore(self, name: str, key: str, author: str) -> Annotation | None:
        """Make older labels of a case (a revision, a second reading, a prediction) its newest draft.

        Returns
        -------
        Annotation or None
            None when these are the labels that the case has now, as a draft.

        Raises
        ------
        UsageError
            No such labels, or strokes on the case have not been saved: they would be lost.
        """
        if len(self.journal(name)):
            raise UsageError(f"{name} has strokes that are not saved yet.", "Open the case, which brings them back.")
        source = sources.find(self._core, name, key)
        labels = self._to_restore(name, source)
        made = Provenance(How.RESTORED, (key,))
        origin, prediction, touched = self._origin(name, source)
        new = revisions.NewRevision(labels, Closing.DRAFT, origin, author, 0.0, prediction, touched, made)
        saved = revisions.save(self._core, name, new)
        if saved is not None:
            self.journal(name).clear(base=f"r{saved.revision}")
        return saved

    def _to_restore(self, name: str, source: Source) -> LabelArray:
        """Labels as they were on the screen: without the unknown that a partial closing filled in."""
        row = self._row(name, source)
        if row is None or row.drawn is None:
            return sources.read_source(self._core, name, source.key)
        with self._core.db.read() as session:
            grid = Grid.from_json(case_of(session, name).grid)
        return revisions.read_label_file(self._core, row.drawn, grid, f"The annotation {source.key} of {name}")

    def _origin(self, name: str, source: Source) -> tuple[Origin, int | None, Sequence[int]]:
        if source.kind is SourceKind.PREDICTION:
            return Origin.REVIEWED, int(source.key[1:]), ()
        row = self._row(name, source)
        return (Origin.PAINTED, None, ()) if row is None else (Origin(row.origin), row.prediction_id, row.touched)

    def _row(self, name: str, source: Source) -> AnnotationTable | None:
        if source.kind is not SourceKind.ANNOTATION:
            return None
        with self._core.db.read() as session:
            query = {"case_id": case_of(session, name).id, "revision": int(source.key[1:])}
            return session.query(AnnotationTable).filter_by(**query).one()

    def save_consensus(
        self, name: str, labels: npt.NDArray[Any], author: str, parents: Sequence[str], rule: str
    ) -> Annotation | None:
        """Save what several readers made together as a new draft of the case, its parents recorded.

        Returns
        -------
        Annotation or None
            None when the case's own draft is already exactly this.
        """
        made = Provenance(How.CONSENSUS, tuple(parents), rule)
        new = revisions.NewRevision(labels, Closing.DRAFT, Origin.PAINTED, author, 0.0, made=made)
        saved = revisions.save(self._core, name, new)
        if saved is not None:
            self.journal(name).clear(base=f"r{saved.revision}")
        return saved

    def withdrawn_last(self, name: str) -> Annotation | None:
        """Return the revision whose taking back made the case a draft; None when nothing of it can be put back."""
        with self._core.db.read() as session:
            case = case_of(session, name)
            row = revisions.taken_back(session, revisions.live_of(session, case.id))
            return None if row is None else revisions.to_annotation(row, name)

    def put_back(self, name: str, author: str = "") -> Annotation:
        """Undo the taking back of a case: it teaches again, with the labels and the closing that it had.

        Raises
        ------
        UsageError
            Nothing was taken back, or the labels have changed since.
        """
        put = revisions.put_back(self._core, name, author)
        self._repaint(name)
        return put

    # ------------------------------------------------------------------ second readers

    def readings(self, name: str) -> list[Reading]:
        """Newest annotation of each second reader of a case."""
        return readings.readings(self._core, name)

    def open_reading(self, name: str, reader: str) -> OpenCase:
        """Open a case for a second reader: without anybody else's labels, prediction or confidence."""
        return readings.open_reading(self._core, name, reader)

    def reading_journal(self, name: str, reader: str) -> Journal:
        """Where a second reader's strokes go until they are saved."""
        return readings.journal(self._core, name, reader)

    def save_reading(
        self,
        name: str,
        reader: str,
        labels: npt.NDArray[Any],
        closing: Closing,
        seconds: float,
        touched_slices: Collection[int] | None = None,
        strokes: Journal | None = None,
        mark: int | None = None,
    ) -> Reading | None:
        """Write a second reader's labels as a new revision of that reader's; None when nothing has changed.

        Parameters
        ----------
        strokes
            The journal that the reader's strokes go to (`reading_journal`); needed when they go on meanwhile.
        mark
            Its mark of when ``labels`` were copied; now by default.
        """
        return readings.save_reading(
            self._core, name, reader, labels, closing, seconds, touched_slices, strokes=strokes, mark=mark
        )
