"""A list whose rows have keys, so that what is picked stays picked while the rows change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QWidget

_KEY = int(Qt.ItemDataRole.UserRole)


class Row(NamedTuple):
    """One row: what it stands for, what it says, what its tip says."""

    key: str
    text: str
    tip: str


class KeyedList(QListWidget):
    """One row picked at a time, by its key. Rows that are too long for the list go on in a second line."""

    def __init__(self, name: str, accessible: str, lines: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setMaximumHeight(lines * self.fontMetrics().lineSpacing())

    def keys(self) -> list[str]:
        """Keys from top to bottom."""
        return [str(self.item(n).data(_KEY)) for n in range(self.count())]

    def key(self) -> str | None:
        """Key of the row that is picked."""
        item = self.currentItem()
        return None if item is None else str(item.data(_KEY))

    def pick(self, key: str | None) -> None:
        """Pick a row; one that is not there changes nothing."""
        keys = self.keys()
        if key in keys:
            self.setCurrentRow(keys.index(key))

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show rows; what was picked stays picked, else the first is. Rows are made anew only when the keys differ."""
        picked = self.key()
        if [row.key for row in rows] != self.keys():
            self.blockSignals(True)
            self.clear()
            for row in rows:
                item = QListWidgetItem()
                item.setData(_KEY, row.key)
                self.addItem(item)
            self.blockSignals(False)
        for n, row in enumerate(rows):
            self.item(n).setText(row.text)
            self.item(n).setToolTip(row.tip)
        self.pick(picked if picked in self.keys() else rows[0].key if rows else None)
