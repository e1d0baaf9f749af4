"""Buttons that show their shortcut in grey and say why they cannot be pressed."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QKeySequence, QPainter, QPalette
from qtpy.QtWidgets import QPushButton, QStyle, QStyleOptionButton, QWidget

from napari_penumbra.widgets.colors import grey

_PADDING = 8


class ActionButton(QPushButton):
    """A push button with its shortcut beside the words.

    Parameters
    ----------
    text
        What it does, in words.
    tooltip
        What will happen.
    shortcut
        Key sequence to show (``Ctrl+Right``); the binding itself is made in `shortcuts`.
    name
        Object name.
    """

    def __init__(
        self, text: str, tooltip: str = "", shortcut: str = "", name: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(text, parent)
        self._tooltip = tooltip
        self.shortcut_keys = shortcut
        self.keys = key_words(shortcut)
        self.setObjectName(name)
        self.setAccessibleName(f"{text} ({self.keys})" if self.keys else text)
        self.setToolTip(tooltip)
        # A click must not take the keyboard from the canvas: its keys would be dead until the next click there.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def allow(self, why_not: str = "") -> None:
        """Enable the button, or disable it and say why in its tooltip."""
        self.setEnabled(not why_not)
        self.setToolTip(why_not or self._tooltip)

    def explain(self, tooltip: str) -> None:
        """Change what the tooltip says while the button is enabled."""
        self._tooltip = tooltip
        if self.isEnabled():
            self.setToolTip(tooltip)

    def sizeHint(self) -> QSize:
        """As wide as words and shortcut need."""
        hint = super().sizeHint()
        return QSize(hint.width() + self._extra(), hint.height())

    def minimumSizeHint(self) -> QSize:
        """As wide as words and shortcut need, and no wider: the dock is narrow."""
        words = self.fontMetrics().horizontalAdvance(self.text())
        return QSize(words + self._extra() + 2 * _PADDING, super().minimumSizeHint().height())

    def paintEvent(self, event: Any) -> None:
        """Draw the button, its words, and the shortcut in grey."""
        if not self.keys:
            super().paintEvent(event)
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.text = ""
        painter = QPainter(self)
        self.style().drawControl(QStyle.ControlElement.CE_PushButton, option, painter, self)
        metrics = self.fontMetrics()
        words, keys = metrics.horizontalAdvance(self.text()), metrics.horizontalAdvance(self.keys)
        left = max(4, (self.width() - words - self._gap() - keys) // 2)
        group = QPalette.ColorGroup.Normal if self.isEnabled() else QPalette.ColorGroup.Disabled
        ink = self.palette().color(group, QPalette.ColorRole.ButtonText)
        ground = self.palette().color(group, QPalette.ColorRole.Button)
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        painter.setPen(ink)
        painter.drawText(QRect(left, 0, words + 2, self.height()), flags, self.text())
        painter.setPen(grey(ink, ground) if self.isEnabled() else ink)
        painter.drawText(QRect(left + words + self._gap(), 0, keys + 2, self.height()), flags, self.keys)
        painter.end()

    def _gap(self) -> int:
        return self.fontMetrics().horizontalAdvance("  ")

    def _extra(self) -> int:
        return self._gap() + self.fontMetrics().horizontalAdvance(self.keys) if self.keys else 0


def key_words(keys: str) -> str:
    """Say a key sequence as it stands on the keyboard: ``Ctrl+→``."""
    text = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText) if keys else ""
    for name, sign in (("Right", "→"), ("Left", "←"), ("Return", "Enter")):
        text = text.replace(name, sign)
    return str(text)


def allow(widget: QWidget, why_not: str, tooltip: str) -> None:
    """`ActionButton.allow` for any other control; ``tooltip`` is shown while it is enabled."""
    widget.setEnabled(not why_not)
    widget.setToolTip(why_not or tooltip)
