"""Carries out a plan of DICOM cases: several are read and written at once, each of them whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.imaging.dicom.references import references
from napari_penumbra.study import adding
from napari_penumbra.study.core import Core
from napari_penumbra.study.crew import cores
from napari_penumbra.study.importers.dicom import DicomCase, DicomRow, check_cases, known_exams
from napari_penumbra.study.layout import ACQUISITION, DICOM_REFERENCES
from napari_penumbra.study.newcase import NewCase
from napari_penumbra.study.staging import Order, Staged, stage

Outcome = tuple[str, list[str] | PenumbraError]
_AT_ONCE = 4
"""Each holds some volumes in memory; packing and reading let the others run, the rest does not."""


def add_dicom(core: Core, cases: Iterable[DicomCase], *, keep_references: str = "") -> Iterator[Outcome]:
    """Add the wanted cases of a plan; one that cannot be added does not stop the rest.

    Parameters
    ----------
    keep_references
        The folder as the reader typed it, to keep the UIDs of the source slices for an export as DICOM segmentation;
        empty keeps none.

    Yields
    ------
    tuple
        Name of the case, and its warnings or why it was not added, in the order of the plan. A generator that is
        closed leaves nothing half-added.
    """
    known, _ = known_exams(core)
    given_out: set[str] = set()
    waiting: deque[tuple[DicomCase, list[str], Order | None, Future[Staged] | PenumbraError]] = deque()
    with (
        nullcontext() if core.team is None else core.team.adding(),
        ThreadPoolExecutor(max(1, min(cores(), _AT_ONCE)), "dicom") as pool,
    ):
        try:
            for case in (case for case in cases if case.wanted):
                waiting.append(_begin(core, case, keep_references, known, given_out, pool))
                if len(waiting) > _AT_ONCE:
                    yield _finish(core, *waiting.popleft())
            while waiting:
                yield _finish(core, *waiting.popleft())
        finally:
            for _, _, order, future in waiting:
                _drop(order, future)


def _begin(
    core: Core,
    case: DicomCase,
    keep_references: str,
    known: dict[str, str],
    given_out: set[str],
    pool: ThreadPoolExecutor,
) -> tuple[DicomCase, list[str], Order | None, Future[Staged] | PenumbraError]:
    """Refuse a case, or let a thread put it together."""
    try:
        if case.key and case.key in known:
            raise UsageError(f"{case.title} is in the study already, as {known[case.key]}.", "Leave it out.")
        new, warnings = _new(core, case, keep_references)
        order = adding.make_order(core, new, given_out)
    except PenumbraError as error:
        return case, [], None, error
    given_out.add(order.slug)
    if case.key:
        known[case.key] = case.name
    return case, warnings, order, pool.submit(stage, order)


def _finish(
    core: Core, case: DicomCase, warnings: list[str], order: Order | None, result: Future[Staged] | PenumbraError
) -> Outcome:
    if order is None or isinstance(result, PenumbraError):
        return case.name, result if isinstance(result, PenumbraError) else []
    try:
        told = adding.register(core, order.new, result.result())
    except PenumbraError as error:
        return case.name, error
    except OSError as error:
        return case.name, adding.disk(core, error)
    finally:
        shutil.rmtree(order.folder, ignore_errors=True)
    return case.name, [*warnings, *(text for text in told if not any(note in text for note in warnings))]


def _drop(order: Order | None, result: Future[Staged] | PenumbraError) -> None:
    if order is None or isinstance(result, PenumbraError):
        return
    if not result.cancel():
        result.exception()  # it writes into the folder until then
    shutil.rmtree(order.folder, ignore_errors=True)


def _new(core: Core, case: DicomCase, keep_references: str) -> tuple[NewCase, list[str]]:
    """Say what is to be added, and what the reader should know of it that reading does not tell."""
    problem = check_cases([case])
    if problem:
        raise UsageError(problem, "Choose one series per modality.")
    rows = {row.modality: row for row in case.chosen}
    order = [m for m in core.manifest.modalities if m in rows]
    beside = {ACQUISITION: _acquisition(case)}
    if keep_references:
        beside[DICOM_REFERENCES] = _references(rows, order, keep_references)
    warnings = list(dict.fromkeys(note for row in case.chosen for note in _beforehand(row)))
    warnings += _apart([rows[m] for m in order])
    return NewCase(case.name.strip(), rows, beside=beside), warnings


def _beforehand(row: DicomRow) -> list[str]:
    """What the plan has told of a series and reading it does not tell again."""
    layout_notes = {f"{row.offer.what}: {note}" for layout in row.offer.layouts for note in layout.notes}
    notes = [note for note in row.offer.notes if note not in layout_notes]
    if row.offer.times > 1:
        notes.append(f"{row.offer.what}: point in time {row.time + 1} of {row.offer.times} was taken.")
    return notes


def _apart(rows: Sequence[DicomRow]) -> list[str]:
    spaces = {row.offer.space for row in rows if row.offer.space}
    if len(spaces) < 2:
        return []
    first = rows[0]
    others = ", ".join(row.modality for row in rows[1:] if row.offer.space != first.offer.space)
    return [
        f"{others}: measured in another frame of reference than {first.modality} (the patient was moved in between): "
        "check that they lie on each other."
    ]


def _acquisition(case: DicomCase) -> bytes:
    """Make the whitelisted values of a case's modalities; see docs/dicom.md."""
    modalities: dict[str, Any] = {}
    for row in case.chosen:
        offer = row.offer
        named = offer.label if offer.named.family else offer.modality
        about: dict[str, Any] = {"named": named, **dict(offer.technical)}
        if offer.computed:
            about["computed_from_b_values"] = [part.named.b_value for part in offer.parts]
        if offer.times > 1:
            about["point_in_time"] = row.time + 1
        if offer.averages > 1:
            about["averaged_images"] = offer.averages
        filled = offer.layouts[row.time if offer.times > 1 else 0].filled if offer.layouts else ()
        if filled:
            about["computed_slices"] = [n + 1 for n in filled]
        modalities[row.modality] = about
    content = {"format": 1, "source": "DICOM", "fingerprint": case.key, "modalities": modalities}
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


def _references(rows: dict[str, DicomRow], order: Sequence[str], folder: str) -> bytes:
    """Make the references: those of the modality on whose grid the labels lie first, the others' under ``others``."""
    found = [{"modality": m, "folder": folder, **references(rows[m].offer, rows[m].time)} for m in order]
    return json.dumps({"format": 1, **found[0], "others": found[1:]}, indent=1).encode()
