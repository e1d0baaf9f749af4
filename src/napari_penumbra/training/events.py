"""The worker's voice: ``events.jsonl``, one `Progress` per line, on disk as soon as it is said."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from napari_penumbra.domain.progress import Progress

Tell = Callable[[Progress], None]


class EventLog:
    """Appends events to a run's file.

    A full disk must not end a training that could still be saved elsewhere or go on: an event that cannot be written
    is dropped; what matters (checkpoints, predictions) raises by itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._close_torn_line()

    def __call__(self, event: Progress) -> None:
        """Append one event."""
        # Opened for each line: the file may be on a share, copied or looked at by another program meanwhile.
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(event.to_line() + "\n")
            file.flush()

    def _close_torn_line(self) -> None:
        """End the half line that a killed worker may have left, so that the next event stands on its own."""
        with contextlib.suppress(OSError), self.path.open("r+b") as file:
            if file.seek(0, 2) == 0:
                return
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
