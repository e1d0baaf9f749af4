"""The tables of ``results/evidence.md``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from evidence.cell import stale
from evidence.cohorts import COHORTS
from evidence.groups import FIGURES, Arm, Difference, Group, Key, Results, groups_of, mean_over_classes
from evidence.paired import Interval, Matrix, holm
from evidence.plan import Cell

READING = """\
How to read this. Each training is run once per *seed*; a seed draws the labelled cases from the pool and starts the
networks. Arms with the same seed see the same labelled cases; a line named "supervised as X" also has the network, the
patches and the optimiser of X, as far as supervised training knows them. Figures are means over classes, unseen cases
and seeds; distances in mm. The last checkpoint is scored. Nothing was chosen on these cases: step counts and
parameters were chosen on others (seeds from 1000 on).

Intervals are 95 % bootstrap intervals over seeds and cases, both drawn with replacement. The sign test over seeds
cannot give less than 0.0625 with five seeds or 0.25 with three; "Holm" adjusts it for the number of methods. A case is
*lost* when its Dice is below 0.1.

These figures say how the methods compare on these tasks, with so few labels and so few steps on a small network. They
are not comparable with published tables, and they do not rank the methods in general.
"""


def document(results: Results, headline: Sequence[Cell], everything: Sequence[Cell]) -> str:
    """Write the whole page."""
    lines = ["# Evidence: what the unlabelled cases are worth", "", READING, *_progress(results, headline, everything)]
    for group in groups_of(results, everything):
        if group.begun:
            lines += ["", f"## {group.title}", "", *arm_table(group), "", *difference_table(group)]
            lines += ["", f"![{group.title}](evidence/{figure_name(group.key)}.svg)"]
            confidence = confidence_table(group)
            if confidence:
                lines += ["", *confidence, "", f"![Reliability](evidence/{figure_name(group.key)}-reliability.svg)"]
    lines += tuning_table(results)
    lines += _machines(results)
    return "\n".join(lines) + "\n"


def figure_name(key: Key) -> str:
    """File name of a group's figure, without extension."""
    preset = "" if key.preset == "laptop" else f"-{key.preset}"
    return f"{key.cohort}-n{key.labelled}-{key.steps}steps{preset}"


# ------------------------------------------------------------------ arms


def arm_table(group: Group) -> list[str]:
    """One row an arm; arms that are planned and not done say so."""
    classes = list(group.cohort.classes.values())
    several = classes if len(classes) > 1 else []
    heads = ["arm", "seeds", "Dice", *(f"Dice {name}" for name in several), "worst", "lost", "Jaccard", "HD95", "ASSD"]
    rows = []
    for name, planned in group.planned.items():
        arm = group.arms.get(name)
        rows.append([name, f"0 of {planned}", *["–"] * (len(heads) - 1)] if arm is None else _arm_row(arm, several))
    return _table([*heads, "minutes"], rows)


def _arm_row(arm: Arm, classes: Sequence[str]) -> list[str]:
    cases = arm.figures["dice"].size
    return [
        arm.name,
        f"{len(arm.seeds)} of {arm.planned}",
        _mean(arm.figures["dice"], 3),
        *(_mean(arm.by_class[name], 3) for name in classes),
        f"{arm.worst:.3f}",
        f"{arm.lost} of {cases}",
        _mean(arm.figures["jaccard"], 3),
        _mean(arm.figures["hd95"], 2),
        _mean(arm.figures["assd"], 2),
        f"{arm.minutes:.1f}",
    ]


def difference_table(group: Group) -> list[str]:
    """One row a pair, with intervals and the sign test over seeds."""
    found = group.differences()
    adjusted = _holm(group, found)
    heads = ["difference", "seeds better", "Dice", "Jaccard", "HD95", "ASSD", "cases better", "sign test", "Holm"]
    rows = [
        [
            f"{d.arm} − {d.against}",
            f"{d.seeds_better} of {len(d.seeds)}",
            *(_interval(d.intervals.get(f), 3 if f in ("dice", "jaccard") else 2) for f in FIGURES),
            f"{d.cases_better} of {d.cases}",
            f"{d.chance:.3f}",
            adjusted.get((d.arm, d.against), ""),
        ]
        for d in found
    ]
    return _table(heads, rows)


def _holm(group: Group, found: Iterable[Difference]) -> dict[tuple[str, str], str]:
    """Adjust over the methods, each against the first line it is compared with."""
    methods = (*group.cohort.methods, *group.cohort.extra)
    family: dict[str, Difference] = {}
    for difference in found:
        if difference.arm in methods:
            family.setdefault(difference.arm, difference)
    chances = holm([d.chance for d in family.values()])
    return {(d.arm, d.against): f"{p:.3f}" for d, p in zip(family.values(), chances, strict=True)}


# ------------------------------------------------------------------ confidence


def confidence_table(group: Group) -> list[str]:
    """Mean over seeds: confidence where right and wrong, and calibration before and after scaling."""
    rows = []
    for name in group.arms:
        found = group.confidence(name)
        if found:
            whole = [c["all"] for c in found]
            cells = [_average(a[key] for a in whole) for key in ("mean_right", "mean_wrong", "ece")]
            rows.append(
                [name, *cells, _average(_scaled_error(c) for c in found), _average(a["ece_isotonic"] for a in whole)]
            )
    heads = ["arm", "confidence if right", "if wrong", "ECE", "ECE scaled", "ECE isotonic"]
    return _table(heads, rows) if rows else []


def _scaled_error(confidence: dict[str, Any]) -> float | None:
    """Mean over voxels of each case's error under the temperature that was fitted on the other cases."""
    known = [(c["ece_scaled"], c["voxels"]) for c in confidence["cases"].values() if c["ece_scaled"] is not None]
    voxels = sum(n for _, n in known)
    return sum(error * n for error, n in known) / voxels if voxels else None


def _average(values: Iterable[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{sum(known) / len(known):.3f}" if known else "–"


# ------------------------------------------------------------------ the rest


def tuning_table(results: Results) -> list[str]:
    """What was tried on the cases for tuning: curves of steps, changed parameters."""
    found: dict[tuple[str, str, str, int], list[float]] = {}
    for cell, result in results.items():
        if cell.tuning:
            key = (cell.cohort, cell.arm, cell.labels_word, cell.steps)
            found.setdefault(key, []).append(float(np.mean(mean_over_classes(result["table"], "dice"))))
    if not found:
        return []
    rows = [
        [COHORTS[cohort].title, arm, labels, str(steps), f"{np.mean(dice):.3f}", ", ".join(f"{d:.3f}" for d in dice)]
        for (cohort, arm, labels, steps), dice in sorted(found.items())
        if cohort in COHORTS
    ]
    heads = ["cohort", "arm", "labels", "steps", "Dice", "each seed"]
    return ["", "## Chosen on other cases (seeds from 1000 on)", "", *_table(heads, rows)]


def _progress(results: Results, headline: Sequence[Cell], everything: Sequence[Cell]) -> list[str]:
    def count(cells: Sequence[Cell]) -> str:
        return f"{sum(cell in results for cell in cells)} of {len(cells)}"

    today = {cell: cell for cell in everything}
    old = [c for c, r in results.items() if stale(today.get(c, c), r)]
    lines = [f"How far it got: {count(headline)} cells of the headline, {count(everything)} of all."]
    if old:
        lines.append(
            f"{len(old)} of the {len(results)} results were made by an earlier version of the code or presets."
        )
    return lines


def _machines(results: Results) -> list[str]:
    names = {
        f"{m['processor']}, {m['cores']} cores, torch {m['torch']}" for m in (r["machine"] for r in results.values())
    }
    return ["", f"Machine: {'; '.join(sorted(names))}. One thread per cell."] if names else []


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _mean(values: Matrix, digits: int) -> str:
    return f"{np.nanmean(values):.{digits}f}" if np.isfinite(values).any() else "–"


def _interval(found: Interval | None, digits: int) -> str:
    if found is None:
        return "–"
    return f"{found.mean:+.{digits}f} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"
