"""What goes wrong between a reader and the team's server, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from napari_penumbra.domain.errors import PenumbraError, StudyError

# Connection states that PostgreSQL names, beside class 08: shut down by its administrator, crashed, starting up.
_GONE = ("57P01", "57P02", "57P03")
_NO_TABLE = ("42P01", "3F000")
_REFUSED = ("password authentication failed", "no password supplied", "pg_hba.conf", "does not exist", "not permitted")


class ServerGoneError(StudyError):
    """The team's server does not answer; it may be back in a moment."""


class UnreachedError(StudyError):
    """A team's study cannot be opened: its server does not answer, or does not let the reader in."""


class OvertakenError(Exception):
    """Another reader was faster between looking and saving: look again. Never reaches the reader."""


def gone(server: str, details: str = "") -> ServerGoneError:
    """Say that the server does not answer."""
    return ServerGoneError(
        f"The team's server {server} does not answer.",
        "Go on drawing: every stroke is kept, and the case is saved as soon as the server is back.",
        details,
    )


@contextmanager
def reaching() -> Iterator[None]:
    """Say of a server that is silent from the beginning what helps then: nobody has drawn anything yet."""
    try:
        yield
    except ServerGoneError as error:
        remedy = "Check its address and your network, and ask whether it runs."
        raise UnreachedError(error.message, remedy, error.details) from error


def is_gone(error: Exception) -> bool:
    """Whether an error means that the server cannot be reached now."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or state in _GONE or str(state).startswith("08"):
        return True
    if not isinstance(error, OperationalError) or state is not None:
        return False
    return not any(words in str(error.orig) for words in _REFUSED)


def in_words(error: Exception, root: Path, server: str) -> PenumbraError:
    """Say what an error of the server means for the reader."""
    if is_gone(error):
        return gone(server, _brief(error))
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state in _NO_TABLE or (isinstance(error, ProgrammingError) and "no schema" in str(error)):
        return StudyError(
            f"The index of the study {root.name} is no longer on the server {server}.",
            "Perhaps it has left the team: close the study and open it again. Nothing in its folder is affected.",
            _brief(error),
        )
    if state is None and isinstance(error, OperationalError):
        return UnreachedError(
            f"The team's server {server} does not let you in.",
            "Check user, database and password: unless typed, they are those of study.toml or PENUMBRA_DATABASE_URL, "
            "and of ~/.pgpass.",
            _brief(error),
        )
    if state == "42501":
        return StudyError(
            f"You may not write to the team's database {server}.",
            "Ask whoever runs the server for the right to create schemas and tables in it.",
            _brief(error),
        )
    if state in ("55P03", "57014"):
        return StudyError(
            f"The team's server {server} is busy and did not answer in time.",
            "Try again; nothing that you drew is lost.",
            _brief(error),
        )
    return StudyError(
        f"The team's server {server} refused a request.",
        "Try again; if it happens again, report it with the details.",
        _brief(error),
    )


def _brief(error: Any) -> str:
    """The driver's own words only: what SQLAlchemy adds may hold names of cases."""
    return str(getattr(error, "orig", None) or type(error).__name__).strip()
