"""Moving a study's index between its SQLite file and a server, whole and proven equal, in either direction."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Table, create_engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from napari_penumbra.domain.errors import StudyError, StudyLockedError, UsageError
from napari_penumbra.imaging import atomic
from napari_penumbra.study import migrate, schema
from napari_penumbra.study.database import Database
from napari_penumbra.study.layout import Layout
from napari_penumbra.study.manifest import read_manifest, write_manifest
from napari_penumbra.study.team import errors, leases, tables
from napari_penumbra.study.team.address import Address
from napari_penumbra.study.team.server import ServerDatabase, make_engine

_CHUNK = 500
_TEAM_TABLES = {table.name for table in tables.metadata.sorted_tables}


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did: how many rows of how many tables, and where the index before it is kept."""

    rows: int
    tables: int
    kept: str


def move_to_server(db: Database, layout: Layout, url: str) -> Moved:
    """Move the index of a study that is open for writing (and by nobody else) to a server.

    Everything is copied and compared before ``study.toml`` names the server; until then nothing has changed.

    Parameters
    ----------
    db
        The study's SQLite database. Close it afterwards.
    url
        ``postgresql://…``; a password in it is used for this move and written nowhere.

    Raises
    ------
    UsageError
        It is no such URL, or the study's index is on a server already.
    StudyError
        The server cannot be reached or refused the move. Nothing has changed.
    """
    manifest = read_manifest(layout.manifest)
    if manifest.team is not None:
        raise UsageError(f"The index of {manifest.name} is on the server {manifest.team} already.")
    address = Address.new(url)
    server = _Using(layout.root, address, url)
    try:
        server.make_schema()
        with db.engine.connect() as source, server.engine.connect() as target:
            rows, count = _copy(source, target)
            target.commit()
        copy = migrate.copy_database(layout.database, layout.backups, "before-team")
        write_manifest(layout.manifest, replace(manifest, schema=schema.SCHEMA, team=address))
    except SQLAlchemyError as error:
        server.drop_schema()
        with errors.reaching():
            raise errors.in_words(error, layout.root, str(address)) from error
    except BaseException:
        server.drop_schema()
        raise
    finally:
        server.close()
    db.close()
    for rest in ("", "-wal", "-shm"):
        layout.database.with_name(layout.database.name + rest).unlink(missing_ok=True)
    return Moved(rows, count, layout.relative(copy))


def move_to_file(layout: Layout, *, copy: bool = False) -> Moved:
    """Move the index of a team's study back into its folder.

    Parameters
    ----------
    copy
        The folder is a copy: leave the server's index to the folder that it belongs to.

    Raises
    ------
    UsageError
        The index is not on a server.
    StudyLockedError
        Other readers have the study open.
    StudyError
        The server cannot be reached. Nothing has changed.
    """
    manifest = read_manifest(layout.manifest)
    address = manifest.team
    if address is None:
        raise UsageError(f"The index of {manifest.name} is not on a server.")
    db = ServerDatabase(layout.root, address, write=True)
    kept = "on the server, for the folder that it belongs to"
    try:
        with db.write() as session:
            others = [] if copy else leases.others_alive(session, None)
            if others:
                raise StudyLockedError(
                    f"The study {manifest.name} is open: {', '.join(others)}.", "Everybody must close it first."
                )
            with atomic.replace_into(layout.database) as temporary:
                rows, count = _into_file(session.connection(), temporary)
            write_manifest(layout.manifest, replace(manifest, schema=schema.SCHEMA, team=None))
            if not copy:
                # Kept under another name: whoever still had it open is told at once, and a backup remains.
                stamp = f"{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S}"
                kept = f"{address.schema}_left_{stamp}"
                session.execute(text(f"ALTER SCHEMA {address.schema} RENAME TO {kept}"))
                kept = f"on the server as schema {kept}"
    finally:
        db.close()
    return Moved(rows, count, kept)


def back_up(db: Database, layout: Layout, revision: int) -> Path:
    """Copy a server's index into a SQLite file in the study's backups, with the tables of an older version."""
    layout.backups.mkdir(exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    target = layout.backups / f"study-{stamp}-before-{schema.SCHEMA:04d}.sqlite"
    with db.words(), db.engine.connect() as source, atomic.replace_into(target) as temporary:
        _into_file(source, temporary, revision)
    return target


def _into_file(source: Connection, file: Path, revision: int | None = None) -> tuple[int, int]:
    engine = create_engine(f"sqlite:///{file}")
    try:
        migrate.upgrade(engine, revision)
        with engine.connect() as target:
            rows, count = _copy(source, target)
            target.commit()
    finally:
        engine.dispose()
    return rows, count


class _Using:
    """A server for the time of a move, with the password of the URL that was typed."""

    def __init__(self, root: Path, address: Address, url: str) -> None:
        self.root, self.address = root, address
        self._typed = url
        self.engine = make_engine(address, typed=url)

    def make_schema(self) -> None:
        engine = make_engine(self.address, schema=False, typed=self._typed)
        try:
            with engine.begin() as connection:
                connection.execute(text(f"CREATE SCHEMA {self.address.schema}"))
        finally:
            engine.dispose()
        migrate.upgrade(self.engine)
        with self.engine.begin() as connection:
            tables.metadata.create_all(connection)
            connection.execute(tables.pulse.insert().values(id=1, n=0))

    def drop_schema(self) -> None:
        with suppress(SQLAlchemyError), self.engine.begin() as connection:  # what stays is named by nothing
            connection.execute(text(f"DROP SCHEMA IF EXISTS {self.address.schema} CASCADE"))

    def close(self) -> None:
        self.engine.dispose()


def _copy(source: Connection, target: Connection) -> tuple[int, int]:
    """Copy every row into the empty tables of another database; compare; return how many rows of how many tables."""
    there, here = _reflect(source), _reflect(target)
    total = 0
    for table in here.sorted_tables:
        rows = _rows(source, there.tables[table.name])
        for at in range(0, len(rows), _CHUNK):
            target.execute(table.insert(), rows[at : at + _CHUNK])
        if _rows(target, table) != rows:
            raise StudyError(
                f"The table {table.name} did not arrive as it was sent; the index was not moved.",
                "Try again, and report it; nothing has changed.",
            )
        total += len(rows)
        if target.dialect.name == "postgresql" and "id" in table.c and table.c.id.type.python_type is int:
            _next_numbers(target, table)
    return total, len(here.sorted_tables)


def _reflect(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name not in _TEAM_TABLES and name != "alembic_version")
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)  # what is NULL stays NULL instead of becoming JSON's null
    return found


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    # Sorted here: databases do not agree on the order of texts.
    rows = [dict(row) for row in connection.execute(select(table)).mappings()]
    return sorted(rows, key=lambda row: tuple(row[column.name] for column in table.primary_key.columns))


def _next_numbers(target: Connection, table: Table) -> None:
    """Let the server count on from the highest number that was copied."""
    last = target.execute(select(table.c.id).order_by(table.c.id.desc()).limit(1)).scalar_one_or_none()
    if last is not None:
        target.execute(
            text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), {"name": table.name, "last": last}
        )


def journals_to_seats(layout: Layout, seat_folder: str) -> None:
    """Give the unsaved strokes of a study of one reader to that reader's place in the team."""
    for strokes in layout.cases.glob("*/journal/strokes.bin"):
        target = strokes.parent / seat_folder
        target.mkdir(exist_ok=True)
        strokes.replace(target / strokes.name)
