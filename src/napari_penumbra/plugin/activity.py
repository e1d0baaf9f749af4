"""The reader's active seconds: time between acts, without the pauses."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_SECONDS = 20.0
"""A longer gap between two acts is a pause and does not count (as RootPainter counts)."""


class ActiveSeconds:
    """Adds up the time between acts (strokes, slice changes, camera moves).

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._seconds = 0.0

    def start(self) -> None:
        """Begin anew: a case has just been shown."""
        self._last = self._clock()
        self._seconds = 0.0

    def act(self) -> None:
        """The reader did something."""
        now = self._clock()
        gap = now - self._last
        if 0 < gap <= PAUSE_SECONDS:
            self._seconds += gap
        self._last = now

    def take(self) -> None:
        """Start the count from 0 because it was written down; the gap that runs now is not lost."""
        self._seconds = 0.0

    def give_back(self, seconds: float) -> None:
        """Count seconds again that were taken and then not written down."""
        self._seconds += seconds

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._seconds
