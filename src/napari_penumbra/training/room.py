"""Room on the study's disk: a training ends in order while its checkpoint still fits."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from napari_penumbra.domain.diagnosis import DIAGNOSES, Finding

_SECONDS = 5.0
"""Between two looks: asking costs 10 µs on a disk and much more on a share."""


class Room:
    """Says when a disk is nearly full.

    Parameters
    ----------
    folder
        Where checkpoints go; it need not exist yet.
    reserve
        Bytes that are left to the reader.
    checkpoint
        Bytes that a checkpoint takes.

    Attributes
    ----------
    short
        What the last look found.
    """

    def __init__(self, folder: Path, reserve: int, checkpoint: int) -> None:
        self.folder = next(p for p in (folder, *folder.parents) if p.exists())
        self.reserve = reserve
        self.checkpoint = checkpoint
        self.short = False
        self._next = 0.0

    def look(self) -> bool:
        """Look every few seconds; True when less is free than the reserve and two checkpoints."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS
            self.short = self.free() < self._wanted
        return self.short

    @property
    def _wanted(self) -> int:
        return self.reserve + 2 * self.checkpoint

    def finding(self) -> Finding:
        """Say how little is left."""
        return DIAGNOSES["disk"].found(free=_size(self.free()), wanted=_size(self._wanted))

    def fits(self) -> bool:
        """Whether a checkpoint can be written without filling the disk."""
        return self.free() > 1.1 * self.checkpoint

    def free(self) -> int:
        """Bytes that may still be written; very many when the system does not say."""
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self.folder).free
        return 1 << 62


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes that tensors take in a file."""
    return sum(t.numel() * t.element_size() for t in tensors)


def _size(count: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e6:.0f} MB"
