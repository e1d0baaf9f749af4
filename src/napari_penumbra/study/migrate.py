"""Bringing the tables of an older study up to this version, with a copy of its database first."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from napari_penumbra.domain.errors import StudyError
from napari_penumbra.imaging import atomic
from napari_penumbra.study import schema
from napari_penumbra.study.manifest import too_new

LOCATION = Path(__file__).parent / "migrations"


def revision_of(engine: Engine) -> int:
    """Number of the newest migration that the database has seen; 0 for an empty database.

    Raises
    ------
    StudyError
        Its version cannot be read.
    """
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return 0
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found is None or not str(found).isdigit():
        raise StudyError(
            "The study's database does not say which version wrote it.",
            "Restore study.sqlite from a backup; the annotations themselves lie in cases/ and are not affected.",
            details=repr(found),
        )
    return int(found)


def upgrade(engine: Engine, revision: int | None = None) -> None:
    """Run every migration that the database has not seen, or those up to a number.

    Alembic is imported only here: it takes 0.1 s.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(LOCATION).replace("%", "%%"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, f"{revision or schema.SCHEMA:04d}")
        except CommandError as error:
            raise StudyError(
                "The study's database could not be brought up to this version.",
                "Open it with the version that wrote it, and report this with the details.",
                details=repr(error),
            ) from error
        connection.commit()


def bring_up_to_date(engine: Engine, database: Path, backups: Path, *, write: bool) -> Path | None:
    """Upgrade an opened study if it is older than this version.

    Returns
    -------
    Path or None
        The copy of the database from before, if there was anything to do.

    Raises
    ------
    StudyTooNewError
        The database is newer than this version.
    StudyError
        It is older and was opened for reading only.
    """
    found = revision_of(engine)
    if found > schema.SCHEMA:
        raise too_new(database.parent)
    if found == schema.SCHEMA:
        return None
    if found == 0:
        raise StudyError(
            f"{database} holds no study.", "Restore it from a backup, or make a new study and add the cases again."
        )
    if not write:
        raise StudyError(
            f"The study {database.parent} was written by an older version and cannot be read before it is upgraded.",
            "Open it for writing once.",
        )
    copy = copy_database(database, backups, f"before-{schema.SCHEMA:04d}")
    upgrade(engine)
    return copy


def copy_database(database: Path, backups: Path, label: str) -> Path:
    """Copy a database that may be in use, whole; raises `DiskError` or `StudyError` in words."""
    backups.mkdir(exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    target = backups / f"study-{stamp}-{label}.sqlite"
    with atomic.replace_into(target) as temporary:
        try:
            with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(temporary)) as new:
                old.backup(new)
        except sqlite3.Error as error:
            raise StudyError(
                f"The study's database could not be copied to {backups}, so it was not upgraded.",
                "Make room on the disk and open the study again.",
                details=repr(error),
            ) from error
    return target
