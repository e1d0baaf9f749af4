"""What the database knows of every case for a table of the cohort: a handful of queries, however many cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import func, select

from napari_penumbra.domain.case import Origin
from napari_penumbra.study.exporters._base import UNUSED, ExportOptions, Item
from napari_penumbra.study.exporters._choose import choose
from napari_penumbra.study.provenance import of_annotations
from napari_penumbra.study.schema import AnnotationTable, CaseTable, EffortTable, PredictionTable
from napari_penumbra.study.store import Study


@dataclass(frozen=True, slots=True)
class CohortFacts:
    """One case of the cohort.

    Attributes
    ----------
    item
        Its labels, if it has any that count here.
    how
        ``by hand``, ``corrected``, ``imported``, ``predicted``, what a made revision came from, or empty.
    counts
        Voxels per label value; None where they must be counted in the file.
    mean_confidence
        Of its newest prediction over what that found, None without one.
    seconds
        Active reader time booked on it.
    """

    item: Item
    role: str
    reader: str = ""
    when: dt.datetime | None = None
    how: str = ""
    closing: str = ""
    counts: Mapping[int, int] | None = None
    mean_confidence: float | None = None
    seconds: float = 0.0


def cohort(study: Study, options: ExportOptions) -> list[CohortFacts]:
    """Look at every case in the order in which they were added; see `ExportOptions` for whose labels count."""
    # A place for images without labels makes the choice list those cases as well.
    names = options.cases or tuple(row.name for row in study.cases())
    items, _ = choose(study, replace(options, cases=names, unlabelled=UNUSED))
    with study._core.db.read() as session:
        cases = {case.name: case for case in session.scalars(select(CaseTable))}
        annotations = session.scalars(
            select(AnnotationTable).where(AnnotationTable.withdrawn.is_(None)).order_by(AnnotationTable.revision)
        )
        live = {row.case_id: row for row in annotations}
        newest = {row.case_id: row for row in session.scalars(select(PredictionTable).order_by(PredictionTable.id))}
        made = of_annotations(session, [row.id for row in live.values()])
        booked = select(EffortTable.case_id, func.sum(EffortTable.seconds)).group_by(EffortTable.case_id)
        seconds = {case: float(total) for case, total in session.execute(booked)}
    found = []
    for item in items:
        case = cases[item.name]
        prediction = newest.get(case.id)
        facts = CohortFacts(
            item,
            case.role,
            mean_confidence=None if prediction is None else prediction.mean_confidence,
            seconds=seconds.get(case.id, 0.0),
        )
        row = live.get(case.id)
        if item.kind == "predicted" and prediction is not None:
            facts = replace(facts, when=prediction.created, how="predicted")
        elif item.labels is not None and row is not None:
            came = made.get(row.id)
            facts = replace(
                facts,
                reader=row.author,
                when=row.created,
                how=_HOW.get(row.origin, "") if came is None else came.how.value,
                closing=row.closing,
                counts={int(value): int(count) for value, count in row.class_voxels.items()},
            )
        found.append(facts)
    return found


_HOW = {
    Origin.PAINTED.value: "by hand",
    Origin.REVIEWED.value: "corrected",
    Origin.IMPORTED.value: "imported",
}
