"""What a plan would add, as one table for the window and for the command line, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_penumbra.domain.colour import COLOUR, PICTURE, sources
from napari_penumbra.study.importers.folder import FolderPlan, PlannedCase

MISSING = "–"


@dataclass(frozen=True, slots=True)
class Preview:
    """A table in words.

    Attributes
    ----------
    headers
        ``case``, a column per modality, ``mask``, ``note``.
    rows
        One per case, as many cells as headers.
    left_over
        Files that belong to no case.
    summary
        One sentence that counts.
    notes
        What else the reader should know.
    adding
        How many cases will be added.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_over: tuple[str, ...]
    summary: str
    notes: tuple[str, ...]
    adding: int


def preview(plan: FolderPlan, modalities: Sequence[str]) -> Preview:
    """Make the table of a plan.

    Parameters
    ----------
    modalities
        The study's.
    """
    columns = sources(modalities)
    rows = tuple(_row(case, columns) for case in plan.cases)
    new = [case for case in plan.cases if not case.present]
    return Preview(("case", *columns, "mask", "note"), rows, plan.unused, _summary(plan, new), plan.notes, len(new))


def _row(case: PlannedCase, columns: Sequence[str]) -> tuple[str, ...]:
    cells = [_file(case, COLOUR[0] if column == PICTURE else column, column) for column in columns]
    missing = [column for column, cell in zip(columns, cells, strict=True) if cell == MISSING]
    notes = [case.problem] if case.problem else []
    if missing:
        notes.append(f"without {', '.join(missing)}")
    if case.reference and case.masked:
        notes.append("test: its mask is kept for measuring only")
    if case.present:
        notes = ["in the study already: left out"]
    return (case.name, *cells, _mask(case), "; ".join(notes))


def _file(case: PlannedCase, modality: str, column: str) -> str:
    path = case.images.get(modality) or case.images.get(column)
    if path is None:
        return MISSING
    frame = case.hints.frames.get(modality)
    return _short(path) if frame is None else f"{_short(path)} [{frame + 1}]"


def _mask(case: PlannedCase) -> str:
    parts = [part.path for part in case.hints.mask] or ([case.label] if case.label else [])
    return " + ".join(_short(path) for path in parts) or MISSING


def _short(path: Path) -> str:
    return path.name


def _summary(plan: FolderPlan, new: Sequence[PlannedCase]) -> str:
    masks = sum(case.masked and not case.reference for case in new)
    references = sum(case.masked and case.reference for case in new)
    parts = [f"{_count(len(new), 'case')} will be added, {masks} with a mask"] if new else ["Nothing new to add here"]
    if references:
        parts.append(f"{references} with a mask for measuring only")
    if len(plan.cases) > len(new):
        parts.append(f"{len(plan.cases) - len(new)} in the study already")
    if plan.unused:
        parts.append(f"{_count(len(plan.unused), 'file')} left over")
    return "; ".join(parts) + "."


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")
