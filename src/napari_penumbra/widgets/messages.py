"""The error bar: one sentence, one way on, the rest behind Details. Never modal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.widgets.worker_thread import unexpected


class MessageBar(QFrame):
    """Shows the last error (or notice) until it is closed or `clear` is called.

    Signals
    -------
    dismissed
        The reader has closed it.
    """

    dismissed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("message_bar")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.words = QLabel(objectName="message_words")
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)  # file names may hold what looks like markup
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._more = _tool("Details", "message_details", "Shows the technical text.")
        self._more.setCheckable(True)
        self._close = _tool("✕", "message_close", "Closes this message.")
        self._close.setAccessibleName("Close message")
        self.details = QPlainTextEdit(objectName="message_text")
        self.details.setReadOnly(True)
        self.details.setMaximumHeight(8 * self.fontMetrics().lineSpacing())
        self.details.hide()
        top = QHBoxLayout()
        top.addWidget(self.words, 1)
        top.addWidget(self._more, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.addLayout(top)
        layout.addWidget(self.details)
        self._more.toggled.connect(self.details.setVisible)
        self._close.clicked.connect(self._dismiss)
        self.hide()

    def show_error(self, error: PenumbraError) -> None:
        """Show an error until it is closed."""
        self._show(f"⚠ {error}", error.details)

    def show_notice(self, words: str) -> None:
        """Show something worth knowing that is no error."""
        self._show(f"ℹ {words}", "")

    def clear(self) -> None:
        """Hide the bar."""
        self.words.clear()
        self.hide()

    @contextmanager
    def guard(self, what: str) -> Iterator[None]:
        """Show what goes wrong inside the block instead of letting it reach Qt; ``what`` completes "while …"."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the reader is told in words; the traceback is behind Details
            self.show_error(unexpected(what, error))

    def _show(self, words: str, details: str) -> None:
        self.words.setText(words)
        self.details.setPlainText(details)
        self._more.setVisible(bool(details))
        self._more.setChecked(False)
        self.show()

    def _dismiss(self) -> None:
        self.clear()
        self.dismissed.emit()


def _tool(text: str, name: str, tooltip: str) -> QToolButton:
    button = QToolButton(objectName=name)
    button.setText(text)
    button.setToolTip(tooltip)
    button.setAutoRaise(True)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
