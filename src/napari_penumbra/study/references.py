"""Labels that are kept apart from training: the truth of test cases, for ``penumbra evaluate`` only."""

from __future__ import annotations

import os
from pathlib import Path

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.journal import sync_folder
from napari_penumbra.study.layout import slug_of

REFERENCE = "reference"
"""Folder inside a study with true labels, named by case; training never sees it."""
STAGED = "reference.nii.gz"
"""Name of such a file in the staging folder of its case."""


def check_name(name: str) -> None:
    """Raise `UsageError` for a case whose name cannot be the name of its reference file."""
    if slug_of(name) != name:
        raise UsageError(
            f'"{name}" cannot be the name of a reference file.', "Use letters, digits, dots, dashes and underscores."
        )


def place(root: Path, staged: Path, name: str) -> None:
    """Move a finished reference out of the staging folder; before the case has a row, so that no case lacks its own."""
    folder = root / REFERENCE
    folder.mkdir(exist_ok=True)
    os.replace(staged / STAGED, folder / f"{name}.nii.gz")
    sync_folder(folder)
