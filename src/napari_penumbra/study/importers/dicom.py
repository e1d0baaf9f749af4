"""A folder of DICOM files becomes cases: planned from the headers first, shown to the reader, then written.

Of the headers only a whitelist of technical values enters the study (``acquisition.json`` in the case's folder), and
the UIDs of the source only where the reader asks for them (``dicom_references.json``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.imaging.dicom import Exam, Offer, Progress, scan
from napari_penumbra.imaging.dicom.choosing import choose
from napari_penumbra.imaging.dicom.fingerprint import fingerprint
from napari_penumbra.imaging.dicom.references import references
from napari_penumbra.imaging.files import ReadImage
from napari_penumbra.study.adding import NewCase, add_case
from napari_penumbra.study.core import Core
from napari_penumbra.study.layout import ACQUISITION, DICOM_REFERENCES
from napari_penumbra.study.schema import CaseTable

NAME = "case-{:03d}"
"""What cases are called unless the reader says otherwise: never after the patient."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomRow:
    """A series as it would be added: to which modality, empty to leave it out; which point in time, from 0."""

    offer: Offer
    modality: str = ""
    time: int = 0

    @property
    def name(self) -> str:
        """What the study's sentences call it."""
        return self.offer.name

    def read(self) -> ReadImage:
        """Read its voxels."""
        return self.offer.read(self.time)


@dataclass(frozen=True, slots=True)
class DicomCase:
    """An exam as it would be added.

    Attributes
    ----------
    title
        ``patient 2, exam 1``.
    name
        Empty where none of its series can be read.
    present
        Name of the case that it is in the study already, empty when it is new.
    wanted
        Whether it is to be added.
    folder
        Where its files lie. For the screen, and only where the reader asks: it may hold the patient's name.
    """

    title: str
    name: str
    rows: tuple[DicomRow, ...]
    files: int
    key: str
    present: str = ""
    wanted: bool = True
    folder: Path = field(default=Path(), repr=False)

    @property
    def chosen(self) -> tuple[DicomRow, ...]:
        """The rows that are to be added."""
        return tuple(row for row in self.rows if row.modality)


@dataclass(frozen=True, slots=True)
class DicomPlan:
    """What a folder would add; ``notes`` say what was left out."""

    cases: tuple[DicomCase, ...]
    files: int
    notes: tuple[str, ...]


def plan_dicom(core: Core, folder: Path, progress: Progress | None = None) -> DicomPlan:
    """Look through a folder or a tree of patients; writes nothing.

    Raises
    ------
    UsageError
        No such folder, nothing in it that could become a case, or the search was stopped.
    """
    found = scan(Path(folder), progress)
    if not any(offer for exam in found.exams for offer in exam.offers):
        raise UsageError(
            f"No DICOM scan was found in {folder} ({found.files} files). {' '.join(found.notes)}".strip(),
            "Choose the folder that holds the slices, or a folder above it.",
        )
    known, taken = _known(core)
    cases, number = [], 0
    # What holds nothing that can be read comes last, with its reasons, and takes no number away.
    for exam in sorted(found.exams, key=lambda exam: not _usable(exam)):
        key = fingerprint(exam.offers)
        modality_of = choose(exam.offers, core.manifest.modalities)
        rows = tuple(DicomRow(offer, modality_of.get(n, "")) for n, offer in enumerate(exam.offers))
        present = known.get(key, "") if key else ""
        name = present
        if not present and _usable(exam):
            number, name = _next_name(number, taken)
        wanted = not present and bool(modality_of)
        cases.append(DicomCase(exam.title, name, rows, exam.files, key, present, wanted, exam.folder))
    return DicomPlan(tuple(cases), found.files, found.notes)


def add_dicom(
    core: Core, cases: Iterable[DicomCase], *, keep_references: str = ""
) -> Iterator[tuple[str, list[str] | PenumbraError]]:
    """Add the wanted cases of a plan, one at a time; one that cannot be added does not stop the rest.

    Parameters
    ----------
    keep_references
        The folder as the reader typed it, to keep the UIDs of the source slices for an export as DICOM segmentation;
        empty keeps none.

    Yields
    ------
    tuple
        Name of the case, and its warnings or why it was not added.
    """
    known, _ = _known(core)
    for case in cases:
        if not case.wanted:
            continue
        if case.key and case.key in known:
            yield case.name, UsageError(f"{case.title} is in the study already, as {known[case.key]}.", "Leave it out.")
            continue
        try:
            warnings = _add(core, case, keep_references)
        except PenumbraError as error:
            yield case.name, error
            continue
        if case.key:
            known[case.key] = case.name
        yield case.name, warnings


def check_cases(cases: Sequence[DicomCase]) -> str:
    """Say why a changed plan cannot be carried out; empty when it can."""
    wanted = [case for case in cases if case.wanted]
    if not wanted:
        return "No case is chosen."
    names = [case.name.strip() for case in wanted]
    for case in wanted:
        if not case.name.strip():
            return f"{case.title} needs a name."
        if names.count(case.name.strip()) > 1:
            return f"Two cases are called {case.name.strip()}."
        if not case.chosen:
            return f"{case.name}: no series is chosen."
        modalities = [row.modality for row in case.chosen]
        double = next((m for m in modalities if modalities.count(m) > 1), "")
        if double:
            return f"{case.name}: two series are chosen as {double}."
    return ""


def _add(core: Core, case: DicomCase, keep_references: str) -> list[str]:
    problem = check_cases([case])
    if problem:
        raise UsageError(problem, "Choose one series per modality.")
    order = [m for m in core.manifest.modalities if any(row.modality == m for row in case.chosen)]
    rows = {row.modality: row for row in case.chosen}
    beside = {ACQUISITION: _acquisition(case)}
    if keep_references:
        beside[DICOM_REFERENCES] = _references(rows, order, keep_references)
    images = {modality: rows[modality] for modality in (*order, *(m for m in rows if m not in order))}
    warnings = list(dict.fromkeys(note for row in case.chosen for note in _beforehand(row)))
    warnings += _apart([rows[m] for m in order])
    told = add_case(core, NewCase(case.name.strip(), images, beside=beside))
    return [*warnings, *(text for text in told if not any(note in text for note in warnings))]


def _beforehand(row: DicomRow) -> list[str]:
    """What the plan has told of a series and reading it does not tell again."""
    layout_notes = {f"{row.offer.what}: {note}" for layout in row.offer.layouts for note in layout.notes}
    return [note for note in row.offer.notes if note not in layout_notes]


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


def _known(core: Core) -> tuple[dict[str, str], set[str]]:
    """Fingerprints of the exams that the study has, with the names of their cases; all names."""
    known: dict[str, str] = {}
    with core.db.read() as session:
        cases = [(case.name, case.slug) for case in session.scalars(select(CaseTable))]
    for name, slug in cases:
        try:
            content = json.loads(core.layout.acquisition(slug).read_text("utf-8"))
            key = content.get("fingerprint")
        except (OSError, ValueError, AttributeError):
            continue  # a case from other files, or one whose notes were edited by hand
        if isinstance(key, str) and key:
            known[key] = name
    return known, {name for name, _ in cases}


def _usable(exam: Exam) -> bool:
    return any(offer.usable for offer in exam.offers)


def _next_name(number: int, taken: set[str]) -> tuple[int, str]:
    lower = {name.lower() for name in taken}
    number += 1
    while NAME.format(number).lower() in lower:
        number += 1
    return number, NAME.format(number)
