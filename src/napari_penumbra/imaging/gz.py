"""Gzip by the fastest library at hand: ISA-L where its wheel is installed, Python's own elsewhere.

Both write and read the same format and check the same checksum. ISA-L packs a scan about five times as fast at level 1
and unpacks twice as fast (`benchmarks/importing.py`), which is most of the time that an import takes; it exists for
x86-64 and 64-bit ARM only, so nothing may depend on it.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, Any


def _fast() -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        from isal import igzip, isal_zlib
    except ImportError:  # no wheel for this machine
        return gzip, ()
    errors: tuple[Any, ...] = (isal_zlib.error,)
    return igzip, errors


_library, _errors = _fast()
BROKEN: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error, *_errors)
"""What either library raises for data that does not add up; a stream that ends too early is `EOFError`."""
_LEVEL = 1
"""Fast: label maps shrink as well at any level, scans hardly better, and the reader waits for this."""


def reading(path: Path) -> IO[bytes]:
    """Open a gzipped file for reading."""
    opened: IO[bytes] = _library.open(path, "rb")
    return opened


def writing(file: IO[bytes]) -> Any:
    """Wrap a file open for writing; no name and no time goes into it, so that the same content gives the same bytes."""
    kind: Any = getattr(_library, "IGzipFile", gzip.GzipFile)
    return kind(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0)
