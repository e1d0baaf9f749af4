"""Bytes of a file as stored, whether it is gzipped or not: what NIfTI and Analyze files are read by."""

from __future__ import annotations

from pathlib import Path

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.imaging import gz
from napari_penumbra.imaging.raw import COPY_AGAIN, DEFLATE_RATIO, check_size, truncated

_GZIP_MAGIC = b"\x1f\x8b"
_READ_STEP = 1 << 20


def head_of(path: Path) -> bytes:
    """First 544 bytes of a file, unpacked when it is gzipped. Raises `ImageError` for a broken gzip."""
    with path.open("rb") as file:
        head = file.read(544)
    if head[:2] != _GZIP_MAGIC:
        return head
    return bytes(_unpack(path, 544, to_end=False))


def stored_bytes(path: Path, start: int, count: int) -> bytes | bytearray:
    """Read ``count`` bytes from ``start`` on, unpacked; refuse before allocating when the file cannot hold them."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    check_size(path, start + count, path.stat().st_size, DEFLATE_RATIO if packed else 1)
    if packed:
        return _unpack(path, count, start, to_end=True)
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(count)
    if len(data) < count:
        raise truncated(path)
    return data


def _unpack(path: Path, count: int, start: int = 0, *, to_end: bool) -> bytes | bytearray:
    """Unpack ``count`` bytes from ``start`` on; with ``to_end`` also run to the checksum: damage must not go unseen."""
    try:
        with gz.reading(path) as file:
            while start > 0 and (skipped := len(file.read(min(start, _READ_STEP)))):
                start -= skipped
            if not to_end:
                return file.read(count)
            # Step by step: asked for all at once, gzip holds it twice.
            data, got = bytearray(count), 0
            while got < count and (step := file.read(min(_READ_STEP, count - got))):
                data[got : got + len(step)] = step
                got += len(step)
            if got < count:
                raise truncated(path)
            while file.read(_READ_STEP):
                pass
    except EOFError as error:
        raise truncated(path, error) from error
    except gz.BROKEN as error:
        raise ImageError(
            f"{path.name} is damaged: its compressed data does not add up.", COPY_AGAIN, type(error).__name__
        ) from error
    return data
