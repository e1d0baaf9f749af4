"""Who has what: members, check-outs, and when they count no more. Plain SQL inside transactions of `server`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

EXPIRE_S = 120.0
"""Seconds without a heartbeat after which others may take a case: longer than a network's hiccup, short enough that
nobody waits for a machine that was switched off."""
ADDING = "adding"
"""What is checked out while cases are added: folder names are chosen by looking, so one at a time."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has something checked out.

    Attributes
    ----------
    member
        Number of the program that has it.
    reader
        The name that its reader has chosen; nobody's login, nobody's machine.
    since
        When it was checked out, aware.
    silent
        Seconds since the program was last heard of.
    """

    member: int
    reader: str
    since: dt.datetime
    silent: float

    @property
    def expired(self) -> bool:
        """Whether others may take it."""
        return self.silent > EXPIRE_S

    def __str__(self) -> str:
        here = self.since.astimezone()
        today = here.date() == dt.datetime.now().astimezone().date()
        return f"{self.reader} since {here:%H:%M}" if today else f"{self.reader} since {here:%Y-%m-%d %H:%M}"


def key_of(case_id: int) -> str:
    """Name of a case's check-out."""
    return f"case/{case_id}"


def join(session: Session, seat: str, reader: str, pid: int) -> int:
    """Enter a program that opens the study; return its number. Members of last week that hold nothing are dropped."""
    session.execute(
        text(
            "DELETE FROM team_member m WHERE m.beat < clock_timestamp() - interval '7 days'"
            " AND NOT EXISTS (SELECT 1 FROM team_lease l WHERE l.member = m.id)"
        )
    )
    found = session.execute(
        text("INSERT INTO team_member (seat, reader, pid) VALUES (:seat, :reader, :pid) RETURNING id"),
        {"seat": seat, "reader": reader, "pid": pid},
    )
    return int(found.scalar_one())


def same_seat(session: Session, seat: str) -> list[tuple[int, int, float]]:
    """Return number, process and start (seconds since 1970) of the programs that were opened at a place."""
    rows = session.execute(
        text("SELECT id, pid, EXTRACT(EPOCH FROM since)::double precision AS born FROM team_member WHERE seat = :seat"),
        {"seat": seat},
    )
    return [(row.id, row.pid, row.born) for row in rows]


def leave(session: Session, member: int) -> None:
    """Take a program out, with all that it has checked out."""
    session.execute(text("DELETE FROM team_member WHERE id = :id"), {"id": member})


def end_unclean(session: Session, member: int) -> None:
    """Give back all that a program has, but leave word that its files want a look: see `same_seat`."""
    session.execute(text("DELETE FROM team_lease WHERE member = :id"), {"id": member})
    gone = "UPDATE team_member SET pid = 0, beat = clock_timestamp() - interval '1 day' WHERE id = :id"
    session.execute(text(gone), {"id": member})


def beat(session: Session, member: int, reader: str) -> bool:
    """Say that a program is alive; False when the server no longer knows it."""
    found = session.execute(
        text("UPDATE team_member SET beat = clock_timestamp(), reader = :reader WHERE id = :id RETURNING id"),
        {"id": member, "reader": reader},
    )
    return found.scalar_one_or_none() is not None


_HOLDERS = (
    "SELECT l.name, m.id, m.reader, l.since,"
    " EXTRACT(EPOCH FROM clock_timestamp() - m.beat)::double precision AS silent"
    " FROM team_lease l JOIN team_member m ON m.id = l.member"
)


def holder(session: Session, key: str) -> Holder | None:
    """Return who has something, expired or not."""
    row = session.execute(text(f"{_HOLDERS} WHERE l.name = :key"), {"key": key}).one_or_none()
    return None if row is None else Holder(row.id, row.reader, row.since, row.silent)


def holders(session: Session) -> dict[str, Holder]:
    """Return who has which case, by the case's name, expired or not."""
    rows = session.execute(
        text(
            f"SELECT c.name AS case_name, h.* FROM ({_HOLDERS}) h JOIN study_case c ON h.name = 'case/' || c.id"
            " ORDER BY c.id"
        )
    )
    return {row.case_name: Holder(row.id, row.reader, row.since, row.silent) for row in rows}


def others_alive(session: Session, member: int | None) -> list[str]:
    """Return the readers of other programs that have the study open and were heard of lately."""
    rows = session.execute(
        text(
            "SELECT reader FROM team_member WHERE id IS DISTINCT FROM CAST(:me AS integer)"
            " AND beat > clock_timestamp() - make_interval(secs => :expire) ORDER BY id"
        ),
        {"me": member, "expire": EXPIRE_S},
    )
    return [str(row.reader) for row in rows]


def take(session: Session, key: str, member: int) -> Holder | None:
    """Check something out, or keep it; None when it was given, else who has it.

    Must run in a writing transaction (`server.ServerDatabase.write`): these come one after the other, so that of two
    readers who ask at the same moment one gets it.
    """
    now = holder(session, key)
    if now is not None and now.member != member and not now.expired:
        return now
    if now is None or now.member != member:
        session.execute(
            text(
                "INSERT INTO team_lease (name, member) VALUES (:key, :member)"
                " ON CONFLICT (name) DO UPDATE SET member = EXCLUDED.member, since = clock_timestamp()"
            ),
            {"key": key, "member": member},
        )
    return None


def release(session: Session, key: str, member: int | None = None) -> None:
    """Give something back; with ``member`` only if that program has it."""
    session.execute(
        text("DELETE FROM team_lease WHERE name = :key AND member = COALESCE(CAST(:member AS integer), member)"),
        {"key": key, "member": member},
    )
