"""Annotations: immutable revisions, written before they are registered, taken back without deleting anything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import Annotation, Closing, Origin
from napari_penumbra.domain.errors import ImageError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelArray
from napari_penumbra.imaging.atomic import disk_error
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study import beside
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.effort import book, compare, note_work
from napari_penumbra.study.journal import sync_folder
from napari_penumbra.study.label_files import class_voxels, fill_unknown, revision_name
from napari_penumbra.study.provenance import How, Provenance, note, of_annotations
from napari_penumbra.study.reachable import check_there
from napari_penumbra.study.schema import AnnotationTable, CaseTable, PredictionTable, now


@dataclass(frozen=True, slots=True)
class NewRevision:
    """What is asked to be saved; see `store.Study.save`."""

    labels: npt.NDArray[Any]
    closing: Closing
    origin: Origin
    author: str
    seconds: float
    prediction_id: int | None = None
    touched: Collection[int] | None = None
    made: Provenance | None = None
    strokes: int = 0
    painted_on: str | None = None
    """What the labels were painted on (see `journal.Journal`); None for labels that nobody painted here."""
    aside: bool = False
    """Save it as a draft beside the case's own line in any case."""


def live_of(session: Session, case_id: int) -> AnnotationTable | None:
    """Find the newest revision that has not been taken back."""
    return session.scalars(
        select(AnnotationTable)
        .where(AnnotationTable.case_id == case_id, AnnotationTable.withdrawn.is_(None))
        .order_by(AnnotationTable.revision.desc())
        .limit(1)
    ).one_or_none()


def newest_prediction(session: Session, case_id: int) -> PredictionTable | None:
    """Find the prediction that was registered last."""
    return session.scalars(
        select(PredictionTable).where(PredictionTable.case_id == case_id).order_by(PredictionTable.id.desc()).limit(1)
    ).one_or_none()


def to_annotation(row: AnnotationTable, case: str) -> Annotation:
    """Turn a row into a value."""
    return Annotation(
        id=row.id,
        case=case,
        revision=row.revision,
        path=Path(row.path),
        closing=Closing(row.closing),
        origin=Origin(row.origin),
        author=row.author,
        created=row.created,
        seconds=row.seconds,
        voxels_changed=row.voxels_changed,
        prediction_id=row.prediction_id,
    )


def read_label_file(core: Core, relative: str, grid: Grid, what: str) -> LabelArray:
    """Read labels that the study wrote.

    Raises
    ------
    ImageError
        The file is missing, damaged, or was exchanged for one of another shape.
    """
    data = read_labels(core.layout.absolute(relative)).volume.data
    if data.shape != grid.array_shape or (data.size and not 0 <= int(data.min()) <= int(data.max()) <= 255):
        raise ImageError(
            f"{what} ({relative}) is no longer what the study wrote.",
            "Put the file back from a backup; earlier revisions lie beside it.",
        )
    return data.astype(np.uint8, copy=False)


def save(core: Core, name: str, new: NewRevision) -> Annotation | None:
    """Write a revision: the file first, then its row; None when there is nothing new. See `store.Study.save`."""
    core.db.check_writable()
    return beside.until_settled(lambda: _save(core, name, new))


def _save(core: Core, name: str, new: NewRevision) -> Annotation | None:
    with core.db.read() as session:
        case = case_of(session, name)
        live = live_of(session, case.id)
        aside = beside.looked_up(core, session, case, live, new.painted_on, forced=new.aside)
        if aside is not None:
            # Another reader's work stands; this becomes a draft beside it, counted against what it was painted on.
            live, new = aside.parent, replace(new, closing=Closing.DRAFT, made=aside.made)
        base = _base_path(session, case, live, new.prediction_id)
    grid = Grid.from_json(case.grid)
    labels = _checked(core, name, new.labels, grid)
    shown = live.path if live is not None else base
    before = _read_or_empty(core, shown, grid, name)
    if _nothing_new(live, new.closing, bool(np.array_equal(labels, before))):
        return None
    drawn = _without_filling(core, labels, before, live, grid, name)
    touched = sorted({*(live.touched if live is not None else ()), *(int(z) for z in new.touched or ())})
    stands = fill_unknown(drawn, touched) if new.closing is Closing.PARTIAL else drawn
    against = before if base == shown else _read_or_empty(core, base, grid, name)
    row = AnnotationTable(
        case_id=case.id,
        revision=_next_revision(core, case),
        closing=new.closing.value,
        origin=new.origin.value,
        author=new.author,
        created=now(),
        seconds=float(new.seconds),
        voxels_changed=int(np.count_nonzero(drawn != against)),
        prediction_id=new.prediction_id,
        touched=touched,
        class_voxels=class_voxels(stands),
    )
    _write_files(core, case, row, stands, drawn, grid)
    took = (new.strokes, *compare(stands, against))
    live_id = None if live is None else live.id
    return _register(core, name, row, live_id, new.made, took, beside.Check(new.painted_on, aside is not None))


def _nothing_new(live: AnnotationTable | None, closing: Closing, same: bool) -> bool:
    if not same:
        return False
    # Looking at a finished case and leaving it must not put it back among the unfinished ones: `withdraw` does that.
    return closing is Closing.DRAFT or (live is not None and live.closing == closing.value)


def _base_path(
    session: Session, case: CaseTable, live: AnnotationTable | None, prediction_id: int | None
) -> str | None:
    """File that the changes of a reader are counted against: the prediction reviewed, else what was there before."""
    if prediction_id is not None:
        prediction = session.get(PredictionTable, prediction_id)
        if prediction is None or prediction.case_id != case.id:
            raise UsageError(f"{case.name} has no prediction number {prediction_id}.", "Open the case again.")
        return prediction.labels
    if live is not None:
        return live.path
    newest = newest_prediction(session, case.id)
    return None if newest is None else newest.labels


def _checked(core: Core, name: str, labels: npt.NDArray[Any], grid: Grid) -> LabelArray:
    if labels.shape != grid.array_shape:
        raise UsageError(
            f"The labels of {name} have shape {labels.shape}, its images {grid.array_shape}.", "Open the case again."
        )
    return np.ascontiguousarray(core.manifest.labels.check(labels, f"The annotation of {name}"))


def _read_or_empty(core: Core, path: str | None, grid: Grid, name: str) -> LabelArray:
    if path is None:
        return np.zeros(grid.array_shape, dtype=np.uint8)
    return read_label_file(core, path, grid, f"A label file of {name}")


def _without_filling(
    core: Core, labels: LabelArray, before: LabelArray, live: AnnotationTable | None, grid: Grid, name: str
) -> LabelArray:
    """Take out the unknown that an earlier partial closing filled in, so that it never passes for painted."""
    if live is None or live.drawn is None:
        return labels
    drawn = read_label_file(core, live.drawn, grid, f"A label file of {name}")
    filled = (before == UNKNOWN) & (drawn != UNKNOWN) & (labels == UNKNOWN)
    result = labels.copy()
    result[filled] = drawn[filled]
    return result


def _next_revision(core: Core, case: CaseTable) -> int:
    with core.db.read() as session:
        last = session.scalars(
            select(AnnotationTable.revision)
            .where(AnnotationTable.case_id == case.id)
            .order_by(AnnotationTable.revision.desc())
            .limit(1)
        ).one_or_none()
    number = (last or 0) + 1
    # A file without a row is never written over: it may be all that is left of somebody's work.
    folder = core.layout.annotations(case.slug)
    while (folder / revision_name(number)).exists() or (folder / revision_name(number, drawn=True)).exists():
        number += 1
    return number


def _write_files(
    core: Core, case: CaseTable, row: AnnotationTable, stands: LabelArray, drawn: LabelArray, grid: Grid
) -> None:
    check_there(core)
    folder = core.layout.annotations(case.slug)
    if not folder.is_dir():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(folder, error) from error
        sync_folder(folder.parent)
    core.unclean = True  # until its row is there
    token = "" if core.team is None else core.team.token()
    row.path = core.layout.relative(folder / revision_name(row.revision, token=token))
    if not np.array_equal(stands, drawn):
        row.drawn = core.layout.relative(folder / revision_name(row.revision, drawn=True, token=token))
        write_nifti(core.layout.absolute(row.drawn), drawn, grid, np.uint8)
    write_nifti(core.layout.absolute(row.path), stands, grid, np.uint8)


def _register(
    core: Core,
    name: str,
    row: AnnotationTable,
    live_id: int | None,
    made: Provenance | None,
    took: tuple[int, int, float | None],
    check: beside.Check,
) -> Annotation:
    with core.db.write() as session:
        beside.settle(core, session, row, live_id, check, name)
        before = None if live_id is None or check.aside else session.get(AnnotationTable, live_id)
        if before is not None and row.closing == Closing.DRAFT.value and before.closing != Closing.DRAFT.value:
            # Editing a closed case opens it again: what was closed is no longer what anybody stands for.
            before.withdrawn = row.created
        session.add(row)
        note(session, row, made)
        activity = "review" if row.origin == Origin.REVIEWED.value else "annotate"
        book(session, row.case_id, row.seconds, activity, row.created)
        note_work(session, row, *took)
        if row.closing != Closing.DRAFT.value:
            case_of(session, name).pinned = None  # it was asked for next, and it came
    core.unclean = False
    return to_annotation(row, name)


def withdraw(core: Core, name: str, author: str = "") -> Annotation | None:
    """Take the newest closed revision back; see `store.Study.withdraw`."""
    with core.db.write() as session:
        case = case_of(session, name)
        live = live_of(session, case.id)
        if live is None or live.closing == Closing.DRAFT.value:
            return None
        core.check_free(session, case.id, name)
        live.withdrawn = now()
        draft = _like(live, _next_revision(core, case), author)
        # The files are immutable, so the draft may be the very file that was closed.
        draft.path, draft.drawn, draft.closing = live.drawn or live.path, None, Closing.DRAFT.value
        draft.created = live.withdrawn
        session.add(draft)
        note(session, draft, Provenance(How.TAKEN_BACK, (f"r{live.revision}",)))
        return to_annotation(live, name)


def _like(row: AnnotationTable, revision: int, author: str) -> AnnotationTable:
    """Return a new revision with the files and origin of another, by ``author`` or, when not told, by the same one."""
    return AnnotationTable(
        case_id=row.case_id,
        revision=revision,
        path=row.path,
        drawn=row.drawn,
        closing=row.closing,
        origin=row.origin,
        author=author or row.author,
        created=now(),
        seconds=0.0,
        voxels_changed=0,
        prediction_id=row.prediction_id,
        touched=row.touched,
        class_voxels=row.class_voxels,
    )


def taken_back(session: Session, live: AnnotationTable | None) -> AnnotationTable | None:
    """Find the revision whose taking back made the current one; None when something was done since."""
    if live is None:
        return None
    made = of_annotations(session, [live.id]).get(live.id)
    if made is None or made.how is not How.TAKEN_BACK:
        return None
    return session.scalars(
        select(AnnotationTable).where(
            AnnotationTable.case_id == live.case_id, AnnotationTable.revision == int(made.parents[0][1:])
        )
    ).one_or_none()


def put_back(core: Core, name: str, author: str) -> Annotation:
    """Undo a taking back: a new revision like the one that was taken back; see `versions.Versions.put_back`."""
    with core.db.write() as session:
        case = case_of(session, name)
        core.check_free(session, case.id, name)
        before = taken_back(session, live_of(session, case.id))
        if before is None:
            raise UsageError(
                f"Nothing of {name} was taken back, or its labels have changed since.",
                "Close the case again, or restore a revision from its history.",
            )
        row = _like(before, _next_revision(core, case), author)
        session.add(row)
        note(session, row, Provenance(How.PUT_BACK, (f"r{before.revision}",)))
        return to_annotation(row, name)


def revisions(core: Core, name: str, *, withdrawn: bool) -> list[Annotation]:
    """All revisions of a case, oldest first; those taken back only if asked for."""
    with core.db.read() as session:
        case = case_of(session, name)
        query = select(AnnotationTable).where(AnnotationTable.case_id == case.id).order_by(AnnotationTable.revision)
        if not withdrawn:
            query = query.where(AnnotationTable.withdrawn.is_(None))
        return [to_annotation(row, name) for row in session.scalars(query)]


def is_closed(row: AnnotationTable | None) -> bool:
    """Whether a revision puts its case into the labelled pool."""
    return row is not None and row.closing != Closing.DRAFT.value


def newest_by_case(session: Session) -> dict[int, AnnotationTable]:
    """Newest revision not taken back, by case, in one query: a study may have thousands of cases."""
    rows = select(AnnotationTable).where(AnnotationTable.withdrawn.is_(None)).order_by(AnnotationTable.revision)
    return {row.case_id: row for row in session.scalars(rows)}  # the last of a case wins
