"""Undo and redo of one case's labels, kept apart from every other case and bounded in megabytes.

napari keeps a hundred undo items per layer, however large, and loses them with the layer. Here a step is the voxels
that changed, packed: a stroke of the brush costs about a hundred bytes, a change of three million voxels well below a
megabyte. The steps belong to the case, not to the layer: they outlive a save, another layer being picked, and the
case being left and opened again, as long as its voxels are the same then.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box

MEGABYTE = 1 << 20
CASE_BYTES = 64 * MEGABYTE
"""Undo memory of one case; the oldest steps are forgotten first, the newest never."""
ALL_BYTES = 256 * MEGABYTE
"""Undo memory of all cases that were open in this session; the case that was left longest ago is forgotten first."""
_OVERHEAD = 200


@dataclass(frozen=True, slots=True)
class Change:
    """Voxels that changed inside a box: which ones, and their values before and after (all deflated)."""

    box: Box
    where: bytes
    before: bytes
    after: bytes

    @classmethod
    def of(cls, box: Box, before: LabelArray, after: LabelArray) -> Change:
        """Pack what differs between two uint8 arrays of the box's shape."""
        changed = before != after
        return cls(box, _pack(np.packbits(changed)), _pack(before[changed]), _pack(after[changed]))

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return len(self.where) + len(self.before) + len(self.after) + _OVERHEAD

    def write(self, labels: LabelArray, *, before: bool) -> None:
        """Write the values from before (or after) the change into the case's labels, (z, y, x)."""
        part = labels[tuple(slice(a, b) for a, b in zip(*self.box, strict=True))]
        bits = np.unpackbits(_unpack(self.where), count=part.size).astype(bool).reshape(part.shape)
        part[bits] = _unpack(self.before if before else self.after)


Step = tuple[Change, ...]
"""What one undo takes back: a stroke, reported in one piece or in several."""


class History:
    """Steps of one case that can be taken back, and those that were."""

    def __init__(self, limit: int = CASE_BYTES) -> None:
        self._limit = limit
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._open: list[Change] = []
        self.nbytes = 0

    def __len__(self) -> int:
        """Return how many steps can be taken back."""
        return len(self._done)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back; the one that is being made will be one."""
        return bool(self._done or self._open)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._undone)

    def add(self, box: Box, before: LabelArray, after: LabelArray) -> None:
        """Add a change to the step that is being made; `close` ends it."""
        self._open.append(Change.of(box, before, after))

    def close(self) -> None:
        """End the step that is being made: it is one undo from now on, and what was taken back before is forgotten."""
        if not self._open:
            return
        self._forget(self._undone)
        self._undone = []
        step = tuple(self._open)
        self._open = []
        self._done.append(step)
        self.nbytes += _size(step)
        while self.nbytes > self._limit and len(self._done) > 1:
            self._forget([self._done.popleft()])

    def drop_open(self) -> None:
        """Forget the step that is being made: its stroke was called off."""
        self._open = []

    def undo(self, labels: LabelArray) -> Box | None:
        """Take the last step back; returns the box that it touched, None when there is none."""
        if not self._done:
            return None
        step = self._done.pop()
        for change in reversed(step):
            change.write(labels, before=True)
        self._undone.append(step)
        return union(change.box for change in step)

    def redo(self, labels: LabelArray) -> Box | None:
        """Do the step again that was taken back last; returns its box, None when there is none."""
        if not self._undone:
            return None
        step = self._undone.pop()
        for change in step:
            change.write(labels, before=False)
        self._done.append(step)
        return union(change.box for change in step)

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone, self._open, self.nbytes = [], [], 0

    def _forget(self, steps: Iterable[Step]) -> None:
        self.nbytes -= sum(_size(step) for step in steps)


class Shelf:
    """Histories of the cases that were left, each with a fingerprint of the voxels that it belongs to.

    Parameters
    ----------
    limit
        Bytes of all of them together.
    """

    def __init__(self, limit: int = ALL_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, tuple[History, int]] = OrderedDict()

    def put(self, key: Hashable, history: History, labels: LabelArray) -> None:
        """Keep the history of a case that is being left."""
        history.drop_open()
        if not (history.can_undo or history.can_redo):
            self._kept.pop(key, None)
            return
        self._kept[key] = (history, fingerprint(labels))
        self._kept.move_to_end(key)
        while sum(kept.nbytes for kept, _ in self._kept.values()) > self._limit and len(self._kept) > 1:
            self._kept.popitem(last=False)

    def take(self, key: Hashable, labels: LabelArray) -> History:
        """Return the history of a case that is opened: its own if the voxels are the ones it was left with, else anew.

        A history of other voxels (a second reading was accepted, the case was partly reset) would put old values
        beside new ones, so it is forgotten.
        """
        history, mark = self._kept.pop(key, (None, 0))
        return history if history is not None and mark == fingerprint(labels) else History()


def fingerprint(labels: LabelArray) -> int:
    """Checksum of all voxels and their arrangement (30 million voxels: about 20 ms)."""
    return zlib.crc32(np.ascontiguousarray(labels).data, zlib.crc32(str(labels.shape).encode()))


def union(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around some boxes."""
    corners = np.array(list(boxes))
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))


def _size(step: Step) -> int:
    return sum(change.nbytes for change in step)


def _pack(values: npt.NDArray[np.uint8]) -> bytes:
    return zlib.compress(values.tobytes(), 1)


def _unpack(packed: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(packed), np.uint8)
