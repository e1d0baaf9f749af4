"""The case table in one query, with states derived on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy import Row, RowMapping, Select, func, select

from napari_penumbra.domain.case import CaseRow, CaseState, Closing, Origin, PoolCounts, Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.study.core import Core
from napari_penumbra.study.schema import (
    AnnotationTable,
    CaseTable,
    ChampionTable,
    DecisionTable,
    EffortTable,
    ImageTable,
    PredictionTable,
)


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What the database knows of a case, enough to derive its state and its place.

    ``mean_confidence`` is that of the newest prediction over its foreground, None where it found nothing or there is
    none; ``stamp`` tells that prediction's file from a newer one; ``current`` says whether it is the champion's.
    """

    id: int
    row: CaseRow
    volume_ml: float
    prediction: int | None
    stamp: str
    run: str
    current: bool
    mean_confidence: float | None
    decisions: int
    class_voxels: Mapping[str, int]

    @property
    def predicted(self) -> bool:
        """Whether there is a prediction."""
        return self.prediction is not None


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


@cache
def _query() -> Select[tuple[object, ...]]:
    """Put the question together once: that takes longer than the answer does."""
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
        select(ImageTable.case_id, func.aggregate_strings(ImageTable.modality, ",").label("modalities"))
        .group_by(ImageTable.case_id)
        .subquery()
    )
    last = select(ChampionTable.run_id, ChampionTable.since).order_by(ChampionTable.id.desc()).limit(1).subquery()
    return (
        select(
            CaseTable.id,
            CaseTable.name,
            CaseTable.role,
            CaseTable.grid,
            CaseTable.pinned,
            CaseTable.thumbnail,
            images.c.modalities,
            AnnotationTable.closing,
            AnnotationTable.origin,
            AnnotationTable.class_voxels,
            PredictionTable.id.label("prediction"),
            PredictionTable.stamp,
            PredictionTable.run,
            PredictionTable.model,
            PredictionTable.created,
            PredictionTable.mean_confidence,
            decided.c.count.label("decisions"),
            effort.c.seconds,
            last.c.run_id.label("champion"),
            last.c.since,
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
        .outerjoin(last, CaseTable.id > 0)  # one row, beside every case
        .order_by(CaseTable.id)
    )


def _facts(core: Core, row: Row[tuple[object, ...]]) -> CaseFacts:
    m = row._mapping  # the public way to read a row by name
    has = set(str(m["modalities"] or "").split(","))
    closing = Closing(m["closing"]) if m["closing"] else None
    origin = Origin(m["origin"]) if m["origin"] else None
    predicted, decisions = m["prediction"] is not None, int(m["decisions"] or 0)
    state = state_of(closing, origin, predicted, decisions)
    unknown = int((m["class_voxels"] or {}).get(str(UNKNOWN), 0))
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
        pinned=m["pinned"] is not None and not state.labelled,
        current=_is_current(m),
        unknown_voxels=unknown,
        unknown_ml=_unknown_ml(m["grid"], unknown) if unknown else 0.0,
    )
    return CaseFacts(
        id=m["id"],
        row=replace(case, reason=_begun_words(state, decisions)),
        volume_ml=_volume_ml(m["grid"]),
        prediction=m["prediction"],
        stamp=m["stamp"] or "",
        run=m["run"] or "",
        current=case.current,
        mean_confidence=m["mean_confidence"],
        decisions=decisions,
        class_voxels=m["class_voxels"] or {},
    )


def _is_current(m: RowMapping) -> bool:
    """Whether the newest prediction is the champion's; always, when there is no champion that could do better."""
    if m["prediction"] is None or m["champion"] is None:
        return m["prediction"] is not None
    if m["model"] is not None:
        return bool(m["model"] == m["champion"])
    return bool(m["created"] >= m["since"])  # an older version did not keep which model it was


_volumes: dict[str, float] = {}


def _volume_ml(grid: Mapping[str, object]) -> float:
    """Volume that a grid covers; asked for at every look, and cohorts have few different grids."""
    key = str(grid)
    if key not in _volumes:
        if len(_volumes) > 10_000:
            _volumes.clear()
        made = Grid.from_json(dict(grid))
        _volumes[key] = made.voxel_ml * float(made.shape[0] * made.shape[1] * made.shape[2])
    return _volumes[key]


def _unknown_ml(grid: Mapping[str, object], voxels: int) -> float | None:
    made = Grid.from_json(dict(grid))
    return None if made.is_picture else voxels * made.voxel_ml


def _begun_words(state: CaseState, decisions: int) -> str:
    """Say how far a case is that somebody has begun; empty for others."""
    match state:
        case CaseState.IN_REVIEW if decisions:
            return f"review begun: {decisions} region{'s' if decisions > 1 else ''} decided"
        case CaseState.IN_REVIEW:
            return "review begun"
        case CaseState.IN_PROGRESS:
            return "annotation begun"
        case _:
            return ""


def counts(core: Core) -> PoolCounts:
    """How many cases can teach what; a validation case counts neither as labelled nor as unlabelled.

    A case that was set aside counts as a case and as nothing else.
    """
    rows = facts(core)
    training = [c for c in rows if c.row.role is Role.TRAINING]
    labelled = sum(c.row.state.labelled for c in training)
    return PoolCounts(
        cases=len(rows),
        labelled=labelled,
        unlabelled=len(training) - labelled,
        validation=sum(c.row.role is Role.VALIDATION for c in rows),
        predicted=sum(c.row.state is CaseState.PREDICTED and c.row.role is not Role.ASIDE for c in rows),
    )
