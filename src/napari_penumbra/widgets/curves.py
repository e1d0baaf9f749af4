"""Live curves of a run: loss parts, Dice on the frozen cases with the supervised-only line, seconds per step."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_penumbra.domain.labels import PALETTE
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.widgets.colors import contrast, mix, mute
from napari_penumbra.widgets.join_lines import JoinLines

# Colour is never alone: each line also has its own dash.
_DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
_MARKS = ("──", "╌╌", "┈┈", "─·")
_LINES = {"dice": "with unlabelled cases", "reference_dice": "labels only"}

Series = dict[str, tuple[list[float], list[float]]]


class Curves(QWidget):
    """Three plots over the optimiser step. pyqtgraph is imported when there is something to draw."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("curves")
        self.setAccessibleName("Curves of the training")
        self.losses: Series = {}
        self.dice: Series = {}
        self.speed: Series = {}
        self.joined = JoinLines(self)
        self._steps = self._done = 0
        self.empty = QLabel("The curves appear here once a training has started.", wordWrap=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        mute(self.empty)
        self.legend = QLabel(wordWrap=True, objectName="legend")
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        # Its longest word must not widen the page: that cuts off buttons on a narrow screen.
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.legend.hide()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self.empty)
        self._plots: dict[str, Any] = {}
        # Events may come in bursts (a resumed run's history): draw at most four times a second.
        self._soon = QTimer(self, singleShot=True, interval=250)
        self._soon.timeout.connect(self.draw)

    def set_history(self, events: Sequence[Progress]) -> None:
        """Draw a run from its beginning."""
        self.losses, self.dice, self.speed = {}, {}, {}
        self.joined.clear()
        self._steps = self._done = 0
        for event in events:
            self._take(event)
        self.draw()

    def add(self, event: Progress) -> None:
        """Take one more event; drawn soon."""
        self._take(event)
        if not self._soon.isActive():
            self._soon.start()

    def _take(self, event: Progress) -> None:
        self._steps = max(self._steps, event.step)
        if event.kind is Kind.STEP:
            if event.step <= self._done:
                for series in (self.losses, self.dice, self.speed):
                    _cut(series, event.step - 1)  # resumed from a checkpoint: what came after it is done again
            self._done = event.step
        if event.kind is Kind.POOL:
            self.joined.add(event)
        for name, value in event.losses.items():
            _append(self.losses, name, event.step, value)
        for name in _LINES:
            if name in event.metrics:
                _append(self.dice, name, event.step, event.metrics[name])
        if "seconds_per_step" in event.metrics:
            _append(self.speed, "seconds_per_step", event.step, event.metrics["seconds_per_step"])

    def draw(self) -> None:
        """Bring the plots up to date."""
        anything = bool(self.losses or self.dice or self.speed)
        self.empty.setVisible(not anything)
        if anything and not self._plots:
            self._make_plots()
        for key, series in (("losses", self.losses), ("dice", self.dice), ("speed", self.speed)):
            if key in self._plots:
                self._plots[key].setVisible(bool(series))
                if key == "losses":
                    self.legend.setVisible(bool(series))
                self._draw_series(key, series)
        self.joined.draw(self._plots, self._join_color())

    def _make_plots(self) -> None:
        import pyqtgraph as pg

        units = {"losses": ("Loss", None), "dice": ("Dice", None), "speed": ("Step time", "s")}
        lines = self.fontMetrics().lineSpacing()
        for key, (title, unit) in units.items():
            plot = pg.PlotWidget()
            plot.setObjectName(f"plot_{key}")
            plot.setAccessibleName(title)
            plot.setFixedHeight((8 if key == "speed" else 11) * lines)
            item = plot.getPlotItem()
            item.setLabel("bottom", "step")
            item.setLabel("left", title, units=unit)
            item.getAxis("bottom").enableAutoSIPrefix(False)
            item.getAxis("left").enableAutoSIPrefix(False)
            item.setMouseEnabled(x=False, y=False)  # the wheel scrolls the page
            item.hideButtons()
            item.setMenuEnabled(False)
            if key == "dice":
                item.addLegend(offset=(-4, -4), labelTextSize=f"{max(7, self.font().pointSize() - 1)}pt")
            item.setYRange(0, 1)
            item.enableAutoRange(x=False, y=key == "losses")
            self._layout.addWidget(plot)
            if key == "losses":
                # Below the plot: two networks have ten parts, more than fit into a plot beside their curves.
                self._layout.addWidget(self.legend)
            self._plots[key] = plot
        self._color_plots()

    def _draw_series(self, key: str, series: Series) -> None:
        item = self._plots[key].getPlotItem()
        known = {curve.name(): curve for curve in item.listDataItems()}
        # A loss part may be called "dice" too: only the Dice plot has other words for its lines.
        labels = {name: _LINES[name] if key == "dice" else name.replace("_", " ") for name in series}
        for n, (name, (x, y)) in enumerate(series.items()):
            label = labels[name]
            if label not in known:
                pen = self._pen(n)
                dots = {"symbol": "o", "symbolSize": 5, "symbolPen": None, "symbolBrush": pen.color()}
                known[label] = item.plot(name=label, pen=pen, **(dots if key == "dice" else {}))
            known[label].setData(x, y)
        item.setXRange(0, max(self._steps, 1), padding=0.02)
        if key == "losses":
            self._write_legend()
        if key == "speed":
            item.setYRange(0, max((v for _, y in series.values() for v in y), default=1.0), padding=0.1)
        for label in known.keys() - set(labels.values()):
            item.removeItem(known[label])

    def _write_legend(self) -> None:
        """Name the loss parts, those of one network together, each with its colour and dash."""
        lines: dict[str, list[str]] = {}
        for n, name in enumerate(self.losses):
            network, _, part = name.rpartition(".")
            words = html.escape(part.replace("_", " "))
            mark = f'<span style="color:{self._pen(n).color().name()}"><b>{_MARKS[n % len(_MARKS)]}</b></span>'
            lines.setdefault(network, []).append(f"{mark}&nbsp;{words.replace(' ', '&nbsp;')}")
        named = ((f"{html.escape(network)}: " if network else "", " ".join(parts)) for network, parts in lines.items())
        self.legend.setText("<br>".join(network + parts for network, parts in named))

    # ---------------------------------------------------------------- theme

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and self._plots:
            self._color_plots()

    def _color_plots(self) -> None:
        ground, text = self._theme()
        self._write_legend()
        for plot in self._plots.values():
            plot.setBackground(ground)
            item = plot.getPlotItem()
            for side in ("bottom", "left"):
                axis = item.getAxis(side)
                axis.setPen(mix(text, ground, 0.5))
                axis.setTextPen(text)
                axis.label.setDefaultTextColor(text)
            if item.legend is not None:
                item.legend.setLabelTextColor(text)
            for n, curve in enumerate(item.listDataItems()):
                curve.setPen(self._pen(n))
        self.joined.recolor(self._join_color())

    def _join_color(self) -> QColor:
        """Behind the curves, but still readable."""
        ground, text = self._theme()
        return mix(text, ground, 0.7)

    def _theme(self) -> tuple[QColor, QColor]:
        palette = self.palette()
        return palette.color(QPalette.ColorRole.Window), palette.color(QPalette.ColorRole.WindowText)

    def _pen(self, n: int) -> Any:
        """Return the n-th line's pen: a colour of the label palette, moved towards the text until it can be seen."""
        import pyqtgraph as pg

        ground, text = self._theme()
        color = QColor(PALETTE[n % len(PALETTE)])
        while contrast(color, ground) < 3 and color != text:
            mixed = mix(color, text, 0.8)
            color = text if mixed == color else mixed
        return pg.mkPen(color, width=2, style=_DASHES[n % len(_DASHES)])


def _append(series: Series, name: str, step: int, value: float) -> None:
    if math.isfinite(value):
        x, y = series.setdefault(name, ([], []))
        x.append(float(step))
        y.append(value)


def _cut(series: Series, step: int) -> None:
    for name, (x, y) in list(series.items()):
        kept = [n for n, at in enumerate(x) if at <= step]
        series[name] = ([x[n] for n in kept], [y[n] for n in kept])
