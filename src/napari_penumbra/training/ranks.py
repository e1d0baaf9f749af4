"""One of several workers on the same run: which one, and who of them says the last word.

torch is imported only by those who are several: a worker alone says its first words without it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_penumbra.domain.errors import JobError, PenumbraError
from napari_penumbra.domain.progress import Progress

BEAT_SECONDS = 1.0
LOST_SECONDS = 25.0
"""Silence after which a process counts as gone; torchrun ends the others by force 30 s after one has died."""
_HEARING_SECONDS = 4.0
"""A process that has lost contact waits so long for the one that knows why."""
ATTEMPT = "PENUMBRA_ATTEMPT"
"""Environment variable: how often the processes of this launch have begun again."""
CONTACT_WORDS = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "socket", "store")


@dataclass(frozen=True, slots=True)
class Place:
    """Number of this worker, from 0, and how many there are."""

    rank: int
    size: int

    @classmethod
    def here(cls) -> Place:
        """As ``torchrun`` and Slurm put it into the environment; alone without."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    @property
    def leads(self) -> bool:
        """Whether it speaks for all."""
        return self.rank == 0

    @property
    def device(self) -> str:
        """A graphics card of its own, as far as there are any; torch's name for it."""
        import torch

        cards = torch.cuda.device_count()
        return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % cards}" if cards else "cpu"

    @property
    def owner(self) -> int:
        """Process number that a run belongs to: torchrun's, who ends all others with it, or this one's."""
        return os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else os.getpid()


def quiet(event: Progress) -> None:
    """Say nothing: the leading worker does."""


def open_store() -> Any:
    """Connect to the table that all workers share; the first of them keeps it unless torchrun does.

    Raises
    ------
    JobError
        It cannot be reached.
    """
    import datetime as dt

    import torch.distributed

    dist: Any = torch.distributed  # its types leave both tables out

    place, environment = Place.here(), os.environ
    kept = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        store = dist.TCPStore(
            environment["MASTER_ADDR"],
            int(environment["MASTER_PORT"]),
            is_master=place.leads and not kept and not _Kept.here,
            wait_for_workers=False,
            timeout=dt.timedelta(hours=24) if place.leads or kept else dt.timedelta(minutes=10),
        )
    except (RuntimeError, KeyError, ValueError) as error:
        raise JobError(
            f"Process {place.rank + 1} of {place.size} could not reach the first one.",
            "Check that the machines see each other by their names and that no firewall stands between them.",
            details=repr(error),
        ) from error
    _Kept.here = True
    launch = f"{environment.get('TORCHELASTIC_RUN_ID', '')}/{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    return dist.PrefixStore(f"penumbra/{launch}/{attempt()}", store)


def attempt() -> int:
    """How often the processes of this launch have begun again, from 0."""
    return int(os.environ.get(ATTEMPT, "0"))


def name_of_attempt(place: Place, store: Any) -> str:
    """A name that workers started together have in common, and no others: fit for a folder."""
    if place.leads:
        store.set("attempt", secrets.token_hex(6))
    return str(store.get("attempt").decode())


class _Kept:
    """Whether this process keeps the table already."""

    here = False


class Heartbeat:
    """Says again and again that this process lives, and finds out when another one does not.

    Waiting for a process that is gone would never end: NCCL does not notice, and gloo only on the next exchange.

    Parameters
    ----------
    store
        The shared table, on a connection of its own.
    lost
        Called once, from another thread, with the ranks that fell silent, or with none if the table itself is gone.
    """

    def __init__(
        self,
        place: Place,
        store: Any,
        lost: Callable[[list[int]], None],
        beat: float = BEAT_SECONDS,
        patience: float = LOST_SECONDS,
    ) -> None:
        self.place, self.store = place, store
        self._lost = lost
        self._beat, self._patience = beat, patience
        self._heard: dict[int, tuple[str, float]] = {}
        self._done = threading.Event()
        self.forgiving = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def forgive(self) -> None:
        """From now on the table may go: the first process leaves with it when the work is done."""
        self.forgiving = True

    def stop(self) -> None:
        """End in order: the others do not miss this process."""
        self._done.set()
        self._thread.join(self._patience)
        with contextlib.suppress(Exception):
            self.store.set(f"beat/{self.place.rank}", "bye")

    def silent(self, seconds: float) -> list[int]:
        """Ranks that have said nothing for so long."""
        now = time.monotonic()
        return [rank for rank, (said, at) in self._heard.items() if said != "bye" and now - at > seconds]

    def _run(self) -> None:
        count = 0
        while not self._done.is_set():
            count += 1
            try:
                self.store.set(f"beat/{self.place.rank}", str(count))
                self._listen()
            except Exception:  # noqa: BLE001 - whatever it is: the table is out of reach
                if not (self._done.is_set() or self.forgiving):
                    self._lost([])
                return
            if silent := self.silent(self._patience):
                self._lost(silent)
                return
            self._done.wait(self._beat)

    def _listen(self) -> None:
        for rank in range(self.place.size):
            key = f"beat/{rank}"
            if rank == self.place.rank or not self.store.check([key]):
                continue  # not yet begun
            said = self.store.get(key).decode()
            if self._heard.get(rank, ("", 0.0))[0] != said:
                self._heard[rank] = (said, time.monotonic())


class LastWord:
    """Sees to it that of several processes that fail together one says why, and it is the one that knows."""

    def __init__(self, place: Place, store: Any) -> None:
        self.place, self.store = place, store

    def wanted(self) -> bool:
        """Whether nobody has spoken yet; true for one caller only."""
        try:
            return int(self.store.add("last word", 1)) == 1
        except Exception:  # noqa: BLE001 - the table is gone with the first process: whoever notices may speak
            return True

    def of(self, error: PenumbraError, heartbeat: Heartbeat | None = None) -> PenumbraError | None:
        """What to say of an error in this process; None when another one has spoken or will.

        Parameters
        ----------
        error
            In words, with what it was as ``details``.
        """
        if not lost_contact(error):
            return _of_one(self.place, error) if self.wanted() else None
        time.sleep(_HEARING_SECONDS)
        if not self.wanted():
            return None
        return gone(self.place, heartbeat.silent(_HEARING_SECONDS / 2) if heartbeat else [], error.details)


def lost_contact(error: PenumbraError) -> bool:
    """Whether an error only means that another process has not answered."""
    details = error.details.lower()
    return details.startswith(("runtimeerror", "dist")) and any(word in details for word in CONTACT_WORDS)


def gone(place: Place, ranks: list[int], details: str = "") -> JobError:
    """Say that processes are gone."""
    who = " and ".join(f"process {rank + 1}" for rank in ranks)
    subject = f"{who[:1].upper()}{who[1:]} of {place.size}" if who else f"One of the {place.size} processes"
    verb = "are" if len(ranks) > 1 else "is"
    return JobError(
        f"{subject} {verb} gone: ended from outside, or out of reach.",
        "Resume the run: it goes on from its last checkpoint, with as many processes as there are then.",
        details=details,
    )


def _of_one(place: Place, error: PenumbraError) -> PenumbraError:
    """Say in which process it happened where that matters."""
    if place.leads:
        return error
    words = f"{error.message} (Process {place.rank + 1} of {place.size}.)"
    return JobError(words, error.remedy, details=error.details)
