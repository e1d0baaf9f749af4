"""Words that wrap, whole wherever they stand."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel


class Paragraph(QLabel):
    """Words that wrap and hold the height they need: a fold or a form would give them less, or squeeze others."""

    def __init__(self, name: str) -> None:
        super().__init__(objectName=name, wordWrap=True)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def setText(self, text: str) -> None:
        """Show other words."""
        super().setText(text)
        self._hold()

    def resizeEvent(self, event: Any) -> None:
        """Wrap anew for another width."""
        super().resizeEvent(event)
        self._hold()

    def _hold(self) -> None:
        self.setMinimumHeight(self.heightForWidth(self.width()) if self.text() else 0)
