"""Where a team's index is: a URL without a password, and the schema of one study in that database."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from napari_penumbra.domain.errors import UsageError

VARIABLE = "PENUMBRA_DATABASE_URL"
"""Environment variable with the URL by which this machine reaches the server, when it is not the one in study.toml."""
DRIVER = "postgresql+psycopg"
_SCHEMA = re.compile(r"penumbra_[0-9a-f]{12}")
_SECRETS = ("password", "sslpassword")
_TYPED: dict[str, URL] = {}
"""Schema to the URL that was typed in this program, with its password: in memory, until the program ends."""


@dataclass(frozen=True, slots=True)
class Address:
    """What ``study.toml`` says of a team.

    Attributes
    ----------
    url
        As libpq takes it, ``postgresql://user@host:port/database``; never with a password.
    schema
        The study's own schema in that database, so that one database serves many studies.

    Raises
    ------
    UsageError
        It is no PostgreSQL URL, holds a password, or the schema is not one of this program's.
    """

    url: str
    schema: str

    def __post_init__(self) -> None:
        if parse(self.url).password is not None:
            raise UsageError(
                "The team's URL in study.toml holds a password, which everybody who sees the folder can read.",
                "Take it out, change it on the server, and keep the new one in ~/.pgpass (docs/teams.md).",
            )
        if not _SCHEMA.fullmatch(self.schema):
            raise UsageError(f'"{self.schema}" is not the schema of a study.', "Restore study.toml from a backup.")

    @classmethod
    def new(cls, url: str) -> Address:
        """Make the address of a study that moves to a server; a password is left out."""
        return cls(plain(url), f"penumbra_{secrets.token_hex(6)}")

    def reach_by(self, url: str) -> None:
        """Reach this study's index by a URL that was typed, until the program ends; it may hold a password.

        The empty text forgets it. It is kept in memory and written nowhere.
        """
        if url:
            _TYPED[self.schema] = parse(url)
        else:
            _TYPED.pop(self.schema, None)

    def reached(self) -> URL:
        """Return the URL to connect to, for SQLAlchemy: the one typed, else the environment's if it names one."""
        typed = _TYPED.get(self.schema)
        return (typed or parse(os.environ.get(VARIABLE) or self.url)).set(drivername=DRIVER)

    def __str__(self) -> str:
        """Name the server for people: host and database."""
        url = parse(self.url)
        host = url.host or url.query.get("host") or "this machine"
        return f"{host}/{url.database}"


def parse(url: str) -> URL:
    """Read a URL; one that is wrong is never repeated in the error's words, because it may hold a password."""
    try:
        made = make_url(url.strip())
    except (ArgumentError, ValueError) as error:
        raise _no_url() from error
    if made.drivername not in ("postgres", "postgresql", DRIVER) or not made.database:
        raise _no_url()
    hidden = [made.query[name] for name in _SECRETS if name in made.query]
    if hidden and made.password is None:
        made = made.set(password=str(hidden[0]))
    return made.difference_update_query(_SECRETS)


def plain(url: str) -> str:
    """Return a URL without its password, as it may be written down."""
    u = parse(url)
    made = URL.create("postgresql", u.username, None, u.host, u.port, u.database, u.query)
    return made.render_as_string(hide_password=False)


def with_password(url: str, password: str) -> str:
    """Return a URL with a password that was typed beside it; without one, as it is."""
    made = parse(url)
    if password:
        made = made.set(password=password)
    return made.render_as_string(hide_password=False)


def _no_url() -> UsageError:
    return UsageError(
        "This is not the URL of a PostgreSQL database.", "Write postgresql://user@host/database, for example."
    )
