"""Which cells there are. A cell is one training and its scores: cohort, arm, number of labels, seed, steps, preset."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from evidence.cohorts import COHORTS, TUNING, Cohort
from napari_penumbra.jobs.methods_info import MethodInfo

Pool = Literal["pool", "copies", "noise"]
PRESET = "laptop"
LEADER_SEEDS, OTHER_SEEDS = 5, 3
HEADLINE = ("la", "stroke")
CURVE_STEPS = (250, 500, 1000, 1500, 2500)
TUNING_SEEDS = (TUNING, TUNING + 1, TUNING + 2)
QUICK_STEPS = 20

SUPERVISED = "supervised"
ALL = "supervised, all labels"
MIXING = "supervised, mixing labelled cases"
_NOT_SHARED = {"unlabelled_batch", "steps", "ema", "labelled_mixing", "mix_weight", "box_share", "start_weights"}
"""Parameters of supervised training that are no part of what a method shares with it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training.

    Attributes
    ----------
    arm
        What is compared: a method's name, `SUPERVISED`, or one of them with a suffix.
    method
        Name in the registry.
    labelled
        Number of labelled cases; 0 for the whole pool.
    unlabelled
        What stands in the unlabelled pool: the rest of the pool, copies of the labelled cases, or noise.
    settings
        Parameters that differ from the preset, as (name, JSON text). The arm names them; two cells are the same one
        whatever they are, and one that was run with others is stale.
    """

    cohort: str
    arm: str
    method: str
    labelled: int
    seed: int
    steps: int
    preset: str = PRESET
    unlabelled: Pool = "pool"
    settings: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def tuning(self) -> bool:
        """Whether it uses the cases for tuning."""
        return self.seed >= TUNING

    @property
    def labels_word(self) -> str:
        """Number of labels as text."""
        return str(self.labelled) if self.labelled else "all"

    @property
    def id(self) -> str:
        """File name without extension."""
        arm = re.sub(r"[^A-Za-z0-9.=-]+", "-", self.arm).strip("-")
        preset = "" if self.preset == PRESET else f"-{self.preset}"
        return f"{arm}-n{self.labels_word}-seed{self.seed}-{self.steps}steps{preset}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Cell:
        """Inverse of `to_json`."""
        return cls(**{**data, "settings": tuple((str(k), str(v)) for k, v in data["settings"])})


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes cells.

    Attributes
    ----------
    infos
        What is installed, by name. A method that is not there yet is planned all the same and stays undone.
    preset
        Of every cell.
    steps
        Instead of the cohort's own.
    """

    infos: dict[str, MethodInfo]
    preset: str = PRESET
    steps: int | None = None

    def headline(self) -> list[Cell]:
        """Both headline cohorts with 4 labels, every method that claims them, and the lines to compare with."""
        return in_order(c for name in HEADLINE for c in self.comparison(COHORTS[name], 4, COHORTS[name].methods))

    def everything(self) -> list[Cell]:
        """The headline, five draws with 4 labels of all that claim a cohort, 8 labels, and the controls."""
        cells = self.headline()
        for cohort in COHORTS.values():
            cells += self.comparison(cohort, 4, draws=LEADER_SEEDS)
            cells += self.comparison(cohort, 8)
        for name in HEADLINE:
            cells += self.controls(COHORTS[name], 4)
        return in_order(cells)

    def comparison(
        self, cohort: Cohort, labelled: int, methods: Sequence[str] = (), draws: int = OTHER_SEEDS
    ) -> list[Cell]:
        """Methods (all that are shown on the cohort, if none are named), supervised, and supervised with all labels.

        Those that claim the cohort are run on that many ``draws``, the leader of a headline on five at least.
        """
        leader_seeds = max(draws, LEADER_SEEDS if cohort.name in HEADLINE and labelled == 4 else OTHER_SEEDS)
        draws_of = dict.fromkeys(cohort.methods, draws) | {cohort.leader: leader_seeds}
        cells = self._seeds(leader_seeds, cohort, SUPERVISED, SUPERVISED, labelled)
        for method in methods or (*cohort.methods, *cohort.extra):
            seeds = draws_of.get(method, OTHER_SEEDS)
            cells += self._seeds(seeds, cohort, method, method, labelled)
            own = self.own_settings(method)
            if own:
                cells += self._seeds(seeds, cohort, own_line(method), SUPERVISED, labelled, settings=own)
        return [*cells, *self._seeds(OTHER_SEEDS, cohort, ALL, SUPERVISED, 0)]

    def controls(self, cohort: Cohort, labelled: int) -> list[Cell]:
        """The leader with a pool that has nothing to give, and supervised with labelled-labelled mixing."""
        leader = cohort.leader
        cells: list[Cell] = []
        for pool, arm in control_arms(leader).items():
            cells += self._seeds(OTHER_SEEDS, cohort, arm, leader, labelled, unlabelled=pool)
        mixing = (("labelled_mixing", "true"),)
        return [*cells, *self._seeds(OTHER_SEEDS, cohort, MIXING, SUPERVISED, labelled, settings=mixing)]

    def curve(self, cohort: Cohort, method: str = SUPERVISED, labelled: int = 4) -> list[Cell]:
        """Several lengths of training, on the cases for tuning: shows where more steps bring nothing."""
        return in_order(
            Cell(cohort.name, method, method, labelled, seed, steps, self.preset)
            for steps in CURVE_STEPS
            for seed in TUNING_SEEDS[:2]
        )

    def trial(self, cohort: Cohort, method: str, changes: Sequence[str], labelled: int = 4) -> list[Cell]:
        """One method with changed parameters (``key=value``), on the cases for tuning."""
        pairs = tuple((key, value) for key, _, value in (text.partition("=") for text in changes))
        arm = " ".join([method, *changes])
        return [self._cell(cohort, arm, method, labelled, seed, settings=pairs) for seed in TUNING_SEEDS]

    def own_settings(self, method: str) -> tuple[tuple[str, str], ...]:
        """What supervised training needs to have a method's network, patches, batches and optimiser.

        Empty when they are the preset's own, or when the method is not installed.
        """
        info, plain = self.infos.get(method), self.infos.get(SUPERVISED)
        if info is None or plain is None or self.preset not in info.presets or self.preset not in plain.presets:
            return ()
        theirs, ours = _resolved(info, self.preset), _resolved(plain, self.preset)
        shared = (set(theirs) & set(ours)) - _NOT_SHARED
        return tuple((k, json.dumps(theirs[k])) for k in sorted(shared) if theirs[k] != ours[k])

    def _seeds(self, count: int, cohort: Cohort, arm: str, method: str, labelled: int, **more: Any) -> list[Cell]:
        return [self._cell(cohort, arm, method, labelled, seed, **more) for seed in range(count)]

    def _cell(self, cohort: Cohort, arm: str, method: str, labelled: int, seed: int, **more: Any) -> Cell:
        return Cell(cohort.name, arm, method, labelled, seed, self.steps or cohort.steps, self.preset, **more)


def own_line(method: str) -> str:
    """Name of the arm that is supervised training with a method's own network and batches."""
    return f"supervised as {method}"


def control_arms(method: str) -> dict[Pool, str]:
    """Names of the arms whose unlabelled pool has nothing to give."""
    return {"copies": f"{method}, labelled cases as pool", "noise": f"{method}, noise as pool"}


def in_order(cells: Iterable[Cell]) -> list[Cell]:
    """Each cell once, seed by seed: whenever it is interrupted, the pairs that are done are whole."""
    unique = list(dict.fromkeys(cells))
    place = {cell: n for n, cell in enumerate(unique)}
    return sorted(unique, key=lambda cell: (cell.seed, place[cell]))


def _resolved(info: MethodInfo, preset: str) -> dict[str, Any]:
    defaults = {name: raw.get("default") for name, raw in info.parameters.items()}
    values = {**defaults, **info.presets[preset]}
    if values.get("dimensions") == "auto" and info.dimensions:
        # What "auto" means differs: one method prefers slices, another volumes.
        values["dimensions"] = f"{info.dimensions[0]}D"
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
