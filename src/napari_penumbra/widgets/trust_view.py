"""How far the confidence can be believed: a reliability plot with counts, and the error before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_penumbra.domain.labels import PALETTE
from napari_penumbra.evaluation.track_record import TrackRecord
from napari_penumbra.study.calibration import Calibration
from napari_penumbra.widgets.colors import contrast, mix, mute
from napari_penumbra.widgets.trust_words import corrected, why_unknown

_EXPLAIN = (
    "Bars: how often voxels of a confidence turned out right. On the dashed line a confidence is what it says; below "
    "it the model is too sure of itself. Counted within 10 mm of foreground; unknown voxels are left out."
)


class _Plots:
    """Two plots and what is drawn in them; made once and changed in place."""

    def __init__(self, share: Any, count: Any, right: Any, voxels: Any) -> None:
        import pyqtgraph as pg

        self.share, self.count = share, count
        self.right, self.voxels = right, voxels
        self.line = pg.PlotDataItem()
        self.diagonal = pg.PlotDataItem([0, 1], [0, 1])
        self.diagonal.setZValue(10)


class TrustView(QWidget):
    """Shows a `Calibration`. pyqtgraph is imported when there is something to draw and it is unfolded.

    Signals
    -------
    grown
        It needs another height now.
    """

    grown = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trust")
        self.meaning = QLabel(objectName="confidence_meaning", wordWrap=True)
        self.meaning.setTextFormat(Qt.TextFormat.PlainText)
        self.words = QLabel(objectName="trust_words", wordWrap=True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.explain = QLabel(_EXPLAIN, objectName="trust_explain", wordWrap=True)
        mute(self.explain)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self.meaning)
        self._layout.addWidget(self.words)
        self._layout.addWidget(self.explain)
        self._plots: _Plots | None = None
        self._calibration: Calibration | None = None
        self._drawn: object = None
        self._open = False
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self.grown)
        self.say_meaning("")
        self.show_calibration(None)

    def show_calibration(self, calibration: Calibration | None) -> None:
        """Show what is known, or say what is missing."""
        self._calibration = calibration
        record = TrackRecord() if calibration is None else calibration.record
        self.words.setText(_sentences(calibration, record))
        known = record.enough_cases
        self.explain.setVisible(known)
        if self._plots is not None:
            self._plots.share.setVisible(known)
            self._plots.count.setVisible(known)
        self._draw()
        self._fit()

    def say_meaning(self, words: str) -> None:
        """Say what the method that predicted means by its confidence; empty for nothing."""
        self.meaning.setText(words)
        self.meaning.setVisible(bool(words))
        self._fit()

    def activate(self, on: bool) -> None:
        """Draw what has come while the fold was closed."""
        self._open = on
        self._draw()
        self._fit()
        if on:
            self._soon.start()  # after the fold has set a height of its own choice

    def resizeEvent(self, event: Any) -> None:
        """Ask for the height that the wrapped sentences need at this width: the folds around ask for less."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        height = self._layout.totalHeightForWidth(max(self.width(), 1))
        if height != self.minimumHeight():
            self.setMinimumHeight(height)

    # ---------------------------------------------------------------- drawing

    def _draw(self) -> None:
        calibration = self._calibration
        if calibration is None or not calibration.record.enough_cases or not self._open:
            return
        if self._plots is None:
            self._plots = self._make_plots()
        if self._drawn is not calibration:
            self._drawn = calibration
            self._fill(calibration.record)

    def _make_plots(self) -> _Plots:
        import pyqtgraph as pg

        lines = self.fontMetrics().lineSpacing()
        made = []
        for name, title, height in (("share", "turned out right", 11), ("count", "voxels", 7)):
            plot = pg.PlotWidget()
            plot.setObjectName(f"trust_{name}")
            plot.setAccessibleName(f"Reliability: {title} over confidence")
            plot.setFixedHeight(height * lines)
            item = plot.getPlotItem()
            item.setLabel("left", title)
            item.getAxis("left").setWidth(7 * lines // 2)
            for side in ("left", "bottom"):
                item.getAxis(side).enableAutoSIPrefix(False)
            item.setMouseEnabled(x=False, y=False)  # the wheel scrolls the page
            item.hideButtons()
            item.setMenuEnabled(False)
            item.disableAutoRange()
            item.setXRange(0, 1, padding=0.02)
            self._layout.insertWidget(self._layout.count() - 1, plot)
            made.append(plot)
        share, count = made
        share.getPlotItem().setYRange(0, 1, padding=0.02)
        count.getPlotItem().setLabel("bottom", "confidence")
        plots = _Plots(share, count, *(pg.BarGraphItem(x=[], height=[], width=0.05, pen=None) for _ in range(2)))
        share.addItem(plots.right)
        share.addItem(plots.line)
        share.addItem(plots.diagonal)
        count.addItem(plots.voxels)
        return plots

    def _fill(self, record: TrackRecord) -> None:
        plots = self._plots
        if plots is None:
            return
        found = record.before
        filled = found.count > 0
        middle, width = ((found.edges[:-1] + found.edges[1:]) / 2)[filled], 0.9 / found.count.size
        plots.right.setOpts(x=middle, height=found.right[filled], width=width)
        levels, used = np.arange(record.isotonic.size) / (record.isotonic.size - 1), np.flatnonzero(record.counts)
        span = slice(int(used[0]), int(used[-1]) + 1)
        plots.line.setData(levels[span], record.isotonic[span])
        # Counts span powers of ten: a bar of a hundred voxels must be seen beside one of a million.
        heights = np.log10(found.count[filled])
        plots.voxels.setOpts(x=middle, height=heights, width=width)
        top = max(2, int(np.ceil(heights.max())))
        item = plots.count.getPlotItem()
        item.setYRange(0, top * 1.08, padding=0.0)
        item.getAxis("left").setTicks([[(n, _power(n)) for n in range(0, top + 1, 1 if top < 3 else 2)]])
        self._color()

    # ---------------------------------------------------------------- theme

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and self._plots is not None:
            self._color()

    def _color(self) -> None:
        import pyqtgraph as pg

        plots = self._plots
        if plots is None:
            return
        ground, text = self._theme()
        plots.right.setOpts(brush=_seen(PALETTE[0], ground, text))
        plots.voxels.setOpts(brush=mix(text, ground, 0.5))
        plots.line.setPen(pg.mkPen(_seen(PALETTE[1], ground, text), width=2))
        plots.diagonal.setPen(pg.mkPen(text, style=Qt.PenStyle.DashLine))
        for plot in (plots.share, plots.count):
            plot.setBackground(ground)
            for side in ("bottom", "left"):
                axis = plot.getPlotItem().getAxis(side)
                axis.setPen(mix(text, ground, 0.5))
                axis.setTextPen(text)
                axis.label.setDefaultTextColor(text)

    def _theme(self) -> tuple[QColor, QColor]:
        palette = self.palette()
        return palette.color(QPalette.ColorRole.Window), palette.color(QPalette.ColorRole.WindowText)


def _seen(name: str, ground: QColor, text: QColor) -> QColor:
    """Move a colour towards the text until it can be seen on the ground."""
    color = QColor(name)
    while contrast(color, ground) < 3 and color != text:
        mixed = mix(color, text, 0.8)
        color = text if mixed == color else mixed
    return color


def _power(n: int) -> str:
    return f"{10**n:,}" if n < 4 else f"{10 ** (n - 3):,}k" if n < 6 else f"{10 ** (n - 6):,}M"


def _sentences(calibration: Calibration | None, record: TrackRecord) -> str:
    """Say what the plot shows, in words."""
    if calibration is None or not record.enough_cases:
        return (
            f"Not yet known: {why_unknown(record)}. Every predicted case that you accept counts, and every frozen case "
            "that has been predicted."
        )
    errors = record.errors
    whose = "all predicted by this model" if calibration.own else "some predicted by earlier models of this method"
    lines = [f"From {record.total.n:,} voxels in {corrected(len(record.cases))}, {whose}."]
    parts = [f"{errors.ece:.3f} as predicted"] if errors.ece is not None else []
    if errors.ece_isotonic is not None:
        parts.append(f"{errors.ece_isotonic:.3f} by the line drawn here (isotonic)")
    if errors.ece_scaled is not None:
        parts.append(f"{errors.ece_scaled:.3f} by a temperature of {record.temperature:.2f}")
    lines.append(f"Calibration error (ECE): {', '.join(parts)}; each case corrected by the others.")
    return "\n".join(lines)
