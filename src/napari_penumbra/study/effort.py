"""Reader time, and what was done in it: the units in which the program's use is measured."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.minutes import Finished
from napari_penumbra.study.provenance import How, Provenance, of_annotations
from napari_penumbra.study.schema import (
    AnnotationTable,
    CaseTable,
    DecisionTable,
    EffortTable,
    PredictionTable,
    WorkTable,
    now,
)


def book(session: Session, case_id: int, seconds: float, activity: str, when: dt.datetime | None = None) -> None:
    """Add seconds to a case within a transaction; none are booked for zero.

    Parameters
    ----------
    when
        The revision's time for seconds that belong to one; now by default.
    """
    if not math.isfinite(seconds) or seconds < 0:
        raise UsageError(f"{seconds} is not a number of seconds.", "Give 0 when the time is not known.")
    if seconds > 0:
        row = EffortTable(case_id=case_id, seconds=float(seconds), activity=activity[:40], created=when or now())
        session.add(row)


def add_seconds(core: Core, name: str, seconds: float, activity: str) -> None:
    """Book active seconds on a case.

    Parameters
    ----------
    seconds
        Pauses already taken out.
    activity
        What was done, in a word or two: ``annotate``, ``review``.
    """
    with core.db.write() as session:
        book(session, case_of(session, name).id, seconds, activity)


# ---------------------------------------------------------------------- with a revision


def compare(stands: LabelArray, against: LabelArray) -> tuple[int, float | None]:
    """Compare a revision with what it started from.

    Parameters
    ----------
    stands, against
        (z, y, x), of one shape.

    Returns
    -------
    tuple
        Voxels that either has as foreground, and the mean Dice over the classes that either has; None when neither has
        any. Voxels that either leaves unknown count in neither.
    """
    # Only where something is: a large case has thirty million voxels of background, and this runs at every save.
    some = (stands | against) != BACKGROUND
    ours_here, theirs_here = stands[some], against[some]
    known = (ours_here != UNKNOWN) & (theirs_here != UNKNOWN)
    pairs = np.bincount((ours_here[known].astype(np.int64) << 8) | theirs_here[known], minlength=65536)
    pairs = pairs.reshape(256, 256)
    ours, theirs = pairs.sum(axis=1), pairs.sum(axis=0)
    either = int(pairs.sum())
    values = [v for v in np.flatnonzero(ours + theirs) if v != BACKGROUND]
    dice = [2 * int(pairs[v, v]) / int(ours[v] + theirs[v]) for v in values]
    return either, float(np.mean(dice)) if dice else None


def note_work(session: Session, row: AnnotationTable, strokes: int, foreground: int, dice: float | None) -> None:
    """Write down what a revision took, in the transaction that enters it."""
    session.flush()  # gives the row its number
    session.add(
        WorkTable(
            annotation_id=row.id,
            strokes=max(0, int(strokes)),
            decided=_decided(session, row.prediction_id),
            foreground=foreground,
            dice=dice if row.prediction_id is not None else None,
        )
    )


def _decided(session: Session, prediction_id: int | None) -> dict[str, int]:
    """Verdicts that stand on a prediction, counted by kind."""
    if prediction_id is None:
        return {}
    query = (
        select(DecisionTable.verdict, func.count())
        .where(DecisionTable.prediction_id == prediction_id, DecisionTable.undone.is_(None))
        .group_by(DecisionTable.verdict)
    )
    return {verdict: int(count) for verdict, count in session.execute(query)}


# ---------------------------------------------------------------------- looking back


def finished(core: Core) -> list[Finished]:
    """Every case that a reader of this study has finished, in the order of finishing: one entry per case.

    Cases whose labels came from files are left out: nobody knows what they took. So are consensus and restored
    revisions, which nobody drew; one that was taken back and put back counts as it was.
    """
    with core.db.read() as session:
        names = {row.id: row.name for row in session.execute(select(CaseTable.id, CaseTable.name))}
        rows = list(session.scalars(select(AnnotationTable).order_by(AnnotationTable.revision)))
        work = {w.annotation_id: w for w in session.scalars(select(WorkTable))}
        made = of_annotations(session, [row.id for row in rows])
        models = {p.id: p.model for p in session.execute(select(PredictionTable.id, PredictionTable.model))}
        pieces: dict[int, list[tuple[dt.datetime, float]]] = {}
        for piece in session.scalars(select(EffortTable)):
            pieces.setdefault(piece.case_id, []).append((piece.created, piece.seconds))
    by_case: dict[int, list[AnnotationTable]] = {}
    for row in rows:
        by_case.setdefault(row.case_id, []).append(row)
    result = []
    for case_id, revisions in by_case.items():
        closed = _standing(revisions, made)
        if closed is not None:
            seconds = sum(s for when, s in pieces.get(case_id, []) if when <= closed.created)
            result.append(_finished(names[case_id], closed, revisions, work, models, seconds))
    return sorted(result, key=lambda f: f.closed)


def _standing(revisions: list[AnnotationTable], made: dict[int, Provenance]) -> AnnotationTable | None:
    """Find the closed revision by which a case is finished, as its reader left it; None when there is none."""
    row = next((row for row in reversed(revisions) if row.withdrawn is None), None)
    if row is None or row.closing == Closing.DRAFT.value or row.origin == Origin.IMPORTED.value:
        return None
    by_number = {f"r{row.revision}": row for row in revisions}
    for _ in revisions:  # at most as many steps back as there are revisions
        found = made.get(row.id)
        if found is None:
            return row
        if found.how is not How.PUT_BACK or found.parents[0] not in by_number:
            return None
        row = by_number[found.parents[0]]
    return None


def _finished(
    name: str,
    row: AnnotationTable,
    revisions: Iterable[AnnotationTable],
    work: dict[int, WorkTable],
    models: dict[int, str | None],
    seconds: float,
) -> Finished:
    own = work.get(row.id)
    reviewed = row.prediction_id is not None
    painted = sum(count for value, count in row.class_voxels.items() if int(value) != UNKNOWN)
    known = [work[r.id].strokes for r in revisions if r.id in work and r.revision <= row.revision]
    return Finished(
        case=name,
        closed=row.created,
        reviewed=reviewed,
        closing=Closing(row.closing),
        seconds=seconds,
        strokes=sum(known) if known else None,
        changed=row.voxels_changed if reviewed else painted,
        foreground=own.foreground if own is not None and reviewed else painted,
        decided=dict(own.decided) if own is not None else {},
        dice=own.dice if own is not None else None,
        model=models.get(row.prediction_id) or "" if row.prediction_id is not None else "",
        author=row.author,
    )


class Minutes:
    """The part of `store.Study` that keeps reader time."""

    _core: Core

    def add_seconds(self, name: str, seconds: float, activity: str) -> None:
        """Book active reader seconds that no saved revision accounts for."""
        add_seconds(self._core, name, seconds, activity)

    def finished(self) -> list[Finished]:
        """What each case took that a reader has finished, in the order of finishing."""
        return finished(self._core)
