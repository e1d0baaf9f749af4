"""What of many results may be compared: one cohort, one preset, one number of steps, one number of labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evidence.cohorts import COHORTS, Cohort
from evidence.paired import Interval, Matrix, bootstrap, sign_test
from evidence.plan import ALL, MIXING, SUPERVISED, Cell, control_arms, own_line

Results = Mapping[Cell, dict[str, Any]]
FIGURES = ("dice", "jaccard", "hd95", "assd")
LOST = 0.1
"""A case whose Dice, mean over classes, lies below this is lost."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What the cells of a group have in common."""

    cohort: str
    labelled: int
    preset: str
    steps: int


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a group.

    Attributes
    ----------
    seeds
        Seeds that are done, rising.
    planned
        How many there are to be.
    figures
        Figure to a (seeds, cases) matrix, mean over classes; NaN where a case has none.
    by_class
        Class name to a (seeds, cases) matrix of Dice.
    """

    name: str
    seeds: tuple[int, ...]
    planned: int
    figures: dict[str, Matrix]
    by_class: dict[str, Matrix]
    minutes: float

    @property
    def worst(self) -> float:
        """Lowest Dice of any case of any seed."""
        return float(np.min(self.figures["dice"]))

    @property
    def lost(self) -> int:
        """Cases, over all seeds, whose Dice lies below `LOST`."""
        return int((self.figures["dice"] < LOST).sum())


@dataclass(frozen=True, slots=True)
class Difference:
    """One arm minus another on the same seeds and cases.

    Attributes
    ----------
    intervals
        Figure to mean difference and its 95 % interval; a figure that no pair has is left out.
    by_seed
        Mean Dice difference of each seed.
    cases_better, cases
        Pairs of seed and case in which the first arm's Dice is higher, and all of them.
    """

    arm: str
    against: str
    seeds: tuple[int, ...]
    intervals: dict[str, Interval]
    by_seed: tuple[float, ...]
    cases_better: int
    cases: int

    @property
    def seeds_better(self) -> int:
        """Seeds with a gain."""
        return sum(gain > 0 for gain in self.by_seed)

    @property
    def chance(self) -> float:
        """Of so uneven a count of seeds, by the sign test."""
        return sign_test(self.by_seed)


@dataclass(frozen=True, slots=True)
class Group:
    """Results that may be compared."""

    key: Key
    arms: dict[str, Arm]
    planned: dict[str, int]
    results: dict[tuple[str, int], dict[str, Any]]
    """By arm and seed."""

    @property
    def cohort(self) -> Cohort:
        """The group's cohort."""
        return COHORTS[self.key.cohort]

    @property
    def title(self) -> str:
        """Cohort, labels and, if it is not the usual one, the preset."""
        preset = "" if self.key.preset == "laptop" else f", preset {self.key.preset}"
        return f"{self.cohort.title}, {self.key.labelled} labelled cases, {self.key.steps} steps{preset}"

    @property
    def begun(self) -> bool:
        """Whether anything of its own is done: training with all labels belongs to every number of labelled cases."""
        return any(name != ALL for name in self.arms)

    def confidence(self, arm: str) -> list[dict[str, Any]]:
        """What each seed of an arm says of its confidence; empty without any."""
        tables = (r["table"] for (name, _), r in sorted(self.results.items()) if name == arm)
        return [table["confidence"] for table in tables if table.get("confidence")]

    def pairs(self) -> list[tuple[str, str]]:
        """Which arm is compared with which: methods and controls with supervised training, the bound as well."""
        pairs = []
        for method in (*self.cohort.methods, *self.cohort.extra):
            own = own_line(method)
            pairs += [(method, own)] if own in self.planned else []
            pairs.append((method, SUPERVISED))
        leader = self.cohort.leader
        # A control is the leader itself: it is measured against the leader's own line.
        line = own_line(leader) if own_line(leader) in self.planned else SUPERVISED
        pairs += [(arm, line) for arm in control_arms(leader).values()]
        return [*pairs, (leader, MIXING), (MIXING, SUPERVISED), (ALL, SUPERVISED)]

    def differences(self) -> list[Difference]:
        """Those pairs of which at least one seed is done on both sides."""
        found = (self._difference(arm, against) for arm, against in self.pairs())
        return [difference for difference in found if difference is not None]

    def _difference(self, name: str, against: str) -> Difference | None:
        if name not in self.arms or against not in self.arms:
            return None
        one, other = self.arms[name], self.arms[against]
        seeds = tuple(seed for seed in one.seeds if seed in other.seeds)
        if not seeds:
            return None
        rows = [[arm.seeds.index(seed) for seed in seeds] for arm in (one, other)]
        gains = {f: one.figures[f][rows[0]] - other.figures[f][rows[1]] for f in FIGURES}
        intervals = {f: bootstrap(gain) for f, gain in gains.items() if np.isfinite(gain).any()}
        dice = gains["dice"]
        by_seed = tuple(float(g) for g in dice.mean(axis=1))
        return Difference(name, against, seeds, intervals, by_seed, int((dice > 0).sum()), dice.size)


def groups_of(results: Results, planned: Iterable[Cell]) -> list[Group]:
    """Sort results and plans into groups; cells for tuning belong to none."""
    plan = [cell for cell in planned if not cell.tuning]
    cells = list(dict.fromkeys([*plan, *(cell for cell in results if not cell.tuning)]))
    keys = {Key(c.cohort, c.labelled, c.preset, c.steps) for c in cells if c.labelled}
    order = {name: n for n, name in enumerate(COHORTS)}
    known = sorted((k for k in keys if k.cohort in order), key=lambda k: (order[k.cohort], k))
    return [_group(key, [c for c in cells if _belongs(c, key)], results) for key in known]


def _belongs(cell: Cell, key: Key) -> bool:
    same = (cell.cohort, cell.preset, cell.steps) == (key.cohort, key.preset, key.steps)
    return same and cell.labelled in (key.labelled, 0)


def _group(key: Key, cells: list[Cell], results: Results) -> Group:
    by_arm: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: _place(cell.arm, COHORTS[key.cohort])):
        by_arm.setdefault(cell.arm, []).append(cell)
    arms: dict[str, Arm] = {}
    kept: dict[tuple[str, int], dict[str, Any]] = {}
    for name, members in by_arm.items():
        done = sorted((c for c in members if c in results), key=lambda c: c.seed)
        kept |= {(name, c.seed): results[c] for c in done}
        if done:
            arms[name] = _arm(name, done, len(members), [results[c] for c in done], COHORTS[key.cohort])
    return Group(key, arms, {name: len(members) for name, members in by_arm.items()}, kept)


def _place(arm: str, cohort: Cohort) -> int:
    """Row of an arm: supervised, each method after its own line, all labels, then whatever else."""
    known = [SUPERVISED, *(n for m in (*cohort.methods, *cohort.extra) for n in (own_line(m), m)), ALL, MIXING]
    return known.index(arm) if arm in known else len(known)


def _arm(name: str, cells: list[Cell], planned: int, results: list[dict[str, Any]], cohort: Cohort) -> Arm:
    figures = {figure: np.array([mean_over_classes(r["table"], figure) for r in results]) for figure in FIGURES}
    by_class = {
        word: np.array([case_figures(r["table"], "dice", value) for r in results])
        for value, word in cohort.classes.items()
    }
    minutes = sum(sum(r["seconds"].values()) for r in results) / 60 / len(results)
    return Arm(name, tuple(c.seed for c in cells), planned, figures, by_class, minutes)


def case_figures(table: dict[str, Any], figure: str, value: str) -> list[float]:
    """One figure of one class for every case, in the order of the cases' names; NaN where it is not defined."""
    found = (by_class[value][figure] for _, by_class in sorted(table["cases"].items()))
    return [math.nan if x is None else float(x) for x in found]


def mean_over_classes(table: dict[str, Any], figure: str) -> list[float]:
    """One figure of every case, averaged over the classes that have it."""
    values = []
    for _, by_class in sorted(table["cases"].items()):
        known = [float(scores[figure]) for scores in by_class.values() if scores[figure] is not None]
        values.append(sum(known) / len(known) if known else math.nan)
    return values
