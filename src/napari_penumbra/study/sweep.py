"""After a crash: look for files that no row names, put them where nothing is lost, and say so."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import select

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.imaging.atomic import is_temporary
from napari_penumbra.study.core import Core
from napari_penumbra.study.schema import AnnotationTable, CaseTable, ReadingTable

Settled = Callable[[Path], bool]
UNDER_WAY_S = 3600.0
"""In a team: seconds after which a file without a row is taken for left behind, and not for being written."""


def sweep(core: Core, *, thorough: bool) -> list[str]:
    """Put right what a killed program left behind.

    Parameters
    ----------
    thorough
        Look into every case's folder, too. Needed only when the last writer did not close the study; a study of
        2,000 cases on a network drive would otherwise open slowly for nothing.

    Returns
    -------
    list of str
        A sentence for the reader about everything that was found.

    Raises
    ------
    DiskError
        Something could not be moved.
    """
    with core.db.read() as session:
        cases = {case.slug: case for case in session.scalars(select(CaseTable))}
        rows = list(session.scalars(select(AnnotationTable))) if thorough else []
        rows += list(session.scalars(select(ReadingTable))) if thorough else []
    settled = _settled(core)
    try:
        notices = list(_folders(core, set(cases), settled))
        if thorough:
            files: dict[int, set[str]] = {}
            for row in rows:
                files.setdefault(row.case_id, set()).update({row.path, row.drawn or row.path})
            for slug, case in cases.items():
                notices += _annotations(core, slug, case.name, files.get(case.id, set()), settled)
                notices += _readings(core, slug, case.name, files.get(case.id, set()), settled)
        for folder in (core.layout.root, core.layout.backups):
            _remove_temporary(folder, settled)
    except OSError as error:
        raise DiskError(
            f"Files left behind by a crash in {core.layout.root} could not be put in order.",
            "Check that you may write there and that there is room; nothing was deleted.",
            details=repr(error),
        ) from error
    return notices


def _settled(core: Core) -> Settled:
    """Say which files nobody can be writing at this moment: without a team all of them.

    Other readers of a team write while this one looks. What they write is young, by the clock of the shared folder,
    which is asked by making a file there.
    """
    if core.team is None:
        return lambda path: True
    with tempfile.TemporaryFile(dir=core.layout.root) as probe:
        now = os.fstat(probe.fileno()).st_mtime

    def settled(path: Path) -> bool:
        try:
            return path.stat().st_mtime < now - UNDER_WAY_S
        except FileNotFoundError:  # it has just got its name
            return False

    return settled


def _folders(core: Core, known: set[str], settled: Settled) -> Iterator[str]:
    """Case folders that the database does not know."""
    with os.scandir(core.layout.cases) as entries:
        strange = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name not in known)
    for name in strange:
        path = core.layout.cases / name
        if not settled(path):
            continue
        if name.startswith(".adding-"):
            shutil.rmtree(path)  # half-made copies of files that lie elsewhere
            continue
        target = _free(core.layout.orphans / name)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)
        yield (
            f"The folder {name} belonged to no case (the program ended while it was being added); "
            f"it was kept in {core.layout.relative(target)}."
        )


def _annotations(core: Core, slug: str, name: str, known: set[str], settled: Settled) -> Iterator[str]:
    yield from _unknown(core, slug, name, core.layout.annotations(slug), known, settled)
    for relative in sorted(known):
        if not core.layout.absolute(relative).is_file():
            yield (
                f"{name}: the annotation {Path(relative).name} is entered but its file is gone; "
                "restore it from a backup."
            )


def _readings(core: Core, slug: str, name: str, known: set[str], settled: Settled) -> Iterator[str]:
    folder = core.layout.readings(slug)
    for reader in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield from _unknown(core, slug, name, reader, known, settled)


def _unknown(core: Core, slug: str, name: str, folder: Path, known: set[str], settled: Settled) -> Iterator[str]:
    """Label files in a folder that no row names."""
    _remove_temporary(folder, settled)
    present = {core.layout.relative(p): p for p in folder.iterdir() if p.is_file()} if folder.is_dir() else {}
    for relative, path in sorted(present.items()):
        if relative in known or not settled(path):
            continue
        target = _free(core.layout.case_orphans(slug) / path.name)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)
        yield (
            f"{name}: {path.name} was written but not entered before the program ended; "
            f"it was kept in {core.layout.relative(target)}."
        )


def _remove_temporary(folder: Path, settled: Settled) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if is_temporary(path) and path.is_file() and settled(path):
                path.unlink()


def _free(path: Path) -> Path:
    """Return the path, or one like it that does not exist: nothing kept is ever written over."""
    stem, dot, end = path.name.partition(".")
    n, free = 2, path
    while free.exists():
        free = path.with_name(f"{stem}-{n}{dot}{end}")
        n += 1
    return free
