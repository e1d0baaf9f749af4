"""A look at an image of a study that reads a few bytes: where its voxels lie, and whether it is the file it was."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.nifti import grid_of
from napari_penumbra.imaging.raw import COPY_AGAIN, technical, unreadable

_FIRST = 4096
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Peek:
    """What the first and last bytes of a file say.

    Attributes
    ----------
    grid
        The file's own grid.
    content
        Changes with the voxels and the header, and with nothing else: a file that was copied or touched is the same.
    """

    grid: Grid
    content: str


def peek(path: Path) -> Peek:
    """Look at a NIfTI file.

    Of a gzipped file the last 8 bytes are a checksum and the length of what is packed, so that its content has a name
    without being read. A plain file has no such thing; there the time of its last change stands for the voxels.

    Raises
    ------
    ImageError
        Missing, unreadable, or no image.
    """
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST)
            size = file.seek(0, 2)
            file.seek(max(0, size - 8))
            last = file.read(8)
        stamp = b"" if first[:2] == _GZIP else str(path.stat().st_mtime_ns).encode()
    except FileNotFoundError as error:
        raise ImageError(f"{path.name} is gone.", "Put it back from a backup, or mark it as missing.") from error
    except OSError as error:
        raise ImageError(
            f"{path.name} cannot be opened.", "Check its permissions and that the disk or share is connected.",
            technical(error, path),
        ) from error  # fmt: skip
    if not size:
        raise ImageError(f"{path.name} is empty (0 bytes).", COPY_AGAIN)
    head = first
    if first[:2] == _GZIP:
        try:
            head = zlib.decompressobj(wbits=31).decompress(first, 544)
        except zlib.error as error:
            raise unreadable(path, error) from error
    digest = hashlib.blake2b(first + last + stamp + str(size).encode(), digest_size=16)
    return Peek(grid_of(path, head), digest.hexdigest())
