"""The figures that the command line writes: reliability, and label efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    title: str, points: Sequence[tuple[int, int, float]], caption: str, full: float | None = None
) -> str:
    """Draw Dice against the number of cases labelled and against the voxels corrected; SVG text.

    Parameters
    ----------
    points
        (cases labelled, voxels corrected so far, Dice on the held-out cases) of each round.
    full
        Voxels that painting all cases of the last round from nothing would have taken, drawn as a mark.
    """
    by_cases = [(float(cases), dice) for cases, _, dice in points]
    by_voxels = [(voxels / 1000.0, dice) for _, voxels, dice in points]
    dice = [d for _, _, d in points if math.isfinite(d)] or [0.0, 1.0]
    low = max(0.0, math.floor(min(dice) * 10 - 0.5) / 10)
    high = min(1.0, math.ceil(max(dice) * 10 + 0.5) / 10)
    lines = [Line(by_voxels, "corrected")]
    if full is not None:
        mark = full / 1000.0
        lines.append(Line([(mark, low), (mark, high)], "painted from nothing", GREY, dashed=True))
    panels = (
        Panel(title, "cases labelled", "Dice, held-out cases", [Line(by_cases)], y_range=(low, high), whole_x=True),
        Panel("", "voxels corrected, thousands", "Dice, held-out cases", lines, y_range=(low, high)),
    )
    return figure(panels, caption)


def _points(x: Floats, y: Floats) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]


def _name(words: str, error: float | None) -> str:
    return words if error is None else f"{words}, ECE {error:.3f}"
