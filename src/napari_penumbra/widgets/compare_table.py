"""The two lists of a comparison: figures per class, and the places where the two differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTreeWidget, QTreeWidgetItem, QWidget

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.evaluation.agreement import Agreement, Disagreement
from napari_penumbra.session.agreement_words import SIGNS, Units, place_words, rows
from napari_penumbra.widgets.colors import muted, swatch

_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_MOST_ROWS = 6
_MEANINGS = (
    "Distances and volumes are in these units.",
    "Overlap: 1 is the same, 0 has nothing in common.",
    "95 % of the borders are nearer to each other than this.",
    "Mean distance between the borders.",
    "Volume in the first (solid).",
    "Volume in the second (striped).",
)


def _plain(tree: QTreeWidget, headers: Sequence[str], stretched: int) -> None:
    tree.setRootIsDecorated(False)
    tree.setUniformRowHeights(True)
    tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    tree.setHeaderLabels(list(headers))
    header = tree.header()
    header.setStretchLastSection(False)
    header.setMinimumSectionSize(20)
    for column in range(len(headers)):
        mode = QHeaderView.ResizeMode.Stretch if column == stretched else QHeaderView.ResizeMode.ResizeToContents
        header.setSectionResizeMode(column, mode)


class AgreementTable(QTreeWidget):
    """Dice, distances and volumes per class, and under each what is agreed on and what only one of the two has."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("compare_table")
        self.setAccessibleName("Agreement per class")
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        _plain(self, ("", "Dice", "HD95", "ASSD", *SIGNS), 0)
        for column, tip in enumerate(_MEANINGS):
            self.headerItem().setToolTip(column, tip)
        self.show_result(None, None, None)

    def show_result(self, found: Agreement | None, scheme: LabelScheme | None, units: Units | None) -> None:
        """Show a comparison, or an empty table."""
        self.clear()
        if units is not None:
            # The units once and not in every head: the dock may be narrow, and names must not be cut.
            self.headerItem().setText(0, f"{units.distance}, {units.volume}")
        if found is not None and scheme is not None and units is not None:
            line = self.palette().windowText().color()
            for one, row in zip(found.classes, rows(found, scheme, units), strict=True):
                item = QTreeWidgetItem([row.name, row.dice, row.hd95, row.assd, row.first, row.second])
                item.setIcon(0, swatch(scheme.by_value(one.value).color, self.fontMetrics().height(), line))
                for column in range(1, 6):
                    item.setTextAlignment(column, _RIGHT)
                item.setToolTip(0, row.name)
                self.addTopLevelItem(item)
                parts = QTreeWidgetItem([row.parts])
                parts.setForeground(0, muted(self.palette()))
                parts.setToolTip(0, row.parts)
                self.addTopLevelItem(parts)
                parts.setFirstColumnSpanned(True)
        self._fit()

    def _fit(self) -> None:
        """As high as its rows, up to a few: the page scrolls, not the table."""
        count = min(max(self.topLevelItemCount(), 2), _MOST_ROWS)
        row = self.sizeHintForRow(0) if self.topLevelItemCount() else self.fontMetrics().lineSpacing() + 4
        self.setFixedHeight(self.header().sizeHint().height() + count * row + 2 * self.frameWidth() + 2)


class PlaceList(QTreeWidget):
    """Where the two differ, the largest first.

    Signals
    -------
    picked : (int)
        Go to this place.
    """

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("compare_places")
        self.setAccessibleName("Disagreements")
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        _plain(self, ("Disagreement", "ml", ""), 0)
        self.setMinimumHeight(5 * self.fontMetrics().lineSpacing())
        self.setMaximumHeight(9 * self.fontMetrics().lineSpacing())
        self.itemSelectionChanged.connect(self._on_selection)

    def show_places(self, places: Sequence[Disagreement], scheme: LabelScheme, units: Units) -> None:
        """List places; the selection is gone."""
        self.blockSignals(True)
        self.clear()
        self.headerItem().setText(1, units.volume)
        line = self.palette().windowText().color()
        items = []
        for n, place in enumerate(places):
            words = place_words(place, scheme)
            item = QTreeWidgetItem([f"{n + 1} {words}", units.amount(place.region.ml), ""])
            if place.region.value in scheme.values:
                color = scheme.by_value(place.region.value).color
                item.setIcon(0, swatch(color, self.fontMetrics().height(), line))
            item.setTextAlignment(1, _RIGHT)
            item.setToolTip(0, words)
            items.append(item)
        self.addTopLevelItems(items)
        self.blockSignals(False)

    def show_settled(self, settled: Callable[[int], str]) -> None:
        """Write beside each place how it was settled."""
        for n in range(self.topLevelItemCount()):
            item = self.topLevelItem(n)
            words = settled(n)
            item.setText(2, f"✓ {words}" if words else "")
            ink = muted(self.palette()) if words else self.palette().text().color()
            for column in range(3):
                item.setForeground(column, ink)

    def select(self, n: int | None) -> None:
        """Select a place without saying so."""
        self.blockSignals(True)
        item = None if n is None else self.topLevelItem(n)
        self.setCurrentItem(item)
        if item is None:
            self.clearSelection()
        else:
            self.scrollToItem(item)
        self.blockSignals(False)
        self.viewport().update()

    def _on_selection(self) -> None:
        items = self.selectedItems()
        if items:
            self.picked.emit(self.indexOfTopLevelItem(items[0]))
