"""What a reader changes in a plan before anything is written: names, modalities, points in time, which cases."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.importers.dicom import DicomCase, DicomPlan, DicomRow


def with_names(plan: DicomPlan, names: Mapping[int, str]) -> DicomPlan:
    """Name cases, by their number from 1; raises `UsageError` for a number that the plan does not have."""
    for number in names:
        _case(plan, number)
    cases = tuple(replace(case, name=names.get(n, case.name)) for n, case in enumerate(plan.cases, 1))
    return replace(plan, cases=cases)


def with_cases(plan: DicomPlan, numbers: Collection[int]) -> DicomPlan:
    """Keep only some cases wanted, by their number from 1; empty keeps all."""
    for number in numbers:
        _case(plan, number)
    cases = (
        replace(case, wanted=case.wanted and (not numbers or n in numbers)) for n, case in enumerate(plan.cases, 1)
    )
    return replace(plan, cases=tuple(cases))


def with_label(plan: DicomPlan, label: str, modality: str, time: int, modalities: Sequence[str]) -> DicomPlan:
    """Take the series of a name, in every case that has it, as a modality; an empty modality leaves it out.

    Of several series of one name in a case, the first that can be read is taken.

    Raises
    ------
    UsageError
        No case has such a series, or the study no such modality.
    """
    _check(modality, modalities)
    cases, hits = [], 0
    for case in plan.cases:
        at = [n for n, row in enumerate(case.rows) if row.offer.label.lower() == label.lower() and row.offer.usable]
        hits += len(at)
        cases.append(_assigned(case, at[0], modality, time) if at else case)
    if not hits:
        known = sorted({row.offer.label for case in plan.cases for row in case.rows if row.offer.usable})
        raise UsageError(f'No series is called "{label}".', f"There are: {', '.join(known)}." if known else "")
    return replace(plan, cases=tuple(cases))


def with_row(plan: DicomPlan, number: int, row: int, modality: str, time: int, modalities: Sequence[str]) -> DicomPlan:
    """Take one series of one case, both by their number from 1, as a modality; an empty one leaves it out.

    Raises
    ------
    UsageError
        The plan has no such row, it cannot be read, or the study has no such modality.
    """
    _check(modality, modalities)
    case = _case(plan, number)
    if not 1 <= row <= len(case.rows):
        raise UsageError(f"Case {number} has {len(case.rows)} series: there is no number {row}.", "See --dry-run.")
    changed = _assigned(case, row - 1, modality, time)
    return replace(plan, cases=tuple(changed if one is case else one for one in plan.cases))


def _case(plan: DicomPlan, number: int) -> DicomCase:
    if not 1 <= number <= len(plan.cases):
        raise UsageError(f"There is no case number {number}: the folder holds {len(plan.cases)}.", "See --dry-run.")
    return plan.cases[number - 1]


def _check(modality: str, modalities: Sequence[str]) -> None:
    if modality and modality not in modalities:
        raise UsageError(f'The study has no modality "{modality}".', f"Its modalities are {', '.join(modalities)}.")


def _assigned(case: DicomCase, index: int, modality: str, time: int) -> DicomCase:
    """Give a modality to one row, and take it from the row that had it."""
    offer = case.rows[index].offer
    if modality and offer.problem:
        raise UsageError(offer.problem, "Choose another series.")
    if not 0 <= time < offer.times:
        raise UsageError(f"{offer.what} has {offer.times} points in time: there is no number {time + 1}.")
    rows = [replace(row, modality="") if modality and row.modality == modality else row for row in case.rows]
    rows[index] = DicomRow(offer, modality, time)
    wanted = not case.present and any(row.modality for row in rows)
    return replace(case, rows=tuple(rows), wanted=wanted)
