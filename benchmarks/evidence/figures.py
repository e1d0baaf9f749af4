"""Figures of the results as SVG text: every seed a dot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from evidence.groups import Group, Results, mean_over_classes
from evidence.paired import Interval
from evidence.plan import SUPERVISED
from napari_penumbra.evaluation.svg import COLORS, GREY, Line, Panel, figure, ticks

NAMES, PLOT, GAP, ROW, HEAD, FOOT = 290, 400, 30, 26, 44, 44


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a dot plot: its dots, their mean, and an interval around it if there is one."""

    name: str
    dots: Sequence[float]
    mean: float
    interval: Interval | None = None


def comparison_figure(group: Group) -> str:
    """Mean Dice of every seed by arm, and the gain of every seed by pair, with its interval."""
    arms = [Row(arm.name, arm.figures["dice"].mean(axis=1).tolist(), 0.0) for arm in group.arms.values()]
    arms = [Row(row.name, row.dots, float(np.mean(row.dots))) for row in arms]
    gains = [
        Row(f"{d.arm} − {d.against}", d.by_seed, d.intervals["dice"].mean, d.intervals["dice"])
        for d in group.differences()
    ]
    high = HEAD + FOOT
    top = _dot_plot(arms, "Dice, mean over unseen cases; a dot a seed, the bar their mean")
    bottom = _dot_plot(gains, "Dice gained, same seed and cases; a dot a seed, 95 % interval", zero=True)
    heights = [high + ROW * len(arms), high + ROW * len(gains) if gains else 0]
    width, height = NAMES + PLOT + GAP, 26 + sum(heights)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="18" font-weight="bold">{escape(group.title)}</text>',
        f'<g transform="translate(0 26)">{"".join(top)}</g>',
    ]
    if gains:
        parts.append(f'<g transform="translate(0 {26 + heights[0]})">{"".join(bottom)}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _dot_plot(rows: Sequence[Row], label: str, zero: bool = False) -> list[str]:
    """Draw rows over one axis."""
    if not rows:
        return []
    low, high = _span(rows, zero)
    bottom = HEAD + ROW * len(rows)

    def at(value: float) -> float:
        return NAMES + PLOT * (value - low) / (high - low)

    parts = [f'<text x="10" y="{HEAD - 18}" fill="{GREY}" font-size="11">{escape(label)}</text>']
    for tick in ticks(low, high):
        x = at(tick)
        shade = "#333333" if zero and abs(tick) < 1e-9 else "#e3e3e3"
        parts.append(f'<path d="M{x:.1f} {HEAD - 6}V{bottom}" stroke="{shade}"/>')
        words = f"{tick:+.10g}" if zero and abs(tick) > 1e-9 else f"{tick:.10g}"
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{words}</text>')
    for n, row in enumerate(rows):
        y = HEAD + ROW * n + ROW / 2
        parts.append(
            f'<text x="{NAMES - 10}" y="{y + 4:.1f}" text-anchor="end" font-size="11">{escape(row.name)}</text>'
        )
        if row.interval is not None:
            ends = f"M{at(row.interval.low):.1f} {y:.1f}H{at(row.interval.high):.1f}"
            parts.append(f'<path d="{ends}" stroke="{COLORS[1]}" stroke-width="2"/>')
        parts.append(f'<path d="M{at(row.mean):.1f} {y - 8:.1f}v16" stroke="{COLORS[1]}" stroke-width="3"/>')
        dots = [at(value) for value in row.dots if math.isfinite(value)]
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLORS[0]}" fill-opacity="0.7"/>' for x in dots]
    return parts


def _span(rows: Sequence[Row], zero: bool) -> tuple[float, float]:
    values = [v for row in rows for v in row.dots if math.isfinite(v)]
    values += [v for row in rows if row.interval for v in (row.interval.low, row.interval.high)]
    low, high = min([*values, 0.0] if zero else values), max([*values, 0.0] if zero else values)
    air = 0.06 * (high - low) or 0.05
    return low - air, high + air


def reliability_figure(group: Group) -> str | None:
    """Draw one reliability diagram per method and for supervised training, over all seeds; None without any result."""
    panels = []
    for name in (SUPERVISED, *group.cohort.methods, *group.cohort.extra):
        found = group.confidence(name)
        if found:
            lines = [Line([(0, 0), (1, 1)], "calibrated", GREY, dashed=True)]
            for n, (key, words) in enumerate((("reliability", "as predicted"), ("reliability_scaled", "scaled"))):
                points = pooled([c[key] for c in found if c.get(key)])
                lines += [Line(points, words, COLORS[n])] if points else []
            panels.append(
                Panel(name, "mean confidence", "share of right voxels", lines, x_range=(0.0, 1.0), y_range=(0.0, 1.0))
            )
    return figure(panels, f"{group.title}. Voxels within 10 mm of predicted or true foreground.") if panels else None


def pooled(diagrams: Sequence[Sequence[dict[str, float]]]) -> list[tuple[float, float]]:
    """Join the diagrams of several seeds bin by bin, each voxel counting once: (confidence, share right) per bin."""
    bins: dict[float, list[dict[str, float]]] = {}
    for diagram in diagrams:
        for one in diagram:
            bins.setdefault(round(one["from"], 6), []).append(one)
    points = []
    for _, members in sorted(bins.items()):
        n = sum(m["voxels"] for m in members)
        x, y = (sum(m[key] * m["voxels"] for m in members) / n for key in ("confidence", "right"))
        points.append((x, y))
    return points


def curve_figure(results: Results, cohort: str) -> str | None:
    """Dice against steps on the cases for tuning, a line per arm and seed; None without at least two lengths."""
    curves: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for cell, result in results.items():
        if cell.tuning and cell.cohort == cohort and not cell.settings:
            dice = float(np.mean(mean_over_classes(result["table"], "dice")))
            curves.setdefault((cell.arm, cell.seed), []).append((float(cell.steps), dice))
    lines = [
        Line(sorted(points), f"{arm}, seed {seed}", COLORS[n % len(COLORS)])
        for n, ((arm, seed), points) in enumerate(sorted(curves.items()))
        if len(points) > 1
    ]
    return figure([Panel(cohort, "steps", "Dice, cases for tuning", lines)]) if lines else None
