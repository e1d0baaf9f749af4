"""Colours taken from the palette in force, so that light and dark themes and large contrasts all work."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from qtpy.QtWidgets import QWidget

AA = 4.5
"""Contrast that WCAG 2 asks of normal text."""


def muted(palette: QPalette) -> QColor:
    """Grey for what matters less, on a window's ground."""
    return grey(palette.color(QPalette.ColorRole.WindowText), palette.color(QPalette.ColorRole.Window))


def grey(ink: QColor, ground: QColor) -> QColor:
    """Mix ink with its ground as far as AA contrast allows."""
    for share in (0.6, 0.7, 0.8, 0.9):
        color = mix(ink, ground, share)
        if contrast(color, ground) >= AA:
            return color
    return ink


def mix(a: QColor, b: QColor, share: float) -> QColor:
    """``share`` of ``a`` and the rest of ``b``."""
    red, green, blue = (
        round(share * x + (1 - share) * y)
        for x, y in zip((a.red(), a.green(), a.blue()), (b.red(), b.green(), b.blue()), strict=True)
    )
    return QColor(red, green, blue)


def contrast(a: QColor, b: QColor) -> float:
    """Contrast ratio of WCAG 2, 1 to 21."""
    bright, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: QColor) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color.getRgbF()[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def mute(*widgets: QWidget) -> None:
    """Show a label's text in the palette's grey."""
    for widget in widgets:
        palette = QPalette(widget.palette())
        palette.setColor(QPalette.ColorRole.WindowText, muted(palette))
        widget.setPalette(palette)


def swatch(color: str, size: int, line: QColor) -> QIcon:
    """Return a square of a class's colour, outlined so that it shows on any ground."""
    pixmap = QPixmap(QSize(size, size))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setPen(line)
    painter.setBrush(QColor(color))
    painter.drawRect(1, 1, size - 3, size - 3)
    painter.end()
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)  # or Qt would tint the colour that must be recognised
    return icon
