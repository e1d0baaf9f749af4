"""What a plan would add, as a table: shown before anything is written."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from napari_penumbra.study.importers.preview import MISSING, Preview
from napari_penumbra.widgets.colors import mute

_MOST_ROWS = 2000
_FEW = 4


class PlanView(QWidget):
    """The summary, the table, what is left over, and what the reader should know."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.summary = QLabel(objectName=f"{name}_words", wordWrap=True)
        self.table = QTableWidget(objectName=f"{name}_plan")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().lineSpacing() + 8)
        self.table.setWordWrap(False)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.setMinimumHeight(9 * self.fontMetrics().lineSpacing())
        self.left_over = QLabel(objectName=f"{name}_left_over", wordWrap=True)
        self.left_over.setTextFormat(Qt.TextFormat.PlainText)
        self.notes = QLabel(objectName=f"{name}_notes", wordWrap=True)
        self.notes.setTextFormat(Qt.TextFormat.PlainText)
        mute(self.left_over)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.summary)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.left_over)
        layout.addWidget(self.notes)
        self.clear()

    def clear(self, words: str = "") -> None:
        """Show no plan, and perhaps a word in its place."""
        self.summary.setText(words)
        self.table.setRowCount(0)
        self.table.setColumnCount(0)
        for label in (self.left_over, self.notes):
            label.clear()
            label.hide()

    def show_preview(self, shown: Preview) -> None:
        """Show a plan."""
        self.summary.setText(shown.summary)
        self.table.setColumnCount(len(shown.headers))
        self.table.setHorizontalHeaderLabels(list(shown.headers))
        rows = shown.rows[:_MOST_ROWS]
        self.table.setRowCount(len(rows))
        for n, row in enumerate(rows):
            for m, cell in enumerate(row):
                self.table.setItem(n, m, self._item(cell))
        self._widths(len(shown.headers))
        self.left_over.setVisible(bool(shown.left_over))
        self.left_over.setText(_left_over(shown.left_over))
        self.left_over.setToolTip("\n".join(shown.left_over[:50]))
        notes = list(shown.notes)
        if len(shown.rows) > len(rows):
            notes.append(f"The table shows the first {len(rows)} of {len(shown.rows)} cases.")
        self.notes.setVisible(bool(notes))
        self.notes.setText("\n".join(f"⚠ {note}" for note in notes))

    def cells(self) -> list[list[str]]:
        """What the table says."""
        found = []
        for n in range(self.table.rowCount()):
            items = (self.table.item(n, m) for m in range(self.table.columnCount()))
            found.append([item.text() if item is not None else "" for item in items])
        return found

    def _item(self, text: str) -> QTableWidgetItem:
        item = QTableWidgetItem(text)
        item.setToolTip(text)
        if text == MISSING:
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
        return item

    def _widths(self, columns: int) -> None:
        """The note takes what is left; no column pushes it out of sight."""
        header = self.table.horizontalHeader()
        self.table.resizeColumnsToContents()
        most = 22 * self.fontMetrics().averageCharWidth()
        for n in range(columns - 1):
            self.table.setColumnWidth(n, min(most, self.table.columnWidth(n) + 8))
        header.setSectionResizeMode(columns - 1, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(6 * self.fontMetrics().averageCharWidth())


def _left_over(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"Left over, belongs to no case: {', '.join(names[:_FEW])}{more}"
