"""Switches of the window that are remembered on this machine: each a small file in the user's settings folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_penumbra.imaging.atomic import disk_error, write_text

PREDICT_AHEAD = "predict-ahead"
SHOW_RANGE = "show-range"


def _file(name: str) -> Path:
    return Path(platformdirs.user_config_dir("napari-penumbra", appauthor=False)) / f"{name}.txt"


def remembered(name: str) -> bool:
    """Whether a switch is on: as switched last on this machine, at first yes."""
    with suppress(OSError, UnicodeDecodeError):
        return _file(name).read_text(encoding="utf-8").strip() != "off"
    return True


def remember(name: str, on: bool) -> None:
    """Remember a switch on this machine; raises `DiskError` in words."""
    file = _file(name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(file, error) from error
    write_text(file, "on" if on else "off")
