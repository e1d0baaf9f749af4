"""Opening a study whose index is on a server."""

from __future__ import annotations

import os
from dataclasses import replace

from sqlalchemy import select

from napari_penumbra.domain.errors import StudyError
from napari_penumbra.study import migrate, schema
from napari_penumbra.study.core import Core
from napari_penumbra.study.layout import Layout
from napari_penumbra.study.manifest import Manifest, too_new, write_manifest
from napari_penumbra.study.schema import AnnotationTable
from napari_penumbra.study.team import errors, leases, moving
from napari_penumbra.study.team.server import ServerDatabase
from napari_penumbra.study.team.team import Team

_LOOKED_AT = 20
"""Newest revisions whose files must be there: enough to recognise a copy of the folder that stayed behind."""


def open_team(layout: Layout, manifest: Manifest, *, write: bool, reader: str) -> Core:
    """Open a study whose index is on a server; with ``write`` as one of several that may.

    Raises
    ------
    StudyError
        The server cannot be reached, or its index is not of this folder.
    StudyTooNewError
        A newer version of the program wrote it.
    """
    assert manifest.team is not None  # the caller has looked
    db = ServerDatabase(layout.root, manifest.team, write=write)
    try:
        core = Core(layout, manifest, db, reader=reader)
        with errors.reaching():
            _bring_up_to_date(core, write=write)
            _check_folder(core)
            if write:
                _put_away_file(layout)
                core.team = Team(db, reader)
    except BaseException:
        db.close()
        raise
    return core


def _bring_up_to_date(core: Core, *, write: bool) -> None:
    db, layout = core.db, core.layout
    with db.words():
        found = migrate.revision_of(db.engine)
    if found > schema.SCHEMA:
        raise too_new(layout.root)
    if found == schema.SCHEMA:
        return
    server = str(core.manifest.team)
    if found == 0:
        raise StudyError(
            f"The server {server} has no index of the study {layout.root}.",
            "Perhaps it left the team and this folder is an old copy; otherwise ask for a backup of the database.",
        )
    if not write:
        raise StudyError(
            f"The study {layout.root} was written by an older version and cannot be read before it is upgraded.",
            "Open it for writing once.",
        )
    with db.read() as session:
        others = leases.others_alive(session, None)
    if others:
        raise StudyError(
            f"The study {layout.root} must be upgraded to this version, and {', '.join(others)} has it open.",
            "Ask them to close it and to update napari-penumbra, too.",
        )
    copy = moving.back_up(db, layout, found)
    with db.words():
        migrate.upgrade(db.engine)
    core.notices.append(f"The study was upgraded; a copy from before is in {layout.relative(copy)}.")
    core.manifest = replace(core.manifest, schema=schema.SCHEMA)
    write_manifest(layout.manifest, core.manifest)


def _check_folder(core: Core) -> None:
    """Refuse a folder that is not the one whose files the index lists: a copy, or a share that is not mounted."""
    with core.db.read() as session:
        newest = select(AnnotationTable.path).order_by(AnnotationTable.id.desc()).limit(_LOOKED_AT)
        paths = list(session.scalars(newest))
    lost = [path for path in paths if not core.layout.absolute(path).is_file()]
    # One missing file is an accident that the case itself tells of; all of the newest are another folder.
    if lost and lost[0] == paths[0] and len(lost) >= min(2, len(paths)):
        raise StudyError(
            f"{core.layout.root} does not hold the newest annotations that the team's index lists.",
            "Is it a copy of the study? Then run `penumbra team leave --copy` in it. If it is the shared folder, "
            "check that all of it is there.",
        )


def _put_away_file(layout: Layout) -> None:
    """A database file left by a move to the server that was cut short must not be taken for the index later."""
    if layout.database.exists():
        layout.backups.mkdir(exist_ok=True)
        target = layout.backups / f"study-{layout.database.stat().st_mtime_ns}-before-team.sqlite"
        os.replace(layout.database, target)
    for rest in ("-wal", "-shm"):
        layout.database.with_name(layout.database.name + rest).unlink(missing_ok=True)
