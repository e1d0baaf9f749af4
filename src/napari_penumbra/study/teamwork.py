"""The part of `store.Study` that shares it with other readers. Without a team all of it is free and says nothing."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from napari_penumbra.domain.case import Annotation
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study import reading
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.schema import CaseTable
from napari_penumbra.study.team import leases, moving, rescue
from napari_penumbra.study.team.keeper import News
from napari_penumbra.study.team.leases import Holder
from napari_penumbra.study.team.moving import Moved
from napari_penumbra.study.team.rescue import Unsaved
from napari_penumbra.study.team.seat import folder_of, seat
from napari_penumbra.study.team.server import ServerDatabase
from napari_penumbra.study.team.team import Overtaken


class Teamwork:
    """Check-outs, and what the other readers do."""

    _core: Core
    _journals: dict[str, Journal]

    def journal(self, name: str) -> Journal:
        """Where the strokes on a case go; implemented by `store.Study`."""
        raise NotImplementedError

    @property
    def shared(self) -> bool:
        """Whether several readers may write at once: the index is on a server."""
        return isinstance(self._core.db, ServerDatabase)

    @property
    def server(self) -> str:
        """Host and database of the team's index; empty without one."""
        return str(self._core.manifest.team) if self._core.manifest.team is not None else ""

    @property
    def server_gone(self) -> bool:
        """Whether the team's server did not answer lately; never asks it."""
        db = self._core.db
        return isinstance(db, ServerDatabase) and db.gone_since is not None

    def call_reader(self, name: str) -> None:
        """Tell the others under which name this program's reader works from now on."""
        if self._core.team is not None:
            self._core.team.reader = name

    # ---------------------------------------------------------------- one case

    def check_out(self, name: str) -> Holder | None:
        """Take a case, so that nobody else writes to it; None when it is this program's now, else who has it.

        Strokes of this place that a crash left behind, and that were painted on what another reader has since
        replaced, become a draft beside the others; `overtaken` tells.
        """
        team = self._core.team
        if team is None:
            return None
        with self._core.db.read() as session:
            case_id = case_of(session, name).id
        mine = name in team.held
        other = team.check_out(name, case_id)
        if other is None and not mine:
            self._journals.pop(name, None)  # what it is painted on is looked up anew
            rescue.own_strokes(self._core, name)
        return other

    def give_back(self, *but: str) -> None:
        """Let others have every case that this program has checked out, but those named."""
        team = self._core.team
        for name in [] if team is None else [held for held in team.held if held not in but]:
            assert team is not None
            team.give_back(name)

    def why_not_write(self, name: str) -> str:
        """Say why a case cannot be written to by this program; empty when it can. Never waits for the server."""
        team = self._core.team
        if team is None or name in team.held:
            return ""
        other = team.holders().get(name)
        if other is None:
            return f"{name} is not checked out by you: it was with another reader when you opened it. It is free now."
        return f"{name} is checked out by {other}. You can look; nothing is saved."

    def free(self, name: str) -> bool:
        """Whether nobody else has a case, as of the last heartbeat."""
        return self._core.team is None or name not in self._core.team.holders()

    def taken_over(self, name: str) -> Holder | None:
        """Return who has taken a case over that this program had checked out (its machine slept); None otherwise."""
        team = self._core.team
        return team.holders().get(name) if team is not None and name in team.held else None

    def overtaken(self, name: str) -> Overtaken | None:
        """Return the revision of a case that had to be saved beside another reader's, once."""
        team = self._core.team
        found = None if team is None else team.overtaken.pop(name, None)
        if found is not None and found.other is not None and team is not None:
            team.held.pop(name, None)
        return found

    # ---------------------------------------------------------------- all of them

    def holders(self) -> Mapping[str, Holder]:
        """Return who else has which case, as of the last heartbeat, by name."""
        return {} if self._core.team is None else self._core.team.holders()

    def news(self) -> News:
        """Return what has changed since the last call; never waits for the server."""
        return News() if self._core.team is None else self._core.team.news()

    def checked_out(self) -> dict[str, Holder]:
        """Ask the server who has which case, expired ones and this program's own among them."""
        self._check_shared()
        with self._core.db.read() as session:
            return leases.holders(session)

    def has_out(self, holder: Holder) -> bool:
        """Whether a check-out is this program's own."""
        return self._core.team is not None and holder.member == self._core.team.member

    def unsaved(self) -> list[Unsaved]:
        """Find strokes that no revision holds yet, of all readers."""
        self._check_shared()
        return rescue.unsaved(self._core)

    def release_case(self, name: str) -> tuple[Holder | None, list[Annotation]]:
        """Take a case back from whoever has it, and keep their unsaved strokes as drafts beside the others.

        Returns
        -------
        Holder or None
            Who had it.
        list of Annotation
            The drafts that their unsaved strokes became.
        """
        self._check_shared()
        with self._core.db.write() as session:
            case = case_of(session, name)
            before = leases.holder(session, leases.key_of(case.id))
            leases.release(session, leases.key_of(case.id))
        return before, rescue.strokes_of_all(self._core, name)

    def move_to_server(self, url: str) -> Moved:
        """Move the index to a server; close the study afterwards. See `team.moving.move_to_server`."""
        if self._core.team is not None:
            raise UsageError(f"The index of this study is on the server {self.server} already.")
        self._core.db.check_writable()
        moved = moving.move_to_server(self._core.db, self._core.layout, url)
        moving.journals_to_seats(self._core.layout, folder_of(self._core.reader, seat()))
        return moved

    def keep_strokes(self) -> list[Annotation]:
        """Make drafts of the unsaved strokes of everybody who was in the team that this study has left."""
        if self.shared:
            raise UsageError("The study still has a team.")
        with self._core.db.read() as session:
            names = list(session.scalars(select(CaseTable.name).order_by(CaseTable.id)))
        return [kept for name in names for kept in rescue.strokes_of_all(self._core, name)]

    def _check_shared(self) -> None:
        if not self.shared:
            raise UsageError("This study has no team: its index is a file in its folder.", "See docs/teams.md.")

    # ---------------------------------------------------------------- what is painted on

    def _repaint(self, name: str) -> None:
        """Note that a case's newest revision is another one with the same voxels."""
        if name in self._journals:
            self._journals[name].rebase(reading.base_of(self._core, name))

    def _base_after(self, name: str, saved: Annotation | None) -> str:
        """Say what the labels are painted on after a save."""
        if self._core.team is None:
            return reading.base_of(self._core, name)
        return self.journal(name).painted_on if saved is None else f"r{saved.revision}"
