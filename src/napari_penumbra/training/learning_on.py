"""Learning on: cases accepted while a training runs join its streams, cases taken back leave them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_penumbra.domain.diagnosis import find_leaks, leak_findings
from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.pool import POOL_FILE, RECORD_FILE, Change, Role, pool_from_text
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.imaging.atomic import disk_error
from napari_penumbra.training.data import PatchStream

if TYPE_CHECKING:
    from napari_penumbra.training.trainer import Trainer

Cases = Mapping[str, SpecCase]
News = Callable[[], str | None]
"""Gives the text of ``pool.json`` when it has changed since the last call, else None."""


class PoolFile:
    """Reads ``pool.json`` of a run when it has changed. Calling it costs one look at the file's times."""

    def __init__(self, run: Path) -> None:
        self.file = run / POOL_FILE
        self._seen: tuple[int, int] | None = None

    def __call__(self) -> str | None:
        """Return the file's text if it is news; a file that cannot be read now is tried again the next time."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            status = self.file.stat()
            seen = status.st_mtime_ns, status.st_size
            if seen != self._seen:
                text = self.file.read_text(encoding="utf-8")
                self._seen = seen
                return text
        return None


class LearningOn:
    """Brings a trainer's streams in line with the pool, tells it, and keeps the record of what was learnt from.

    Frozen cases stay what they were when the run was ordered: none joins, none leaves, and no other case with the very
    same images may teach.

    Parameters
    ----------
    run
        The run's folder, for the record.
    """

    def __init__(self, trainer: Trainer, run: Path, news: News) -> None:
        self.trainer = trainer
        self.record = run / RECORD_FILE
        self.news = news
        self._leaks = set(trainer.leaks)

    def look(self) -> None:
        """Ask for news and follow them. Between two validations is the place: no step is under way."""
        # One process reads for all that train together: they must not see two states of the file.
        text: str | None = self.trainer.crew.share(lambda _: self.news(), [0])[0]
        if text is None:
            return
        try:
            pool = pool_from_text(text)
        except JobError as error:
            trainer, words = self.trainer, error.message
            trainer.tell(Progress(Kind.WARNING, trainer.step, trainer.steps, message=words, remedy=error.remedy))
        else:
            self.follow(pool)

    def follow(self, pool: tuple[SpecCase, ...]) -> None:
        """Let cases join and leave until the streams are what the pool says.

        Raises
        ------
        DiskError
            The record cannot be written: nothing may be learnt that nobody could take back.
        """
        wanted = self._may_teach(pool)
        labelled = {name: case for name, case in wanted.items() if case.role == "labelled"}
        before = (dict(self.trainer.labelled.members()), self._unlabelled_members())
        self._bring(self.trainer.labelled, "labelled", labelled)
        # Unknown voxels of partially labelled cases can teach whatever unlabelled cases can.
        partial = {case.name: case for case in self.trainer.labelled.partial_cases()}
        without = {name: case for name, case in wanted.items() if case.role == "unlabelled"} | partial
        if without and self.trainer.unlabelled is None:
            self.trainer.unlabelled = self.trainer.unlabelled_stream([])
        if self.trainer.unlabelled is not None:
            self._bring(self.trainer.unlabelled, "unlabelled", without)
        after = (self.trainer.labelled.members(), self._unlabelled_members())
        for name in dict.fromkeys([*before[0], *before[1], *after[0], *after[1]]):
            words = _words(name, before[0].get(name), after[0].get(name), name in before[1], name in after[1])
            if words:
                joined = {"joined": float(name in after[0])}
                trainer = self.trainer
                trainer.tell(Progress(Kind.POOL, trainer.step, trainer.steps, {}, joined, case=name, message=words))

    def _unlabelled_members(self) -> dict[str, SpecCase]:
        return self.trainer.unlabelled.members() if self.trainer.unlabelled is not None else {}

    def _may_teach(self, pool: tuple[SpecCase, ...]) -> dict[str, SpecCase]:
        """Leave out the frozen cases, those that were frozen since, and scans that are the same as a frozen one."""
        frozen = self.trainer.spec.of_role("validation")
        names = {case.name for case in frozen}
        teaching = [case for case in pool if case.role in ("labelled", "unlabelled") and case.name not in names]
        leaks = find_leaks((*frozen, *teaching))
        for finding in leak_findings({name: at for name, at in leaks.items() if name not in self._leaks}):
            self.trainer.find(finding)
        self._leaks |= set(leaks)
        return {case.name: case for case in teaching if case.name not in leaks}

    def _bring(self, stream: PatchStream, name: Role, wanted: Cases) -> None:
        members = stream.members()
        for case in members.values():
            if case.name not in wanted:
                self._note(case, "left", name)
                stream.leave(case.name)
        for case in wanted.values():
            known = members.get(case.name)
            if known is None or (stream.labelled and known.label != case.label):
                self._note(case, "joined", name)
                stream.join(case)

    def _note(self, case: SpecCase, what: Literal["joined", "left"], stream: Role) -> None:
        """Write the record before the first step on the case."""
        if not self.trainer.crew.leads:
            return
        label = case.label if stream == "labelled" else None
        try:
            with self.record.open("a", encoding="utf-8", newline="\n") as file:
                file.write(Change(self.trainer.step, case.name, what, stream, label).to_line() + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(self.record, error) from error


def _words(name: str, old: SpecCase | None, new: SpecCase | None, was_there: bool, is_there: bool) -> str:
    """Say what became of a case; empty when nothing did."""
    if old is None and new is not None:
        return f"{name} was accepted: its labels teach from now on."
    if old is not None and new is not None:
        return f"{name} has new labels: they teach from now on." if old.label != new.label else ""
    if old is not None:
        rest = "teaches without its labels from now on" if is_there else "teaches no more"
        return f"{name} was taken back: it {rest}."
    if is_there and not was_there:
        return f"{name} is new: it teaches without labels from now on."
    return f"{name} teaches no more." if was_there and not is_there else ""
