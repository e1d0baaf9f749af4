"""One writer at a time: who holds a study, and taking it."""

from __future__ import annotations

import getpass
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from napari_penumbra.domain.errors import DiskError, StudyLockedError
from napari_penumbra.imaging import atomic


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a study. ``since`` is seconds since 1970."""

    user: str
    host: str
    pid: int
    since: float

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"{self.user} on {self.host} (process {self.pid}) since {when}"

    @property
    def gone(self) -> bool:
        """Whether the process is known to have ended; never true of another machine, which cannot be asked."""
        if self.host != platform.node():
            return False
        try:
            # A process that started after the lock was taken has merely been given the same number.
            return psutil.Process(self.pid).create_time() > self.since + 1
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


def read_owner(path: Path) -> Owner | None:
    """Read ``writer.json``; None when there is none or it cannot be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Owner(str(data["user"]), str(data["host"]), int(data["pid"]), float(data["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def current_user() -> str:
    """Name of whoever runs the program; a container without a user list has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


class WriterLock:
    """The right to write to a study, held until `release` or the end of the process.

    The operating system's file lock decides; the JSON beside it only says who. The JSON left behind without the lock
    tells the next opener that the last writer did not close (`unclean`).

    Raises
    ------
    StudyLockedError
        Somebody else has it; the message names who.
    DiskError
        The folder cannot be written to.
    """

    def __init__(self, lock: Path, owner: Path) -> None:
        self._owner = owner
        # The lock is released by whichever thread closes the study.
        self._lock = FileLock(lock, thread_local=False)
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            who = read_owner(owner)
            raise StudyLockedError(
                f"The study {lock.parent} is being written by {who or 'another window'}.",
                "Close it there, or go on here with reading only.",
            ) from error
        except OSError as error:
            raise DiskError(
                f"The folder {lock.parent} cannot be written to.", "Open the study for reading only.", repr(error)
            ) from error
        self.unclean = owner.exists()
        try:
            me = Owner(current_user(), platform.node(), os.getpid(), time.time())
            atomic.write_text(owner, json.dumps(asdict(me)) + "\n")
        except BaseException:
            self._lock.release()
            raise

    def release(self, *, clean: bool = True) -> None:
        """Give the study back. ``clean=False`` leaves word that the next opener should look for orphans."""
        if not self._lock.is_locked:
            return
        if clean:
            with suppress(OSError):
                self._owner.unlink()
        self._lock.release()
