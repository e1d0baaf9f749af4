"""The annotating half of a session: cases in, strokes to the journal, revisions to the study."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.case import Annotation, CaseState, Closing, OpenCase, Origin, Role
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.session.together import Together
from napari_penumbra.study.journals import Moment
from napari_penumbra.study.store import Study


class Cases(Together):
    """Adds, opens, saves and closes cases."""

    def __init__(self) -> None:
        super().__init__()
        self.order = "file"
        """In which order `next_case` walks: a kind that `Study.order` knows."""

    # ---------------------------------------------------------------- in

    def add_case(self, name: str, images: Mapping[str, Path], label: Path | None = None, **options: Any) -> list[str]:
        """Add one case; warnings in words. Options as `Study.add_case`."""
        warnings = self.writable().add_case(name, images, label, **{"author": self.reader, **options})
        self.study_changed.emit()
        self._update_status()
        return warnings

    def add_folder(self, images: Path, labels: Path | None = None) -> Iterator[tuple[str, list[str] | PenumbraError]]:
        """Add every case of a folder, one at a time; a case that cannot be added does not stop the rest."""
        study = self.writable()
        try:
            yield from study.add_folder(images, labels)
        finally:
            self.study_changed.emit()
            self._update_status()

    # ---------------------------------------------------------------- walk

    def next_case(self, after: str | None = None, step: int = 1) -> str | None:
        """Name the case to open next.

        Parameters
        ----------
        after
            The case on screen. None asks for the first one that nobody has closed yet.
        step
            1 for the next, -1 for the one before.

        Returns
        -------
        str or None
            None at the end of the list or in an empty study.
        """
        if self.study is None:
            return None
        # What another reader of the team has cannot be worked on: the walk passes it by.
        held = self.study.holders()
        names = [name for name in self.study.order(self.order) if name == after or name not in held]
        if not names:
            return None
        if after is None or after not in names:
            open_ones = {
                row.name for row in self.study.cases() if not row.state.labelled and row.role is not Role.ASIDE
            }
            return next((name for name in names if name in open_ones), names[0])
        at = names.index(after) + step
        return names[at] if 0 <= at < len(names) else None

    def pin(self, name: str, wanted: bool = True) -> None:
        """Ask for a case to come next, whatever the order, or take that back."""
        self.writable().pin(name, wanted)
        self._changed(name)

    def load(self, name: str) -> OpenCase:
        """Read a case for the canvas, strokes of a crashed window replayed on top; in a team, check it out first."""
        self.check_out(name)
        return self.opened().read(name)

    def read_ahead(self, name: str) -> None:
        """Read what never changes of the case that comes next, so that `load` finds it; for another thread."""
        self.opened().read_ahead(name)

    # ---------------------------------------------------------------- out

    def stroke(self, name: str, box: Box, after: LabelArray) -> None:
        """Journal a stroke: the voxels of ``box`` as they are after it. Safe on disk when this returns.

        Parameters
        ----------
        box
            ((z0, y0, x0), (z1, y1, x1)), end exclusive.
        after
            Labels inside the box, of the box's shape.
        """
        self.writable().stroke(name, box, np.ascontiguousarray(after, dtype=np.uint8))

    def save(self, name: str, labels: LabelArray, seconds: float = 0.0) -> bool:
        """Save a draft; False when nothing had changed (the time is booked all the same)."""
        return self._save(name, labels, Closing.DRAFT, seconds) is not None

    def close_case(
        self,
        name: str,
        labels: LabelArray,
        closing: Closing = Closing.COMPLETE,
        seconds: float = 0.0,
        touched_slices: Collection[int] | None = None,
    ) -> Annotation | None:
        """Put a case into the labelled pool.

        Parameters
        ----------
        closing
            Complete (unpainted is background) or partial (slices nobody touched are unknown).
        touched_slices
            Needed for a partial closing: indices along z that the reader worked on.

        Returns
        -------
        Annotation or None
            The new revision, None when nothing had changed.
        """
        return self._save(name, labels, closing, seconds, touched_slices)

    def reopen_case(self, name: str) -> Annotation | None:
        """Take a case back out of the labelled pool; its annotation becomes a draft, nothing is deleted."""
        annotation = self.writable().withdraw(name, self.reader)
        self._changed(name)
        return annotation

    def _save(
        self,
        name: str,
        labels: LabelArray,
        closing: Closing,
        seconds: float,
        touched_slices: Collection[int] | None = None,
    ) -> Annotation | None:
        self.claim(name)
        annotation = self._write(self.writable(), name, labels, closing, seconds, touched_slices)
        if annotation is not None:
            self._changed(name)
        return annotation

    def _write(
        self,
        study: Study,
        name: str,
        labels: LabelArray,
        closing: Closing,
        seconds: float,
        touched_slices: Collection[int] | None = None,
        moment: Moment | None = None,
    ) -> Annotation | None:
        """Write a revision; with a moment also in another thread, for it tells nobody."""
        # Correcting what a model proposed is reviewing, painting on an empty case is not; provenance tells them apart.
        reviewed = study.case(name).state in (CaseState.PREDICTED, CaseState.IN_REVIEW, CaseState.ACCEPTED)
        prediction = study.prediction(name) if reviewed else None
        annotation = study.save(
            name,
            labels,
            closing,
            Origin.REVIEWED if prediction else Origin.PAINTED,
            self.reader,
            seconds,
            prediction_id=prediction.id if prediction else None,
            touched_slices=touched_slices,
            moment=moment,
        )
        if annotation is None and seconds > 0:
            study.add_seconds(name, seconds, "annotate")
        return annotation

    def _changed(self, name: str) -> None:
        self.case_changed.emit(name)
        self._update_status()

    def _judged(self, name: str) -> None:
        """A case has another verdict: words that count the whole study can wait until the next `poll`."""
        self.case_changed.emit(name)
        self._status_due = True
