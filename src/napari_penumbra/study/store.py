"""`Study`: the one object that reads and writes a study's folder. The work is done in the modules beside it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt

from napari_penumbra.domain.case import (
    Annotation,
    CaseRow,
    Closing,
    OpenCase,
    Origin,
    PoolCounts,
    Role,
)
from napari_penumbra.domain.colour import expand
from napari_penumbra.domain.errors import StudyError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.study import opening, pool, queries, reading, revisions
from napari_penumbra.study.calibration import Calibrations
from napari_penumbra.study.checked import Checked
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.decided import Decided
from napari_penumbra.study.dicom_cases import DicomCases
from napari_penumbra.study.effort import Minutes
from napari_penumbra.study.intake import Intake
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.journals import Journals, Moment
from napari_penumbra.study.layout import Layout
from napari_penumbra.study.lock import WriterLock, read_owner
from napari_penumbra.study.piece_counts import PieceCounts
from napari_penumbra.study.queue import Queue
from napari_penumbra.study.reachable import reaching
from napari_penumbra.study.runs import Runs
from napari_penumbra.study.stroke_count import StrokeCount
from napari_penumbra.study.team.team import Team
from napari_penumbra.study.teamwork import Teamwork
from napari_penumbra.study.versions import Versions


class Study(
    Intake,
    Decided,
    Journals,
    Teamwork,
    Queue,
    Minutes,
    Runs,
    Versions,
    Calibrations,
    PieceCounts,
    Checked,
    DicomCases,
):
    """An open study. Make one with `create` or `open`; close it, or use it in a ``with`` block.

    All methods raise `StudyError` when the database is damaged or in use, `DiskError` when a file cannot be written,
    `StudyLockedError` when something is to be written and the study was opened for reading only, and `UsageError` for
    a case that does not exist. ``layout`` knows every path.
    """

    def __init__(self, core: Core, lock: WriterLock | Team | None) -> None:
        self._core = core
        self._lock = lock
        self._journals: dict[str, Journal] = {}
        self._refused: set[tuple[str, str]] = set()
        self._strokes: dict[str, StrokeCount] = {}
        self._saving = threading.RLock()  # one revision at a time: each is compared with the one before
        self._registering = threading.Lock()  # a worker thread may look for predictions while the window does
        self.layout: Layout = core.layout

    # ------------------------------------------------------------------ open and close

    @classmethod
    def create(
        cls, root: Path, name: str, modalities: Sequence[str], labels: LabelScheme, *, simulated: bool = False
    ) -> Study:
        """Make a study in an empty or missing folder and open it for writing; ``RGB`` is Red, Green and Blue.

        Raises
        ------
        UsageError
            The folder holds something, or a name cannot be used.
        """
        return cls(*opening.create(Path(root), name, expand(modalities), labels, simulated=simulated))

    @classmethod
    def open(cls, root: Path, *, write: bool = True, reader: str = "reader") -> Study:
        """Open a study; upgrades an older one (after a copy) and puts right what a crash left behind.

        Parameters
        ----------
        write
            False never asks for the right to write.
        reader
            The name that the other readers of a team see.

        Raises
        ------
        StudyLockedError
            Another window writes to it; the message names who. Reading with ``write=False`` is still possible.
        StudyTooNewError
            A newer version of the program wrote it.
        StudyError
            There is no study, or it is damaged.
        """
        return cls(*opening.open_study(Path(root), write=write, reader=reader))

    def close(self) -> None:
        """Let go of the study; calling it twice does no harm."""
        if self._core.team is None:
            self._core.db.close()
        if self._lock is not None:
            self._lock.release(clean=not self._core.unclean)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------------ what it is

    @property
    def root(self) -> Path:
        """The study's folder, absolute."""
        return self.layout.root

    @property
    def name(self) -> str:
        """Name for people."""
        return self._core.manifest.name

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities; the first that a case has gives its grid."""
        return self._core.manifest.modalities

    @property
    def labels(self) -> LabelScheme:
        """The classes."""
        return self._core.manifest.labels

    @property
    def simulated(self) -> bool:
        """Whether its cases are simulated."""
        return self._core.manifest.simulated

    @property
    def readonly(self) -> bool:
        """Whether it was opened for reading only."""
        return self._lock is None

    @property
    def notices(self) -> list[str]:
        """Sentences about what opening found and put right, and about predictions that were left out."""
        return self._core.notices

    def owner(self) -> str | None:
        """Name who writes to the study ("user on host (process n) since …"); None when nobody does."""
        who = read_owner(self.layout.owner)
        return None if who is None or who.gone else str(who)

    # ------------------------------------------------------------------ cases

    def case(self, name: str) -> CaseRow:
        """Look at one case."""
        return queries.facts(self._core, name)[0].row

    def counts(self) -> PoolCounts:
        """How many cases can teach what."""
        return queries.counts(self._core)

    def grid(self, name: str) -> Grid:
        """Canonical grid of a case, on which all its files in the study lie."""
        with self._core.db.read() as session:
            return Grid.from_json(case_of(session, name).grid)

    def source_grid(self, name: str) -> Grid:
        """Grid of the file that the case's reference image came from; exports lie on it."""
        with self._core.db.read() as session:
            return Grid.from_json(case_of(session, name).source_grid)

    @reaching
    def read(self, name: str) -> OpenCase:
        """Read everything the canvas needs, unsaved strokes of a killed program painted again.

        The labels are those of the newest annotation; without one, of the newest prediction; else nothing is painted.

        Raises
        ------
        ImageError
            A file is missing or damaged.
        """
        mine = not self.readonly and not self.why_not_write(name)
        opened, base = reading.read(self._core, name, strokes=mine or not self.shared)
        if mine:
            self._journal(name, base)
        return opened

    def read_ahead(self, name: str) -> None:
        """Read images and prediction of the case that will be opened next; safe in another thread."""
        reading.read_ahead(self._core, name)

    # ------------------------------------------------------------------ annotations

    @reaching
    def save(
        self,
        name: str,
        labels: npt.NDArray[Any],
        closing: Closing,
        origin: Origin,
        author: str,
        seconds: float,
        prediction_id: int | None = None,
        touched_slices: Collection[int] | None = None,
        strokes: int | None = None,
        moment: Moment | None = None,
    ) -> Annotation | None:
        """Write what is on the screen as a new immutable revision, then clear the journal.

        The file is whole on the disk before its row is written; strokes journalled while this runs are kept.

        Parameters
        ----------
        labels
            (z, y, x) on the case's grid.
        closing
            A draft never closes a case; it opens a closed one again only when voxels have changed.
        origin
            ``REVIEWED`` with ``prediction_id`` when it started from a prediction.
        seconds
            Active seconds since the last save, booked together with the revision (not when None is returned).
        touched_slices
            Indices along z that the reader worked on; remembered from save to save. With a partial closing the
            background of all other slices becomes unknown (255); None then takes slices with paint for touched.
        strokes
            Changes that the reader made since the last save, kept with the revision; None takes those that came
            through `stroke`.
        moment
            `moment` of when ``labels`` were copied, for a save that another thread does while the reader goes on. It
            is refused when the case has got another revision since: older voxels never replace newer ones.

        Returns
        -------
        Annotation or None
            None when neither voxels nor closing have changed.

        Raises
        ------
        LabelError
            Values outside the scheme.
        DiskError, StudyError
            Nothing was saved: the revision before and the journal are as they were.
        """
        journal = self.journal(name)
        at = self.moment(name) if moment is None else moment
        new = revisions.NewRevision(
            labels,
            closing,
            origin,
            author,
            seconds,
            prediction_id,
            touched_slices,
            strokes=at.strokes if strokes is None else strokes,
            painted_on=at.painted_on,
        )
        with self._saving:
            # In a team the newer revision may be another reader's: then this one goes beside it.
            if moment is not None and not self.shared and self.moment(name).live != moment.live:
                raise StudyError(
                    f"{name} has got another revision while a draft of it was being written.",
                    "Save it again: what is on the screen and the journal of its strokes are as they were.",
                )
            saved = revisions.save(self._core, name, new)
            if saved is not None and name in self._strokes:
                self._strokes[name].saved(at.strokes)
            # Also when nothing had changed: strokes that took each other back leave nothing to restore either.
            if saved is not None or at.mark > 0:
                journal.clear(at.mark, base=self._base_after(name, saved))
        return saved

    def withdraw(self, name: str, author: str = "") -> Annotation | None:
        """Take the newest closed revision back: the case leaves the labelled pool and its voxels become a draft.

        Returns
        -------
        Annotation or None
            The revision that was taken back (its file stays), or None when the case was not closed.
        """
        taken = revisions.withdraw(self._core, name, author)
        self._repaint(name)
        return taken

    def annotations(self, name: str, *, withdrawn: bool = False) -> list[Annotation]:
        """Revisions of a case, oldest first; those taken back only on request."""
        return revisions.revisions(self._core, name, withdrawn=withdrawn)

    def class_counts(self) -> dict[str, dict[int, int]]:
        """Voxels per label value of every labelled training case, from the database alone."""
        return pool.class_counts(self._core)

    # ------------------------------------------------------------------ what may be learnt from

    def pool(self, only: Collection[str] | None = None) -> tuple[SpecCase, ...]:
        """Cases for a `RunSpec` with the roles ``labelled``, ``unlabelled`` and ``validation``.

        A frozen validation case whose label was taken back is left out: it can measure nothing and must not teach.
        """
        return pool.pool(self._core, only)

    def freeze_validation(self, seed: int = 0, count: int | None = None) -> list[str]:
        """Freeze cases for validation, once: they never train again.

        Parameters
        ----------
        count
            How many of the completely labelled cases; by default a fifth (at least one) from four on, none below.

        Returns
        -------
        list of str
            The frozen cases, also when they were frozen before.
        """
        return pool.freeze_validation(self._core, seed, count)

    def set_role(self, name: str, role: Role) -> None:
        """Change what a case may be used for."""
        pool.set_role(self._core, name, role)
