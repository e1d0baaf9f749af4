"""The case table in one query, states derived on the way, and what to label next with the reason in words."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Row, Select, func, select

from napari_penumbra.domain.case import CaseRow, CaseState, Closing, Origin, PoolCounts, Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.core import Core
from napari_penumbra.study.schema import (
    AnnotationTable,
    CaseTable,
    DecisionTable,
    EffortTable,
    ImageTable,
    PredictionTable,
)

SEED = 2026
"""Of the order of untouched cases: the same for every reader of a study."""


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What the database knows of a case, enough to derive its state.

    ``live`` is closing and origin of the newest revision not taken back; ``mean_confidence`` that of the newest
    prediction over its foreground, None where it found nothing or there is none.
    """

    id: int
    row: CaseRow
    predicted: bool
    mean_confidence: float | None
    decisions: int


def state_of(closing: Closing | None, origin: Origin | None, predicted: bool, decisions: int) -> CaseState:
    """Derive a state from what exists.

    Parameters
    ----------
    closing, origin
        Of the newest revision that was not taken back; None when there is none.
    predicted
        Whether the case has a prediction.
    decisions
        Verdicts that stand on its newest prediction.
    """
    if closing is None:
        if predicted:
            return CaseState.IN_REVIEW if decisions else CaseState.PREDICTED
        return CaseState.NEW
    reviewed = origin is Origin.REVIEWED
    if closing is Closing.DRAFT:
        return CaseState.IN_REVIEW if reviewed else CaseState.IN_PROGRESS
    return CaseState.ACCEPTED if reviewed else CaseState.ANNOTATED


def facts(core: Core, name: str | None = None) -> list[CaseFacts]:
    """Look at all cases (or one) in the order in which they were added, in one query."""
    query = _query()
    if name is not None:
        query = query.where(CaseTable.name == name)
    with core.db.read() as session:
        rows = session.execute(query).all()
    found = [_facts(core, row) for row in rows]
    if name is not None and not found:
        raise UsageError(f'The study has no case "{name}".', "See the case table, or `penumbra status`, for the names.")
    return found


def _query() -> Select[tuple[object, ...]]:
    revision = (
        select(AnnotationTable.case_id, func.max(AnnotationTable.revision).label("newest"))
        .where(AnnotationTable.withdrawn.is_(None))
        .group_by(AnnotationTable.case_id)
        .subquery()
    )
    newest = (
        select(PredictionTable.case_id, func.max(PredictionTable.id).label("id"))
        .group_by(PredictionTable.case_id)
        .subquery()
    )
    decided = (
        select(DecisionTable.prediction_id, func.count().label("count"))
        .where(DecisionTable.undone.is_(None))
        .group_by(DecisionTable.prediction_id)
        .subquery()
    )
    effort = (
        select(EffortTable.case_id, func.sum(EffortTable.seconds).label("seconds"))
        .group_by(EffortTable.case_id)
        .subquery()
    )
    images = (
        select(ImageTable.case_id, func.group_concat(ImageTable.modality, ",").label("modalities"))
        .group_by(ImageTable.case_id)
        .subquery()
    )
    return (
        select(
            CaseTable.id,
            CaseTable.name,
            CaseTable.role,
            CaseTable.thumbnail,
            images.c.modalities,
            AnnotationTable.closing,
            AnnotationTable.origin,
            PredictionTable.id.label("prediction"),
            PredictionTable.mean_confidence,
            decided.c.count.label("decisions"),
            effort.c.seconds,
        )
        .select_from(CaseTable)
        .outerjoin(images, images.c.case_id == CaseTable.id)
        .outerjoin(revision, revision.c.case_id == CaseTable.id)
        .outerjoin(
            AnnotationTable,
            (AnnotationTable.case_id == revision.c.case_id) & (AnnotationTable.revision == revision.c.newest),
        )
        .outerjoin(newest, newest.c.case_id == CaseTable.id)
        .outerjoin(PredictionTable, PredictionTable.id == newest.c.id)
        .outerjoin(decided, decided.c.prediction_id == PredictionTable.id)
        .outerjoin(effort, effort.c.case_id == CaseTable.id)
        .order_by(CaseTable.id)
    )


def _facts(core: Core, row: Row[tuple[object, ...]]) -> CaseFacts:
    m = row._mapping  # the public way to read a row by name
    has = set(str(m["modalities"] or "").split(","))
    closing = Closing(m["closing"]) if m["closing"] else None
    origin = Origin(m["origin"]) if m["origin"] else None
    predicted, decisions = m["prediction"] is not None, int(m["decisions"] or 0)
    state = state_of(closing, origin, predicted, decisions)
    case = CaseRow(
        name=m["name"],
        modalities=tuple(x for x in core.manifest.modalities if x in has),
        missing=tuple(x for x in core.manifest.modalities if x not in has),
        state=state,
        role=Role(m["role"]),
        closing=closing,
        seconds=float(m["seconds"] or 0.0),
        thumbnail=core.layout.absolute(m["thumbnail"]) if m["thumbnail"] else None,
        simulated=core.manifest.simulated,
    )
    found = CaseFacts(m["id"], case, predicted, m["mean_confidence"], decisions)
    return replace(found, row=replace(case, reason=_reason(found)))


def _reason(case: CaseFacts) -> str:
    """Say why a case stands where it does in the order ``auto``."""
    match case.row.state:
        case CaseState.IN_REVIEW if case.decisions:
            return f"review begun: {case.decisions} region{'s' if case.decisions > 1 else ''} decided"
        case CaseState.IN_REVIEW:
            return "review begun"
        case CaseState.IN_PROGRESS:
            return "annotation begun"
        case CaseState.PREDICTED if case.mean_confidence is None:
            return "the model found nothing here"
        case CaseState.PREDICTED:
            return f"confidence {case.mean_confidence:.0%} on average in what was predicted"
        case CaseState.NEW:
            return "not begun, drawn at random"
        case _:
            return ""


def _begun(case: CaseFacts) -> bool:
    return case.row.state in (CaseState.IN_REVIEW, CaseState.IN_PROGRESS)


def _auto(found: Sequence[CaseFacts]) -> list[CaseFacts]:
    begun = [c for c in found if _begun(c)]
    predicted = [c for c in found if c.row.state is CaseState.PREDICTED]
    # "Found nothing" comes first: in a cohort of patients it is the prediction least likely to be right.
    predicted.sort(key=lambda c: -1.0 if c.mean_confidence is None else c.mean_confidence)
    new = _shuffled([c for c in found if c.row.state is CaseState.NEW])
    return [*begun, *predicted, *new, *(c for c in found if c.row.state.labelled)]


def _random(found: Sequence[CaseFacts]) -> list[CaseFacts]:
    return [*_shuffled([c for c in found if not c.row.state.labelled]), *(c for c in found if c.row.state.labelled)]


def _shuffled(found: Sequence[CaseFacts]) -> list[CaseFacts]:
    # By a draw per case and not a shuffle of the list: finishing one case does not change the order of the others.
    return sorted(found, key=lambda c: random.Random(f"{SEED}/{c.id}").random())


_ORDERS: dict[str, Callable[[Sequence[CaseFacts]], list[CaseFacts]]] = {
    "file": list,
    "auto": _auto,
    "random": _random,
}
ORDERS = tuple(_ORDERS)
"""``file``: as added. ``auto``: begun ones, then weakest predictions, then new ones at random, finished ones last.
``random``: unfinished ones at random, finished ones last."""


def ordered(core: Core, kind: str) -> list[CaseRow]:
    """All cases in one of the `ORDERS`; raises `UsageError` for another."""
    if kind not in _ORDERS:
        raise UsageError(f'"{kind}" is not an order of cases.', f"Choose one of {', '.join(ORDERS)}.")
    return [c.row for c in _ORDERS[kind](facts(core))]


def counts(core: Core) -> PoolCounts:
    """How many cases can teach what; a validation case counts neither as labelled nor as unlabelled."""
    rows = facts(core)
    training = [c for c in rows if c.row.role is Role.TRAINING]
    labelled = sum(c.row.state.labelled for c in training)
    return PoolCounts(
        cases=len(rows),
        labelled=labelled,
        unlabelled=len(training) - labelled,
        validation=len(rows) - len(training),
        predicted=sum(c.row.state is CaseState.PREDICTED for c in rows),
    )
