"""Unsaved strokes that outlived their check-out: painted again on what they were painted on, and kept as a draft."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import Annotation, Closing, Origin
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.study import revisions
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.schema import AnnotationTable, CaseTable, PredictionTable


@dataclass(frozen=True, slots=True)
class Unsaved:
    """Strokes of one reader on one case that no revision holds: how many, and when the last one was made."""

    case: str
    reader: str
    strokes: int
    last: float


def unsaved(core: Core) -> list[Unsaved]:
    """Find all of them; ``last`` is in seconds since 1970 by the clock of the shared folder."""
    with core.db.read() as session:
        cases = [(case.name, case.slug) for case in session.scalars(select(CaseTable).order_by(CaseTable.id))]
    found = []
    for name, slug in cases:
        for folder in _folders(core, slug):
            journal = Journal(folder)
            count = len(journal)
            if count:
                found.append(Unsaved(name, reader_of(folder), count, journal.path.stat().st_mtime))
    return found


def reader_of(folder: Path) -> str:
    """Name the reader whose strokes a journal's folder holds."""
    return folder.name.rpartition("-")[0] or "another reader"


def own_strokes(core: Core, name: str) -> Annotation | None:
    """Look after this place's strokes on a case that it has just checked out.

    Strokes painted on what is still the newest, or on what this very place has saved since (the program ended between
    saving and clearing), are painted again as the case opens. Others would be mixed into another reader's work: they
    become a draft beside it.
    """
    with core.db.read() as session:
        case = case_of(session, name)
        live = revisions.live_of(session, case.id)
    journal = Journal(core.journal(case.slug))
    base = journal.base
    if not base or live is None or base == f"r{live.revision}":
        return None
    if core.team is not None and core.team.mine(live.path):
        return None
    return _keep(core, name, journal, core.team.reader if core.team is not None else "")


def strokes_of_all(core: Core, name: str) -> list[Annotation]:
    """Keep the unsaved strokes of every reader of a case as drafts beside the others."""
    with core.db.read() as session:
        slug = case_of(session, name).slug
    kept = [_keep(core, name, Journal(folder), reader_of(folder)) for folder in _folders(core, slug)]
    return [annotation for annotation in kept if annotation is not None]


def _folders(core: Core, slug: str) -> Iterator[Path]:
    folder = core.layout.journal(slug)
    with suppress(OSError):
        # The folder itself holds those of the one reader from before the study had a team.
        yield from sorted(path for path in folder.iterdir() if path.is_dir())
        if core.team is not None:
            yield folder


def _keep(core: Core, name: str, journal: Journal, author: str) -> Annotation | None:
    base = journal.base
    if base is None:
        return None
    mark = journal.mark()
    with core.db.read() as session:
        case = case_of(session, name)
        labels, against = _painted_on(core, session, case, base)
    before = labels.copy()
    journal.replay(labels)
    saved = None
    if not np.array_equal(labels, before):
        new = revisions.NewRevision(labels, Closing.DRAFT, Origin.PAINTED, author, 0.0, painted_on=against, aside=True)
        saved = revisions.save(core, name, new)
    journal.clear(mark)
    return saved


def _painted_on(core: Core, session: Session, case: CaseTable, base: str) -> tuple[LabelArray, str]:
    """Read what strokes were painted on; what is not known any more counts as empty."""
    grid = Grid.from_json(case.grid)
    path = None
    number = int(base[1:]) if base[1:].isdigit() else -1
    if base[:1] == "r":
        query = select(AnnotationTable).where(AnnotationTable.case_id == case.id, AnnotationTable.revision == number)
        row = session.scalars(query).one_or_none()
        path = None if row is None else row.path
    elif base[:1] == "p":
        prediction = session.get(PredictionTable, number)
        path = None if prediction is None or prediction.case_id != case.id else prediction.labels
    if path is None:
        return np.zeros(grid.array_shape, dtype=np.uint8), "empty"
    return revisions.read_label_file(core, path, grid, f"A label file of {case.name}").copy(), base
