"""The weak regions of the shown prediction, the most rewarding first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from napari_penumbra.domain.case import Verdict
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.regions import Region
from napari_penumbra.widgets.class_list import ml_words
from napari_penumbra.widgets.colors import muted, swatch

FEWEST_ROWS = 4
"""Rows that are seen on the lowest screen."""
# Mark and word, so that the mark's shape is never alone.
WORDS = {
    Verdict.ACCEPT: "✓ accepted",
    Verdict.REJECT: "✗ rejected",
    Verdict.FIXED: "✎ fixed",
    Verdict.UNKNOWN: "? unknown",
}


class RegionList(QTreeWidget):
    """One row per region: class, ml, confidence, why or the verdict.

    Signals
    -------
    picked : (int)
        Go to this region.
    """

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._listed: tuple[list[Region], LabelScheme, bool] | None = None
        self.setObjectName("region_list")
        self.setAccessibleName("Weak regions")
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHeaderLabels(["Region", "ml", "Conf.", "Why"])
        header = self.header()
        header.setStretchLastSection(True)
        for column in (0, 1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._fit()
        self.itemSelectionChanged.connect(self._on_selection)

    def set_regions(self, regions: Sequence[Region], scheme: LabelScheme, pixels: bool = False) -> None:
        """List regions, their sizes in millilitres or in ``pixels`` of a picture; the selection is gone."""
        self._listed = (list(regions), scheme, pixels)
        self.headerItem().setText(1, "px" if pixels else "ml")
        self.blockSignals(True)
        self.clear()
        line = self.palette().windowText().color()
        for n, region in enumerate(regions):
            size = f"{np.count_nonzero(region.mask):,}" if pixels else ml_words(region.ml)
            item = QTreeWidgetItem(["", size, f"{region.confidence * 100:.0f} %", ""])
            known = region.value in scheme.values
            name = scheme.by_value(region.value).name if known else "background"
            item.setText(0, f"{n + 1} {name}")
            color = scheme.by_value(region.value).color if known else "transparent"
            item.setIcon(0, swatch(color, self.fontMetrics().height(), line))
            for column in (1, 2):
                item.setTextAlignment(column, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter))
            self.addTopLevelItem(item)
            self._show(item, region)
        self.blockSignals(False)
        self._fit()

    def update_region(self, n: int, region: Region) -> None:
        """Show a region's new verdict."""
        item = self.topLevelItem(n)
        if item is not None and self._listed is not None:
            self._listed[0][n] = region
            self._show(item, region)

    def select(self, n: int | None) -> None:
        """Select a region without saying so."""
        self.blockSignals(True)
        self.setCurrentItem(None if n is None else self.topLevelItem(n))
        if n is None:
            self.clearSelection()
        else:
            self.scrollToItem(self.topLevelItem(n))
        self.blockSignals(False)
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        """Take over the theme's colours: rows keep those that they were made with."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and self._listed is not None:
            at = self.indexOfTopLevelItem(self.currentItem()) if self.selectedItems() else None
            self.set_regions(*self._listed)
            self.select(at)

    def _fit(self) -> None:
        """Ask for few rows and take the room that is left: who asks for more makes the page scroll beside the list."""
        self.setMinimumHeight(self._height(FEWEST_ROWS))
        self.setMaximumHeight(self._height(max(FEWEST_ROWS, self.topLevelItemCount())))
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """As high as it must be at least."""
        return QSize(super().sizeHint().width(), self.minimumHeight())

    def _height(self, rows: int) -> int:
        row = max(self.sizeHintForRow(0), self.fontMetrics().lineSpacing() + 2)
        return int(rows * row + self.header().sizeHint().height() + 2 * self.frameWidth() + 2)

    def _show(self, item: QTreeWidgetItem, region: Region) -> None:
        decided = region.verdict is not None
        # The first column has the class already, and there is no room to name it twice.
        why = region.why.removesuffix(f" of {item.text(0).partition(' ')[2]}")
        text = WORDS[region.verdict] if region.verdict is not None else why
        item.setText(3, text)
        tip = "\n".join(filter(None, (region.why, region.against, text if decided else "")))
        ink = muted(self.palette()) if decided else self.palette().text().color()
        for column in range(4):
            item.setToolTip(column, tip)
            item.setForeground(column, ink)

    def _on_selection(self) -> None:
        items = self.selectedItems()
        if items:
            self.picked.emit(self.indexOfTopLevelItem(items[0]))
