"""Several readers on one study: who has which case, what the others have done, and what happens when two meet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from psygnal import Signal

from napari_penumbra.domain.case import Annotation, CaseRow
from napari_penumbra.domain.errors import PenumbraError, StudyLockedError, UsageError
from napari_penumbra.session.base import Base
from napari_penumbra.session.words import duration
from napari_penumbra.study.layout import Layout
from napari_penumbra.study.manifest import read_manifest
from napari_penumbra.study.store import Study
from napari_penumbra.study.team import moving
from napari_penumbra.study.team.address import Address, parse
from napari_penumbra.study.team.leases import Holder
from napari_penumbra.study.team.moving import Moved
from napari_penumbra.study.team.rescue import Unsaved
from napari_penumbra.study.team.team import Overtaken


class Together(Base):
    """The part of a session that shares the study. Without a team nothing of it ever speaks.

    Signals
    -------
    team_changed
        Somebody has taken or given back a case.
    team_told : (str)
        A sentence for the reader: the server has gone or come back, or a save went beside another reader's.
    case_overtaken : (str)
        The named case, which this program had checked out, is another reader's now, or was saved beside another's:
        save it and read it again.
    server_back
        The server answers again: what could not be saved can be saved now.
    """

    team_changed = Signal()
    team_told = Signal(str)
    case_overtaken = Signal(str)
    server_back = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._loaded: str | None = None
        self._holders: dict[str, str] = {}

    def _forget(self) -> None:
        super()._forget()
        self._loaded, self._holders = None, {}

    @property
    def shared(self) -> bool:
        """Whether several readers may write to the open study."""
        return self.study is not None and self.study.shared

    @property
    def saving(self) -> str | None:
        """Name of the case of which a draft is being written; see `drafts.Drafts`."""
        return None

    # ---------------------------------------------------------------- begin

    def share(self, url: str) -> Moved:
        """Move the open study's index to a server and open the study again, as one of several readers.

        Parameters
        ----------
        url
            ``postgresql://…``; a password in it is kept in memory until the program ends, and written nowhere.

        Raises
        ------
        StudyLockedError, UsageError, StudyError
            It could not be moved. Nothing has changed, and the study is open as before.
        """
        root = self.writable().root
        self.close()
        try:
            return start_team(root, url)
        finally:
            self.open(root)

    def join(self, root: Path, url: str) -> None:
        """Open a team's study whose server this reader reaches by a URL of their own; see `share` for its password.

        Raises
        ------
        UsageError, StudyError
            The study has no team, or the server does not answer or does not let the reader in.
        """
        address = team_address(root)
        if address is None:
            raise UsageError(f"{root.name} belongs to no team: its index is in its folder.", "Open it as it is.")
        address.reach_by(url)
        try:
            self.open(root)
        except PenumbraError:
            address.reach_by("")
            raise

    def leave(self) -> Left:
        """Move the open study's index back into its folder, and open the study again, for one reader at a time.

        Raises
        ------
        StudyLockedError, UsageError, StudyError
            Others have the study open, or it has no team, or the server does not answer. Nothing has changed, and the
            study is open as before if the server can be reached.
        """
        root = self.writable().root
        self.close()
        try:
            return leave_team(root)
        finally:
            self.open(root)

    def crew(self) -> Crew:
        """Ask the server who has which case, and the folder whose strokes are not saved yet."""
        study = self.opened()
        held = [CheckedOut(name, holder, study.has_out(holder)) for name, holder in study.checked_out().items()]
        return Crew(study.server, held, study.unsaved())

    def free_case(self, name: str) -> list[Annotation]:
        """Free a case of another reader; return the drafts that the unsaved strokes on it became.

        What that reader still draws is saved beside the case's own line, and the reader is told.
        """
        study = self.writable()
        holder = study.checked_out().get(name)
        if holder is not None and study.has_out(holder):
            raise UsageError(f"{name} is checked out by this window.", "It is free as soon as you open another case.")
        _, kept = study.release_case(name)
        self.case_changed.emit(name)
        return kept

    # ---------------------------------------------------------------- one case

    def check_out(self, name: str) -> Holder | None:
        """Take a case for writing before it is read; None when it is this program's, else who has it."""
        other = self.opened().check_out(name)
        self._loaded = name
        return other

    def claim(self, name: str) -> None:
        """Make sure that a case may be saved, also when nobody has opened it here; raises `StudyLockedError` if not."""
        if self.shared and not self.may_write(name):
            other = self.check_out(name)
            if other is not None:
                raise StudyLockedError(f"{name} is checked out by {other}.", "Wait until it is free, or ask for it.")

    def why_not_write(self, name: str | None) -> str:
        """Say why nothing of a case can be saved; empty when it can. Never waits for the server."""
        if self.study is None:
            return "No study is open."
        if self.study.readonly:
            return "This study is open read-only: another window writes to it."
        return "" if name is None else self.study.why_not_write(name)

    def may_write(self, name: str) -> bool:
        """Whether what is drawn on a case can be saved."""
        return not self.why_not_write(name)

    def free(self, name: str) -> bool:
        """Whether nobody else has a case."""
        return self.study is None or self.study.free(name)

    def with_holders(self, rows: Sequence[CaseRow]) -> list[CaseRow]:
        """Return lines of the case table with who else has each case."""
        held = {} if self.study is None else self.study.holders()
        return [replace(row, held=str(held[row.name])) if row.name in held else row for row in rows]

    # ---------------------------------------------------------------- follow

    def follow_team(self) -> None:
        """Pass on what the others have done since the last call. Cheap, and never waits: call it at every poll."""
        study = self.study
        if study is None or not study.shared or study.readonly:
            return
        self._tell_news(study)
        if not study.server_gone:
            self._look_after_shown(study)
        now = {name: str(holder) for name, holder in study.holders().items()}
        if now != self._holders:
            self._holders = now
            self.team_changed.emit()
        if not study.server_gone:
            study.give_back(*(name for name in (self._loaded, self.saving) if name is not None))

    def _tell_news(self, study: Study) -> None:
        news = study.news()
        if news.gone and not news.back:
            self.team_told.emit(
                f"The team's server {study.server} does not answer. Go on drawing: every stroke is kept here, and the "
                "case is saved as soon as the server is back. Other cases cannot be opened until then."
            )
        if news.back:
            self.team_told.emit("The team's server is back.")
            self.server_back.emit()
        if news.listed:
            self.study_changed.emit()
        for name in sorted(news.cases):
            self.case_changed.emit(name)
        if news.changed and not news.cases and not news.listed:
            self.case_changed.emit("")  # a role, a wish, a champion
        if news:
            self._update_status()

    def _look_after_shown(self, study: Study) -> None:
        name = self._loaded
        if name is None:
            return
        found = study.overtaken(name)
        if found is not None:
            self.team_told.emit(overtaken_words(name, found))
        if found is not None or study.taken_over(name) is not None:
            self.case_overtaken.emit(name)


def overtaken_words(name: str, found: Overtaken) -> str:
    """Say what became of labels that could not be saved in a case's own line."""
    who = f"{found.other.reader} has {name} now" if found.other is not None else f"Another reader has worked on {name}"
    return f"{who}. What you drew is kept beside theirs as r{found.revision}: see Review, History."


def heard_words(holder: Holder) -> str:
    """Say when a reader's program was last heard of, and whether that was too long ago to keep the case."""
    return f"{duration(holder.silent)} ago" + (", so it is free" if holder.expired else "")


def unsaved_words(one: Unsaved) -> str:
    """Say whose strokes on which case no revision holds yet."""
    when = dt.datetime.fromtimestamp(one.last).astimezone()
    count = "1 stroke" if one.strokes == 1 else f"{one.strokes} strokes"
    return f"{one.case}: {count} of {one.reader} not saved yet, the last at {when:%H:%M}."


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """A case that somebody has: its name, who, and whether that is this window."""

    case: str
    holder: Holder
    mine: bool


@dataclass(frozen=True, slots=True)
class Crew:
    """A team at this moment.

    Attributes
    ----------
    server
        Host and database, for people.
    held
        Cases that are checked out, expired ones too.
    unsaved
        Strokes that no revision holds yet.
    """

    server: str
    held: list[CheckedOut]
    unsaved: list[Unsaved]


@dataclass(frozen=True, slots=True)
class Left:
    """What leaving a team did: the move, and the drafts that unsaved strokes of its readers became."""

    moved: Moved
    drafts: list[Annotation]


def team_address(root: Path) -> Address | None:
    """Where the index of the study in a folder is; None when it is in the folder. Raises `StudyError` for no study."""
    return read_manifest(Layout(Path(root).expanduser().absolute()).manifest).team


def start_team(root: Path, url: str) -> Moved:
    """Move a study's index to a PostgreSQL server, from where several readers use it at once.

    Raises
    ------
    StudyLockedError
        Somebody has the study open.
    UsageError, StudyError
        The URL is none, the server refused, or the study has a team already. Nothing has changed.
    """
    with Study.open(root) as study:
        if study.shared:
            raise UsageError(f"The index of {study.name} is on the server {study.server} already.")
        moved = study.move_to_server(url)
    address = team_address(root)
    if address is not None and parse(url).password is not None:
        address.reach_by(url)
    return moved


def leave_team(root: Path, *, copy: bool = False) -> Left:
    """Move a study's index back into its folder; with ``copy`` for a copy of the folder, leaving the team as it is."""
    moved = moving.move_to_file(Layout(Path(root).expanduser().absolute()), copy=copy)
    with Study.open(root) as study:
        return Left(moved, study.keep_strokes())
