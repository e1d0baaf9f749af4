"""What this computer has to train with, seen from a process that must not import torch."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

TORCH_SECONDS = 90
TORCH_PROBE = (
    "import json, torch; c = torch.cuda.is_available(); m = torch.backends.mps.is_available(); "
    "print(json.dumps({'cuda': c, 'mps': m, 'built': torch.version.cuda, "
    "'card': torch.cuda.get_device_name(0) if c else '', "
    "'bytes': torch.cuda.get_device_properties(0).total_memory if c else 0}))"
)
"""Program for a process of its own: a broken driver may hang or crash the one that asks."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a training could run on.

    Attributes
    ----------
    cores
        Processor cores that this program may use.
    memory_bytes
        Main memory in all.
    card
        Name of the graphics card that torch can use, empty without one.
    card_bytes
        Its memory.
    """

    cores: int
    memory_bytes: int
    card: str = ""
    card_bytes: int = 0

    @property
    def cuda(self) -> bool:
        """Whether torch can compute on a graphics card."""
        return bool(self.card)


def cores() -> int:
    """Count the processor cores that this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def card_likely() -> bool:
    """Whether there is a sign of a graphics card that torch could use: its tool or its device file."""
    return shutil.which("nvidia-smi") is not None or any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/kfd"))


@functools.lru_cache(maxsize=4)
def look(python: str = sys.executable) -> Machine:
    """Look at this computer, once a process.

    Milliseconds where nothing hints at a graphics card; seconds where torch has to be asked in a process of its own. A
    card that torch cannot use does not count.

    Parameters
    ----------
    python
        Interpreter that has torch.
    """
    name, size = _ask_torch(python) if card_likely() else ("", 0)
    return Machine(cores(), int(psutil.virtual_memory().total), name, size)


def _ask_torch(python: str) -> tuple[str, int]:
    """Name and memory of the card that torch can use; nothing when it cannot, or does not answer."""
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError, TypeError, subprocess.SubprocessError):
        done = subprocess.run(
            [python, "-c", TORCH_PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TORCH_SECONDS,
            check=False,
        )
        told = json.loads(done.stdout.strip().splitlines()[-1])
        if told["cuda"]:
            return str(told["card"]) or "CUDA card", int(told["bytes"])
    return "", 0
