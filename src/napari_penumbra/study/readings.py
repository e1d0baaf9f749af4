"""Second readings: another reader's own annotation of a case, kept beside the case's and never in its place.

Files lie in ``cases/<slug>/readings/<reader>/``: ``r0001.nii.gz`` and so on, immutable like annotations, and a journal
of the reader's own. The pool, the queue and the training know nothing of them: only a consensus, which is a revision of
the case like any other, ever teaches. Its seconds are kept with it and not added to the case's reader time, which says
what a label costs.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import CaseState, Closing, OpenCase
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelArray
from napari_penumbra.imaging.atomic import disk_error
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study import reading
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.label_files import fill_unknown, revision_name
from napari_penumbra.study.layout import slug_of
from napari_penumbra.study.reachable import check_there
from napari_penumbra.study.revisions import read_label_file
from napari_penumbra.study.schema import CaseTable, ReadingTable, now

MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest revision of a reader's own annotation; ``path`` is relative to the study's folder."""

    key: str
    case: str
    reader: str
    revision: int
    path: Path
    closing: Closing
    created: dt.datetime
    seconds: float
    voxels_changed: int


def checked_name(reader: str) -> str:
    """Return a reader's name without blanks around it; raises `UsageError` for none, or one that is no name."""
    name = " ".join(reader.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise UsageError("A second reader needs a name.", f'Write 1 to {MAX_NAME} letters, for example "reader 2".')
    return name


def readings(core: Core, name: str) -> list[Reading]:
    """Newest revision of each second reader of a case, by name."""
    with core.db.read() as session:
        case = case_of(session, name)
        query = select(ReadingTable).where(ReadingTable.case_id == case.id).order_by(ReadingTable.revision)
        newest = {row.reader: row for row in session.scalars(query)}
    return [_to_reading(newest[reader], name) for reader in sorted(newest)]


def _to_reading(row: ReadingTable, case: str) -> Reading:
    return Reading(
        key=f"s{row.id}",
        case=case,
        reader=row.reader,
        revision=row.revision,
        path=Path(row.path),
        closing=Closing(row.closing),
        created=row.created,
        seconds=row.seconds,
        voxels_changed=row.voxels_changed,
    )


def open_reading(core: Core, name: str, reader: str) -> OpenCase:
    """Open a case as a second reader sees it: what that reader has drawn so far, and nothing of anybody else.

    Neither labels nor prediction nor confidence of the case are in what is returned: the reading is blind.
    """
    reader = checked_name(reader)
    opened, _ = reading.read(core, name)
    with core.db.read() as session:
        last = _last(session, case_of(session, name), reader)
    labels = np.zeros(opened.grid.array_shape, dtype=np.uint8)
    if last is not None:
        labels = read_label_file(core, last.path, opened.grid, f"The reading of {name}").copy()
    restored = journal(core, name, reader).replay(labels)
    state = CaseState.NEW if last is None and not restored else CaseState.IN_PROGRESS
    if last is not None and last.closing != Closing.DRAFT.value:
        state = CaseState.ANNOTATED
    return replace(
        opened, labels=labels, state=state, prediction=None, predicted=None, confidence=None, restored=restored
    )


def journal(core: Core, name: str, reader: str) -> Journal:
    """Where a second reader's strokes on a case go until they are saved."""
    with core.db.read() as session:
        case = case_of(session, name)
        last = _last(session, case, checked_name(reader))
        base = "empty" if last is None else f"s{last.id}"
        return Journal(_folder(core, case, reader) / "journal", base)


def save_reading(
    core: Core,
    name: str,
    reader: str,
    labels: npt.NDArray[Any],
    closing: Closing,
    seconds: float,
    touched: Collection[int] | None = None,
    *,
    strokes: Journal | None = None,
    mark: int | None = None,
) -> Reading | None:
    """Write a revision of a second reading and clear its journal; see `store.Study.save` for the arguments.

    ``strokes`` and ``mark``: see `versions.Versions.save_reading`.

    Returns
    -------
    Reading or None
        None when neither voxels nor closing have changed.
    """
    core.db.check_writable()
    reader = checked_name(reader)
    with core.db.read() as session:
        case = case_of(session, name)
        last = _last(session, case, reader)
    grid = Grid.from_json(case.grid)
    if labels.shape != grid.array_shape:
        raise UsageError(f"The labels of {name} do not fit its images.", "Open the case again.")
    drawn = np.ascontiguousarray(core.manifest.labels.check(labels, f"The reading of {name}"))
    strokes = journal(core, name, reader) if strokes is None else strokes
    mark = strokes.mark() if mark is None else mark
    before = _before(core, last, grid, name)
    drawn = _without_filling(core, drawn, before, last, grid, name)
    same = bool(np.array_equal(labels, before))
    if same and (closing is Closing.DRAFT or (last is not None and last.closing == closing.value)):
        strokes.clear(mark)
        return None
    slices = sorted({*(last.touched if last is not None else ()), *(int(z) for z in touched or ())})
    row = ReadingTable(
        case_id=case.id,
        reader=reader,
        revision=0,
        closing=closing.value,
        created=now(),
        seconds=float(seconds),
        voxels_changed=int(np.count_nonzero(drawn != before)),
        touched=slices,
    )
    stands = fill_unknown(drawn, slices) if closing is Closing.PARTIAL else drawn
    core.unclean = True  # until its row is there
    _write_files(core, case, row, 0 if last is None else last.revision, stands, drawn, grid)
    with core.db.write() as session:
        session.add(row)
    core.unclean = False
    saved = _to_reading(row, name)
    strokes.clear(mark, base=saved.key)
    return saved


def _folder(core: Core, case: CaseTable, reader: str) -> Path:
    """Folder of a reader's files: two names that look alike in plain letters still get folders of their own."""
    digest = hashlib.sha256(checked_name(reader).encode()).hexdigest()[:6]
    return core.layout.readings(case.slug) / f"{slug_of(reader)[:40]}-{digest}"


def _last(session: Session, case: CaseTable, reader: str) -> ReadingTable | None:
    return session.scalars(
        select(ReadingTable)
        .where(ReadingTable.case_id == case.id, ReadingTable.reader == reader)
        .order_by(ReadingTable.revision.desc())
        .limit(1)
    ).one_or_none()


def _before(core: Core, last: ReadingTable | None, grid: Grid, name: str) -> LabelArray:
    if last is None:
        return np.zeros(grid.array_shape, dtype=np.uint8)
    return read_label_file(core, last.path, grid, f"The reading of {name}")


def _without_filling(
    core: Core, labels: LabelArray, before: LabelArray, last: ReadingTable | None, grid: Grid, name: str
) -> LabelArray:
    """Take out the unknown that an earlier partial closing filled in, so that it never passes for painted."""
    if last is None or last.drawn is None:
        return labels
    drawn = read_label_file(core, last.drawn, grid, f"The reading of {name}")
    return np.where((before == UNKNOWN) & (labels == UNKNOWN), drawn, labels).astype(np.uint8)


def _write_files(
    core: Core, case: CaseTable, row: ReadingTable, last: int, stands: LabelArray, drawn: LabelArray, grid: Grid
) -> None:
    check_there(core)
    folder = _folder(core, case, row.reader)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(folder, error) from error
    row.revision = last + 1
    # A file without a row is never written over: it may be all that is left of somebody's work.
    while (folder / revision_name(row.revision)).exists() or (
        folder / revision_name(row.revision, drawn=True)
    ).exists():
        row.revision += 1
    token = "" if core.team is None else core.team.token()
    row.path = core.layout.relative(folder / revision_name(row.revision, token=token))
    if not np.array_equal(stands, drawn):
        row.drawn = core.layout.relative(folder / revision_name(row.revision, drawn=True, token=token))
        write_nifti(core.layout.absolute(row.drawn), drawn, grid, np.uint8)
    write_nifti(core.layout.absolute(row.path), stands, grid, np.uint8)
