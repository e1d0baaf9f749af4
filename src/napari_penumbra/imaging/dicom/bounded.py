"""Parses a DICOM file without ever asking for more memory than the file is long.

An element says how long it is before it comes. pydicom asks for that many bytes at once, and a damaged header can ask
for 4 GB of a file of a few kB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO


class Bounded:
    """A file whose ``read`` never asks for more than is left."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.name = ""  # pydicom keeps it, and it may name a patient

    def read(self, count: int = -1) -> bytes:
        """Read at most what is left."""
        left = max(0, self._size - self._file.tell())
        return self._file.read(left if count < 0 else min(count, left))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go somewhere."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()


def parse(path: Path, **how: Any) -> Any:
    """Parse a file by ``pydicom.dcmread`` with its options."""
    import pydicom

    with path.open("rb") as file:
        return pydicom.dcmread(Bounded(file, path.stat().st_size), **how)
