"""Which of several workers predicts which case: told by files in the run's folder, which is all that they share.

``shares/<attempt>/`` belongs to workers that were started together: ``<number>.claim`` is made by the worker that takes
the case with that number, ``<rank>.jsonl`` is what a worker says, ``<rank>.alive`` it rewrites every few seconds, and
``<rank>.done`` says that it has left in order. Claims of an earlier attempt, whose workers are gone, count no more;
what those workers said does.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.imaging.atomic import disk_error, write_text

FOLDER = "shares"
ALIVE_SECONDS = 5.0
LOST_SECONDS = 120.0
"""Silence of a worker after which it counts as gone; some shared disks show a new file only after a minute."""


class Shares:
    """The files of one worker and its fellows.

    Parameters
    ----------
    run
        The run's folder.
    attempt
        Names what was started together: the same for all of these workers, and another one after a restart.
    rank, size
        Number of this worker, from 0, and how many there are.
    """

    def __init__(self, run: Path, attempt: str, rank: int, size: int) -> None:
        self.run, self.rank, self.size = run, rank, size
        self.home = run / FOLDER / attempt
        self._ended = threading.Event()
        self._seen: dict[int, tuple[str, float]] = {}
        self._read: dict[Path, int] = {}
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(self.home, error) from error

    # ------------------------------------------------------------- cases

    def claim(self, number: int) -> bool:
        """Take a case; False when a fellow has it. Only one of all that try gets it, on a shared disk as well."""
        try:
            os.close(os.open(self.home / f"{number}.claim", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        except OSError as error:
            raise disk_error(self.home, error) from error
        return True

    # ------------------------------------------------------------- words

    def say(self, event: Progress) -> None:
        """Leave an event for the first worker, who passes it on."""
        path = self.home / f"{self.rank}.jsonl"
        try:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(event.to_line() + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(path, error) from error

    def news(self) -> list[Progress]:
        """What all workers have left since the last call; of earlier attempts, the cases that they have predicted."""
        events: list[Progress] = []
        for path in sorted((self.run / FOLDER).glob("*/*.jsonl")):
            start = self._read.get(path, 0)
            with contextlib.suppress(OSError), path.open("rb") as file:
                file.seek(start)
                data = file.read()
                whole = data[: data.rfind(b"\n") + 1]
                self._read[path] = start + len(whole)
                events += [e for e in _events(whole) if path.parent == self.home or e.kind is Kind.CASE_DONE]
        return events

    def told(self) -> set[str]:
        """Cases of which the run's own file says that they are predicted."""
        return _done(self.run / "events.jsonl")

    def known(self) -> set[str]:
        """Cases that are predicted already, by whom and when ever: told, or left to be told."""
        left = (self.run / FOLDER).glob("*/*.jsonl")
        return self.told().union(*(_done(path) for path in left))

    # ------------------------------------------------------------- fellows

    def start(self) -> None:
        """Begin to say, in a thread, that this worker lives."""
        threading.Thread(target=self._live, name="alive", daemon=True).start()

    def leave(self, failed: bool = False) -> None:
        """Say that this worker has left: all it wanted to say is said."""
        self._ended.set()
        write_text(self.home / f"{self.rank}.done", "failed" if failed else "")

    def _live(self) -> None:
        count = 0
        while not self._ended.is_set():
            count += 1
            with contextlib.suppress(Exception):
                write_text(self.home / f"{self.rank}.alive", str(count))
            self._ended.wait(ALIVE_SECONDS)

    def at_work(self, patience: float = LOST_SECONDS) -> list[int]:
        """Fellows that have not left.

        Parameters
        ----------
        patience
            Seconds of silence after which one counts as gone.

        Raises
        ------
        JobError
            One is gone without leaving, or has failed.
        """
        working = []
        for rank in range(self.size):
            left = self.home / f"{rank}.done"
            if rank == self.rank:
                continue
            if not left.exists():
                self._miss(rank, patience)
                working.append(rank)
            elif left.read_text(encoding="utf-8") == "failed":
                raise JobError(
                    f"Process {rank + 1} of {self.size} has failed; the log says why.",
                    "Resume the prediction: the cases that are done stay done.",
                )
        return working

    def _miss(self, rank: int, patience: float) -> None:
        said = ""
        with contextlib.suppress(OSError):
            said = (self.home / f"{rank}.alive").read_text(encoding="utf-8")
        before, at = self._seen.setdefault(rank, (said, time.monotonic()))
        if before != said:
            self._seen[rank] = (said, time.monotonic())
        elif time.monotonic() - at > patience:
            raise JobError(
                f"Process {rank + 1} of {self.size} is gone: ended from outside, or out of reach.",
                "Resume the prediction: the cases that are done stay done, and its case is predicted anew.",
            )


def _done(path: Path) -> set[str]:
    try:
        data = path.read_bytes()
    except OSError:
        return set()
    return {event.case for event in _events(data) if event.kind is Kind.CASE_DONE}


def _events(data: bytes) -> Iterator[Progress]:
    for line in data.splitlines():
        # A killed worker leaves half a line.
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            yield Progress.from_line(line.decode("utf-8", errors="replace"))
