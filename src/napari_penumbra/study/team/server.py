"""The connection to a team's index on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from napari_penumbra.domain.errors import StudyError
from napari_penumbra.study.database import Database
from napari_penumbra.study.team import errors
from napari_penumbra.study.team.address import DRIVER, Address, parse

CONNECT_S = 4
"""How long to wait for a server that does not answer. The window waits with it, once; then it is known to be gone."""
_LIMITS = {"statement_timeout": 60_000, "lock_timeout": 15_000, "idle_in_transaction_session_timeout": 60_000}
"""Milliseconds, kept by the server: a program that sleeps in the middle of a transaction blocks nobody long."""


class ServerDatabase(Database):
    """Short transactions on one schema of a PostgreSQL database.

    Once the server is known to be gone, every request is refused at once instead of waiting for it again, until `back`
    is called: the keeper does, when it has reached the server.

    Parameters
    ----------
    root
        The study's folder, for the words of errors.
    address
        Where the index is.
    write
        False refuses every change.

    Raises
    ------
    StudyError
        The driver is not installed.
    """

    def __init__(self, root: Path, address: Address, *, write: bool) -> None:
        self.path = root / "study.toml"
        self.address = address
        self.write_allowed = write
        self.gone_since: float | None = None
        self.waits = True
        """Whether a server that is gone is asked again at every request: for programs without a keeper."""
        self.engine = make_engine(address)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent look at the database."""
        engine = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with self.words(), Session(engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, alone: the next one on this study waits until this one is over."""
        self.check_writable()
        with self.words(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.execute(text("UPDATE team_pulse SET n = n + 1"))
            yield session

    @contextmanager
    def beside(self) -> Iterator[Session]:
        """A transaction that changes nothing of the study: heartbeats. Asks the server even when it is thought gone."""
        with self._words(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def words(self) -> Iterator[None]:
        """Turn the server's errors into sentences; refuse at once while it is known to be gone."""
        if self.gone_since is not None and not self.waits:
            raise errors.gone(str(self.address))
        with self._words():
            yield

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            said = errors.in_words(error, self.path.parent, str(self.address))
            if isinstance(said, errors.ServerGoneError) and self.gone_since is None:
                self.gone_since = time.time()
            raise said from error

    def back(self) -> bool:
        """Note that the server has answered; True when it had been gone."""
        was, self.gone_since = self.gone_since is not None, None
        return was


def make_engine(address: Address, *, schema: bool = True, typed: str = "") -> Engine:
    """Make SQLAlchemy's engine.

    Parameters
    ----------
    schema
        False for making the schema itself.
    typed
        A URL to use instead of the address's and the environment's; may hold a password.

    Raises
    ------
    StudyError
        psycopg is not installed.
    """
    options = " ".join(f"-c {name}={value}" for name, value in _LIMITS.items())
    if schema:
        options += f" -c search_path={address.schema}"
    url = parse(typed).set(drivername=DRIVER) if typed else address.reached()
    options = f"{url.query.get('options', '')} {options}".strip()
    connect = {
        "options": options,
        "connect_timeout": CONNECT_S,
        "application_name": "napari-penumbra",
        # A cable that was pulled is noticed within seconds, not after the system's two hours.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 8000,
    }
    url = url.difference_update_query(["options"])
    try:
        return create_engine(url, connect_args=connect, pool_pre_ping=True, hide_parameters=True)
    except ImportError as error:
        raise StudyError(
            "The index of this study is on a server, and the driver for it is not installed.",
            'Install it: pip install "napari-penumbra[team]".',
            repr(error),
        ) from error
