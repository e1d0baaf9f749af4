"""Which order of labelling, and which method, saves a reader time: the robot reader on real and simulated cohorts.

A *cell* is one simulation (cohort, method, order, seed): the robot paints the first cases, corrects the next ones to
their reference, and the method is trained anew each round; Dice is taken on held-out cases. All orders and methods of a
seed start from the same cases and are scored on the same ones. The robot's acts cost the seconds of
`session.reader_cost`. A cell that was interrupted goes on where it was; what is done is not done again. The minutes it
will take are named first.

    python benchmarks/orders.py                       all orders, three seeds, both cohorts
    python benchmarks/orders.py --cohort stroke --seed 0 --order random --order classes
    python benchmarks/orders.py --order random --method supervised --method co-learning
    python benchmarks/orders.py --plan                only name the cells and the minutes
    python benchmarks/orders.py --table               only write results/orders.md and the figures
    python benchmarks/orders.py --quick               try all parts in a few steps, beside the results

Real scans lie in the folder named by ``PENUMBRA_BENCH_DATA`` (``la`` with ``images`` and ``labels``); they may not be
passed on and are not part of this project. Everything temporary goes to ``PENUMBRA_BENCH_WORK``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import machine
from evidence.cohorts import COHORTS, absent, real_folder, work_folder

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.methods import REGISTRY
from napari_penumbra.session import Session
from napari_penumbra.session.comparison import HEADER, Way, lines, ways, write_comparison
from napari_penumbra.session.simulate import Simulation
from napari_penumbra.session.simulation import RESULT, SCRATCH, Result, Settings, load
from napari_penumbra.study.samples import FIRST_SEED, REFERENCE, make_sample_study

RESULTS = machine.RESULTS / "orders"
PAGE = machine.RESULTS / "orders.md"
ORDERS = ("random", "foreground", "classes", "confidence", "entropy", "disagreement", "coverage")
SEEDS = (0, 1, 2)
METHOD, PRESET = "mean-teacher", "laptop"
CASES = 60
"""Of each cohort, at most; a third of them is held out."""
MINUTES_A_ROUND = 12.0
"""A guess for one training of `STEPS` steps and its predictions on one core, until a round has been timed."""
STEPS = {"stroke": 600, "la": 1000}
FINISHED = "finished"
"""File in a cell's folder that says with how many rounds it was carried out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One simulation."""

    cohort: str
    order: str
    seed: int
    method: str = METHOD

    @property
    def id(self) -> str:
        """Name of its folder."""
        return f"{self.method}-{self.order}-seed{self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What every cell has in common."""

    rounds: int = 6
    per_round: int = 2
    start: int = 2
    cases: int = CASES
    steps: int | None = None
    threads: int = 1
    config: tuple[tuple[str, object], ...] = ()

    def settings(self, cell: Cell) -> Settings:
        """Settings of a cell's simulation."""
        return Settings(
            method=cell.method,
            preset=PRESET,
            order=cell.order,
            rounds=self.rounds,
            per_round=self.per_round,
            start=self.start,
            held_out=max(1, self.cases // 3),
            steps=self.steps if self.steps is not None else STEPS[cell.cohort],
            seed=cell.seed,
            config=dict(self.config),
        )


QUICK = Plan(
    rounds=1,
    per_round=1,
    start=1,
    cases=6,
    steps=4,
    config=(("patch", [8, 32, 32]), ("width", 4), ("labelled_batch", 1), ("unlabelled_batch", 1)),
)


# ------------------------------------------------------------------ cohorts


def source_of(cohort: str, cases: int) -> tuple[Path, Path]:
    """Study without labels and folder of references of a cohort, made once."""
    root = work_folder() / "orders" / f"{cohort}-{cases}"
    if cohort == "la":
        _study_of_files(root, real_folder(COHORTS["la"]), cases)
        return root, real_folder(COHORTS["la"]) / "labels"
    if not (root / "study.toml").exists():
        shutil.rmtree(root, ignore_errors=True)
        make_sample_study(root, cases=cases, labelled=0, seed=FIRST_SEED, cohort=cohort)
    return root, root / REFERENCE


def _study_of_files(root: Path, folder: Path, cases: int) -> None:
    """Make a study of the first scans of a folder; one that was left half made is made anew."""
    names = sorted(p.name.removesuffix(".nii.gz") for p in (folder / "images").glob("*.nii.gz"))[:cases]
    cohort = COHORTS["la"]
    session = Session()
    try:
        if (root / "study.toml").exists():
            session.open(root, write=False)
            if [row.name for row in session.cases()] == names:
                return
            session.close()
        shutil.rmtree(root, ignore_errors=True)
        session.create(root, cohort.title, cohort.modalities, LabelScheme.parse(list(cohort.labels)))
        for name in names:
            session.add_case(name, {cohort.modalities[0]: folder / "images" / f"{name}.nii.gz"})
    finally:
        session.close()


# ------------------------------------------------------------------ running


def place_of(cell: Cell, work: Path) -> Path:
    """Folder in which a cell works."""
    return work / cell.cohort / cell.id


def is_done(place: Path, plan: Plan) -> bool:
    """Whether a cell has been carried out with so many rounds, or more, or until no case was left."""
    try:
        return int((place / FINISHED).read_text(encoding="utf-8")) >= plan.rounds
    except (OSError, ValueError):
        return False


def left_minutes(cells: Sequence[Cell], plan: Plan, work: Path) -> float:
    """Minutes of one core that the rounds still to do will take, by those that were timed."""
    timed, rounds = [], 0
    for cell in cells:
        result = load(place_of(cell, work))
        scored = result.scored if result is not None else []
        timed += [r.seconds / 60 for r in scored if r.seconds > 0]
        rounds += max(0, plan.rounds + 1 - len(scored))
    return rounds * (sum(timed) / len(timed) if timed else MINUTES_A_ROUND)


def run(cell: Cell, plan: Plan, work: Path, results: Path) -> None:
    """Carry a cell out or go on with it; its result is copied out after every round, its copy of the study goes."""
    place = place_of(cell, work)
    study, reference = source_of(cell.cohort, plan.cases)
    if (place / RESULT).exists() and not (place / SCRATCH).exists():
        shutil.rmtree(place)  # done with fewer rounds once, and tidied up: there is nothing to go on from
    simulation = Simulation(
        study, place, plan.settings(cell), reference, tell=lambda words: print(words, flush=True), threads=plan.threads
    )
    target = results / cell.cohort / f"{cell.id}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    for found in simulation.run():
        now = found.scored[-1]
        print(f"{cell.cohort} {cell.id}: {now.labelled} labelled, Dice {now.mean:.3f}", flush=True)
        data = {"machine": machine.describe(), "threads": plan.threads, **found.to_json()}
        target.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if not simulation.interrupted:
        (place / FINISHED).write_text(str(plan.rounds), encoding="utf-8")
        shutil.rmtree(place / SCRATCH, ignore_errors=True)


# ------------------------------------------------------------------ table


def collect(results: Path, cohort: str) -> list[Result]:
    """Results of a cohort that lie in the results folder, in the order of the orders."""
    found = []
    for file in sorted((results / cohort).glob("*.json")):
        if file.name == "comparison.json":
            continue
        one = results / ".reading"
        one.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, one / RESULT)
        result = load(one)
        shutil.rmtree(one)
        if result is not None:
            found.append(result)
    return sorted(found, key=lambda r: (r.settings.method, ORDERS.index(r.settings.order), r.settings.seed))


def write_table(results: Path, page: Path) -> None:
    """Write the page and a figure per cohort from whatever is there."""
    parts = [
        "# Orders of labelling\n",
        "Written by `benchmarks/orders.py` from what has been run. A robot reader, not a person: see "
        "`docs/tools/minutes.md` for what its acts cost and where the figures come from. Means over the seeds.\n",
    ]
    for cohort in COHORTS:
        found = collect(results, cohort)
        if not found:
            continue
        parts.append(f"## {COHORTS[cohort].title}\n")
        parts += _compared(results, cohort, [r for r in found if r.settings.method == METHOD])
        if len({r.settings.method for r in found}) > 1:
            parts.append("### Methods\n")
            parts += _compared(results, f"{cohort}/methods", [r for r in found if r.settings.order == "random"])
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(parts), encoding="utf-8")
    print(page)


def _compared(results: Path, name: str, found: Sequence[Result]) -> list[str]:
    (results / name).mkdir(exist_ok=True)
    compared = write_comparison(results / name, found)
    return [_markdown(compared), _words(found), f"![Curves](orders/{name}/comparison.svg)\n"]


def _markdown(compared: Iterable[Way]) -> str:
    head = [f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}"]
    return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines(list(compared)))]) + "\n"


def _words(found: Sequence[Result]) -> str:
    s = found[0].settings
    reached = {way.name: way.dice for way in ways(found)}
    best = max(reached, key=lambda name: reached[name])
    drawn: dict[tuple[str, str], set[int]] = {}
    for result in found:
        drawn.setdefault((result.settings.method, result.settings.order), set()).add(result.settings.seed)
    methods = {method for method, _ in drawn}
    what = "orders" if len(methods) == 1 else "methods"
    who = s.method if len(methods) == 1 else "cases in random order"
    words = (
        f"{who}, {s.preset}, {s.steps} steps a round; {s.start} cases painted first, {s.per_round} corrected a round, "
        f"{len(found[0].held_out)} held out. Highest Dice at the end: {best}. Differences between {what} that are "
        "smaller than those between seeds (dashed in the figure) say nothing.\n"
    )
    if len(set(map(frozenset, drawn.values()))) > 1:
        words += (
            f"\nNot all {what} were run with every seed, and seeds begin at different Dice: compare within one seed.\n"
        )
    return words


def main() -> int:
    """Read the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", action="append", choices=list(STEPS))
    parser.add_argument("--order", action="append", choices=list(ORDERS))
    parser.add_argument("--method", action="append", choices=sorted(REGISTRY), help=f"{METHOD} by default")
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=Plan().rounds)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plan", action="store_true", help="only name the cells and the minutes")
    parser.add_argument("--table", action="store_true", help="only write the table and the figures")
    parser.add_argument("--quick", action="store_true", help="a few steps, beside the results")
    asked = parser.parse_args()
    plan = QUICK if asked.quick else Plan(rounds=asked.rounds, steps=asked.steps, threads=asked.threads)
    work = work_folder() / "orders" / ("quick" if asked.quick else "cells")
    results, page = (work / "results", work / "orders.md") if asked.quick else (RESULTS, PAGE)
    # Seed by seed and cohort by cohort: after the first seed there is something to compare.
    cells = [
        Cell(cohort, order, seed, method)
        for seed in (asked.seed or ((0,) if asked.quick else SEEDS))
        for cohort in (asked.cohort or list(STEPS))
        for order in (asked.order or ORDERS)
        for method in (asked.method or (METHOD,))
    ]
    missing = {c.cohort: words for c in cells if (words := absent(COHORTS[c.cohort]))}
    for cohort, words in missing.items():
        print(f"{cohort} is left out: {words}")
    cells = [c for c in cells if c.cohort not in missing]
    if not asked.table:
        waiting = [c for c in cells if not is_done(place_of(c, work), plan)]
        print(f"{len(cells) - len(waiting)} of {len(cells)} cells are done.")
        print(f"To do: about {left_minutes(waiting, plan, work):.0f} minutes of one core.", flush=True)
        if asked.plan:
            print("\n".join(f"{c.cohort}/{c.id}" for c in waiting))
            return 0
        for cell in waiting:
            try:
                run(cell, plan, work, results)
            except PenumbraError as error:
                print(f"{cell.cohort}/{cell.id}: {error}", file=sys.stderr)
                return 1
    write_table(results, page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
