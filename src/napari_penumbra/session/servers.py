"""Addresses of team servers that were used on this machine, to choose from; never with a password."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.session.reader_name import file_of_name
from napari_penumbra.study.team.address import VARIABLE, plain

_KEPT = 5
_LONGEST_FILE = 10_000


def file_of_servers() -> Path:
    """Where the addresses are remembered on this machine."""
    return file_of_name().with_name("servers.txt")


def known_servers() -> list[str]:
    """Addresses to choose from: the environment's, then those used before, the newest first."""
    lines = [os.environ.get(VARIABLE, "")]
    with suppress(OSError, ValueError):
        file = file_of_servers()
        if file.stat().st_size <= _LONGEST_FILE:
            lines += file.read_text(encoding="utf-8").splitlines()
    found: list[str] = []
    for line in lines:
        with suppress(Exception):  # an odd line is not worth a failure
            found.append(plain(line))
    return list(dict.fromkeys(found))


def remember_server(url: str) -> None:
    """Put an address first among those to choose from, without its password; a full disk is no reason to fail."""
    first = plain(url)
    with suppress(Exception):
        file = file_of_servers()
        file.parent.mkdir(parents=True, exist_ok=True)
        known = [first, *(other for other in known_servers() if other != first)]
        write_text(file, "".join(f"{line}\n" for line in known[:_KEPT]))
