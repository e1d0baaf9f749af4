"""What happened to a case, in order: who did what and when, from which model, and what it cost."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select

from napari_penumbra.domain.case import Closing, Origin, Verdict
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.provenance import How, Provenance, of_annotations
from napari_penumbra.study.schema import AnnotationTable, CaseTable, DecisionTable, PredictionTable, ReadingTable


class What(StrEnum):
    """Kinds of events."""

    ADDED = "added"
    IMPORTED = "imported"
    PREDICTED = "predicted"
    DECIDED = "decided"
    DRAFT = "draft"
    PARTIAL = "partial"
    COMPLETE = "complete"
    ACCEPTED = "accepted"
    TAKEN_BACK = "taken back"
    PUT_BACK = "put back"
    RESTORED = "restored"
    CONSENSUS = "consensus"
    SECOND_READING = "second reading"
    BESIDE = "draft beside"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a case's history.

    Attributes
    ----------
    key
        Of the labels that came of it (see `sources.Source`); empty when none did.
    who
        The reader; empty for what no person did.
    words
        What happened, beyond the kind.
    run
        Run of the prediction that it rests on, or that was made.
    seconds, voxels_changed
        None where the event has none.
    current
        Whether its labels are what the case has now.
    in_pool
        Whether its labels teach now.
    """

    when: dt.datetime
    what: What
    key: str = ""
    who: str = ""
    words: str = ""
    run: str = ""
    seconds: float | None = None
    voxels_changed: int | None = None
    current: bool = False
    in_pool: bool = False


def history(core: Core, name: str) -> list[Event]:
    """Everything that happened to a case, oldest first. Four queries, whatever its length."""
    with core.db.read() as session:
        case = case_of(session, name)
        of_case = {"case_id": case.id}
        annotations = list(session.scalars(select(AnnotationTable).filter_by(**of_case)))
        readings = list(session.scalars(select(ReadingTable).filter_by(**of_case)))
        predictions = list(session.scalars(select(PredictionTable).filter_by(**of_case)))
        decisions = list(session.scalars(select(DecisionTable).filter_by(**of_case)))
        made = of_annotations(session, [row.id for row in annotations])
    runs = {row.id: row.run for row in predictions}
    events = [
        Event(case.added, What.ADDED),
        *(_prediction(row) for row in predictions),
        *(_reading(row) for row in readings),
        *_revisions(case, sorted(annotations, key=lambda row: row.revision), made, runs),
        *_decisions(decisions, [row.created for row in annotations], runs),
    ]
    return sorted(events, key=lambda event: event.when)


def _prediction(row: PredictionTable) -> Event:
    if row.mean_confidence is None:
        words = "found nothing"
    else:
        words = f"confidence {row.mean_confidence:.0%} on average in what was predicted"
    return Event(row.created, What.PREDICTED, f"p{row.id}", words=words, run=row.run)


def _reading(row: ReadingTable) -> Event:
    return Event(
        row.created,
        What.SECOND_READING,
        f"s{row.id}",
        row.reader,
        row.closing,
        seconds=row.seconds,
        voxels_changed=row.voxels_changed,
    )


def _revisions(
    case: CaseTable, rows: Sequence[AnnotationTable], made: dict[int, Provenance], runs: dict[int, str]
) -> Iterable[Event]:
    live = next((row for row in reversed(rows) if row.withdrawn is None), None)
    by_revision = {row.revision: row for row in rows}
    for row in rows:
        came = made.get(row.id) or _older_taking_back(row, by_revision.values())
        what, words = _kind(row, came)
        reopened = [other for other in rows if other.withdrawn == row.created and other is not row]
        if reopened and what is not What.TAKEN_BACK:
            words = ", ".join(filter(None, (words, f"r{reopened[0].revision} left the pool")))
        yield Event(
            row.created,
            what,
            f"r{row.revision}",
            row.author,
            words,
            runs.get(row.prediction_id or -1, ""),
            row.seconds,
            row.voxels_changed,
            current=row is live,
            in_pool=row is live and row.closing != Closing.DRAFT.value,
        )


def _older_taking_back(row: AnnotationTable, others: Iterable[AnnotationTable]) -> Provenance | None:
    """Recognise a taking back that the first version of the tables did not name: a draft with the closed one's file."""
    for other in others:
        if other is not row and other.withdrawn == row.created and row.path in (other.path, other.drawn):
            return Provenance(How.TAKEN_BACK, (f"r{other.revision}",))
    return None


def _kind(row: AnnotationTable, came: Provenance | None) -> tuple[What, str]:
    if came is not None:
        parents = ", ".join(came.parents)
        match came.how:
            case How.TAKEN_BACK:
                return What.TAKEN_BACK, f"{parents} left the pool"
            case How.PUT_BACK:
                return What.PUT_BACK, f"{parents} back in the pool, {row.closing}"
            case How.RESTORED:
                return What.RESTORED, f"{parents} as a new draft"
            case How.CONSENSUS:
                return What.CONSENSUS, f"of {parents} by {came.rule}"
            case How.BESIDE:
                return (
                    What.BESIDE,
                    f"drawn on {parents or 'nothing'} while {came.rule or 'another reader'} had the case",
                )
    closing = Closing(row.closing)
    if row.origin == Origin.IMPORTED.value:
        return What.IMPORTED, closing.value
    if closing is Closing.DRAFT:
        return What.DRAFT, "corrected a prediction" if row.origin == Origin.REVIEWED.value else "drawn"
    if row.origin == Origin.REVIEWED.value:
        return What.ACCEPTED, "partial" if closing is Closing.PARTIAL else ""
    return (What.PARTIAL, "slices not touched are unknown") if closing is Closing.PARTIAL else (What.COMPLETE, "")


_SAID = {
    Verdict.ACCEPT: "accepted",
    Verdict.REJECT: "rejected",
    Verdict.FIXED: "fixed",
    Verdict.UNKNOWN: "left unknown",
}


def _decisions(rows: Sequence[DecisionTable], saved: Sequence[dt.datetime], runs: dict[int, str]) -> Iterable[Event]:
    """Decisions summed up between one save and the next: a reader makes dozens in a row."""
    groups: dict[tuple[int, int, str], list[DecisionTable]] = {}
    for row in sorted(rows, key=lambda row: row.created):
        sitting = sum(time <= row.created for time in saved)
        groups.setdefault((row.prediction_id, sitting, row.author), []).append(row)
    for (prediction, _, author), group in groups.items():
        counts = Counter(Verdict(row.verdict) for row in group if row.undone is None)
        words = ", ".join(f"{counts[verdict]} {said}" for verdict, said in _SAID.items() if counts[verdict])
        undone = sum(row.undone is not None for row in group)
        if undone:
            words = ", ".join(filter(None, (words, f"{undone} taken back")))
        yield Event(group[-1].created, What.DECIDED, who=author, words=words, run=runs.get(prediction, ""))
