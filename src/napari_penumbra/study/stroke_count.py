"""How many strokes a reader has made, from the pieces in which the journal gets them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from napari_penumbra.domain.regions import Box

PIECE_SECONDS = 0.8
"""A stroke that goes on is journalled in pieces half a second apart (a crash then costs less), and a little air."""


class StrokeCount:
    """Counts changes of one case; pieces that follow closely upon each other and touch are one stroke.

    Two dabs on one spot within `PIECE_SECONDS` count once, too: the number is a measure of work, not a record.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._turn = threading.Lock()
        self._clock = clock
        self._last: tuple[float, Box] | None = None

    def add(self, box: Box) -> None:
        """Take in a change of the voxels in a box."""
        now = self._clock()
        with self._turn:
            if self._last is None or now - self._last[0] > PIECE_SECONDS or not _touch(self._last[1], box):
                self.count += 1
            self._last = (now, box)

    def saved(self, strokes: int) -> None:
        """Leave out strokes that a revision now holds; those made since are kept. May be called by another thread."""
        with self._turn:
            self.count = max(0, self.count - strokes)
            if self.count == 0:
                self._last = None  # what goes on now is the next revision's first


def _touch(a: Box, b: Box) -> bool:
    """Whether two boxes share a voxel or a face; ends are exclusive."""
    return all(a[0][k] <= b[1][k] and b[0][k] <= a[1][k] for k in range(3))
