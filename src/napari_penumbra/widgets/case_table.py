"""The list of cases: thumbnail, name, modalities, state, reader time, and why a case is next."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QFont, QFontMetrics, QPainter, QPalette, QPixmap, QPixmapCache
from qtpy.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_penumbra.domain.case import CaseRow
from napari_penumbra.widgets.case_model import DOTS, ROW, SHOWN, THUMBNAIL, CaseFilter, CaseModel, clock, second_line
from napari_penumbra.widgets.colors import grey

_MARGIN = 4


class CaseDelegate(QStyledItemDelegate):
    """Paints one case in two lines of text beside its thumbnail."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Two lines of the view's font."""
        return QSize(120, 2 * QFontMetrics(option.font).lineSpacing() + 2 * _MARGIN)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one row in the palette in force."""
        row: CaseRow = index.data(ROW)
        self.initStyleOption(option, index)
        option.text = ""
        style = option.widget.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        palette = option.palette
        ink = palette.color(QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text)
        ground = palette.color(QPalette.ColorRole.Highlight if selected else QPalette.ColorRole.Base)
        painter.save()
        area = option.rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        self._thumbnail(painter, area, str(index.data(THUMBNAIL)))
        text = area.adjusted(area.height() + 2 * _MARGIN, 0, 0, 0)
        below = second_line(row)
        half = text.height() // 2 if below else text.height()
        font = QFont(option.font)
        font.setBold(bool(index.data(SHOWN)))
        painter.setFont(font)
        painter.setPen(ink)
        self._first_line(painter, QRect(text.left(), text.top(), text.width(), half), row, option.font)
        painter.setPen(grey(ink, ground))
        line = QRect(text.left(), text.top() + half, text.width(), half)
        words = QFontMetrics(option.font).elidedText(below, Qt.TextElideMode.ElideRight, line.width())
        painter.drawText(line, _flags(Qt.AlignmentFlag.AlignLeft), words)
        painter.restore()

    @staticmethod
    def _thumbnail(painter: QPainter, area: QRect, path: str) -> None:
        pixmap = _load(path)
        if pixmap.isNull():
            return
        side = area.height()
        size = pixmap.size().scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio)
        box = QRect(area.left() + (side - size.width()) // 2, area.top() + (side - size.height()) // 2, 0, 0)
        box.setSize(size)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(box, pixmap)

    @staticmethod
    def _first_line(painter: QPainter, line: QRect, row: CaseRow, plain: QFont) -> None:
        """Name and modalities from the left, state and time from the right; the modalities give way first."""
        right = f"{DOTS[row.state]} {row.state.value}"
        if clock(row.seconds):
            right += f"  {clock(row.seconds)}"
        metrics = QFontMetrics(plain)
        width = min(metrics.horizontalAdvance(right) + 2, line.width() * 2 // 3)
        left = QRect(line.left(), line.top(), line.width() - width - 2 * _MARGIN, line.height())
        bold = QFontMetrics(painter.font())
        name = bold.elidedText(row.name, Qt.TextElideMode.ElideMiddle, left.width())
        painter.drawText(left, _flags(Qt.AlignmentFlag.AlignLeft), name)
        painter.setFont(plain)
        rest = left.adjusted(bold.horizontalAdvance(name) + 2 * _MARGIN, 0, 0, 0)
        if rest.width() > metrics.horizontalAdvance("XX…"):
            modalities = metrics.elidedText(" ".join(row.modalities), Qt.TextElideMode.ElideRight, rest.width())
            painter.drawText(rest, _flags(Qt.AlignmentFlag.AlignLeft), modalities)
        side = QRect(line.right() - width, line.top(), width, line.height())
        right = metrics.elidedText(right, Qt.TextElideMode.ElideRight, width)
        painter.drawText(side, _flags(Qt.AlignmentFlag.AlignRight), right)


class CaseTable(QListView):
    """The view; only visible rows are ever painted, so 2,000 cases scroll like 20.

    Signals
    -------
    opened
        Name of the case that was double-clicked (or Return pressed on it).
    pin_wished : (str, bool)
        The reader wants this case to come next, or no longer.
    """

    opened = Signal(str)
    pin_wished = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("case_table")
        self.setAccessibleName("Cases")
        self.cases = CaseModel(self)
        self.filter = CaseFilter(self.cases)
        self.setModel(self.filter)
        self.setItemDelegate(CaseDelegate(self))
        self.setUniformItemSizes(True)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(3 * (2 * self.fontMetrics().lineSpacing() + 2 * _MARGIN))
        self.activated.connect(self._open)

    def selected(self) -> str | None:
        """Return the name of the current case."""
        index = self.currentIndex()
        return str(index.data()) if index.isValid() else None

    def select(self, name: str) -> None:
        """Make a case current and scroll to it."""
        index = self.filter.mapFromSource(self.cases.index_of(name))
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def _open(self, index: QModelIndex) -> None:
        self.opened.emit(str(index.data()))


def _flags(side: Any) -> int:
    return int(side | Qt.AlignmentFlag.AlignVCenter)


def _load(path: str) -> QPixmap:
    """Read a thumbnail once; a missing or broken one is an empty picture."""
    found = QPixmapCache.find(path) if path else QPixmap()
    if found is not None and not found.isNull():
        return found
    pixmap = QPixmap(path) if path else QPixmap()
    if not pixmap.isNull():
        QPixmapCache.insert(path, pixmap)
    return pixmap
