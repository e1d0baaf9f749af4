"""Revisions that were made and not drawn: what they were made of, and acceptances taken back and put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.study.schema import AnnotationTable, ProvenanceTable


class How(StrEnum):
    """How a revision came about that nobody drew."""

    CONSENSUS = "consensus"
    RESTORED = "restored"
    TAKEN_BACK = "taken back"
    PUT_BACK = "put back"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a revision came from.

    Attributes
    ----------
    parents
        Keys of the `sources.Source` objects that it was made of, for example ``("r3", "s1")``.
    rule
        For a consensus: how several became one.
    """

    how: How
    parents: tuple[str, ...]
    rule: str = ""


def note(session: Session, row: AnnotationTable, made: Provenance | None) -> None:
    """Write down where a revision came from, in the transaction that enters it."""
    if made is None:
        return
    session.flush()  # gives the row its number
    session.add(ProvenanceTable(annotation_id=row.id, how=made.how.value, rule=made.rule, parents=list(made.parents)))


def of_annotations(session: Session, ids: Sequence[int]) -> dict[int, Provenance]:
    """Where revisions came from, by the number of the revision's row; those that were drawn are absent."""
    rows = session.scalars(select(ProvenanceTable).where(ProvenanceTable.annotation_id.in_(ids)))
    return {row.annotation_id: Provenance(How(row.how), tuple(row.parents), row.rule) for row in rows}
