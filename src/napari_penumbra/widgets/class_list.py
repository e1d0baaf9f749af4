"""The study's classes: colour, name, volume of the shown case, and the key that picks each."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from napari_penumbra.domain.labels import UNKNOWN, UNKNOWN_COLOR, LabelClass, LabelScheme
from napari_penumbra.widgets.colors import muted, swatch

_VALUE = int(Qt.ItemDataRole.UserRole)
_UNKNOWN = LabelClass(UNKNOWN, "unknown", UNKNOWN_COLOR)


class ClassList(QTreeWidget):
    """One row per class and one for "unknown".

    Signals
    -------
    picked : (int)
        The reader wants to paint with this label value.
    """

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("class_list")
        self.setAccessibleName("Label classes")
        # A click must not take the arrow keys from the slices; classes have keys of their own.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHeaderLabels(["Class", "ml", "Key"])
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.scheme: LabelScheme | None = None
        self.itemSelectionChanged.connect(self._on_selection)

    def set_scheme(self, scheme: LabelScheme | None) -> None:
        """List the classes of a study."""
        if scheme == self.scheme:
            return
        self.scheme = scheme
        self.blockSignals(True)
        self.clear()
        for n, cls in enumerate((*scheme.classes, _UNKNOWN) if scheme is not None else ()):
            key = str(n + 1) if n < 9 and cls.value != UNKNOWN else "0" if cls.value == UNKNOWN else ""
            item = QTreeWidgetItem([cls.name, "", key])
            item.setData(0, _VALUE, cls.value)
            item.setIcon(0, swatch(cls.color, self.fontMetrics().height(), self.palette().windowText().color()))
            tip = f"Paints {cls.name}." + (f" Key {key}." if key else "")
            if cls.value == UNKNOWN:
                tip = "Marks what you cannot decide: it teaches nothing wrong. Key 0."
                item.setText(1, "")
            for column in range(3):
                item.setToolTip(column, tip)
            item.setTextAlignment(1, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter))
            item.setTextAlignment(2, int(Qt.AlignmentFlag.AlignCenter))
            item.setForeground(2, muted(self.palette()))
            self.addTopLevelItem(item)
        self.blockSignals(False)
        self._fit()
        if self.topLevelItemCount():
            self.setCurrentItem(self.topLevelItem(0))

    def set_volumes(self, amounts: dict[int, float], pixels: bool = False) -> None:
        """Show volumes in millilitres, or ``pixels`` of a picture, by label value; one that is not there shows none."""
        self.headerItem().setText(1, "px" if pixels else "ml")
        for n in range(self.topLevelItemCount()):
            item = self.topLevelItem(n)
            amount = amounts.get(item.data(0, _VALUE))
            item.setText(1, "" if amount is None else f"{amount:,.0f}" if pixels else ml_words(amount))

    def pick(self, value: int) -> None:
        """Select a class without saying so."""
        for n in range(self.topLevelItemCount()):
            item = self.topLevelItem(n)
            if item.data(0, _VALUE) == value and not item.isSelected():
                self.blockSignals(True)
                self.setCurrentItem(item)
                self.blockSignals(False)
                self.viewport().update()

    def value(self) -> int | None:
        """Return the picked label value."""
        item = self.currentItem()
        return None if item is None else int(item.data(0, _VALUE))

    def press_key(self, key: int) -> None:
        """Pick the class whose key was pressed (1 to 9, 0 for unknown), and say so."""
        last = self.topLevelItemCount() - 1
        n = last if key == 0 else key - 1
        if 0 <= n <= last and (key == 0 or n < last):
            self.setCurrentItem(self.topLevelItem(n))
            self._on_selection()

    def _on_selection(self) -> None:
        value = self.value()
        if value is not None:
            self.picked.emit(value)

    def _fit(self) -> None:
        """Show up to eight rows without scrolling and take no more room than the rows need."""
        rows = min(8, max(2, self.topLevelItemCount()))
        row = max(self.sizeHintForRow(0), self.fontMetrics().lineSpacing() + 4)
        self.setFixedHeight(rows * row + self.header().sizeHint().height() + 2 * self.frameWidth() + 2)


def ml_words(ml: float) -> str:
    """Say a volume with as many digits as a reader needs."""
    if ml == 0:
        return "0"
    return f"{ml:.2f}" if ml < 10 else f"{ml:.1f}" if ml < 1000 else f"{ml:,.0f}"
