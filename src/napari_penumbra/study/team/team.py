"""The place of a program among the readers of a study: what it has checked out, and what it may write."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy.orm import Session

from napari_penumbra.domain.errors import PenumbraError, StudyLockedError
from napari_penumbra.study.team import leases
from napari_penumbra.study.team.errors import OvertakenError
from napari_penumbra.study.team.keeper import Keeper, News
from napari_penumbra.study.team.leases import Holder
from napari_penumbra.study.team.seat import folder_of, seat
from napari_penumbra.study.team.server import ServerDatabase


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A revision that had to be saved beside another reader's: its number, and who has the case now, if anybody."""

    revision: int
    other: Holder | None


class Team:
    """A member of a team. Stands where a `lock.WriterLock` stands in a study of one reader.

    Parameters
    ----------
    db
        The server, open for writing.
    reader
        The name that others see.

    Attributes
    ----------
    unclean
        Whether the last program at this place ended without leaving: its files want a look.
    held
        Cases that this program has checked out, by name, with their numbers. A check-out may have been taken over
        meanwhile: only the server knows, and it is asked at every save.
    overtaken
        Cases whose last save went beside another reader's, by name, until somebody has told the reader.
    """

    def __init__(self, db: ServerDatabase, reader: str) -> None:
        self.db = db
        self.seat = seat()
        here = f"{self.seat}-{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}"
        with db.write() as session:
            gone = [member for member, pid, born in leases.same_seat(session, here) if _ended(pid, born)]
            for member in gone:
                leases.leave(session, member)
            member = leases.join(session, here, reader, os.getpid())
        self.unclean = bool(gone)
        self.held: dict[str, int] = {}
        self.overtaken: dict[str, Overtaken] = {}
        self._written: set[str] = set()
        self._keeper = Keeper(db, member, here, reader, os.getpid())

    def start(self) -> None:
        """Begin to say that this program is alive."""
        self._keeper.start()
        self.db.waits = False  # from now on the keeper finds out when the server is back

    def release(self, *, clean: bool = True) -> None:
        """Leave, and give everything back. Without the server all of it expires by itself."""
        self._keeper.stop()
        with suppress(PenumbraError), self.db.write() as session:
            (leases.leave if clean else leases.end_unclean)(session, self.member)
        self.held.clear()
        self.db.close()

    @property
    def member(self) -> int:
        """Number of this program on the server."""
        return self._keeper.member

    @property
    def reader(self) -> str:
        """The name that others see."""
        return self._keeper.reader

    @reader.setter
    def reader(self, name: str) -> None:
        self._keeper.reader = name

    # ---------------------------------------------------------------- check-outs

    def check_out(self, name: str, case_id: int) -> Holder | None:
        """Take a case; None when this program has it now, else who has it."""
        with self.db.write() as session:
            other = leases.take(session, leases.key_of(case_id), self.member)
        if other is None:
            self.held[name] = case_id
        else:
            self.held.pop(name, None)
        return other

    def give_back(self, name: str) -> None:
        """Let others have a case; nothing happens when this program does not have it."""
        case_id = self.held.pop(name, None)
        if case_id is not None:
            with self.db.write() as session:
                leases.release(session, leases.key_of(case_id), self.member)

    def holders(self) -> dict[str, Holder]:
        """Return who else has which case, by name, as of the last heartbeat; those that expired are left out."""
        found = self._keeper.holders
        return {name: h for name, h in found.items() if h.member != self.member and not h.expired}

    def news(self) -> News:
        """Return what has happened since the last call."""
        return self._keeper.news()

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Be the only one who adds cases; raises `StudyLockedError` when somebody else does."""
        with self.db.write() as session:
            other = leases.take(session, leases.ADDING, self.member)
        if other is not None:
            raise StudyLockedError(f"Cases are being added by {other}.", "Add yours when that is over.")
        try:
            yield
        finally:
            with suppress(PenumbraError), self.db.write() as session:
                leases.release(session, leases.ADDING, self.member)

    # ---------------------------------------------------------------- inside a writing transaction

    def check_free(self, session: Session, case_id: int, name: str) -> None:
        """Raise `StudyLockedError` when another reader has a case that is to be changed."""
        other = self.other(session, case_id)
        if other is not None:
            raise StudyLockedError(
                f"{name} is checked out by {other}.", "Wait until it is free; the case table shows it."
            )

    def other(self, session: Session, case_id: int) -> Holder | None:
        """Return the other reader who has a case now; None when it is this one's or free."""
        found = leases.holder(session, leases.key_of(case_id))
        return None if found is None or found.member == self.member or found.expired else found

    def keep(self, session: Session, case_id: int, name: str) -> None:
        """Take a case that is to be saved, or go on having it; raises `OvertakenError` when another reader has it."""
        if leases.take(session, leases.key_of(case_id), self.member) is not None:
            raise OvertakenError
        self.held[name] = case_id

    # ---------------------------------------------------------------- files

    def token(self) -> str:
        """Return a part of a file's name that no other program uses, in which this place can be recognised."""
        return f"-{self.seat}-{secrets.token_hex(4)}"

    def mine(self, path: str) -> bool:
        """Whether a file was written at this place."""
        return f"-{self.seat}-" in Path(path).name

    def wrote(self, path: str) -> None:
        """Remember a revision's file before its row is sent: the row may arrive although the answer does not."""
        self._written.add(path)

    def has_written(self, path: str) -> bool:
        """Whether this very program has written a revision's file."""
        return path in self._written

    def journal(self, folder: Path) -> Path:
        """Return the folder of this place's own unsaved strokes in a case's journal folder, existing or not."""
        with suppress(OSError):
            for found in folder.glob(f"*-{self.seat}"):
                return found
        return folder / folder_of(self.reader, self.seat)


def _ended(pid: int, born: float) -> bool:
    """Whether a process of this machine is known to have ended; number 0 is one that has said so."""
    if pid == 0:
        return True
    try:
        # A process that started after it joined has merely been given the same number.
        return psutil.Process(pid).create_time() > born + 60
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
