"""The connection to a study's SQLite file, and its errors in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from napari_penumbra.domain.errors import DiskError, PenumbraError, StudyError, StudyLockedError

BUSY_MS = 5000
"""How long to wait for another program that holds the database before giving up."""


class Database:
    """Short transactions on one SQLite file.

    Parameters
    ----------
    path
        The file; created when missing and ``write``.
    write
        False opens it so that SQLite itself refuses every change.

    Raises
    ------
    StudyError
        Missing, damaged or in use.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self.write_allowed = write
        self.engine = _engine(path, "rwc" if write else "ro")
        if not write and not self._answers():
            # A write-ahead log needs a file beside the database; on a folder that cannot be written to, and only
            # there, SQLite has to be told that nobody else will change the file either.
            let_go(self.engine)
            self.engine = _engine(path, "ro&immutable=1")

    def _answers(self) -> bool:
        try:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        except DBAPIError as error:
            return "unable to open" not in str(error) and "readonly" not in str(error)
        return True

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent look at the database."""
        with self.words(), Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: all of it is durable after the block, or none of it."""
        self.check_writable()
        with self.words(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            # Taking the write lock at once: a read that turns into a write later cannot wait for its turn.
            session.connection(execution_options={"penumbra_begin": "BEGIN IMMEDIATE"})
            yield session

    def check_writable(self) -> None:
        """Raise `StudyLockedError` when the study was opened for reading only."""
        if not self.write_allowed:
            raise StudyLockedError(
                f"The study {self.path.parent} is open for reading only.",
                "Close the window that writes to it, then open it again.",
            )

    @contextmanager
    def words(self) -> Iterator[None]:
        """Turn the database's errors into sentences."""
        try:
            yield
        except SQLAlchemyError as error:
            raise in_words(error, self.path) from error

    def close(self) -> None:
        """Let go of the file; a thread that is still asking ends its question and lets go as well."""
        let_go(self.engine)


def let_go(engine: Engine) -> None:
    """Close the connections of an engine that is done with: those at rest now, the others as soon as they are.

    Disposing alone forgets the ones at work: they would stay open until Python happens to collect them.
    """
    if not event.contains(engine, "checkin", _close_now):  # closing twice does no harm
        event.listen(engine, "checkin", _close_now)
    engine.dispose()


def _close_now(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.close()


def _engine(path: Path, mode: str) -> Engine:
    # as_uri() quotes what a path may hold and a URI may not (spaces, ?, #).
    uri = f"{path.absolute().as_uri()}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        if mode == "rwc":
            cursor.execute("PRAGMA journal_mode=WAL")
            # FULL syncs at every commit: a row that was reported as saved survives a power cut.
            cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("penumbra_begin", "BEGIN"))

    return engine


def in_words(error: Exception, path: Path) -> PenumbraError:
    """Say what a database error means for the reader."""
    text = str(error).lower()
    root = path.parent
    if "locked" in text or "busy" in text:
        return StudyError(
            f"The database of the study {root} is in use by another program.",
            "Close that program and try again; nothing that you drew is lost.",
            details=repr(error),
        )
    if "full" in text or "readonly" in text or "disk i/o" in text:
        return DiskError(
            f"The database of the study {root} could not be written.",
            "Make room on the disk and check that you may write there; then save again.",
            details=repr(error),
        )
    if any(word in text for word in ("malformed", "not a database", "no such table", "no such column")):
        return StudyError(
            f"The database of the study {root} is damaged.",
            "Restore study.sqlite from backups/ or your own backup; images and annotations in cases/ are not affected.",
            details=repr(error),
        )
    if "unable to open" in text:
        return StudyError(
            f"The database of the study {root} cannot be opened.",
            "Check that study.sqlite is there and that you may read it.",
            details=repr(error),
        )
    return StudyError(
        f"The database of the study {root} refused a request.",
        "Try again; if it happens again, report it with the details.",
        details=repr(error),
    )
