"""What a run looks like from outside, and when a new model takes over from the one that predicts now."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.progress import RunState
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.jobs.job import Job

VERDICT_FILE = "verdict.json"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of the list of runs.

    Attributes
    ----------
    dice
        Mean Dice on the frozen cases at the last validation, None when there was none.
    reference_dice
        The same of the supervised-only twin.
    champion
        Whether this model is the one that predicts.
    message
        How it stands, in words.
    warnings
        What its worker has warned of, a sentence and a remedy each, the newest last.
    place
        How many trainings come before it on its device, 0 when it does not wait.
    """

    id: str
    kind: str
    method: str
    preset: str
    state: RunState
    step: int
    steps: int
    dice: float | None
    reference_dice: float | None
    created: dt.datetime
    champion: bool
    message: str
    warnings: tuple[str, ...] = ()
    place: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a run takes over, and why, in words."""

    wins: bool
    why: str


def figure(job: Job, name: str = "dice") -> float | None:
    """Return a figure of the last validation; None when there is none or it is not a number."""
    value = job.figures.metrics.get(name) if job.figures is not None else None
    return value if value is not None and value == value else None


def frozen_cases(job: Job) -> frozenset[str]:
    """Names of the cases on which a run was validated."""
    try:
        return frozenset(case.name for case in job.spec().of_role("validation"))
    except JobError:
        return frozenset()


def judge(challenger: Job, champion: Job | None) -> Judgement:
    """Decide whether a training that is over takes over.

    The first model with a checkpoint becomes champion. A later one does when its last Dice on the frozen cases is
    not worse on the very same cases, or when there is nothing to compare (no frozen cases, or other ones).
    """
    if challenger.checkpoint() is None:
        return Judgement(False, "It has no checkpoint.")
    if champion is None or champion.checkpoint() is None:
        return Judgement(True, "It is the first model.")
    if champion.id == challenger.id:
        return Judgement(True, "It is the champion already.")
    new, old = figure(challenger), figure(champion)
    same = frozen_cases(challenger) == frozen_cases(champion)
    if new is None or old is None or not same:
        return Judgement(True, "It is newer, and the two were not validated on the same cases.")
    if new >= old:
        return Judgement(True, f"Dice {new:.3f} on the frozen cases, against {old:.3f} before.")
    return Judgement(False, f"Dice {new:.3f} on the frozen cases is below the champion's {old:.3f}.")


def remember(folder: Path, judgement: Judgement) -> None:
    """Write a judgement into the run's folder, where a person can read it."""
    write_text(folder / VERDICT_FILE, json.dumps({"champion": judgement.wins, "why": judgement.why}))


def judged(folder: Path) -> Judgement | None:
    """Read the judgement on a run, None when it has not been judged since it last ran."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads((folder / VERDICT_FILE).read_text(encoding="utf-8"))
        return Judgement(bool(data["champion"]), str(data["why"]))
    return None


def forget(folder: Path) -> None:
    """Judge the run anew once it is over: it goes on."""
    (folder / VERDICT_FILE).unlink(missing_ok=True)
