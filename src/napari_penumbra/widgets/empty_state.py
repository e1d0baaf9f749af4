"""What a page shows when it has nothing to show: what to do next, and the button that does it."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_penumbra.widgets.buttons import ActionButton


class EmptyState(QWidget):
    """One sentence and one button.

    Signals
    -------
    pressed
        The button was pressed; carries the ``wish`` given to `say`.
    """

    pressed = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.button = ActionButton("", name=f"{name}_button")
        self._wish = ""
        self.button.clicked.connect(lambda: self.pressed.emit(self._wish))
        layout = QVBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(self.words)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)

    def say(self, words: str, button: str = "", wish: str = "", tooltip: str = "", details: str = "") -> None:
        """Set the sentence with what is behind it, and the button's words and its wish; no button without words."""
        self.words.setText(words)
        self.words.setToolTip(details)
        self.button.setText(button)
        self.button.explain(tooltip)
        self.button.setVisible(bool(button))
        self._wish = wish
