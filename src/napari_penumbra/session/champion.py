"""What a run looks like from outside, and when a new model takes over from the one that predicts now."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.frozen import FrozenFigures
from napari_penumbra.domain.progress import RunState
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.imaging.atomic import disk_error, write_text
from napari_penumbra.jobs.job import Job

VERDICT_FILE = "verdict.json"
KEPT_FILE = ".kept"
RULE = (
    "A new model becomes champion only if its mean Dice on the frozen cases is higher than the champion's: the same "
    "cases, the same labels, the same code for both. Frozen cases that one of the two has learnt from do not count. "
    "Where no frozen case is left to compare on, the newer model takes over. You may overrule it at any time: make "
    "another model champion, roll back to the one before, or keep the champion whatever comes."
)
"""What is said wherever a champion is shown."""
_NOTHING_FROZEN = "No case is frozen, so the two could not be compared: the newer model takes over."
_NOTHING_FAIR = (
    "One of the two has learnt from every frozen case, so they could not be compared: the newer model takes over."
)


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


def judge(challenger: Job, champion: Job | None, frozen: Sequence[SpecCase], kept: bool = False) -> Judgement | None:
    """Decide whether a training that is over takes over; see `RULE`.

    Parameters
    ----------
    frozen
        The study's frozen cases as they are now.
    kept
        The reader keeps the champion whatever comes.

    Returns
    -------
    Judgement or None
        None when both have to be measured on the frozen cases first.
    """
    if challenger.checkpoint() is None:
        return Judgement(False, "It has no checkpoint.")
    if champion is None or champion.checkpoint() is None:
        return Judgement(True, "It is the first model.")
    if champion.id == challenger.id:
        return Judgement(True, "It is the champion already.")
    if kept:
        return Judgement(False, "You keep the champion that was there, whatever comes.")
    cases = fair(frozen, challenger, champion)
    if not cases:
        return Judgement(True, _NOTHING_FROZEN if not frozen else _NOTHING_FAIR)
    figures = _from_their_trainings(challenger, champion, cases) or _measured(challenger, champion, cases)
    return None if figures is None else _compare(*figures, len(cases), len(frozen))


def _compare(new: float, old: float, cases: int, frozen: int) -> Judgement:
    which = "frozen case" if cases == 1 else f"{cases} frozen cases"
    left = frozen - cases
    out = f" ({left} more left out: one of the two has learnt from them)" if left else ""
    words = f"Dice {new:.3f} on the {which}{out}, against the champion's {old:.3f}"
    if new > old:
        return Judgement(True, f"{words}: better.")
    return Judgement(False, f"{words}: {'no better' if new == old else 'worse'}.")


def fair(frozen: Sequence[SpecCase], *models: Job) -> list[SpecCase]:
    """Frozen cases that none of the models has learnt from, as it may have done before they were frozen."""
    taught = {name for model in models for name in taught_by(model)}
    return [case for case in frozen if case.label is not None and case.name not in taught]


def ancestors(model: Job) -> list[Job]:
    """Models that a model started from, the nearest first, as far as they are in the study."""
    found: list[Job] = []
    seen = {model.id}
    while (name := started_from(model if not found else found[-1])) and name not in seen:
        seen.add(name)
        found.append(Job(model.folder.parent / name))
    return found


def started_from(model: Job) -> str:
    """Name of the run whose model a training started from; empty when it began by itself."""
    with contextlib.suppress(JobError, IndexError):
        spec = model.spec()
        if spec.kind == "train" and spec.checkpoint:
            return PurePosixPath(spec.checkpoint).parts[1]
    return ""


def taught_by(model: Job) -> set[str]:
    """Cases whose labels a model has learnt from, itself or through those that it started from."""
    names: set[str] = set()
    for job in (model, *ancestors(model)):
        with contextlib.suppress(JobError):
            names |= set(job.labels_learnt())
    return names


def _from_their_trainings(one: Job, other: Job, cases: Sequence[SpecCase]) -> tuple[float, float] | None:
    """Figures of the two last validations, where these saw the same cases and labels on the same voxels."""
    wanted = {(case.name, case.label) for case in cases}
    if any(_frozen_of(job) != wanted or job.state() is not RunState.FINISHED for job in (one, other)):
        return None
    if figure(one, "cases") != figure(other, "cases") or _grid_of(one) != _grid_of(other):
        return None
    new, old = figure(one), figure(other)
    return None if new is None or old is None else (new, old)


def _frozen_of(job: Job) -> set[tuple[str, str | None]] | None:
    try:
        return {(case.name, case.label) for case in job.spec().of_role("validation")}
    except JobError:
        return None


def _grid_of(job: Job) -> object:
    """Voxels on which a model sees the cases, None when it does not say."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        plan = json.loads(((job.checkpoint() or job.folder) / "state.json").read_text(encoding="utf-8"))["plan"]
        return [plan[key] for key in ("spacing", "dimensions", "slice_axis")]
    return None


def _measured(one: Job, other: Job, cases: Sequence[SpecCase]) -> tuple[float, float] | None:
    new, old = (measured(job, cases) for job in (one, other))
    return None if new is None or old is None else (new, old)


def measured(job: Job, cases: Sequence[SpecCase]) -> float | None:
    """Mean Dice of a model's checkpoint on cases as they are now; None when one of them was not measured."""
    checkpoint = job.checkpoint()
    return None if checkpoint is None else FrozenFigures.read(job.folder, checkpoint.name).dice(cases)


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


# ---------------------------------------------------------------------- kept by the reader


def kept(runs: Path) -> str:
    """Name of the champion that the reader keeps whatever comes; empty when the rule decides."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (runs / KEPT_FILE).read_text(encoding="utf-8").strip()
    return ""


def keep(runs: Path, model: str) -> None:
    """Keep a champion whatever comes, or with an empty name let the rule decide again; raises `DiskError`."""
    if model:
        write_text(runs / KEPT_FILE, model)
        return
    try:
        (runs / KEPT_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(runs / KEPT_FILE, error) from error
