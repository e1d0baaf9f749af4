"""Drafts that are written by another thread while the reader goes on: the window copies the voxels and no more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from psygnal import Signal

from napari_penumbra.domain.case import Annotation, Closing
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.session.second_reader import SecondReader, as_annotation
from napari_penumbra.study.store import Study


@dataclass(frozen=True, slots=True)
class Writing:
    """A draft on its way to the disk."""

    study: Study
    case: str
    seconds: float
    done: Future[Annotation | None]


class Drafts(SecondReader):
    """Writes at most one draft at a time; whatever else saves waits for it first.

    A crash meanwhile loses nothing: the strokes stay in the journal until the revision is whole on the disk, and those
    that come while it is being written stay in it for the next.

    Signals
    -------
    draft_written : (str)
        The named case's draft is on the disk.
    draft_failed : (str, float)
        The named case's draft was not written, and the reader's seconds not booked: what is on the screen is unsaved.
        Why is told by `failed`, right afterwards.
    """

    draft_written = Signal(str)
    draft_failed = Signal(str, float)

    def __init__(self) -> None:
        super().__init__()
        self._writing: Writing | None = None
        self._writer: ThreadPoolExecutor | None = None

    @property
    def saving(self) -> str | None:
        """Name of the case of which a draft is being written."""
        return None if self._writing is None else self._writing.case

    def save_soon(self, name: str, labels: LabelArray, seconds: float = 0.0) -> None:
        """Copy the labels and write them as a draft in another thread; `collect_draft` tells how that went.

        Parameters
        ----------
        labels
            (z, y, x); may be painted on as soon as this returns.
        seconds
            Active seconds since the last save.

        Raises
        ------
        StudyLockedError, StudyError
            The study is read-only or the database cannot be read: nothing was begun.
        """
        self.finish_draft()
        study = self.writable()
        write = self._call(study, name, labels.copy(), seconds)
        if self._writer is None:
            # Joined when Python ends: a draft that is being written then is written to its end.
            self._writer = ThreadPoolExecutor(1, "penumbra-draft")
        self._writing = Writing(study, name, seconds, self._writer.submit(write))

    def _call(self, study: Study, name: str, labels: LabelArray, seconds: float) -> Callable[[], Annotation | None]:
        """Make the call that writes the labels to where they belong at this moment."""
        blind = self.blind
        if blind is None or name != blind.case:
            moment = study.moment(name)
            return lambda: self._write(study, name, labels, Closing.DRAFT, seconds, moment=moment)
        mark = blind.journal.mark()

        def write() -> Annotation | None:
            saved = study.save_reading(
                name, blind.reader, labels, Closing.DRAFT, seconds, strokes=blind.journal, mark=mark
            )
            return None if saved is None else as_annotation(saved)

        return write

    def collect_draft(self) -> None:
        """Tell how writing a draft went, if it is over. Cheap: call it a few times a second."""
        if self._writing is not None and self._writing.done.done():
            self.finish_draft()

    def finish_draft(self) -> None:
        """Wait until the draft that is being written is on the disk, or has failed, and tell which."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            saved = writing.done.result()
        except PenumbraError as error:
            self._tell_failure(writing, error)
        except Exception as error:  # noqa: BLE001 - a thread's last resort: told in words, never swallowed
            self._tell_failure(
                writing,
                PenumbraError(
                    f"A draft of {writing.case} was not written.",
                    "What is on the screen is kept in the journal; save the case again.",
                    repr(error),
                ),
            )
        else:
            if saved is not None and writing.study is self.study:
                self._changed(writing.case)
            self.draft_written.emit(writing.case)

    def _tell_failure(self, writing: Writing, error: PenumbraError) -> None:
        self.draft_failed.emit(writing.case, writing.seconds)
        self.failed.emit(error)

    # ---------------------------------------------------------------- whatever else saves comes after it

    def _save(
        self,
        name: str,
        labels: LabelArray,
        closing: Closing,
        seconds: float,
        touched_slices: Collection[int] | None = None,
        *more: Any,
        **others: Any,
    ) -> Annotation | None:
        self.finish_draft()
        return super()._save(name, labels, closing, seconds, touched_slices, *more, **others)

    def accept(self, name: str, *arguments: Any, **options: Any) -> Annotation:
        """Accept a prediction; see `Review.accept`."""
        self.finish_draft()
        return super().accept(name, *arguments, **options)

    def reopen_case(self, name: str) -> Annotation | None:
        """Take a case back out of the labelled pool; see `Cases.reopen_case`."""
        self.finish_draft()
        return super().reopen_case(name)

    def start_reading(self, name: str, reader: str) -> None:
        """Begin a second reading; see `SecondReader.start_reading`."""
        self.finish_draft()
        super().start_reading(name, reader)

    def close(self) -> None:
        """Close the study when nothing of it is being written any more."""
        self.finish_draft()
        super().close()
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None

    def _take(self, study: Study) -> None:
        self.finish_draft()
        super()._take(study)
