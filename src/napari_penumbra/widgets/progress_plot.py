"""One figure per finished case in the order of finishing, as dots that can be clicked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_penumbra.domain.labels import PALETTE
from napari_penumbra.study.minutes import Finished, moving_median
from napari_penumbra.widgets.colors import contrast, mix

FIGURES = {
    "seconds": ("Seconds: ● corrected  □ by hand", "seconds"),
    "share": ("Share of voxels changed", "% changed"),
    "dice": ("Dice of what was predicted", "Dice"),
}
"""What can be drawn: a key to its words in the list, and beside the axis."""


def figure_of(case: Finished, key: str) -> float:
    """Value of a case for one of `FIGURES`, NaN where it has none (a case painted by hand has no Dice)."""
    if key == "seconds":
        return case.seconds if case.seconds > 0 else math.nan
    if not case.reviewed:
        return math.nan
    value = case.share if key == "share" else case.dice
    return math.nan if value is None else value * (100 if key == "share" else 1)


class ProgressPlot(QWidget):
    """Dots for corrected cases, squares for those painted by hand, and the moving median of the corrected ones.

    Signals
    -------
    clicked : (str)
        Name of the case whose dot was clicked.
    """

    clicked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("progress_plot")
        self.setFixedHeight(8 * self.fontMetrics().lineSpacing())
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._plot: Any = None
        self._dots: Any = None
        self._line: Any = None

    def draw(self, done: Sequence[Finished], key: str) -> None:
        """Draw one figure of all finished cases."""
        if self._plot is None:
            self._make()
        points = [(n, c, figure_of(c, key)) for n, c in enumerate(done, start=1)]
        known = [(n, c, y) for n, c, y in points if math.isfinite(y)]
        ink = self._ink()
        spots = [
            {
                "pos": (n, y),
                "data": c.case,
                "symbol": "o" if c.reviewed else "s",
                "brush": ink if c.reviewed else None,
                "pen": ink,
                "size": 9,
            }
            for n, c, y in known
        ]
        self._dots.setData(spots=spots, hoverable=True, hoverSize=13, tip=_tip(known, key))
        corrected = [(n, y) for n, c, y in known if c.reviewed]
        self._line.setData([n for n, _ in corrected], moving_median([y for _, y in corrected]))
        self._line.setPen(ink)
        item = self._plot.getPlotItem()
        item.setLabel("left", FIGURES[key][1])
        item.setXRange(0.5, max(len(done), 5) + 0.5, padding=0)
        highest = max((y for _, _, y in known), default=1.0)
        lowest = min((y for _, _, y in known), default=0.0)
        item.setYRange(max(0.0, lowest - 0.05) if key == "dice" else 0.0, max(1.1 * highest, 1e-3), padding=0)
        self._plot.setAccessibleName(FIGURES[key][0])
        self._color()

    def points(self) -> list[tuple[float, float, str]]:
        """What is drawn: position along, value, case."""
        if self._dots is None:
            return []
        return [(p.pos().x(), p.pos().y(), str(p.data())) for p in self._dots.points()]

    def _make(self) -> None:
        import pyqtgraph as pg

        self._plot = pg.PlotWidget()
        item = self._plot.getPlotItem()
        for side in ("bottom", "left"):
            item.getAxis(side).enableAutoSIPrefix(False)
        item.setMouseEnabled(x=False, y=False)  # the wheel scrolls the page
        item.hideButtons()
        item.setMenuEnabled(False)
        self._line = item.plot()
        self._dots = pg.ScatterPlotItem()
        self._dots.sigClicked.connect(self._on_clicked)
        item.addItem(self._dots)
        self._layout.addWidget(self._plot)

    def _on_clicked(self, _item: Any, points: Any, _event: Any = None) -> None:
        if len(points):
            self.clicked.emit(str(points[0].data()))

    # ---------------------------------------------------------------- theme

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and self._plot is not None:
            self._color()

    def _color(self) -> None:
        ground, text = self._theme()
        self._plot.setBackground(ground)
        item = self._plot.getPlotItem()
        for side in ("bottom", "left"):
            axis = item.getAxis(side)
            axis.setPen(mix(text, ground, 0.5))
            axis.setTextPen(text)
        item.getAxis("left").label.setDefaultTextColor(text)

    def _theme(self) -> tuple[QColor, QColor]:
        palette = self.palette()
        return palette.color(QPalette.ColorRole.Window), palette.color(QPalette.ColorRole.WindowText)

    def _ink(self) -> QColor:
        ground, text = self._theme()
        color = QColor(PALETTE[0])
        while contrast(color, ground) < 3 and color != text:
            mixed = mix(color, text, 0.8)
            color = text if mixed == color else mixed
        return color


def _tip(known: Sequence[tuple[int, Finished, float]], key: str) -> Any:
    cases = {c.case: c for _, c, _ in known}

    def tip(x: float, y: float, data: str) -> str:
        case = cases.get(data)
        how = "corrected" if case is not None and case.reviewed else "painted by hand"
        figure = {"seconds": f"{y:.0f} s", "share": f"{y:.1f} % changed", "dice": f"Dice {y:.3f}"}[key]
        return f"{data}, {how}: {figure}. A click opens it."

    return tip
