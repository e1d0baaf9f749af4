"""What the modules behind `store.Study` share: paths, manifest, database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.database import Database
from napari_penumbra.study.layout import Layout
from napari_penumbra.study.manifest import Manifest
from napari_penumbra.study.read_ahead import ReadAhead
from napari_penumbra.study.schema import CaseTable
from napari_penumbra.study.summaries import Summary

if TYPE_CHECKING:
    from napari_penumbra.study.team.team import Team


@dataclass(slots=True)
class Core:
    """An open study.

    Attributes
    ----------
    notices
        Sentences for the reader about what was found and put right.
    unclean
        Set when a file may have been left without its row, so that the next opening looks for it.
    summaries
        Parsed summaries of predictions by number, each with the stamp of the file it came from.
    ahead
        What was read of the case that comes next.
    team
        This program's place among several that write; None where one writes at a time.
    reader
        Under which name this program works.
    """

    layout: Layout
    manifest: Manifest
    db: Database
    notices: list[str] = field(default_factory=list)
    unclean: bool = False
    summaries: dict[int, tuple[str, Summary | None]] = field(default_factory=dict)
    ahead: ReadAhead = field(default_factory=ReadAhead)
    team: Team | None = None
    reader: str = "reader"

    def journal(self, slug: str) -> Path:
        """Folder of a case's unsaved strokes; in a team every reader has one of their own."""
        folder = self.layout.journal(slug)
        return folder if self.team is None else self.team.journal(folder)

    def check_free(self, session: Session, case_id: int, name: str) -> None:
        """Raise `StudyLockedError` when another reader of the team has a case that a transaction is to change."""
        if self.team is not None:
            self.team.check_free(session, case_id, name)


def case_of(session: Session, name: str) -> CaseTable:
    """Find a case by name; raises `UsageError` when there is none."""
    found = session.scalars(select(CaseTable).where(CaseTable.name == name)).one_or_none()
    if found is None:
        raise UsageError(f'The study has no case "{name}".', "See the case table, or `penumbra status`, for the names.")
    return found
