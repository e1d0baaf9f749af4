"""Tell a running training what the pool is now; its worker looks between two validations."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from napari_penumbra.domain.pool import POOL_FILE, pool_to_text
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.imaging.atomic import write_text


def offer(folder: Path, cases: Sequence[SpecCase]) -> bool:
    """Write a run's ``pool.json`` if it is news.

    Parameters
    ----------
    folder
        The run's folder.
    cases
        The whole pool, as a new run would be ordered with.

    Returns
    -------
    bool
        Whether anything was written.

    Raises
    ------
    DiskError
        The file cannot be written; the one before is untouched.
    """
    text = pool_to_text(cases)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if (folder / POOL_FILE).read_text(encoding="utf-8") == text:
            return False
    write_text(folder / POOL_FILE, text)
    return True
