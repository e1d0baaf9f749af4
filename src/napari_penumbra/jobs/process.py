"""Which process a run belongs to, and whether it is still alive."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from napari_penumbra.imaging.atomic import write_text

FILE = "worker.json"
_CLOCK_SLACK = 2.0
"""Seconds: a start time read twice may differ a little when the machine's clock was set in between."""


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """Identity of a worker: a process number alone is reused by the system, together with the start time it is not.

    Attributes
    ----------
    pid
        Process number on ``host``.
    created
        When the process started, seconds since the epoch.
    host
        Name of the machine it runs on.
    offset
        Size of ``events.jsonl`` in bytes when it was started: what stands before belongs to an earlier process.
    folder
        The run's folder as the process knows it; empty in files of older versions. The process of a study that was
        copied works in the original, not in the copy.
    """

    pid: int
    created: float
    host: str
    offset: int = 0
    folder: str = ""

    @classmethod
    def of(cls, pid: int, offset: int = 0) -> WorkerProcess:
        """Describe a process of this machine; one that is already gone gets a start time of 0."""
        try:
            created = float(psutil.Process(pid).create_time())
        except psutil.Error:
            created = 0.0
        return cls(pid, created, socket.gethostname(), offset)

    @classmethod
    def read(cls, folder: Path) -> WorkerProcess | None:
        """Read who works in a run's folder; None if nobody was started there or the file is damaged."""
        try:
            data = json.loads((folder / FILE).read_text(encoding="utf-8"))
            pid, created, host = int(data["pid"]), float(data["created"]), str(data["host"])
            made = cls(pid, created, host, int(data.get("offset", 0)), str(data.get("folder", "")))
            return made if made._in(folder) else replace(made, created=-1.0, host=socket.gethostname())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, folder: Path) -> None:
        """Put it into the run's folder."""
        data = {"pid": self.pid, "created": self.created, "host": self.host, "offset": self.offset}
        data["folder"] = str(folder.resolve())
        write_text(folder / FILE, json.dumps(data))

    def _in(self, folder: Path) -> bool:
        """Whether it works in this folder; False for the copy of one."""
        if not self.folder or self.host != socket.gethostname():
            return True  # another machine may know the same share by another path
        with contextlib.suppress(OSError):
            return os.path.samefile(self.folder, folder)
        return False

    @property
    def here(self) -> bool:
        """Whether it was started on this machine, so that it can be looked at and ended."""
        return self.host == socket.gethostname()

    def process(self) -> psutil.Process | None:
        """Return the live process, or None when it is gone, a zombie, or another one has taken its number."""
        if not self.here:
            return None
        reap(self.pid)
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= _CLOCK_SLACK
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def reap(pid: int) -> None:
    """Let the system forget a child that has ended; nothing happens for anyone else's process."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            os.waitpid(pid, os.WNOHANG)
