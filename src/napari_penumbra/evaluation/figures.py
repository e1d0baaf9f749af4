"""The figures that the command line writes: reliability, and label efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from napari_penumbra.evaluation.calibration import Floats
from napari_penumbra.evaluation.confidence import ConfidenceTable
from napari_penumbra.evaluation.svg import COLORS, GREY, Bars, Line, Panel, figure


def reliability_figure(table: ConfidenceTable, title: str) -> str:
    """Draw the reliability diagram before and after temperature scaling, and how the voxels spread; SVG text.

    Parameters
    ----------
    title
        Method and cohort, for the head of the figure.
    """
    before, after = table.before, table.after
    diagonal = Line([(0, 0), (1, 1)], "calibrated", GREY, dashed=True)
    lines = [diagonal, Line(_points(before.confidence, before.right), _name("as predicted", before.error), COLORS[0])]
    if after is not None:
        lines.append(Line(_points(after.confidence, after.right), _name("scaled", after.error), COLORS[1]))
    n = max(int(before.count.sum()), 1)
    columns = [
        (float(a), float(b), float(count) / n)
        for a, b, count in zip(before.edges, before.edges[1:], before.count, strict=False)
    ]
    span = (0.0, 1.0)
    total = table.total
    caption = "Voxels near predicted or true foreground."
    if total.mean_right is not None and total.mean_wrong is not None:
        caption += f" Mean confidence: right voxels {total.mean_right:.2f}, wrong ones {total.mean_wrong:.2f}."
    return figure(
        (
            Panel(
                title, "mean confidence", "share of right voxels", lines, x_range=span, y_range=span, legend_below=True
            ),
            Panel("Where the voxels lie", "confidence", "share of voxels", bars=[Bars(columns)], x_range=span),
        ),
        caption,
    )


def efficiency_figure(
    title: str, points: Sequence[tuple[int, int, float, float]], caption: str, full: float | None = None
) -> str:
    """Draw Dice against the number of cases labelled, the voxels corrected and the reader's minutes; SVG text.

    Parameters
    ----------
    points
        (cases labelled, voxels corrected so far, reader minutes so far, Dice on the held-out cases) of each round.
    full
        Voxels that painting all cases of the last round from nothing would have taken, drawn as a mark.
    """
    by_cases = [(float(cases), dice) for cases, _, _, dice in points]
    by_voxels = [(voxels / 1000.0, dice) for _, voxels, _, dice in points]
    by_minutes = [(minutes, dice) for _, _, minutes, dice in points]
    low, high = _span([dice for *_, dice in points])
    lines = [Line(by_voxels, "corrected")]
    if full is not None:
        mark = full / 1000.0
        lines.append(Line([(mark, low), (mark, high)], "painted from nothing", GREY, dashed=True))
    panels = (
        Panel(title, "cases labelled", "Dice, held-out cases", [Line(by_cases)], y_range=(low, high), whole_x=True),
        Panel("", "voxels corrected, thousands", "Dice, held-out cases", lines, y_range=(low, high)),
        Panel("", "reader minutes", "Dice, held-out cases", [Line(by_minutes)], y_range=(low, high)),
    )
    return figure(panels, caption)


@dataclass(frozen=True, slots=True)
class Curve:
    """One way to label, tried with several seeds: for each, (cases, voxels, minutes, Dice) of every round."""

    name: str
    runs: Sequence[Sequence[tuple[int, int, float, float]]]

    def mean(self) -> list[tuple[float, float, float, float]]:
        """Mean of the seeds, round by round, as far as all of them have come."""
        return [
            (mean(p[0] for p in now), mean(p[1] for p in now), mean(p[2] for p in now), mean(p[3] for p in now))
            for now in zip(*self.runs, strict=False)
        ]


def comparison_figure(title: str, curves: Sequence[Curve], caption: str) -> str:
    """Draw several ways to label in one figure: their means as lines with dots, each seed dashed; SVG text."""
    low, high = _span([p[3] for c in curves for run in c.runs for p in run])
    panels = []
    for column, (label, unit) in enumerate(
        (("cases labelled", 1.0), ("voxels corrected, thousands", 1000.0), ("reader minutes", 1.0))
    ):
        lines = []
        for n, curve in enumerate(curves):
            color = COLORS[n % len(COLORS)]
            if len(curve.runs) > 1:
                lines += [Line([(p[column] / unit, p[3]) for p in run], "", color, dashed=True) for run in curve.runs]
            lines.append(Line([(p[column] / unit, p[3]) for p in curve.mean()], curve.name, color))
        head = title if column == 0 else ""
        panels.append(
            Panel(
                head, label, "Dice, held-out cases", lines, y_range=(low, high), whole_x=column == 0, legend_below=True
            )
        )
    return figure(panels, caption)


def effort_to_reach(points: Sequence[tuple[float, float]], dice: float) -> float | None:
    """Effort (minutes, voxels) at which a curve of (effort, Dice) first reaches a Dice, between rounds on a line.

    Returns
    -------
    float or None
        None when it never does.
    """
    before: tuple[float, float] | None = None
    for effort, reached in points:
        if reached >= dice:
            if before is None or reached == before[1]:
                return effort
            return before[0] + (effort - before[0]) * (dice - before[1]) / (reached - before[1])
        before = (effort, reached)
    return None


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Range of a Dice axis: whole tenths with some air."""
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    return max(0.0, math.floor(min(known) * 10 - 0.5) / 10), min(1.0, math.ceil(max(known) * 10 + 0.5) / 10)


def _points(x: Floats, y: Floats) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]


def _name(words: str, error: float | None) -> str:
    return words if error is None else f"{words}, ECE {error:.3f}"
