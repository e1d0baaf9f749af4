"""Where cases joined or left a running training: vertical lines in its curves, with the cases' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QColor

from napari_penumbra.domain.progress import Progress

_NAMED = "dice"
"""The plot that has the names; the others have the line only."""
_HEIGHT = 0.96
_LONGEST = 12
"""Letters of a name that fit into the height of the plot; the tip over a line has them all."""


class JoinLines(QObject):
    """One line per step at which the pool changed; it names the first case and counts the rest.

    The parts of a plot are made when there is something to draw, because pyqtgraph takes long to import.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.events: dict[int, list[Progress]] = {}
        self._lines: dict[tuple[str, int], Any] = {}
        self._plots: Mapping[str, Any] = {}

    def clear(self) -> None:
        """Forget the run."""
        for (key, _), line in self._lines.items():
            self._plots[key].getPlotItem().removeItem(line)
        self._lines.clear()
        self.events.clear()

    def add(self, event: Progress) -> None:
        """Take a change of the pool; drawn with the next `draw`."""
        events = self.events.setdefault(event.step, [])
        if all(known.case != event.case for known in events):
            events.append(event)

    def words(self, step: int) -> str:
        """Name what happened at a step: ``+ p004 +2``; a minus for a case that teaches no label any more."""
        first, count = self.events[step][0], len(self.events[step])
        name = first.case if len(first.case) <= _LONGEST else f"{first.case[: _LONGEST - 1]}…"
        sign = "+" if first.metrics.get("joined", 1.0) else "−"
        return f"{sign} {name}" if count == 1 else f"{sign} {name} +{count - 1}"

    def tip(self, step: int) -> str:
        """Say all of it."""
        return "\n".join(event.message for event in self.events[step])

    def draw(self, plots: Mapping[str, Any], color: QColor) -> None:
        """Put lines that are not there yet into the plots, and bring names up to date."""
        if not plots or not self.events:
            return
        import pyqtgraph as pg

        self._plots = plots
        pen = pg.mkPen(color, width=1, style=Qt.PenStyle.DashDotDotLine)
        for step in self.events:
            for key, plot in plots.items():
                if (key, step) not in self._lines:
                    label = {"position": _HEIGHT, "rotateAxis": (1, 0), "anchors": [(1, 1), (1, 1)], "color": color}
                    named = {"label": " ", "labelOpts": label} if key == _NAMED else {}
                    line = pg.InfiniteLine(step, angle=90, pen=pen, **named)
                    plot.getPlotItem().addItem(line, ignoreBounds=True)
                    self._lines[key, step] = line
                self._lines[key, step].setToolTip(self.tip(step))
            if (_NAMED, step) in self._lines:
                self._lines[_NAMED, step].label.setFormat(self.words(step))

    def recolor(self, color: QColor) -> None:
        """Follow the theme."""
        if not self._lines:
            return
        import pyqtgraph as pg

        for (key, _), line in self._lines.items():
            line.setPen(pg.mkPen(color, width=1, style=Qt.PenStyle.DashDotDotLine))
            if key == _NAMED:
                line.label.setColor(color)
