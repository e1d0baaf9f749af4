"""Buttons that show their shortcut in grey and say why they cannot be pressed."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QRect, QSize, Qt
from qtpy.QtGui import QKeySequence, QPainter, QPalette
from qtpy.QtWidgets import QPushButton, QShortcut, QSizePolicy, QStyle, QStyleOptionButton, QToolTip, QWidget

from napari_penumbra.widgets.colors import grey

_PADDING = 8
_SIGNS = (
    ("Right", "→"),
    ("Left", "←"),
    ("PgDown", "Page↓"),
    ("PgUp", "Page↑"),
    ("Down", "↓"),
    ("Up", "↑"),
    ("Return", "Enter"),
)


class ActionButton(QPushButton):
    """A push button with its shortcut beside the words.

    Parameters
    ----------
    text
        What it does, in words.
    tooltip
        What will happen.
    shortcut
        Key sequence (``Ctrl+Right``) to show, and to listen to: `shortcuts.Shortcuts` binds every button of the dock.
    name
        Object name.
    """

    def __init__(
        self, text: str, tooltip: str = "", shortcut: str = "", name: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(text, parent)
        self._tooltip = tooltip
        self.shortcut_keys = shortcut
        self.key: QShortcut | None = None
        self.setObjectName(name)
        self.show_keys(shortcut)
        self.setToolTip(tooltip)
        # A click must not take the keyboard from the canvas: its keys would be dead until the next click there.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        # Qt's own policy never lets a push button become narrower than it would like to be.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_keys(self, keys: str) -> None:
        """Show other keys than before, none if empty."""
        self.keys = key_words(keys)
        self.setAccessibleName(f"{self.text()} ({self.keys})" if self.keys else self.text())
        self.updateGeometry()
        self.update()

    def showEvent(self, event: Any) -> None:
        """Tell the keys' registry of a button that was made after it."""
        super().showEvent(event)
        if not self.shortcut_keys or self.key is not None:
            return
        above = self.parentWidget()
        while above is not None and not hasattr(above, "shortcuts"):
            above = above.parentWidget()
        if above is not None:
            above.shortcuts.adopt(self)

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
        """As wide as the words need: where the dock is too narrow for both, the shortcut gives way."""
        words = self.fontMetrics().horizontalAdvance(self.text())
        return QSize(words + 2 * _PADDING, super().minimumSizeHint().height())

    def event(self, event: Any) -> bool:
        """Say the shortcut in the tooltip where there is no room for it on the button."""
        if event.type() == QEvent.Type.ToolTip and self.keys and not self._has_room():
            QToolTip.showText(event.globalPos(), f"{self.toolTip()} Key: {self.keys}".strip(), self)
            return True
        return bool(super().event(event))

    def paintEvent(self, event: Any) -> None:
        """Draw the button, its words, and the shortcut in grey if there is room for it."""
        if not self.keys or not self._has_room():
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

    def _has_room(self) -> bool:
        return self.fontMetrics().horizontalAdvance(self.text()) + self._extra() + _PADDING <= self.width()

    def _gap(self) -> int:
        return self.fontMetrics().horizontalAdvance("  ")

    def _extra(self) -> int:
        return self._gap() + self.fontMetrics().horizontalAdvance(self.keys) if self.keys else 0


def key_words(keys: str) -> str:
    """Say a key sequence as it stands on the keyboard: ``Ctrl+→``."""
    text = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText) if keys else ""
    for name, sign in _SIGNS:
        text = text.replace(name, sign)
    return str(text)


def allow(widget: QWidget, why_not: str, tooltip: str) -> None:
    """`ActionButton.allow` for any other control; ``tooltip`` is shown while it is enabled."""
    widget.setEnabled(not why_not)
    widget.setToolTip(why_not or tooltip)


def narrow(control: QWidget) -> None:
    """Let a list or a number give way in a narrow dock or with large letters: Qt would widen the page for its words."""
    control.setSizePolicy(QSizePolicy.Policy.Ignored, control.sizePolicy().verticalPolicy())
    control.setMinimumWidth(6 * control.fontMetrics().averageCharWidth())
