"""What is known of one model, put together from its folder."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.model import ModelCard
from napari_penumbra.domain.pool import RECORD_FILE
from napari_penumbra.jobs.job import Job
from napari_penumbra.session import champion
from napari_penumbra.study.runs import RunRow

ORIGIN_FILE = "origin.json"
"""In the folder of an imported model: its card, as it came."""
_LONGEST_NAME = 120
IMPORT = "import"
"""Kind of a run that was not trained here."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a study.

    Attributes
    ----------
    id
        The run that made it, or under which it was imported.
    origin
        ``trained`` here or ``imported``.
    parent
        Model of this study that it started from, or its name where it was made; empty when it began by itself.
    step, steps
        Optimiser steps done and planned.
    labelled, unlabelled, frozen
        How many cases it learnt from with labels and without, and was measured on, in the end.
    cases
        Their names by role; empty for an imported model.
    dice
        Mean Dice on the frozen cases; None when it was never measured.
    dice_words
        Where that figure comes from.
    reference_dice
        Of its supervised-only twin, where it has one.
    champion, kept
        Whether it predicts now; whether the reader keeps it whatever comes.
    verdict
        Why it became champion or not, in words.
    """

    id: str
    origin: str
    method: str
    preset: str
    parent: str
    step: int
    steps: int
    labelled: int
    unlabelled: int
    frozen: int
    cases: Mapping[str, tuple[str, ...]]
    dice: float | None
    dice_words: str
    reference_dice: float | None
    created: dt.datetime
    champion: bool
    kept: bool
    verdict: str

    @property
    def pool_words(self) -> str:
        """What it learnt from: ``4 labelled + 18 unlabelled``."""
        return f"{self.labelled} labelled + {self.unlabelled} unlabelled"


def origin_of(folder: Path) -> ModelCard | None:
    """Read the card of an imported model, None for one that was trained here."""
    with contextlib.suppress(OSError, ValueError):
        return ModelCard.from_json(json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8")), folder.name)
    return None


def state_of(job: Job) -> dict[str, Any]:
    """Plain data of a model's checkpoint; empty when they cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(json.loads(((job.checkpoint() or job.folder) / "state.json").read_text(encoding="utf-8")))
    return {}


def figure_of(job: Job, now: float | None, frozen: int) -> tuple[float | None, str]:
    """Choose the Dice that is shown of a model, and say where it comes from.

    Parameters
    ----------
    now
        As measured on the frozen cases as they are; None when it was not.
    frozen
        How many these are.
    """
    cases = "frozen case" if frozen == 1 else f"{frozen} frozen cases"
    if now is not None:
        return now, f"measured on the {cases}"
    at_the_end = champion.figure(job)
    if at_the_end is not None:
        return at_the_end, "at the end of its training"
    card = origin_of(job.folder)
    if card is not None and "dice" in card.figures:
        return card.figures["dice"], "where it was made"
    return None, "not measured"


def info_of(row: RunRow, job: Job, dice: float | None, words: str, best: bool, kept: bool) -> ModelInfo:
    """Put together what is known of a model; ``dice`` and its words are those of `figure_of`."""
    card = origin_of(job.folder)
    cases = {} if card is not None else _cases(job)
    told: Mapping[str, Any] = card.provenance if card is not None else {k: len(v) for k, v in cases.items()}
    parents = list(told.get("parents") or ()) if card is not None else [champion.started_from(job)]
    step, steps = _steps(job, card)
    verdict = champion.judged(job.folder)
    return ModelInfo(
        id=row.id,
        origin="trained" if card is None else "imported",
        method=row.method,
        preset=row.preset,
        parent=str(next(iter(parents), ""))[:_LONGEST_NAME],
        step=step,
        steps=steps,
        labelled=count_of(told, "labelled"),
        unlabelled=count_of(told, "unlabelled"),
        frozen=count_of(told, "frozen"),
        cases=cases,
        dice=dice,
        dice_words=words,
        reference_dice=champion.figure(job, "reference_dice"),
        created=row.created,
        champion=best,
        kept=kept,
        verdict=verdict.why if verdict is not None else "",
    )


def count_of(told: Mapping[str, Any], what: str) -> int:
    """Read a number of cases out of what a file claims; 0 when it is none."""
    try:
        return max(0, int(told.get(what, 0)))
    except (TypeError, ValueError):
        return 0


def _cases(job: Job) -> dict[str, tuple[str, ...]]:
    """Names of the cases by what they were for, those that joined later among them."""
    return _cases_of(job.folder, _stamp(job.folder / "job.json"), _stamp(job.folder / RECORD_FILE))


def _stamp(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=256)
def _cases_of(folder: Path, ordered: int, joined: int) -> dict[str, tuple[str, ...]]:
    """Read once what changes only while a training runs: the orders of a large study are long."""
    job = Job(folder)
    try:
        spec, learnt = job.spec(), tuple(job.labels_learnt())
    except JobError:
        return {}
    unlabelled = tuple(case.name for case in spec.of_role("unlabelled") if case.name not in learnt)
    frozen = tuple(case.name for case in spec.of_role("validation"))
    return {"labelled": learnt, "unlabelled": unlabelled, "frozen": frozen}


def _steps(job: Job, card: ModelCard | None) -> tuple[int, int]:
    if card is not None:
        return int(card.state["step"]), int(card.state["steps"])
    furthest = job.furthest
    return (furthest.step, furthest.steps) if furthest is not None else (0, 0)
