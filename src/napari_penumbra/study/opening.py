"""Making and opening a study: lock, manifest, database, upgrade, sweep, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from napari_penumbra.domain.errors import DiskError, PenumbraError, StudyError, UsageError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelScheme
from napari_penumbra.study import migrate, schema
from napari_penumbra.study.core import Core
from napari_penumbra.study.database import Database
from napari_penumbra.study.layout import Layout
from napari_penumbra.study.lock import WriterLock
from napari_penumbra.study.manifest import Manifest, read_manifest, write_manifest
from napari_penumbra.study.schema import AnnotationTable, ImageTable
from napari_penumbra.study.sweep import sweep
from napari_penumbra.study.team.opening import open_team
from napari_penumbra.study.team.team import Team


def create(
    root: Path, name: str, modalities: Sequence[str], labels: LabelScheme, *, simulated: bool
) -> tuple[Core, WriterLock]:
    """Make a study; see `store.Study.create`. The manifest comes last: until then the folder is no study."""
    manifest = Manifest(name, tuple(modalities), labels, simulated)
    layout = Layout(root.expanduser().absolute())
    _check_empty(layout)
    try:
        for folder in (layout.root, layout.cases, layout.runs, layout.cache):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(
            f"The folder {layout.root} cannot be made.", "Choose a place where you may write.", repr(error)
        ) from error
    lock = WriterLock(layout.lock, layout.owner)
    try:
        db = Database(layout.database, write=True)
        try:
            with db.words():
                migrate.upgrade(db.engine)
            write_manifest(layout.manifest, manifest)
        except BaseException:
            db.close()
            raise
    except BaseException:
        lock.release()
        raise
    return Core(layout, manifest, db), lock


def _check_empty(layout: Layout) -> None:
    if layout.manifest.exists():
        raise UsageError(f"{layout.root} already holds a study.", "Open it, or choose another folder.")
    if layout.root.exists() and not layout.root.is_dir():
        raise UsageError(f"{layout.root} is a file.", "Choose a new or an empty folder.")
    try:
        # What a creation that was killed half-way leaves behind does not stand in the way of the next.
        ours = {layout.lock, layout.owner, layout.database, layout.cases, layout.runs, layout.cache}
        strange = layout.root.exists() and any(p not in ours for p in layout.root.iterdir())
        held = layout.cases.exists() and any(layout.cases.iterdir())
    except OSError as error:
        raise UsageError(f"{layout.root} cannot be looked into.", "Choose another folder.", repr(error)) from error
    if strange or held:
        raise UsageError(f"{layout.root} is not empty.", "Choose a new or an empty folder.")


def open_study(root: Path, *, write: bool, reader: str = "reader") -> tuple[Core, WriterLock | Team | None]:
    """Open a study; see `store.Study.open`."""
    layout = Layout(root.expanduser().absolute())
    manifest = read_manifest(layout.manifest)
    if manifest.team is not None:
        return _open_team(layout, manifest, write, reader)
    if not layout.database.is_file():
        raise StudyError(
            f"The study {layout.root} has lost its database, study.sqlite.",
            "Restore it from backups/ or your own backup; images and annotations in cases/ are still there.",
        )
    lock = WriterLock(layout.lock, layout.owner) if write else None
    try:
        core = _open(layout, manifest, lock)
        core.reader = reader
        return core, lock
    except BaseException:
        if lock is not None:
            lock.release(clean=not lock.unclean)
        raise


def _open_team(layout: Layout, manifest: Manifest, write: bool, reader: str) -> tuple[Core, Team | None]:
    core = open_team(layout, manifest, write=write, reader=reader)
    team = core.team
    try:
        _check_fits(core)
        if team is not None:
            core.notices += sweep(core, thorough=team.unclean)
            team.start()
    except BaseException:
        if team is not None:
            team.release()
        core.db.close()
        raise
    return core, team


def _open(layout: Layout, manifest: Manifest, lock: WriterLock | None) -> Core:
    db = Database(layout.database, write=lock is not None)
    try:
        core = Core(layout, manifest, db)
        with db.words():
            copy = migrate.bring_up_to_date(db.engine, layout.database, layout.backups, write=lock is not None)
        if copy is not None:
            core.notices.append(f"The study was upgraded; a copy from before is in {layout.relative(copy)}.")
            write_manifest(layout.manifest, replace(manifest, schema=schema.SCHEMA))
        _check_fits(core)
        if lock is not None:
            for folder in (layout.cases, layout.runs, layout.cache):
                folder.mkdir(exist_ok=True)
            core.notices += sweep(core, thorough=lock.unclean)
    except PenumbraError:
        db.close()
        raise
    except OSError as error:
        db.close()
        raise DiskError(
            f"The folder {layout.root} cannot be written to.", "Open the study for reading only.", repr(error)
        ) from error
    return core


def _check_fits(core: Core) -> None:
    """Refuse a manifest from which a modality or class was taken that the cases have."""
    with core.db.read() as session:
        modalities = set(session.scalars(select(ImageTable.modality).distinct()))
        values: set[int] = set()
        for counts in session.scalars(select(AnnotationTable.class_voxels)):
            values.update(map(int, counts))
    lost = sorted(modalities - set(core.manifest.modalities))
    if lost:
        raise StudyError(
            f"{core.layout.manifest} no longer lists the modality {lost[0]}, which cases of the study have.",
            "Put it back by hand.",
        )
    missing = sorted(values - {BACKGROUND, UNKNOWN, *core.manifest.labels.values})
    if missing:
        raise StudyError(
            f"{core.layout.manifest} no longer lists the class {missing[0]}, which annotations of the study use.",
            "Put it back by hand; names and colours may change, values may not.",
        )
