"""What a training would see, and what may go wrong, said before it starts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from napari_penumbra.domain.case import CaseRow, Closing, Role
from napari_penumbra.domain.diagnosis import Finding, find_in_labels, find_leaks, find_missing, leak_findings
from napari_penumbra.domain.spec import DISK_RESERVE
from napari_penumbra.jobs.launch import Measured
from napari_penumbra.jobs.machine import card_likely
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.session.words import duration, memory
from napari_penumbra.study.pool import FEWEST, SHARE
from napari_penumbra.study.store import Study


@dataclass(frozen=True, slots=True)
class Preflight:
    """A look ahead at one training.

    Attributes
    ----------
    labelled, unlabelled, validation
        Cases that would train with labels, without, and that would be frozen to measure on.
    steps
        Optimiser steps.
    problem, remedy
        Why it cannot start and what to do; empty when it can.
    warnings
        What may disappoint, one sentence each.
    findings
        The diagnoses among the warnings.
    measured
        Time, memory and disk by a few real steps on this machine, once `Session.measure` has taken them.
    """

    method: str
    preset: str
    config: dict[str, Any]
    steps: int
    labelled: int
    unlabelled: int
    validation: int
    problem: str = ""
    remedy: str = ""
    warnings: tuple[str, ...] = field(default=())
    findings: tuple[Finding, ...] = ()
    measured: Measured | None = None

    @property
    def can_start(self) -> bool:
        """Whether nothing stands against starting."""
        return not self.problem

    @property
    def pool_words(self) -> str:
        """The pools in words: ``4 labelled, 18 unlabelled, 2 frozen``."""
        return f"{self.labelled} labelled, {self.unlabelled} unlabelled, {self.validation} frozen"

    @property
    def cost_words(self) -> str:
        """Cost in words: ``about 9 min, 1.8 GB, 0.6 GB on disk``; the number of steps before it was measured."""
        if self.measured is None:
            return f"{self.steps:,} steps"
        words = f"about {duration(self.measured.seconds)}, {memory(self.measured.memory_bytes)}"
        return words + (f", {memory(self.measured.disk_bytes)} on disk" if self.measured.disk_bytes else "")

    def with_measured(self, measured: Measured, free_disk: int | None = None) -> Preflight:
        """Return a copy with what the trial steps told.

        Parameters
        ----------
        free_disk
            Bytes free where the study lies; None when not known.
        """
        warnings = [w for w in self.warnings if w != NO_CARD]
        if measured.device == "cpu":
            warnings.append(NO_CARD)
        if measured.free_bytes and measured.memory_bytes > _MUCH * measured.free_bytes:
            warnings.append(
                f"A step takes {memory(measured.memory_bytes)} of the {memory(measured.free_bytes)} of memory that are "
                "free: close other programs, or choose a smaller preset. If memory runs out, the batch is halved."
            )
        if free_disk is not None and free_disk < measured.disk_bytes + DISK_RESERVE:
            warnings.append(
                f"The run may take {memory(measured.disk_bytes)} on disk and leaves {memory(DISK_RESERVE)} free, but "
                f"{memory(free_disk)} is all there is: free some, or it stops before its end."
            )
        return replace(self, measured=measured, warnings=tuple(warnings))


_MUCH = 0.8
NO_CARD = "No usable graphics card was found: it will run on the processor, many times slower than on a GPU."


def look_ahead(
    study: Study,
    info: MethodInfo,
    preset: str,
    config: dict[str, Any],
    steps: int | None,
    validation: int | None,
) -> Preflight:
    """Count the pools and collect warnings.

    Parameters
    ----------
    validation
        Labelled cases to freeze, if none are frozen yet; None for a fifth of four or more.
    """
    rows = [row for row in study.cases() if row.role is not Role.ASIDE]
    labelled = [row for row in rows if row.state.labelled]
    frozen = sum(row.role is Role.VALIDATION for row in labelled)
    if not any(row.role is Role.VALIDATION for row in rows):
        complete = sum(row.closing is Closing.COMPLETE for row in labelled)
        frozen = _to_freeze(complete, validation)
    teaching = len(labelled) - frozen
    unlabelled = sum(not row.state.labelled and row.role is Role.TRAINING for row in rows)
    problem, remedy = _problem(len(labelled), teaching, frozen)
    findings = [] if problem else _findings(study, rows)
    warnings = [] if problem else list(_warnings(info, findings, unlabelled, frozen))
    return Preflight(
        method=info.name,
        preset=preset,
        config=config,
        steps=info.steps(preset, steps),
        labelled=max(0, teaching),
        unlabelled=unlabelled,
        validation=frozen,
        problem=problem,
        remedy=remedy,
        warnings=tuple(warnings),
        findings=tuple(findings),
    )


def _to_freeze(labelled: int, asked: int | None) -> int:
    """How many cases `Study.freeze_validation` would draw."""
    if asked is not None:
        return asked
    return 0 if labelled < FEWEST else max(1, round(SHARE * labelled))


def _problem(labelled: int, teaching: int, frozen: int) -> tuple[str, str]:
    if not labelled:
        return "No case is labelled yet.", "Open a case, paint it and close it with Case complete; two are a start."
    if teaching < 1:
        return (
            f"All {labelled} labelled cases would be frozen for validation ({frozen}): none is left to learn from.",
            "Label another case, or freeze fewer.",
        )
    return "", ""


def _warnings(
    info: MethodInfo,
    findings: Sequence[Finding],
    unlabelled: int,
    frozen: int,
) -> list[str]:
    warnings = []
    if not frozen:
        warnings.append(
            "No case is frozen for validation: the curves cannot show a Dice, and a newer model always takes over. "
            f"With {FEWEST} labelled cases one is set aside."
        )
    if not unlabelled and info.uses_unlabelled:
        warnings.append(f"No case is unlabelled: {info.title} learns no more than from labels alone.")
    warnings += [finding.text for finding in findings]
    if not _card_likely():
        warnings.append(NO_CARD)
    return warnings


def _findings(study: Study, rows: Sequence[CaseRow]) -> list[Finding]:
    """What is known of the data without opening an image."""
    lacking: dict[str, list[str]] = {}
    for row in rows:
        for modality in row.missing:
            lacking.setdefault(modality, []).append(row.name)
    leaks = leak_findings(find_leaks(study.pool()))
    return [*leaks, *find_missing(lacking), *find_in_labels(study.class_counts(), study.labels)]


def _card_likely() -> bool:
    """Whether this machine seems to have a graphics card that torch can use; `Measured.device` knows for sure."""
    return sys.platform == "darwin" or card_likely()
