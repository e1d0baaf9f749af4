"""Reader time: the unit in which the program's use is measured."""

from __future__ import annotations

import math

from sqlalchemy.orm import Session

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.schema import EffortTable, now


def book(session: Session, case_id: int, seconds: float, activity: str) -> None:
    """Add seconds to a case within a transaction; none are booked for zero."""
    if not math.isfinite(seconds) or seconds < 0:
        raise UsageError(f"{seconds} is not a number of seconds.", "Give 0 when the time is not known.")
    if seconds > 0:
        session.add(EffortTable(case_id=case_id, seconds=float(seconds), activity=activity[:40], created=now()))


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
