"""Putting a case right, and taking that back: derived files beside the study's own, a record of each, nothing replaced.

A fix goes in two steps, so that the slow one can run in another thread: `prepare` works out the new voxels and writes
them under a new name; `apply` makes them count, in one transaction. `undo` puts back what was there before.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import PenumbraError, StudyError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.files import read_image
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study import fixes
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.fix_records import (
    Done,
    Images,
    State,
    facts_of,
    number_of,
    read_record,
    records,
    write_record,
)
from napari_penumbra.study.fixes import Change, Target
from napari_penumbra.study.reachable import check_there
from napari_penumbra.study.schema import CaseTable, ImageTable, now
from napari_penumbra.study.thumbnails import write_thumbnail


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fix that is worked out and whose files are written, and that does not count yet."""

    case: str
    offer: Offer
    words: str
    before: State
    after: State
    written: tuple[Path, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def prepare(core: Core, name: str, offer: Offer) -> Prepared:
    """Work a fix out and write its files; nothing counts until `apply`. Takes seconds for a large scan.

    Raises
    ------
    UsageError
        No such case, modality or fix, or nothing to change.
    GeometryError, ImageError
        It cannot be done with this case.
    DiskError
        A file could not be written.
    """
    core.db.check_writable()
    check_there(core)
    with core.db.read() as session:
        case = case_of(session, name)
        before, grid, slug = _state(session, case), Grid.from_json(case.grid), case.slug
    order = [m for m in core.manifest.modalities if m in before.images]
    target = Target(core, name, grid, before.role, {m: before.images[m][0] for m in order})
    change = fixes.get(offer.kind).work_out(target, offer)
    written: list[Path] = []
    try:
        images = _write(core, slug, before.images, change, grid, written)
        key = before.key if images == before.images else _key(core, images, grid)
    except BaseException:
        _remove(written)
        raise
    after = State(change.role or before.role, key, images)
    return Prepared(name, offer, change.words, before, after, tuple(written), change.facts)


def _write(core: Core, slug: str, before: Images, change: Change, grid: Grid, written: list[Path]) -> Images:
    images = dict(before)
    for modality, path in change.paths.items():
        if path is None:
            images.pop(modality)
        else:
            images[modality] = (path, next(moved for p, moved in before.values() if p == path))
    for modality, volume in change.volumes.items():
        path_of = _free(core.layout.images(slug), modality)
        data = np.ascontiguousarray(volume.data, dtype=np.float32)
        written.append(path_of)
        write_nifti(path_of, data, grid)
        moved = float(change.facts.get("resampled_mm", before[modality][1]))
        images[modality] = (core.layout.relative(path_of), moved)
    return images


def _free(folder: Path, modality: str) -> Path:
    n = 1
    while (path := folder / f"{modality}.fixed-{n}.nii.gz").exists():
        n += 1
    return path


def _key(core: Core, images: Images, grid: Grid) -> str:
    """Name the content, exactly as when a case is added: caches of workers go by it."""
    digest = hashlib.blake2b(digest_size=16)
    for modality in core.manifest.modalities:
        if modality in images:
            data = np.asarray(read_image(core.layout.absolute(images[modality][0])).volume.data, dtype=np.float32)
            digest.update(modality.encode())
            digest.update(np.ascontiguousarray(data).data)
    digest.update(repr(grid).encode())
    return digest.hexdigest()


def discard(prepared: Prepared) -> None:
    """Remove the files of a fix that the reader has refused."""
    _remove(prepared.written)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def apply(core: Core, prepared: Prepared, author: str = "") -> Done:
    """Make a prepared fix count.

    The record is written first: a crash in between leaves one that says nothing, as the case does not look like it.

    Raises
    ------
    StudyError
        The case has changed since the fix was worked out, or another reader has it.
    DiskError
        Nothing was changed.
    """
    with core.db.read() as session:
        slug = case_of(session, prepared.case).slug
    folder = core.layout.fixes(slug)
    number = max((number_of(path) for path in records(folder)), default=0) + 1
    done = Done(
        number, prepared.case, prepared.offer.kind, prepared.words, author, now(), None, prepared.before, prepared.after
    )
    path = folder / f"{number:04d}.json"
    write_record(path, done, prepared.facts)
    try:
        _set(core, prepared.case, prepared.before, prepared.after)
    except BaseException:
        _remove([path])
        raise
    _thumbnail(core, prepared.case, prepared.before, prepared.after)
    return done


def done(core: Core, name: str) -> list[Done]:
    """Every fix of a case that counts or counted, oldest first."""
    with core.db.read() as session:
        case = case_of(session, name)
        slug, state = case.slug, _state(session, case)
    found = [one for path in records(core.layout.fixes(slug)) if (one := read_record(path, name)) is not None]
    standing = [one for one in found if one.undone is None]
    if standing and not standing[-1].after.looks_like(state, standing[-1].before):
        # The program ended between the record and the database: what the record says never came to count.
        found.remove(standing[-1])
    return found


def undo(core: Core, name: str) -> Done:
    """Take the newest fix of a case back; its derived files stay, and the record says when it was undone.

    Raises
    ------
    UsageError
        No fix of this case counts.
    StudyError
        The record was changed by hand.
    """
    standing = [one for one in done(core, name) if one.undone is None]
    if not standing:
        raise UsageError(f"Nothing of {name} was fixed, or all of it was undone.", "Nothing to do.")
    last = standing[-1]
    with core.db.read() as session:
        slug = case_of(session, name).slug
    for relative, _ in last.before.images.values():
        # A record is a file that anybody can edit: it must not lead out of the case's folder.
        if core.layout.inside(relative, core.layout.images(slug)) is None:
            raise StudyError(f"The record of what was fixed in {name} was changed by hand.", "Restore it first.")
    _set(core, name, last.after, last.before)
    record = core.layout.fixes(slug) / f"{last.number:04d}.json"
    undone = replace(last, undone=now())
    write_record(record, undone, facts_of(record))
    _thumbnail(core, name, last.after, last.before)
    return undone


# ---------------------------------------------------------------- the database


def _state(session: Session, case: CaseTable) -> State:
    rows = session.scalars(select(ImageTable).where(ImageTable.case_id == case.id))
    return State(Role(case.role), case.content_key, {row.modality: (row.path, row.resampled_mm) for row in rows})


def _set(core: Core, name: str, before: State, after: State) -> None:
    with core.db.write() as session:
        case = case_of(session, name)
        core.check_free(session, case.id, name)
        if not before.looks_like(_state(session, case), after):
            raise StudyError(f"{name} has changed since this was worked out.", "Check it again.")
        case.content_key = after.key
        if after.role is not before.role:
            case.role = after.role.value
        rows = {row.modality: row for row in session.scalars(select(ImageTable).where(ImageTable.case_id == case.id))}
        for modality, row in rows.items():
            if modality not in after.images:
                session.delete(row)
            else:
                row.path, row.resampled_mm = after.images[modality]
        for modality, (path, moved) in after.images.items():
            if modality not in rows:
                session.add(ImageTable(case_id=case.id, modality=modality, path=path, resampled_mm=moved))


def _thumbnail(core: Core, name: str, before: State, after: State) -> None:
    """Draw the case's small picture anew when another image is the first; a failure leaves the old one."""

    def first(state: State) -> str:
        return next((state.images[m][0] for m in core.manifest.modalities if m in state.images), "")

    if not first(after) or first(before) == first(after):
        return
    with contextlib.suppress(PenumbraError, OSError), core.db.read() as session:
        case = case_of(session, name)
        if case.thumbnail:
            volume = read_image(core.layout.absolute(first(after))).volume
            path = core.layout.absolute(case.thumbnail)
            write_thumbnail(path, np.asarray(volume.data, dtype=np.float32), Grid.from_json(case.grid))
