"""Everything that says which voxel of a case is what: revisions, second readings, predictions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.revisions import read_label_file
from napari_penumbra.study.schema import AnnotationTable, CaseTable, PredictionTable, ReadingTable


class SourceKind(StrEnum):
    """What kind of labels a source holds."""

    ANNOTATION = "annotation"
    READING = "second reading"
    PREDICTION = "prediction"


@dataclass(frozen=True, slots=True)
class Source:
    """Labels of a case in one file.

    Attributes
    ----------
    key
        ``r<revision>`` of an annotation, ``s<number>`` of a second reading, ``p<number>`` of a prediction; unique in
        its case and never used again.
    path
        File, relative to the study. Of a revision: what the reader stands for.
    who
        The author; of a prediction, the run.
    closing
        None of a prediction.
    withdrawn
        Whether it is a revision that was taken back.
    current
        Whether it is the newest of its kind (of its reader): what the case shows now.
    """

    key: str
    kind: SourceKind
    path: str
    created: dt.datetime
    who: str
    closing: Closing | None = None
    withdrawn: bool = False
    current: bool = False


def sources(core: Core, name: str) -> list[Source]:
    """All labels of a case, the newest first."""
    with core.db.read() as session:
        case = case_of(session, name)
        found = [*_annotations(session, case), *_readings(session, case), *_predictions(session, case)]
    return sorted(found, key=lambda source: source.created, reverse=True)


def _annotations(session: Session, case: CaseTable) -> list[Source]:
    query = select(AnnotationTable).where(AnnotationTable.case_id == case.id).order_by(AnnotationTable.revision)
    rows = list(session.scalars(query))
    live = next((row.id for row in reversed(rows) if row.withdrawn is None), None)
    return [
        Source(
            f"r{row.revision}",
            SourceKind.ANNOTATION,
            row.path,
            row.created,
            row.author,
            Closing(row.closing),
            row.withdrawn is not None,
            row.id == live,
        )
        for row in rows
    ]


def _readings(session: Session, case: CaseTable) -> list[Source]:
    rows = list(
        session.scalars(select(ReadingTable).where(ReadingTable.case_id == case.id).order_by(ReadingTable.revision))
    )
    newest = {row.reader: row.id for row in rows}  # the last one of a reader wins
    return [
        Source(
            f"s{row.id}",
            SourceKind.READING,
            row.path,
            row.created,
            row.reader,
            Closing(row.closing),
            current=newest[row.reader] == row.id,
        )
        for row in rows
    ]


def _predictions(session: Session, case: CaseTable) -> list[Source]:
    query = select(PredictionTable).where(PredictionTable.case_id == case.id).order_by(PredictionTable.id)
    rows = list(session.scalars(query))
    return [
        Source(f"p{row.id}", SourceKind.PREDICTION, row.labels, row.created, row.run, current=row is rows[-1])
        for row in rows
    ]


def find(core: Core, name: str, key: str) -> Source:
    """Find labels by their key; raises `UsageError` when the case has none of that key."""
    found = next((source for source in sources(core, name) if source.key == key), None)
    if found is None:
        raise UsageError(f'{name} has no labels "{key}".', f"`penumbra history STUDY {name}` lists them.")
    return found


def read_source(core: Core, name: str, key: str) -> LabelArray:
    """Read labels, (z, y, x) on the case's grid.

    Raises
    ------
    UsageError
        The case has none of that key.
    ImageError
        The file is missing or damaged.
    """
    source = find(core, name, key)
    with core.db.read() as session:
        grid = Grid.from_json(case_of(session, name).grid)
    return read_label_file(core, source.path, grid, f"The {source.kind.value} {key} of {name}")
