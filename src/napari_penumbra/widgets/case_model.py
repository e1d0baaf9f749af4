"""The study's cases as a Qt model: one row per case, changed in place so that scrolling and selection stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QObject, QSortFilterProxyModel, Qt

from napari_penumbra.domain.case import CaseRow, CaseState, Role
from napari_penumbra.session.words import duration
from napari_penumbra.widgets.class_list import ml_words

ROW = int(Qt.ItemDataRole.UserRole) + 1
THUMBNAIL = ROW + 1
SHOWN = ROW + 2

# The dot's shape, never its colour, says the state; the word stands beside it.
DOTS = {
    CaseState.NEW: "○",
    CaseState.IN_PROGRESS: "◔",
    CaseState.ANNOTATED: "●",
    CaseState.PREDICTED: "◌",
    CaseState.IN_REVIEW: "◐",
    CaseState.ACCEPTED: "●",
}


def clock(seconds: float) -> str:
    """Say reader time as ``1:40`` (minutes and seconds), empty for none."""
    if seconds < 1:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def second_line(row: CaseRow) -> str:
    """What the table says under a case's name: why it is next, what is missing, how it was closed."""
    parts = [f"with {row.held}"] if row.held else []
    if row.role is Role.VALIDATION:
        parts.append("frozen: measures models, never trains")
    if row.role is Role.ASIDE:
        parts.append("set aside: nothing learns from it")
    if row.missing:
        parts.append(f"without {', '.join(row.missing)}")
    if row.closing is not None and row.closing.value == "partial":
        parts.append("partial")
    if row.unknown_voxels:
        parts.append(_unknown(row))
    if row.reason:
        parts.append(row.reason)
    return " · ".join(parts)


def _unknown(row: CaseRow) -> str:
    """Say how much of the newest annotation is unknown: it teaches nothing, right or wrong."""
    if row.unknown_ml is None:
        return f"{row.unknown_voxels:,} px unknown"
    return f"{ml_words(row.unknown_ml)} ml unknown" if row.unknown_ml >= 0.005 else "under 0.01 ml unknown"


def _tooltip(row: CaseRow) -> str:
    lines = [
        f"{row.name}: {row.state.value}" + (" (simulated)" if row.simulated else ""),
        f"Modalities: {', '.join(row.modalities)}" + (f"; missing {', '.join(row.missing)}" if row.missing else ""),
    ]
    if row.held:
        lines.append(f"Checked out by {row.held}: opens read-only until it is given back.")
    if row.seconds >= 1:
        lines.append(f"Reader time: {duration(row.seconds)}")
    if row.unknown_voxels:
        lines.append(f"{_unknown(row)} ({row.unknown_voxels:,} voxels): no supervised training sees them.")
    if row.reason:
        lines.append(f"Why here: {row.reason}.")
    return "\n".join([*lines, "Double-click opens it; what is shown now is saved first."])


class CaseModel(QAbstractListModel):
    """Rows in the study's own order."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[CaseRow] = []
        self._at: dict[str, int] = {}
        self._root = Path()
        self._shown: str | None = None

    def set_rows(self, rows: Sequence[CaseRow], root: Path) -> None:
        """Take over the rows; only those that differ are painted anew when the cases are the same."""
        same = root == self._root and [r.name for r in rows] == [r.name for r in self.rows]
        old, self._root = self.rows, root
        if not same:
            self.beginResetModel()
            self.rows = list(rows)
            self._at = {row.name: n for n, row in enumerate(self.rows)}
            self.endResetModel()
            return
        self.rows = list(rows)
        for n, (before, after) in enumerate(zip(old, self.rows, strict=True)):
            if before != after:
                self.dataChanged.emit(self.index(n), self.index(n))

    def set_shown(self, name: str | None) -> bool:
        """Mark the case that is on the canvas; True when it is another one than before."""
        before, self._shown = self._shown, name
        for changed in {before, name} - {None}:
            index = self.index_of(str(changed))
            if index.isValid():
                self.dataChanged.emit(index, index)
        return before != name

    def index_of(self, name: str) -> QModelIndex:
        """Return where a case is, an invalid index when it is not there."""
        return self.index(self._at[name]) if name in self._at else QModelIndex()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of cases."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Answer the view."""
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == ROW:
            return row
        if role == SHOWN:
            return row.name == self._shown
        if role == THUMBNAIL:
            return str(self._root / row.thumbnail) if row.thumbnail is not None else ""
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tooltip(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row.name}, {row.state.value}, {' '.join(row.modalities)}. {second_line(row)}"
        return None


class CaseFilter(QSortFilterProxyModel):
    """Shows only cases that match what the reader types."""

    def __init__(self, source: CaseModel) -> None:
        super().__init__(source)
        self._words: list[str] = []
        self.setSourceModel(source)
        self.setDynamicSortFilter(True)

    def set_filter(self, text: str) -> None:
        """Show only cases whose name, state or second line has every word of ``text``."""
        self._words = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:
        """Answer Qt."""
        row = self.sourceModel().rows[source_row]
        text = f"{row.name} {row.state.value} {second_line(row)}".lower()
        return all(word in text for word in self._words)
