"""Write a file whole or not at all, and say in words why it could not be written.

Every file of a study goes through `replace_into`: written under a temporary name in the same folder, synced, renamed.
A crash, a full disk or a killed process leaves the old file as it was, plus at most one temporary file that
`is_temporary` recognises and the sweep of a study removes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from napari_penumbra.domain.errors import DiskError

_PREFIX = ".penumbra-tmp-"
# Windows refuses to replace a file that a virus scanner or indexer holds open for a moment.
_REPLACE_TRIES = 6 if sys.platform == "win32" else 1


def is_temporary(path: Path) -> bool:
    """Whether a file is a leftover of a write that never finished."""
    return path.name.startswith(_PREFIX)


@contextlib.contextmanager
def replace_into(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; when the block ends well, it takes the place of ``path`` in one step.

    The temporary name lies in the same folder (a rename across disks is a copy) and ends like ``path``, for libraries
    that choose a format by the name. When the block raises, the temporary file is removed and ``path`` is untouched.

    Parameters
    ----------
    path
        Where the file shall be. Its folder must exist.

    Raises
    ------
    DiskError
        When the operating system refuses to write, sync or rename.
    """
    # The tail only: a long case name plus the prefix could exceed the 255 bytes that file systems allow.
    temporary = path.with_name(f"{_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}-{path.name[-40:]}")
    try:
        yield temporary
        _sync_file(temporary)
        _replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all; raises `DiskError` in words."""
    with replace_into(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with line feeds as line ends, whole or not at all; raises `DiskError` in words."""
    write_bytes(path, text.encode("utf-8"))


def disk_error(path: Path, error: OSError) -> DiskError:
    """Turn what the operating system says about writing ``path`` into a sentence and a way on."""
    name = path.name
    details = f"{type(error).__name__} {errno.errorcode.get(error.errno or 0, error.errno)}: {error.strerror}"
    untouched = "What was saved before is untouched."
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return DiskError(
                f"The disk is full: {name} was not saved.", f"Free some space and save again. {untouched}", details
            )
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return DiskError(
                f"{name} was not saved: its folder cannot be written to.",
                f"Check the permissions of the folder or copy the study to another place. {untouched}",
                details,
            )
        case errno.ENOENT | errno.ENOTDIR:
            return DiskError(
                f"{name} was not saved: its folder is gone.",
                "Check that the disk or network share is still connected, then save again.",
                details,
            )
        case errno.ENAMETOOLONG:
            return DiskError(f"{name[:60]}… was not saved: the name is too long.", "Give it a shorter name.", details)
        case _:
            return DiskError(
                f"{name} was not saved: the disk did not accept it.",
                f"Check that the disk or network share is still connected, then save again. {untouched}",
                details,
            )


def _sync_file(path: Path) -> None:
    # r+: Windows syncs only handles that may write.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _replace(temporary: Path, path: Path) -> None:
    for attempt in range(_REPLACE_TRIES):
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            if attempt == _REPLACE_TRIES - 1:
                raise
            time.sleep(0.05 * (attempt + 1))


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut. Windows cannot open folders and some shares cannot sync them."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
