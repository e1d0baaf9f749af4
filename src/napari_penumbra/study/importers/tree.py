"""The files of a folder and of everything in it, by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.files import suffix_of
from napari_penumbra.study.importers.folder import natural

MOST = 200_000
"""Files that are looked at; more are no data set but a whole disk."""
_DEEPEST = 12


def files(root: Path) -> list[str]:
    """Names of all files under a folder, relative to it, with ``/``; hidden ones and what macOS adds are left out.

    Raises
    ------
    UsageError
        The folder is missing or cannot be read, or holds far too many files.
    """
    if not root.is_dir():
        raise UsageError(f"The folder {root} does not exist.", "Name a folder that holds the files.")
    found = []
    try:
        for name in _walk(root, "", 0):
            found.append(name)
            if len(found) > MOST:
                raise UsageError(f"{root} holds more than {MOST:,} files.", "Name the data set's own folder.")
    except OSError as error:
        raise UsageError(f"The folder {root} cannot be read.", "Check its permissions.", repr(error)) from error
    return found


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: natural(entry.name))
    for entry in ordered:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir(follow_symlinks=depth == 0):  # a link deeper down may lead round in a circle
            if depth < _DEEPEST:
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", depth + 1)
        else:
            yield prefix + entry.name


def image_files(root: Path) -> list[str]:
    """Those of `files` whose name says image; the voxel half of a pair counts with its header."""
    return [name for name in files(root) if is_image(name)]


def is_image(name: str) -> bool:
    """Whether a name ends like an image."""
    suffix = suffix_of(Path(name.rsplit("/", 1)[-1]))
    return bool(suffix) and not suffix.startswith(".img")
