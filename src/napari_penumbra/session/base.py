"""What every part of a session shares: the study, the reader's name, the signals and the status line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from psygnal import Signal

from napari_penumbra.domain.case import CaseRow, PoolCounts
from napari_penumbra.domain.errors import PenumbraError, StudyError, StudyLockedError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Progress
from napari_penumbra.session.reader_name import reader_name
from napari_penumbra.study.store import Study


class Base:
    """Opens and closes a study and says what is going on."""

    study_changed = Signal()
    case_changed = Signal(str)
    run_event = Signal(str, Progress)
    status_changed = Signal(str)
    failed = Signal(PenumbraError)

    def __init__(self) -> None:
        self.study: Study | None = None
        self.reader = reader_name()
        self.notices: list[str] = []
        self._status, self._status_due = "", False
        self._update_status()

    # ---------------------------------------------------------------- study

    def create(
        self, root: Path, name: str, modalities: Sequence[str], labels: LabelScheme, simulated: bool = False
    ) -> None:
        """Make a new study in an empty or missing folder and open it; the modality ``RGB`` is Red, Green and Blue."""
        study = Study.create(Path(root), name, modalities, labels, simulated=simulated)
        self._take(study)

    def open(self, root: Path, *, write: bool = True) -> None:
        """Open a study; when another window writes to it, open it read-only and say who has it.

        Parameters
        ----------
        root
            The study's folder.
        write
            False never asks for the writer's role.
        """
        root = Path(root)
        if self.study is not None and _same(self.study.root, root):
            self.close()  # this very session may hold the writer's role
        notice = ""
        try:
            study = Study.open(root, write=write, reader=self.reader)
        except StudyLockedError as error:
            study = Study.open(root, write=False)
            notice = f"{error.message} It was opened read-only: look, but nothing can be saved."
        self._take(study)
        if notice:
            self.notices.insert(0, notice)
            self._update_status()

    def close(self) -> None:
        """Close the study. A running worker goes on; the next opening finds it."""
        if self.study is None:
            return
        study, self.study = self.study, None
        self._forget()
        self.notices = []
        study.close()
        self.study_changed.emit()
        self._update_status()

    def _take(self, study: Study) -> None:
        if self.study is not None:
            self.study.close()
        self._forget()
        self.study = study
        self.notices = list(study.notices)
        self._begin()
        self.study_changed.emit()
        self._update_status()

    def _forget(self) -> None:
        """Drop what belongs to the study that is being left."""

    def _begin(self) -> None:
        """Look around in the study that was just opened."""

    @property
    def readonly(self) -> bool:
        """Whether nothing can be saved: no study, or another window writes to it."""
        return self.study is None or self.study.readonly

    @property
    def notice(self) -> str:
        """What opening the study found, in one text; empty when all was well."""
        return " ".join(self.notices)

    def opened(self) -> Study:
        """Return the study; raises `StudyError` in words when none is open."""
        if self.study is None:
            raise StudyError("No study is open.", "Open one or make a new one on the Study page.")
        return self.study

    def writable(self) -> Study:
        """Return the study for writing; raises `StudyLockedError` in words when it is read-only."""
        study = self.opened()
        if study.readonly:
            owner = study.owner()
            who = f" by {owner}" if owner else ""
            raise StudyLockedError(
                f"The study {study.name} is open read-only because it is in use{who}.",
                "Close the other window, then open the study again.",
            )
        return study

    def follow_team(self) -> None:
        """Pass on what other readers have done; see `together.Together`."""

    # ---------------------------------------------------------------- pools

    def cases(self) -> list[CaseRow]:
        """All cases, one line each; empty without a study."""
        return self.study.cases() if self.study is not None else []

    def counts(self) -> PoolCounts:
        """How many cases can teach what."""
        return self.study.counts() if self.study is not None else PoolCounts(0, 0, 0, 0, 0)

    # ---------------------------------------------------------------- status

    @property
    def status(self) -> str:
        """What the background is doing, in words; never empty."""
        self._catch_up()
        return self._status

    def _words(self) -> str:
        return idle_words(self)

    def _catch_up(self) -> None:
        """Find the words anew if somebody has left that for later."""
        if self._status_due:
            self._update_status()

    def _update_status(self) -> None:
        self._status_due = False
        words = self._words()
        if words != self._status:
            self._status = words
            self.status_changed.emit(words)


def idle_words(session: Base) -> str:
    """What to do next when nothing runs."""
    if session.study is None:
        return "No study open: open one, make a new one, or try the sample (File > Open Sample)."
    if session.readonly:
        return session.notice or "Read-only: another window writes to this study."
    if session.study.server_gone:
        return "The team's server does not answer: go on drawing, it is saved when the server is back."
    counts = session.counts()
    if not counts.cases:
        return "No cases yet: add some on the Study page."
    if not counts.labelled:
        return f"{counts.cases} cases, none labelled: open one and paint, then Case complete."
    rest = f"{counts.labelled} labelled, {counts.unlabelled} not"
    if counts.predicted:
        return f"Idle · {rest} · {counts.predicted} predicted: review them or train again."
    return f"Idle · {rest}: train, or label more."


def _same(a: Path, b: Path) -> bool:
    try:
        return a.resolve() == b.resolve()
    except OSError:
        return False
