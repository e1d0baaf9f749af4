"""Small figures as SVG text: panels with axes, lines, dots and bars, without a drawing library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 420, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 34, 52
# Okabe and Ito's palette without its yellow, which is too light on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
GREY = "#777777"

Points = Sequence[tuple[float, float]]
_At = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """A curve through points, marked with dots; ``dashed`` ones have none."""

    points: Points
    name: str = ""
    color: str = COLORS[0]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Filled columns: (left, right, height) each."""

    columns: Sequence[tuple[float, float, float]]
    color: str = "#c9d6e2"


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    x_range, y_range
        What the axes span; None fits them to what is drawn.
    whole_x, whole_y
        Whether only whole numbers are marked along x and y.
    legend_below
        Put the names of the lines into the lower right corner instead of the upper left one.
    """

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    bars: Sequence[Bars] = field(default_factory=tuple)
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    whole_x: bool = False
    whole_y: bool = False
    legend_below: bool = False


def figure(panels: Sequence[Panel], caption: str = "") -> str:
    """Draw panels side by side with a caption below; returns a whole SVG document."""
    wide, high = WIDTH * len(panels), HEIGHT + (24 if caption else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
    ]
    for n, panel in enumerate(panels):
        parts += [f'<g transform="translate({WIDTH * n} 0)">', *_panel(panel), "</g>"]
    if caption:
        parts.append(f'<text x="{LEFT}" y="{HEIGHT + 12}" fill="{GREY}" font-size="11">{escape(caption)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about so many."""
    step = _round_up((high - low) / max(about, 1))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _round_up(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= step * (1 - 1e-9))


def _panel(panel: Panel) -> list[str]:
    x_range, y_range = _ranges(panel)
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return LEFT + inner_w * across, TOP + inner_h * (1 - up)

    parts = [f'<text x="{LEFT}" y="20" font-weight="bold">{escape(panel.title)}</text>']
    for x in ticks(*x_range):
        if panel.whole_x and x != round(x):
            continue
        px, _ = at(x, y_range[0])
        parts.append(_text(px, HEIGHT - BOTTOM + 16, _number(x), "middle"))
    for y in ticks(*y_range):
        if panel.whole_y and y != round(y):
            continue
        _, py = at(x_range[0], y)
        parts.append(f'<path d="M{LEFT} {py:.1f}H{WIDTH - RIGHT}" stroke="#e3e3e3"/>')
        parts.append(_text(LEFT - 6, py + 4, _number(y), "end"))
    for bars in panel.bars:
        parts += [_column(at, column, y_range[0], bars.color) for column in bars.columns]
    parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#333333"/>')
    for line in panel.lines:
        parts += _line(at, line)
    parts += _legend([line for line in panel.lines if line.name], panel.legend_below)
    parts.append(_text(LEFT + inner_w / 2, HEIGHT - 16, panel.x_label, "middle"))
    middle = TOP + inner_h / 2
    parts.append(
        f'<text transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(panel.y_label)}</text>'
    )
    return parts


def _column(at: _At, column: tuple[float, float, float], base: float, color: str) -> str:
    (x0, y0), (x1, y1) = at(column[0], column[2]), at(column[1], base)
    return (
        f'<rect x="{x0 + 0.5:.1f}" y="{y0:.1f}" width="{max(x1 - x0 - 1, 0.5):.1f}" height="{max(y1 - y0, 0):.1f}" '
        f'fill="{color}"/>'
    )


def _line(at: _At, line: Line) -> list[str]:
    places = [at(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)]
    if not places:
        return []
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    drawn = [f'<path d="M{path}" fill="none" stroke="{line.color}" stroke-width="2"{dash}/>']
    if not line.dashed:
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{line.color}"/>' for x, y in places]
    return drawn


def _legend(lines: Sequence[Line], below: bool) -> list[str]:
    parts = []
    x = WIDTH - RIGHT - 180 if below else LEFT + 10
    top = HEIGHT - BOTTOM - 16 * len(lines) if below else TOP + 8
    for n, line in enumerate(lines):
        y = top + 16 * n
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<path d="M{x} {y}h22" stroke="{line.color}" stroke-width="2"{dash}/>')
        parts.append(_text(x + 28, y + 4, line.name, "start"))
    return parts


def _ranges(panel: Panel) -> tuple[tuple[float, float], tuple[float, float]]:
    xs = [x for line in panel.lines for x, _ in line.points] + [x for b in panel.bars for c in b.columns for x in c[:2]]
    ys = [y for line in panel.lines for _, y in line.points] + [c[2] for b in panel.bars for c in b.columns]
    return panel.x_range or _around(xs), panel.y_range or _around(ys)


def _around(values: Sequence[float]) -> tuple[float, float]:
    """Span of values with a little air; never of no width."""
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    air = 0.08 * (high - low) or max(abs(high), 1.0) * 0.1
    return (0.0 if 0 <= low < air * 4 else low - air), high + air


def _number(value: float) -> str:
    return f"{value:,.10g}" if value == 0 or abs(value) >= 1e-6 else "0"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
