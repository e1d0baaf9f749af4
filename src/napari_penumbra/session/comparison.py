"""Several simulations side by side: orders and methods compared on reader time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_penumbra.evaluation.figures import Curve, comparison_figure, effort_to_reach
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.session.simulation import Result, Settings

FIGURE, DATA = "comparison.svg", "comparison.json"
HEADER = ("way", "seeds", "cases", "minutes", "dice", "minutes to the common dice", "voxels to the common dice")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to label over several seeds.

    Attributes
    ----------
    name
        Method and order, as far as they differ between the ways.
    curve
        Rounds of each seed.
    cases, minutes, dice
        Means at the last round that all seeds have reached.
    to_common
        Minutes, then voxels, that its mean curve takes to the Dice that every way reaches; None where it starts above.
    """

    name: str
    curve: Curve
    cases: float
    minutes: float
    dice: float
    to_common: tuple[float | None, float | None]


def folder_of(settings: Settings) -> str:
    """Name of the folder of one simulation among several."""
    return f"{settings.method}-{settings.order}-seed{settings.seed}"


def ways(results: Sequence[Result]) -> list[Way]:
    """Group simulations that differ only by their seed; those without a finished round are left out."""
    done = [r for r in results if r.scored]
    methods, orders = {r.method for r in done}, {r.settings.order for r in done}
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in done:
        groups.setdefault((result.method, result.settings.order), []).append(result)
    curves = [
        Curve(
            _name(method, order, len(methods) > 1, len(orders) > 1),
            [[(p.labelled, p.voxels, p.minutes, p.dice) for p in r.points()] for r in group],
        )
        for (method, order), group in groups.items()
    ]
    # What every way reaches at some time: the lowest of their highest.
    common = min((max(p[3] for p in c.mean()) for c in curves), default=0.0)
    return [_way(curve, common) for curve in curves]


def _name(method: str, order: str, by_method: bool, by_order: bool) -> str:
    return " · ".join(word for word, shown in ((method, by_method), (order, by_order or not by_method)) if shown)


def _way(curve: Curve, common: float) -> Way:
    mean = curve.mean()
    cases, _, minutes, dice = mean[-1]
    to_common = (
        effort_to_reach([(p[2], p[3]) for p in mean], common),
        effort_to_reach([(p[1], p[3]) for p in mean], common),
    )
    return Way(curve.name, curve, cases, minutes, dice, to_common)


def lines(found: Sequence[Way]) -> list[tuple[str, ...]]:
    """Ways as text under `HEADER`."""
    return [
        (
            way.name,
            str(len(way.curve.runs)),
            f"{way.cases:g}",
            f"{way.minutes:.1f}",
            f"{way.dice:.3f}",
            _figure(way.to_common[0], ".1f"),
            _figure(way.to_common[1], ",.0f"),
        )
        for way in found
    ]


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def caption_of(results: Sequence[Result]) -> str:
    """Say what all have in common, for below the figure."""
    first = results[0]
    s = first.settings
    seeds = len({r.settings.seed for r in results})
    drawn = f"{seeds} draws (dashed) and their mean" if seeds > 1 else f"seed {s.seed}"
    return (
        f"{len(first.held_out)} held-out cases, {s.start} painted first, {s.per_round} a round, {drawn}. "
        f"Robot reader: {s.costs.words()}."
    )


def write_comparison(folder: Path, results: Sequence[Result]) -> list[Way]:
    """Write ``comparison.json`` and ``comparison.svg`` from what is finished; raises `DiskError` in words.

    Returns
    -------
    list of Way
        Empty, and nothing written, while no round is finished.
    """
    found = ways(results)
    if found:
        data: dict[str, Any] = {"costs": asdict(results[0].settings.costs), "ways": [asdict(way) for way in found]}
        write_text(folder / DATA, json.dumps(data, indent=1, ensure_ascii=False))
        write_text(
            folder / FIGURE, comparison_figure(results[0].study, [way.curve for way in found], caption_of(results))
        )
    return found
