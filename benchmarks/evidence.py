"""What the unlabelled cases are worth: every method against supervised training, on real and simulated cohorts.

A *cell* is one training: cohort, method, number of labelled cases, seed. Each runs in its own process with one thread,
two side by side, and writes ``results/evidence/<cohort>/<cell>.json`` when it is done. What is done is not done again,
so the same command goes on where it was interrupted. The minutes it will take are named first.

    python benchmarks/evidence.py                     the headline: left atrium and stroke, 4 labelled cases
    python benchmarks/evidence.py --all               five draws, 8 labelled cases, the other cohorts and the controls
    python benchmarks/evidence.py --plan              only name the cells and the minutes
    python benchmarks/evidence.py --table             only write results/evidence.md and the figures
    python benchmarks/evidence.py --curve --cohort la         how long supervised training goes on improving
    python benchmarks/evidence.py --tune mean-teacher --set consistency_weight=0.5 --cohort stroke

``--cohort``, ``--arm``, ``--labelled`` and ``--seed`` take a part of the plan; each may be given often.

Real scans lie in the folder named by ``PENUMBRA_BENCH_DATA`` (``la`` and ``acdc`` with ``images`` and ``labels``);
they may not be passed on and are not part of this project. Everything temporary goes to ``PENUMBRA_BENCH_WORK``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import machine
from evidence import cell as cells
from evidence import figures, schedule, tables
from evidence.cohorts import COHORTS, absent, simulate, split_of, work_folder
from evidence.groups import groups_of
from evidence.plan import QUICK_STEPS, SUPERVISED, Cell, Planner, in_order

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.jobs.methods_info import method_infos

RESULTS = machine.RESULTS / "evidence"
PAGE = machine.RESULTS / "evidence.md"


def main() -> int:
    """Read the command line; returns the exit code."""
    arguments = _parser().parse_args()
    if arguments.cell:
        return _one_cell(Cell.from_json(json.loads(arguments.cell)), arguments.results)
    planner = Planner({info.name: info for info in method_infos()}, arguments.preset, arguments.steps)
    if arguments.quick:
        # Too short to say anything: beside the results, never among them.
        planner = Planner(planner.infos, arguments.preset, QUICK_STEPS)
        arguments.results = work_folder() / "quick"
    failed: list[Cell] = []
    if not arguments.table:
        chosen = _runnable(_chosen(arguments, planner), planner)
        waiting = schedule.todo(chosen, arguments.results)
        done = schedule.load(arguments.results)
        print(f"{len(chosen) - len(waiting)} of {len(chosen)} cells are done.", _stale_words(chosen, done), flush=True)
        print(f"To do: {schedule.minutes(waiting, done, arguments.jobs)}.", flush=True)
        if arguments.plan:
            print("\n".join(f"{c.cohort}/{c.id}" for c in waiting))
            return 0
        _simulate(waiting)
        failed = schedule.run(waiting, arguments.results, arguments.jobs)
    write_page(arguments.results, planner, arguments.results / "evidence.md" if arguments.quick else PAGE)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--headline", action="store_true", help="The default.")
    what.add_argument("--all", action="store_true", help="Everything that is planned.")
    what.add_argument("--curve", action="store_true", help="Several lengths of training, on cases for tuning.")
    what.add_argument("--tune", metavar="METHOD", help="One method with --set, on cases for tuning.")
    what.add_argument("--table", action="store_true", help="Run nothing; write the page and the figures.")
    parser.add_argument("--plan", action="store_true", help="Run nothing; name the cells and the minutes.")
    parser.add_argument("--cohort", choices=list(COHORTS), action="append")
    parser.add_argument("--arm", action="append", help="A name as the table has it.")
    parser.add_argument("--labelled", type=int, action="append", help="0 for all.")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--set", dest="changes", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--steps", type=int, help="Instead of the cohort's own.")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--jobs", type=int, default=2, help="Cells side by side.")
    parser.add_argument(
        "--quick", action="store_true", help="20 steps, to see that all parts work; figures mean nothing."
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    return parser


def _chosen(arguments: argparse.Namespace, planner: Planner) -> list[Cell]:
    cohorts = [COHORTS[name] for name in arguments.cohort or COHORTS]
    if arguments.changes and not arguments.tune:
        raise SystemExit("Parameters are changed on the cases for tuning only: give --tune METHOD with --set.")
    if arguments.curve:
        methods = arguments.arm or [SUPERVISED]
        found = [c for cohort in cohorts for method in methods for c in planner.curve(cohort, method)]
        return in_order(_filtered(found, arguments, ("cohort", "seed")))
    if arguments.tune:
        found = [c for cohort in cohorts for c in planner.trial(cohort, arguments.tune, arguments.changes)]
        return in_order(_filtered(found, arguments, ("cohort", "seed")))
    names = ("cohort", "arm", "labelled", "seed")
    headline = [] if arguments.all else _filtered(planner.headline(), arguments, names)
    # A part that is named and not of the headline is looked for in the whole plan.
    return headline or _filtered(planner.everything(), arguments, names)


def _filtered(found: list[Cell], arguments: argparse.Namespace, names: tuple[str, ...]) -> list[Cell]:
    wanted = {name: getattr(arguments, name) for name in names}
    return [c for c in found if all(values is None or getattr(c, name) in values for name, values in wanted.items())]


def _runnable(chosen: list[Cell], planner: Planner) -> list[Cell]:
    """Leave out what cannot run here, and say so."""
    missing = {name: why for name in dict.fromkeys(c.cohort for c in chosen) if (why := absent(COHORTS[name]))}
    for name, why in missing.items():
        print(f"Left out: {name}, {why}.")
    methods = dict.fromkeys(c.method for c in chosen if c.method not in planner.infos)
    for name in methods:
        print(f"Left out: {name}, which is not installed.")
    return [c for c in chosen if c.cohort not in missing and c.method not in methods]


def _simulate(waiting: list[Cell]) -> None:
    """Draw the simulated cases that the cells need."""
    for name, tuning in dict.fromkeys((c.cohort, c.tuning) for c in waiting):
        split = split_of(COHORTS[name], tuning)
        simulate(COHORTS[name], (*split.pool, *split.unseen))


def _stale_words(chosen: list[Cell], done: dict[Cell, dict[str, Any]]) -> str:
    old = sum(cells.stale(c, done[c]) for c in chosen if c in done)
    words = f"{old} were made by an earlier version of the code or presets; delete their files to have them anew."
    return words if old else ""


def _one_cell(cell: Cell, folder: Path) -> int:
    try:
        result = cells.run(cell)
    except (cells.CellError, PenumbraError, OSError, ValueError) as error:
        print(f"{cell.cohort}/{cell.id}: {error}", file=sys.stderr)
        return 1
    print(cells.write_result(folder, cell, result))
    return 0


def write_page(folder: Path, planner: Planner, page: Path) -> None:
    """Write the tables and the figures of what is done."""
    results = schedule.load(folder)
    everything = planner.everything()
    drawn: dict[str, str | None] = {}
    for group in groups_of(results, everything):
        if group.begun:
            name = tables.figure_name(group.key)
            drawn[name] = figures.comparison_figure(group)
            drawn[f"{name}-reliability"] = figures.reliability_figure(group)
    drawn |= {f"{name}-curve": figures.curve_figure(results, name) for name in COHORTS}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in drawn.items():
        if text:
            (folder / f"{name}.svg").write_text(text, encoding="utf-8")
    page.write_text(tables.document(results, planner.headline(), everything), encoding="utf-8")
    print(page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        print("Interrupted. What is done is kept; the same command goes on from there.", file=sys.stderr)
        raise SystemExit(130) from None
