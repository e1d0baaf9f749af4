"""When another reader was faster: what was drawn is saved beside the other's work, never over it and never not at all.

Without a team nobody else writes, and all of this says so at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from napari_penumbra.domain.errors import StudyError
from napari_penumbra.study.core import Core
from napari_penumbra.study.provenance import How, Provenance
from napari_penumbra.study.schema import AnnotationTable, CaseTable
from napari_penumbra.study.team.errors import OvertakenError
from napari_penumbra.study.team.team import Overtaken

_TRIES = 8
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Aside:
    """What a revision beside the case's own line rests on: ``parent`` is None when it was painted on no revision."""

    parent: AnnotationTable | None
    made: Provenance


@dataclass(frozen=True, slots=True)
class Check:
    """What was found before the files were written, to be looked at again in the transaction that enters them."""

    painted_on: str | None
    aside: bool


def until_settled(attempt: Callable[[], _Result]) -> _Result:
    """Try again while other readers are faster between looking and saving."""
    for _ in range(_TRIES):
        try:
            return attempt()
        except OvertakenError:
            continue
    raise StudyError("Other readers saved this case again and again meanwhile.", "Save once more.")


def looked_up(
    core: Core,
    session: Session,
    case: CaseTable,
    live: AnnotationTable | None,
    painted_on: str | None,
    *,
    forced: bool = False,
) -> Aside | None:
    """Say whether labels must be saved beside: another reader has the case, or has saved it since they were opened."""
    team = core.team
    if painted_on is None or (team is None and not forced):
        return None
    other = None if team is None else team.other(session, case.id)
    number = int(painted_on[1:]) if painted_on[:1] == "r" and painted_on[1:].isdigit() else None
    faster = (None if live is None else live.revision) != number
    if faster and live is not None and team is not None and team.has_written(live.path):
        faster = False  # it arrived, although the server did not get round to saying so
    if other is None and not faster and not forced:
        return None
    parent = None
    if number is not None:
        query = select(AnnotationTable).where(AnnotationTable.case_id == case.id, AnnotationTable.revision == number)
        parent = session.scalars(query).one_or_none()
    who = other.reader if other is not None else "" if live is None else live.author
    return Aside(parent, Provenance(How.BESIDE, () if number is None else (f"r{number}",), who[:40]))


def settle(core: Core, session: Session, row: AnnotationTable, live_id: int | None, check: Check, name: str) -> None:
    """Look once more, now that nobody else can write; raises `OvertakenError` when anything has changed.

    A revision beside the others is entered as one that was taken back, so that it is in the history and nowhere else.
    """
    team = core.team
    if check.aside:
        row.withdrawn = row.created
    if team is None:
        return
    of_case = AnnotationTable.case_id == row.case_id
    if row.revision <= (session.scalar(select(func.max(AnnotationTable.revision)).where(of_case)) or 0):
        raise OvertakenError
    if check.aside:
        team.overtaken[name] = Overtaken(row.revision, team.other(session, row.case_id))
    else:
        if check.painted_on is None:
            team.check_free(session, row.case_id, name)
        else:
            team.keep(session, row.case_id, name)
        newest = select(AnnotationTable.id).where(of_case, AnnotationTable.withdrawn.is_(None))
        if session.scalar(newest.order_by(AnnotationTable.revision.desc()).limit(1)) != live_id:
            raise OvertakenError
    team.wrote(row.path)
