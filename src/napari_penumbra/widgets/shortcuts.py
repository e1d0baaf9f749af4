"""Application-wide keys. napari's own bindings lose to a `QShortcut`, which lives only while its owner shows."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QShortcut,
    QTextEdit,
    QWidget,
)

_WRITERS = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox)


def bind(
    owner: QWidget, keys: str, action: Callable[[], object], *, button: QAbstractButton | None = None
) -> QShortcut:
    """Call ``action`` when ``keys`` are pressed anywhere in the application.

    Parameters
    ----------
    owner
        The keys work while this widget is visible and no modal dialog stands before it: give a page to limit them
        to that page, the dock for all pages.
    button
        Keys of a button do what a click does: nothing while it is disabled.
    """
    shortcut = QShortcut(QKeySequence(keys), owner)
    shortcut.setContext(Qt.ShortcutContext.ApplicationShortcut)
    shortcut.setAutoRepeat(False)

    def fire() -> None:
        if button is not None and not (button.isEnabled() and button.isVisibleTo(owner)):
            return
        action()

    shortcut.activated.connect(fire)
    return shortcut


class KeepTyping(QObject):
    """Switches shortcuts off while the reader types somewhere, so that letters reach the text and Tab the next field.

    Parameters
    ----------
    shortcuts
        Those without a modifier key.
    parent
        Owner.
    """

    def __init__(self, shortcuts: list[QShortcut], parent: QObject) -> None:
        super().__init__(parent)
        self._shortcuts = shortcuts
        QApplication.instance().focusChanged.connect(self._on_focus)
        self._on_focus(None, QApplication.focusWidget())

    def stop(self) -> None:
        """Stop listening."""
        QApplication.instance().focusChanged.disconnect(self._on_focus)

    def _on_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        typing = isinstance(now, _WRITERS)
        for shortcut in self._shortcuts:
            shortcut.setEnabled(not typing)
