"""A second reader: reads a case again without seeing what anybody else has drawn, beside the case's own annotation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_penumbra.domain.case import Annotation, CaseRow, CaseState, Closing, OpenCase, Origin
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box, Found
from napari_penumbra.session.reader_name import remember
from napari_penumbra.session.review import Review
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.readings import Reading, checked_name

_STATES = {Closing.DRAFT: CaseState.IN_PROGRESS}


@dataclass(frozen=True, slots=True)
class Blind:
    """A second reading that is going on: of which case, and by whom."""

    case: str
    reader: str
    journal: Journal


class SecondReader(Review):
    """While a second reading goes on, strokes and saves of its case go to the reading and to nothing else.

    Attributes
    ----------
    blind
        The second reading that is going on, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blind: Blind | None = None

    def _forget(self) -> None:
        super()._forget()
        self.blind = None

    def set_reader(self, name: str) -> None:
        """Write annotations under this name from now on, on this machine; the empty text is the neutral one."""
        self.reader = remember(name)
        if self.study is not None:
            self.study.call_reader(self.reader)
        self._update_status()

    # ---------------------------------------------------------------- begin and end

    def start_reading(self, name: str, reader: str) -> None:
        """Begin (or go on with) a second reading; `load` the case next. What is shown must have been saved.

        Raises
        ------
        UsageError
            The name is empty, or it is the one under which the case itself was annotated.
        """
        study = self.writable()
        reader = checked_name(reader)
        authors = {a.author for a in study.annotations(name, withdrawn=True)}
        if reader in authors:
            raise UsageError(
                f"{name} has been annotated by {reader} already.", "A second reader needs a name of its own."
            )
        self.blind = Blind(name, reader, study.reading_journal(name, reader))

    def stop_reading(self) -> None:
        """Go back to the case's own annotation; `load` the case next. What is shown must have been saved."""
        self.blind = None

    def readings(self, name: str) -> list[Reading]:
        """Newest annotation of each second reader of a case."""
        return self.study.readings(name) if self.study is not None else []

    def is_blind(self, name: str | None) -> bool:
        """Whether a second reading of this case is going on: nothing of other readers may be shown."""
        return self.blind is not None and name == self.blind.case

    # ---------------------------------------------------------------- instead of the case's own

    def why_not_write(self, name: str | None) -> str:
        """Say why nothing of a case can be saved; a second reading is nobody else's, whoever has the case."""
        reading = self.study is not None and not self.readonly and name is not None and self.is_blind(name)
        return "" if reading else super().why_not_write(name)

    def load(self, name: str) -> OpenCase:
        """Read a case for the canvas; during its second reading without anybody else's labels and predictions."""
        blind = self.blind
        if blind is not None and name == blind.case:
            self._shown = None
            return self.opened().open_reading(name, blind.reader)
        self.blind = None  # the reader has gone on to another case
        return super().load(name)

    def row_of(self, name: str) -> CaseRow:
        """Return a case's line of the table as its present reader may see it."""
        row = self.opened().case(name)
        if self.blind is None or name != self.blind.case:
            return row
        mine = next((r for r in self.readings(name) if r.reader == self.blind.reader), None)
        state = CaseState.NEW if mine is None else _STATES.get(mine.closing, CaseState.ANNOTATED)
        return replace(row, state=state, closing=None if mine is None else mine.closing, reason="")

    def found(self, name: str, *arguments: Any, **options: Any) -> Found:
        """Places of a prediction that want a look; none during a second reading."""
        return Found() if self.is_blind(name) else super().found(name, *arguments, **options)

    def stroke(self, name: str, box: Box, after: LabelArray) -> None:
        """Journal a stroke; see `Cases.stroke`."""
        if self.blind is None or name != self.blind.case:
            super().stroke(name, box, after)
            return
        self.writable()
        self.blind.journal.append(box, np.ascontiguousarray(after, dtype=np.uint8))

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
        """Save where the labels on screen belong."""
        blind = self.blind
        if blind is None or name != blind.case:
            return super()._save(name, labels, closing, seconds, touched_slices, *more, **others)
        saved = self.writable().save_reading(
            name, blind.reader, labels, closing, seconds, touched_slices, strokes=blind.journal
        )
        if saved is None:
            return None
        self._changed(name)
        return as_annotation(saved)

    def accept(self, name: str, *arguments: Any, **options: Any) -> Annotation:
        """Accept a prediction; refused during a second reading, which has none."""
        self._refuse_blind(name)
        return super().accept(name, *arguments, **options)

    def reopen_case(self, name: str) -> Annotation | None:
        """Take a case back out of the labelled pool; refused during a second reading, which is in no pool."""
        self._refuse_blind(name)
        return super().reopen_case(name)

    def _refuse_blind(self, name: str) -> None:
        if self.is_blind(name):
            raise UsageError(
                f"A second reading of {name} is going on.", "Finish or leave it first; painting on it goes on with it."
            )


def as_annotation(saved: Reading) -> Annotation:
    """Say a reading in the words that whoever asked for a save expects."""
    return Annotation(
        id=int(saved.key[1:]),
        case=saved.case,
        revision=saved.revision,
        path=saved.path,
        closing=saved.closing,
        origin=Origin.PAINTED,
        author=saved.reader,
        created=saved.created,
        seconds=saved.seconds,
        voxels_changed=saved.voxels_changed,
    )
