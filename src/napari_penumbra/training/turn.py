"""One training at a time per device: whoever comes later waits for its turn, in order.

A graphics card has one queue for all studies of a reader. On the processor every study has its own, because two
trainings there slow each other down but do not run out of memory. A ticket belongs to a process: when that is gone,
however it ended, its ticket counts no more. Whoever starts a process draws its ticket (`reserve`), because of two
started within a second the later one may wake up first.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import platformdirs
import psutil

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.training.events import Tell

FOLDER = ".turns"
_SECONDS = 0.5
_CLOCK_SLACK = 2.0
_LOCK_SECONDS = 30.0
_RESERVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A place in the queue: ``run`` is the run's folder, ``pid`` and ``created`` its process; ``begun``: it trains."""

    number: int
    run: str
    pid: int
    created: float
    host: str
    begun: bool = False

    @property
    def stands(self) -> bool:
        """Whether its process lives, on this machine."""
        if self.host != socket.gethostname():
            return False
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= _CLOCK_SLACK
            return same and process.status() != psutil.STATUS_ZOMBIE
        return False


class Turn:
    """A run's place in the queue of a device.

    Parameters
    ----------
    run
        The run's folder.
    device
        ``cpu``, ``cuda:0`` …, as torch names it.
    """

    def __init__(self, run: Path, device: str) -> None:
        self.run = run.resolve()
        name = device.replace(":", "-")
        if device == "cpu":
            self.home = self.run.parent / FOLDER / name
        else:
            state = platformdirs.user_state_path("napari-penumbra", appauthor=False)
            self.home = state / "turns" / name
        self._ticket: Path | None = None
        self._number = 0

    def take(self, tell: Tell, stopping: Callable[[], bool]) -> bool:
        """Wait until nobody is ahead; False when a stop was asked for while waiting.

        A folder that cannot be written to is no reason not to train: then there is no queue.
        """
        with contextlib.suppress(OSError, filelock.Timeout):
            self.draw(os.getpid())
        told = 0
        while ahead := self._begin():
            if stopping():
                self.give_back()
                return False
            if len(ahead) != told:
                told = len(ahead)
                words = f"Waiting for its turn, place {told}: {Path(ahead[0].run).name} is being trained."
                tell(Progress(Kind.QUEUED, message=words, metrics={"place": float(told)}))
            time.sleep(_SECONDS)
        return True

    def give_back(self) -> None:
        """Let the next one begin."""
        if self._ticket is not None:
            with contextlib.suppress(OSError):
                self._ticket.unlink()

    def draw(self, pid: int, seconds: float = _LOCK_SECONDS) -> None:
        """Draw a ticket for this process, or take over the one that was reserved for its run.

        For another process, which has been started just now, nothing happens when its run has a ticket already.

        Parameters
        ----------
        pid
            The process that will train.
        seconds
            How long to wait for others who draw.

        Raises
        ------
        OSError, filelock.Timeout
            The queue's folder cannot be written to, or another process keeps its lock.
        psutil.Error
            There is no such process.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.home / "lock", timeout=seconds):
            known = self._tickets()
            for ticket in known:
                if not ticket.stands:
                    self._file(ticket.number).unlink(missing_ok=True)
            # By run, not by process: on Windows an environment's python is a stub that starts the real one.
            mine = [ticket for ticket in known if ticket.run == str(self.run) and ticket.stands]
            if mine and pid != os.getpid():
                return  # the worker was quicker than whoever reserves
            after_all = max((ticket.number for ticket in known), default=0) + 1
            self._number = max((ticket.number for ticket in mine if not ticket.begun), default=after_all)
            self._ticket = self._file(self._number)
            self._write(pid, begun=False)

    def _begin(self) -> list[Ticket]:
        """Take the turn if nobody is ahead; returns who is."""
        if self._ticket is None:
            return []
        try:
            # Locked: of two that see nobody ahead at the same moment only one may begin.
            with filelock.FileLock(self.home / "lock", timeout=_LOCK_SECONDS):
                ahead = self._ahead()
                if not ahead:
                    self._write(os.getpid(), begun=True)
                return ahead
        except (OSError, filelock.Timeout):
            return self._ahead()

    def _write(self, pid: int, begun: bool) -> None:
        process = {"pid": pid, "created": psutil.Process(pid).create_time(), "host": socket.gethostname()}
        write_text(self._file(self._number), json.dumps({"run": str(self.run), **process, "begun": begun}))

    def _file(self, number: int) -> Path:
        return self.home / f"{number:09d}.json"

    def _tickets(self) -> list[Ticket]:
        tickets = []
        for file in sorted(self.home.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                data = json.loads(file.read_text(encoding="utf-8"))
                known = str(data["run"]), int(data["pid"]), float(data["created"]), str(data["host"])
                tickets.append(Ticket(int(file.stem), *known, begun=bool(data.get("begun", True))))
        return tickets

    def _ahead(self) -> list[Ticket]:
        """List those who train, and those who wait and were asked for before; the one that trains first."""
        others = [t for t in self._tickets() if t.number != self._number and self._counts(t) and t.stands]
        before = (t for t in others if t.begun or t.number < self._number)
        return sorted(before, key=lambda t: (not t.begun, t.number))

    def _counts(self, ticket: Ticket) -> bool:
        """Tickets in the copy of a study belong to the original's processes."""
        return self.home.name != "cpu" or Path(ticket.run).parent == self.run.parent


def reserve(run: Path, pid: int) -> None:
    """Draw the ticket of a worker that was just started: runs train in the order in which they were asked for.

    Where it cannot be drawn the worker draws it when it wakes up.

    Parameters
    ----------
    run
        The run's folder, with its ``job.json``.
    pid
        The worker.
    """
    if not is_managed():
        with contextlib.suppress(OSError, filelock.Timeout, psutil.Error):
            Turn(run, device_of(run)).draw(pid, _RESERVE_SECONDS)


@contextlib.contextmanager
def in_turn(run: Path, command: str, tell: Tell, stopping: Callable[[], bool]) -> Iterator[bool]:
    """Within: it is this run's turn on its device; False when it was taken out of the queue before.

    Predictions do not wait: a reader waits for them. torch is not imported, so one that waits costs 60 MB of memory.
    """
    if command != "train" or is_managed():
        yield True
        return
    turn = Turn(run, device_of(run))
    try:
        yield turn.take(tell, stopping)
    finally:
        turn.give_back()


def device_of(run: Path) -> str:
    """Device that a run's order names; for ``auto`` the first graphics card if there is a sign of one."""
    wanted = "auto"
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        wanted = str(json.loads((run / "job.json").read_text(encoding="utf-8")).get("device", "auto"))
    if wanted in ("auto", "cuda"):
        card = Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
        return "cuda:0" if card else "cpu"
    return wanted


def is_managed() -> bool:
    """Whether something else shares devices out: torchrun starts all ranks at once, a cluster has a queue already."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 or "SLURM_JOB_ID" in os.environ
