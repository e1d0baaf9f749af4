"""The thread that says every few seconds that this program is alive, and hears what the others have done."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study.schema import AnnotationTable, CaseTable, DecisionTable, PredictionTable, ReadingTable
from napari_penumbra.study.team import leases
from napari_penumbra.study.team.errors import ServerGoneError
from napari_penumbra.study.team.leases import Holder
from napari_penumbra.study.team.server import ServerDatabase

BEAT_S = 2.0
"""Seconds between two heartbeats: others see a new revision at most this much later."""
_TOLD: tuple[Any, ...] = (AnnotationTable, DecisionTable, PredictionTable, ReadingTable)
"""Tables in which every change is a new row of a case."""


@dataclass(slots=True)
class News:
    """What others (or this program itself) have done since it was last asked for.

    Attributes
    ----------
    cases
        Names of cases with new rows.
    changed
        Whether anything was written at all.
    listed
        Whether cases have been added.
    back, gone
        Whether the server has come back, or gone.
    """

    cases: set[str] = field(default_factory=set)
    changed: bool = False
    listed: bool = False
    back: bool = False
    gone: bool = False

    def __bool__(self) -> bool:
        return self.changed or self.back or self.gone


class Keeper:
    """One thread per open study. Start it with `start`, ask it with `news` and `holders`, end it with `stop`.

    Parameters
    ----------
    db
        The server.
    member
        This program's number there; `member` afterwards holds the one that counts.
    seat, reader, pid
        Who is entered again when the server has forgotten this program.
    """

    def __init__(self, db: ServerDatabase, member: int, seat: str, reader: str, pid: int) -> None:
        self.db = db
        self.member = member
        self.seat, self.reader, self.pid = seat, reader, pid
        self.holders: dict[str, Holder] = {}
        self._news = News()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pulse = -1
        self._known: tuple[int, ...] = ()
        self._missed = False  # the server did not answer the last time
        self._thread = threading.Thread(target=self._run, name="penumbra-team", daemon=True)

    def start(self) -> None:
        """Look once, now, so that `holders` is right from the beginning; then go on in the background."""
        self._once()
        self._news = News()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for a heartbeat that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def news(self) -> News:
        """Return what has happened since the last call; never waits for the server."""
        with self._lock:
            told, self._news = self._news, News()
        return told

    def _run(self) -> None:
        while not self._stop.wait(BEAT_S):
            with suppress(PenumbraError):  # told by `news`, tried again at the next beat
                self._once()

    def _once(self) -> None:
        try:
            with self.db.beside() as session:
                if not leases.beat(session, self.member, self.reader):
                    self.member = leases.join(session, self.seat, self.reader, self.pid)
                pulse = int(session.execute(text("SELECT n FROM team_pulse")).scalar_one())
                found = leases.holders(session)
                fresh = self._look(session) if pulse != self._pulse else None
        except ServerGoneError:
            with self._lock:
                # Whoever noticed it first: a page that only wanted to show something goes on with what it has.
                self._news.gone = self._news.gone or not self._missed
                self._missed = True
            raise
        with self._lock:
            self._missed = False
            self.holders = found
            self._news.back = self.db.back() or self._news.back
            if fresh is not None:
                self._pulse = pulse
                self._news.changed = True
                self._news.cases |= fresh[0]
                self._news.listed = self._news.listed or fresh[1]

    def _look(self, session: Session) -> tuple[set[str], bool]:
        """Return the cases with rows that are newer than at the last look, and whether there are more cases."""
        last = [session.scalar(select(func.max(table.id))) or 0 for table in _TOLD]
        count = session.scalar(select(func.count()).select_from(CaseTable)) or 0
        known, self._known = self._known, (*last, count)
        if not known:
            return set(), False
        names: set[str] = set()
        for table, before in zip(_TOLD, known[:-1], strict=True):
            query = select(CaseTable.name).join(table, table.case_id == CaseTable.id).where(table.id > before)
            names.update(session.scalars(query.distinct()))
        return names, count != known[-1]
