"""The files of the case that comes next, read while the reader is still busy with the one before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.labels import LabelArray

MOST_BYTES = 1 << 30
"""Memory that what was read ahead may take; a case of 512x512x120 with two modalities takes 0.4 GiB. Larger cases are
read when they are opened."""

Array = TypeVar("Array", npt.NDArray[np.float32], LabelArray)
Stamp = tuple[int, int]


@dataclass(slots=True)
class ReadAhead:
    """Volumes of one case by file, each handed out once and only while its file is still the same.

    Only files that the study never changes are kept: images and predictions. Labels are read when the case is opened.
    """

    _case: str = ""
    _kept: dict[Path, tuple[Stamp, npt.NDArray[np.float32] | LabelArray]] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, case: str) -> None:
        """Keep files of this case from now on; those of any other are forgotten."""
        with self._turn:
            if case != self._case:
                self._case, self._kept = case, {}

    def end(self, case: str) -> None:
        """Forget what is left of a case: it has been opened."""
        with self._turn:
            if case == self._case:
                self._case, self._kept = "", {}

    def prepare(self, case: str, path: Path, read: Callable[[], npt.NDArray[np.float32] | LabelArray]) -> None:
        """Read a file of the case that was begun, unless it is there already or the memory is used up."""
        stamp = _stamp(path)
        with self._turn:
            if case != self._case or self._kept.get(path, (None,))[0] == stamp:
                return
        data = read()
        with self._turn:
            kept = sum(array.nbytes for _, array in self._kept.values())
            if case == self._case and stamp is not None and kept + data.nbytes <= MOST_BYTES:
                self._kept[path] = (stamp, data)

    def take(self, path: Path, read: Callable[[], Array]) -> Array:
        """Hand out what was read ahead, or read it now."""
        with self._turn:
            stamp, data = self._kept.pop(path, (None, None))
        if data is not None and stamp == _stamp(path):
            return data  # type: ignore[return-value]  # the same file is always read in the same way
        return read()


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
