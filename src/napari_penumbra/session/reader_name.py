"""What a reader is called in the study. Nobody's name unless the reader sets one: a login name may be a person's."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.study.readings import checked_name

NEUTRAL = "reader"
"""Author of annotations until the reader chooses another name."""
VARIABLE = "PENUMBRA_READER"
"""Environment variable that sets the name for one program, on a machine that several readers share."""
_LONGEST_FILE = 1000


def file_of_name() -> Path:
    """Where the name is remembered on this machine."""
    return Path(platformdirs.user_config_dir("napari-penumbra", appauthor=False)) / "reader.txt"


def reader_name() -> str:
    """Return the name that was set last on this machine, else the neutral one."""
    with suppress(Exception):  # a name is not worth a failure: whatever is odd about it, the neutral one is right
        return checked_name(os.environ[VARIABLE])
    with suppress(Exception):
        file = file_of_name()
        if file.stat().st_size <= _LONGEST_FILE:
            return checked_name(file.read_text(encoding="utf-8"))
    return NEUTRAL


def remember(name: str) -> str:
    """Remember a reader's name on this machine; the empty text goes back to the neutral one.

    Returns
    -------
    str
        The name as it will be written.

    Raises
    ------
    UsageError
        It is no name.
    DiskError
        It could not be written; nothing changes.
    """
    name = checked_name(name) if name.strip() else NEUTRAL
    file = file_of_name()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, name)
    return name
