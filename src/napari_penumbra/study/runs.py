"""Runs and champions. How far a run is comes from its folder; here is only what it was asked to be."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.core import Core
from napari_penumbra.study.schema import ChampionTable, RunTable, now


@dataclass(frozen=True, slots=True)
class RunRow:
    """A training or prediction. ``kind`` is ``train`` or ``predict``."""

    id: str
    kind: str
    method: str
    preset: str
    created: dt.datetime


def add_run(core: Core, run_id: str, kind: str, method: str, preset: str) -> RunRow:
    """Register a run; its folder must exist by then."""
    row = RunTable(id=run_id, kind=kind, method=method, preset=preset, created=now())
    with core.db.write() as session:
        if session.get(RunTable, run_id) is not None:
            raise UsageError(f"The study already has a run {run_id}.", "Give it another name.")
        session.add(row)
    return RunRow(row.id, row.kind, row.method, row.preset, row.created)


def runs(core: Core) -> list[RunRow]:
    """All runs, oldest first."""
    with core.db.read() as session:
        rows = session.scalars(select(RunTable).order_by(RunTable.created, RunTable.id))
        return [RunRow(r.id, r.kind, r.method, r.preset, r.created) for r in rows]


def champion(core: Core) -> str | None:
    """Run whose model predicts now, or None."""
    with core.db.read() as session:
        return session.scalars(select(ChampionTable.run_id).order_by(ChampionTable.id.desc()).limit(1)).one_or_none()


def champions(core: Core) -> list[str]:
    """Every run that has been champion, in order; the last one is it now."""
    with core.db.read() as session:
        return list(session.scalars(select(ChampionTable.run_id).order_by(ChampionTable.id)))


def set_champion(core: Core, run_id: str) -> None:
    """Make a run the champion; an earlier one may be called back."""
    with core.db.write() as session:
        if session.get(RunTable, run_id) is None:
            raise UsageError(f"The study has no run {run_id}.", "See `penumbra runs` for their names.")
        last = session.scalars(select(ChampionTable.run_id).order_by(ChampionTable.id.desc()).limit(1)).one_or_none()
        if last != run_id:
            session.add(ChampionTable(run_id=run_id, since=now()))


class Runs:
    """The part of `store.Study` that keeps runs."""

    _core: Core

    def add_run(self, id: str, kind: str, method: str, preset: str) -> RunRow:  # noqa: A002 - what a run calls itself
        """Register a training (``train``) or prediction (``predict``)."""
        return add_run(self._core, id, kind, method, preset)

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        return runs(self._core)

    def champion(self) -> str | None:
        """Run whose model predicts now."""
        return champion(self._core)

    def champions(self) -> list[str]:
        """Every champion so far, in order."""
        return champions(self._core)

    def set_champion(self, run_id: str) -> None:
        """Make a run the champion; an earlier one may be called back."""
        set_champion(self._core, run_id)
