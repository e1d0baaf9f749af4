"""The reader's own keys on disk: a small JSON file in the user's settings folder, read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from qtpy.QtGui import QKeySequence

from napari_penumbra.imaging.atomic import disk_error, write_text

_LARGEST = 100_000
_LONGEST = 100
_VERSION = 1


def keys_file() -> Path:
    """Return the file of whoever runs this."""
    return Path(platformdirs.user_config_path("napari-penumbra", appauthor=False)) / "shortcuts.json"


def read_keys(file: Path) -> dict[str, str]:
    """Read keys by action name; whatever is missing, damaged or no key is left out: a window must open without it."""
    try:
        if file.stat().st_size > _LARGEST:
            return {}
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    keys = told.get("keys") if isinstance(told, dict) and told.get("version") == _VERSION else None
    return {name: text for name, text in keys.items() if _is_key(text)} if isinstance(keys, dict) else {}


def write_keys(file: Path, keys: Mapping[str, str]) -> None:
    """Write keys by action name, whole or not at all.

    Raises
    ------
    DiskError
        The folder cannot be written to.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(file, error) from error
    write_text(file, json.dumps({"version": _VERSION, "keys": dict(sorted(keys.items()))}, indent=1) + "\n")


def _is_key(text: object) -> bool:
    """Whether this is a key sequence in Qt's words, or empty for none."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return False
    return not text or bool(QKeySequence(text).toString().isprintable() and QKeySequence(text).count())
