"""The registry of models: what there is, where each comes from, how good it is, and which one predicts."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.domain.model import ModelCard
from napari_penumbra.domain.pool import RECORD_FILE
from napari_penumbra.jobs.job import Job
from napari_penumbra.session import champion
from napari_penumbra.session.champion import RULE
from napari_penumbra.session.steering import Steering
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


class Models(Steering):
    """Lists models, and lets the reader overrule which one predicts."""

    rule = RULE
    """When a new model becomes champion, in words."""

    def models(self) -> list[ModelInfo]:
        """All models with a checkpoint, the newest first."""
        if self.study is None:
            return []
        best, kept, frozen = self.study.champion(), self.kept, self._frozen(self.study)
        infos = []
        for row in self.study.runs():
            if row.kind == "predict":
                continue
            job = self._know(row.id, row.kind, row.method)
            if job.checkpoint() is None:
                continue
            dice, words = _figure(job, champion.measured(job, frozen) if frozen else None, len(frozen))
            infos.append(_info(row, job, dice, words, row.id == best, row.id == best and kept == best))
        return sorted(infos, key=lambda info: (info.created, info.id), reverse=True)

    def model(self, name: str) -> ModelInfo:
        """Find a model by its id, by the end or the beginning of it, or as ``champion``; `UsageError` in words."""
        known = self.models()
        if name == "champion":
            found = [info for info in known if info.champion]
        else:
            found = [info for info in known if info.id == name] or [
                info for info in known if name and (info.id.startswith(name) or info.id.endswith(name))
            ]
        if len(found) != 1:
            several = f' "{name}" may be {", ".join(info.id for info in found[:3])}.' if found else ""
            raise UsageError(f"There is no model {name}.{several}", "`penumbra models` lists them.")
        return found[0]

    def cases_behind(self, name: str) -> int:
        """Count the labelled and frozen cases that are behind a model, those of the models that it started from too."""
        job = self._job(name)
        cases = champion.taught_by(job) | {case.name for case in job.spec().of_role("validation")}
        cards = [card for card in (origin_of(j.folder) for j in (job, *champion.ancestors(job))) if card is not None]
        return len(cases) + sum(_count(card.provenance, "labelled") for card in cards)

    def start_warning(self, name: str) -> str:
        """Say what would mislead a reader of a training that starts from a model; empty when nothing would."""
        study = self.opened()
        frozen = {case.name for case in self._frozen(study)} & champion.taught_by(self._job(self.model(name).id))
        if not frozen:
            return ""
        verb = "which are" if len(frozen) > 1 else "which is"
        return (
            f"The model to start from has learnt from {', '.join(sorted(frozen))}, {verb} frozen now: Dice there will "
            "look better than it is, and does not count when the champion is chosen."
        )

    # ---------------------------------------------------------------- the reader's word

    def make_champion(self, name: str) -> str | None:
        """Let a model predict from now on; returns the one before, None when there was none.

        Raises
        ------
        UsageError
            There is no such model, or it cannot predict here.
        """
        study = self.writable()
        info = self.model(name)
        before = study.champion()
        if before == info.id:
            return before
        study.set_champion(info.id)
        champion.remember(
            self._job(info.id).folder, champion.Judgement(True, f"Made champion by {self.reader or 'hand'}.")
        )
        if self.kept:
            champion.keep(study.layout.runs, "")  # kept was the one before
        self._champion_changed()
        return before

    def why_not_roll_back(self) -> str:
        """Say why there is no champion to roll back to; empty when there is one."""
        if self.study is None:
            return "No study is open."
        return "" if self._champion_before() else "No other model has been champion before, or it is gone."

    def _champion_before(self) -> str | None:
        """Name the champion before the present one: each step back goes further back, it does not go to and fro."""
        stack: list[str] = []
        for run in self.opened().champions():
            if len(stack) > 1 and stack[-2] == run:
                stack.pop()
            elif not stack or stack[-1] != run:
                stack.append(run)
        return next((run for run in reversed(stack[:-1]) if self._job(run).checkpoint() is not None), None)

    def roll_back(self) -> str:
        """Let the champion before the present one predict again; returns its name.

        Raises
        ------
        UsageError
            There is none.
        """
        study = self.writable()
        before = self._champion_before()
        if before is None:
            raise UsageError(self.why_not_roll_back(), "Make any model champion: `penumbra models` lists them.")
        study.set_champion(before)
        if self.kept:
            champion.keep(study.layout.runs, "")
        self._champion_changed()
        return before

    def keep_champion(self, keep: bool) -> None:
        """Keep the present champion whatever comes, or let the rule decide again.

        Raises
        ------
        UsageError
            There is no champion to keep.
        """
        study = self.writable()
        best = study.champion()
        if keep and best is None:
            raise UsageError("There is no champion to keep.", "Train first, or make a model champion.")
        champion.keep(study.layout.runs, best or "" if keep else "")
        self.models_changed.emit()

    def compare_models(self) -> bool:
        """Measure every model on the frozen cases in the background; False when there is nothing to measure."""
        return self.measure_models([info.id for info in self.models()])

    def _champion_changed(self) -> None:
        self.study_changed.emit()
        self.models_changed.emit()
        self._update_status()


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


def _figure(job: Job, now: float | None, frozen: int) -> tuple[float | None, str]:
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


def _info(row: RunRow, job: Job, dice: float | None, words: str, best: bool, kept: bool) -> ModelInfo:
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
        labelled=_count(told, "labelled"),
        unlabelled=_count(told, "unlabelled"),
        frozen=_count(told, "frozen"),
        cases=cases,
        dice=dice,
        dice_words=words,
        reference_dice=champion.figure(job, "reference_dice"),
        created=row.created,
        champion=best,
        kept=kept,
        verdict=verdict.why if verdict is not None else "",
    )


def _count(told: Mapping[str, Any], what: str) -> int:
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
