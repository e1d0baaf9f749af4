"""A number for each place where somebody reads: tells whose unsaved strokes are whose. It names nobody."""

from __future__ import annotations

import secrets
import string
from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.study.layout import slug_of

_LENGTH = 8


def folder_of(reader: str, number: str) -> str:
    """Name the folder of a place's unsaved strokes in a case's journal folder."""
    return f"{slug_of(reader)[:40]}-{number}"


def file_of_seat() -> Path:
    """Where the number is kept on this machine, for this user."""
    return Path(platformdirs.user_config_dir("napari-penumbra", appauthor=False)) / "seat.txt"


def seat() -> str:
    """Return this machine's and user's number, eight hexadecimal digits; made at the first call.

    Where it cannot be kept, every call gives another one: strokes of a crash are then found only by
    ``penumbra team release``.
    """
    file = file_of_seat()
    with suppress(OSError, UnicodeDecodeError):
        found = file.read_text(encoding="ascii").strip()
        if len(found) == _LENGTH and set(found) <= set(string.hexdigits.lower()):
            return found
    made = secrets.token_hex(_LENGTH // 2)
    with suppress(Exception):  # a folder that cannot be written to is no reason not to read
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, made)
    return made
