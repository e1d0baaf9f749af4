"""All cases in an order, with the reason for each in words: what the table lists and where "next" goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select

from napari_penumbra.domain.case import CaseRow, CaseState, Role
from napari_penumbra.study import orders
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.orders import SEED, Candidate, Pool
from napari_penumbra.study.queries import CaseFacts, facts
from napari_penumbra.study.schema import PredictionTable, now
from napari_penumbra.study.summaries import Summary, Vector, read_summary

RUNS_COMPARED = 5
"""Newest runs whose features are looked at: older ones saw the cohort before most of it was labelled."""
_CHUNK = 500
"""Numbers in one question to the database; SQLite takes 999 in its older builds."""
_WAITING = (CaseState.NEW, CaseState.PREDICTED)


@dataclass(frozen=True, slots=True)
class Arranged:
    """All cases in an order, and in one sentence what the order goes by now."""

    rows: list[CaseRow]
    words: str


def arranged(core: Core, kind: str, seed: int = SEED) -> Arranged:
    """Put all cases in order: begun ones, what the reader asked for, waiting ones by the order, finished ones,
    and at the very end those that were set aside.

    Only ``file`` leaves all cases where they are.

    Raises
    ------
    UsageError
        There is no such order.
    """
    order = orders.get(kind)
    every = facts(core)
    found = [f for f in every if f.row.role is not Role.ASIDE]
    pool = _pool(core, found, seed)
    ranked = [(r.candidate.row, r.reason) for r in order.arrange(pool)]
    if kind == "file":
        reasons = {row.name: reason for row, reason in ranked}
        return Arranged([_with(f.row, reasons.get(f.row.name, "")) for f in every], order.explain(pool))
    begun = [f.row for f in found if f.row.state in (CaseState.IN_REVIEW, CaseState.IN_PROGRESS)]
    waiting = [_with(row, reason) for row, reason in ranked]
    # Python's sort keeps the order within each group.
    ahead = sorted([*begun, *waiting], key=lambda row: (not row.pinned, row.state in _WAITING))
    last = [f.row for f in found if f.row.state.labelled]
    last += [f.row for f in every if f.row.role is Role.ASIDE]
    return Arranged([*ahead, *last], order.explain(pool))


def _with(row: CaseRow, reason: str) -> CaseRow:
    words = reason or row.reason
    return replace(row, reason=f"you asked for it next; {words}" if row.pinned else words)


def ordered(core: Core, kind: str, seed: int = SEED) -> list[CaseRow]:
    """All cases in an order; raises `UsageError` when there is no such order."""
    return arranged(core, kind, seed).rows


def _pool(core: Core, found: Sequence[CaseFacts], seed: int) -> Pool:
    summaries = _summaries(core, [f for f in found if f.predicted])
    candidates = [
        Candidate(
            id=f.id,
            row=f.row,
            volume_ml=f.volume_ml,
            predicted=f.predicted,
            current=f.current,
            confidence=f.mean_confidence,
            summary=summaries.get(f.prediction) if f.prediction is not None else None,
            run=f.run,
        )
        for f in found
    ]
    labelled = [c for c in candidates if c.row.state.labelled]
    return Pool(
        waiting=[c for c in candidates if c.row.state in _WAITING],
        labelled=labelled,
        names={c.value: c.name for c in core.manifest.labels.classes},
        class_voxels=_class_voxels(found),
        vectors=lambda: _vectors(core),
        seed=seed,
    )


def _class_voxels(found: Sequence[CaseFacts]) -> dict[int, int]:
    total: dict[int, int] = {}
    for f in found:
        if f.row.state.labelled:
            for value, count in f.class_voxels.items():
                total[int(value)] = total.get(int(value), 0) + count
    return total


def _summaries(core: Core, predicted: Collection[CaseFacts]) -> dict[int, Summary | None]:
    """Summaries by the number of the prediction."""
    wanted = {f.prediction: f.stamp for f in predicted if f.prediction is not None}
    _read_missing(core, wanted)
    return {number: core.summaries[number][1] for number in wanted}


def _read_missing(core: Core, wanted: Mapping[int, str]) -> None:
    """Parse the summaries of predictions (number to stamp) that have not been while the study is open."""
    missing = [number for number, stamp in wanted.items() if core.summaries.get(number, ("", None))[0] != stamp]
    for at in range(0, len(missing), _CHUNK):
        query = select(PredictionTable.id, PredictionTable.stamp, PredictionTable.summary).where(
            PredictionTable.id.in_(missing[at : at + _CHUNK])
        )
        with core.db.read() as session:
            for number, stamp, summary in session.execute(query):
                core.summaries[number] = (stamp, read_summary(summary))


def _vectors(core: Core) -> list[dict[int, Vector]]:
    """Features of the newest runs, newest first, by case; only vectors of one layer and length stand together."""
    columns = PredictionTable.id, PredictionTable.case_id, PredictionTable.run, PredictionTable.stamp
    with core.db.read() as session:
        rows = session.execute(select(*columns).order_by(PredictionTable.id.desc())).all()
    runs = set(list(dict.fromkeys(row.run for row in rows))[:RUNS_COMPARED])
    wanted = [row for row in rows if row.run in runs]
    _read_missing(core, {row.id: row.stamp for row in wanted})
    groups: dict[tuple[str, str, int], dict[int, Vector]] = {}
    for row in wanted:
        summary = core.summaries[row.id][1]
        if summary is not None and summary.features.size:
            groups.setdefault((row.run, summary.layer, summary.features.size), {})[row.case_id] = summary.features
    return list(groups.values())


def pin(core: Core, name: str, wanted: bool) -> None:
    """Ask for a case to come next, or take that back; raises `UsageError` for one that does not exist."""
    with core.db.write() as session:
        case_of(session, name).pinned = now() if wanted else None


class Queue:
    """The part of `store.Study` that puts cases in order."""

    _core: Core

    def cases(self, order: str = "file", seed: int = SEED) -> list[CaseRow]:
        """All cases in one of `orders.names`; ``thumbnail`` is absolute, ``reason`` says why a case stands there."""
        return ordered(self._core, order, seed)

    def arranged(self, order: str) -> Arranged:
        """All cases in an order, and in one sentence what the order goes by now."""
        return arranged(self._core, order)

    def order(self, kind: str = "file", seed: int = SEED) -> list[str]:
        """Names of all cases in an order; finished ones last but for ``file``."""
        return [row.name for row in self.cases(kind, seed)]

    def pin(self, name: str, wanted: bool = True) -> None:
        """Ask for a case to come next, whatever the order, or take that back."""
        pin(self._core, name, wanted)
