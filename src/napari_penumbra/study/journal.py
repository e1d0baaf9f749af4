"""The journal of a case: every stroke since the last save, on disk before the reader lifts the next one.

File ``strokes.bin``: records one after the other, each ``MAGIC``, length and CRC-32 of the payload (little endian), and
the payload. Its first byte tells its kind: ``B`` what the strokes were painted on (see `Journal.base`), ``S`` a stroke:
six uint32 ``z0 y0 x0 z1 y1 x1`` and the box's new voxels, deflated. A record that was cut short by a crash, or damaged
later, is skipped; the next one is found by its magic.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box

MAGIC = b"\x93PNBRA\r\n"
_HEAD = struct.Struct("<8sII")
_BOX = struct.Struct("<6I")


class Journal:
    """Strokes of one case that no annotation holds yet.

    One thread may append while another clears: a save that runs beside the reader's strokes takes none of them along.

    Parameters
    ----------
    folder
        The case's journal folder; made when the first stroke comes.
    base
        What the reader paints on: ``empty``, ``r<revision>`` or ``p<prediction id>``; empty text when not known.
        Written with the first stroke.
    """

    def __init__(self, folder: Path, base: str = "") -> None:
        self.path = folder / "strokes.bin"
        self._base = base
        self._turn = threading.RLock()
        self._gone = 0  # bytes cleared so far, less those written in their place: marks outlive a clearing

    def append(self, box: Box, after: npt.NDArray[np.uint8]) -> None:
        """Put a stroke on disk; it has survived a power cut when this returns.

        Parameters
        ----------
        box
            ((z0, y0, x0), (z1, y1, x1)) in voxels, end exclusive.
        after
            uint8, of the box's shape: all its voxels after the stroke.

        Raises
        ------
        ValueError
            ``after`` does not fit the box.
        DiskError
            The disk is full or cannot be written to. Strokes written before are not affected.
        """
        (z0, y0, x0), (z1, y1, x1) = box
        if after.shape != (z1 - z0, y1 - y0, x1 - x0) or min(z0, y0, x0) < 0:
            raise ValueError(f"a stroke of shape {after.shape} does not fit the box {box}")
        values = np.ascontiguousarray(after, dtype=np.uint8)
        payload = b"S" + _BOX.pack(z0, y0, x0, z1, y1, x1) + zlib.compress(values.data, 1)
        try:
            with self._turn:
                self._append(_record(payload))
        except OSError as error:
            raise DiskError(
                f"A stroke could not be kept safe in {self.path.parent}.",
                "Make room on the disk and save the case; what is on the screen is still there.",
                details=repr(error),
            ) from error

    def _append(self, record: bytes) -> None:
        new = not self.path.exists()
        if new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._write((_record(b"B" + self._base.encode()) if new else b"") + record)
        if new:
            sync_folder(self.path.parent)
            sync_folder(self.path.parent.parent)

    def _write(self, data: bytes) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            before = os.fstat(handle).st_size
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            except OSError:
                # Half a record does no harm, but it need not stay.
                with suppress(OSError):
                    os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)

    def mark(self) -> int:
        """Where the journal ends now; give it to `clear` to keep strokes that come while a save is under way."""
        with self._turn:
            return self._gone + self._size()

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def rebase(self, base: str) -> None:
        """Say what the reader paints on from now on; it is written with the first stroke of an empty journal."""
        with self._turn:
            self._base = base

    def clear(self, upto: int | None = None, base: str | None = None) -> None:
        """Forget strokes that an annotation now holds.

        Parameters
        ----------
        upto
            A `mark` taken before the save; strokes after it are kept. None forgets all.
        base
            What the reader paints on from now on.
        """
        try:
            with self._turn:
                self._clear(upto, base)
        except OSError as error:
            raise DiskError(
                f"The journal in {self.path.parent} could not be cleared.",
                "Check that the folder may be written to; the annotation itself was saved.",
                details=repr(error),
            ) from error

    def _clear(self, upto: int | None, base: str | None) -> None:
        if base is not None:
            self._base = base
        size = self._size()
        first = size if upto is None else upto - self._gone  # of what stays; a later save may have cleared it before
        if first <= 0:
            return
        rest = b""
        if first < size:
            with self.path.open("rb") as file:
                file.seek(first)
                rest = _record(b"B" + self._base.encode()) + file.read()
            self._replace(rest)
        else:
            self.path.unlink(missing_ok=True)
        self._gone += size - len(rest)

    def _replace(self, data: bytes) -> None:
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)

    @property
    def painted_on(self) -> str:
        """What the reader paints on now: the base given last."""
        return self._base

    @property
    def base(self) -> str | None:
        """What the strokes on disk were painted on ("" if not known), or None when there is no stroke."""
        found = None
        for payload in self._payloads():
            if payload[:1] == b"B":
                found = payload[1:].decode(errors="replace")
            elif payload[:1] == b"S":
                return found or ""
        return None

    def __len__(self) -> int:
        return sum(payload[:1] == b"S" for payload in self._payloads())

    def replay(self, labels: LabelArray) -> int:
        """Paint the strokes again.

        Parameters
        ----------
        labels
            (z, y, x), changed in place. Strokes outside it (of a damaged record) are left out.

        Returns
        -------
        int
            How many strokes were brought back.
        """
        done = 0
        for payload in self._payloads():
            if payload[:1] != b"S" or len(payload) < 1 + _BOX.size:
                continue
            z0, y0, x0, z1, y1, x1 = _BOX.unpack_from(payload, 1)
            shape = (z1 - z0, y1 - y0, x1 - x0)
            if min(shape) < 0 or any(end > n for end, n in zip((z1, y1, x1), labels.shape, strict=True)):
                continue
            try:
                values = np.frombuffer(zlib.decompress(payload[1 + _BOX.size :]), dtype=np.uint8)
            except zlib.error:
                continue
            if values.size == shape[0] * shape[1] * shape[2]:
                labels[z0:z1, y0:y1, x0:x1] = values.reshape(shape)
                done += 1
        return done

    def _payloads(self) -> Iterator[bytes]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        at = data.find(MAGIC)
        while at >= 0:
            end = at + _HEAD.size
            if end <= len(data):
                _, length, crc = _HEAD.unpack_from(data, at)
                payload = data[end : end + length]
                if len(payload) == length and zlib.crc32(payload) == crc:
                    yield payload
                    at = data.find(MAGIC, end + length)
                    continue
            at = data.find(MAGIC, at + 1)


def _record(payload: bytes) -> bytes:
    return _HEAD.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut. Windows does so by itself; some shares cannot and are let be."""
    if os.name != "posix":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
