"""Names of what a warm prediction worker and those who ask it share: a hidden folder beside the runs.

``runs/.warm-<host>/`` has ``worker.json state.json idle queue/<time>-<run> leave leave-now log.txt lock``. A request is
an ordinary prediction run, prepared as always; a file in ``queue`` names it. Every machine has a worker of its own.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

QUEUE, IDLE, STATE = "queue", "idle", "state.json"
LEAVE, LEAVE_NOW = "leave", "leave-now"
"""The first: go when nothing is left to do. The second: go at once."""
IDLE_SECONDS = 600.0


def warm_home(runs: Path) -> Path:
    """Folder of this machine's warm worker in a study's ``runs``."""
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:60] or "here"
    return runs / f".warm-{host}"


@dataclass(frozen=True, slots=True)
class WarmState:
    """What a warm worker says of itself.

    Attributes
    ----------
    program
        Version of the program it runs.
    pid
        Its process.
    model
        Run whose model it holds, empty while it holds none.
    device
        ``cpu``, ``cuda:0`` …
    loads, served
        How often it has loaded a model; how many requests it has answered.
    """

    program: str = ""
    pid: int = 0
    model: str = ""
    device: str = ""
    loads: int = 0
    served: int = 0

    def to_text(self) -> str:
        """Contents of the file."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, home: Path) -> WarmState:
        """Read the file; all empty when there is none."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return cls(**json.loads((home / STATE).read_text(encoding="utf-8")))
        return cls()
