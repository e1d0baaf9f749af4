"""A folder of DICOM files becomes cases: planned from the headers first, shown to the reader, then written.

Of the headers only a whitelist of technical values enters the study (``acquisition.json`` in the case's folder), and
the UIDs of the source only where the reader asks for them (``dicom_references.json``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.dicom import Offer, Progress, scan
from napari_penumbra.imaging.dicom.choosing import choose
from napari_penumbra.imaging.dicom.fingerprint import fingerprint
from napari_penumbra.imaging.files import ReadImage
from napari_penumbra.study.core import Core
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
    known, taken = known_exams(core)
    cases, number = [], 0
    for exam in found.exams:
        key = fingerprint(exam.offers)
        modality_of = choose(exam.offers, core.manifest.modalities)
        rows = tuple(DicomRow(offer, modality_of.get(n, "")) for n, offer in enumerate(exam.offers))
        present = known.get(key, "") if key else ""
        name = present
        if not present and exam.usable:
            number, name = _next_name(number, taken)
        wanted = not present and bool(modality_of)
        cases.append(DicomCase(exam.title, name, rows, exam.files, key, present, wanted, exam.folder))
    return DicomPlan(tuple(cases), found.files, found.notes)


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


def known_exams(core: Core) -> tuple[dict[str, str], set[str]]:
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


def _next_name(number: int, taken: set[str]) -> tuple[int, str]:
    lower = {name.lower() for name in taken}
    number += 1
    while NAME.format(number).lower() in lower:
        number += 1
    return number, NAME.format(number)
