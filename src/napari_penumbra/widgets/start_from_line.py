"""The line over the Start button that says from which model the next training starts; hidden while it starts afresh."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from napari_penumbra.jobs.methods_info import method_title
from napari_penumbra.session.model_info import ModelInfo
from napari_penumbra.widgets.buttons import ActionButton


class StartFromLine(QWidget):
    """Which model the next training starts from, and a button that takes that back.

    Signals
    -------
    changed
        Another model, or none.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = ""
        self.words = QLabel(objectName="start_from_words", wordWrap=True)
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.afresh = ActionButton(
            "Start afresh", "The next training begins with random weights after all.", name="start_afresh"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.words, 1)
        row.addWidget(self.afresh)
        self.afresh.clicked.connect(self.clear)
        self.hide()

    def take(self, info: ModelInfo, warning: str = "") -> None:
        """Start from a model; ``warning`` is said with it."""
        self.model = info.id
        made = "imported" if info.origin == "imported" else f"{info.created.astimezone():%d %b %H:%M}"
        star = "★ " if info.champion else ""
        self.words.setText(
            f"Starts from {star}{method_title(info.method)}, {info.step:,} steps, {made}."
            + (f"\n⚠ {warning}" if warning else "")
        )
        self.words.setToolTip(
            f"{info.id}\nIts networks are taken over. Optimisers, schedules and the count of steps begin afresh. "
            "Another method takes over the network that predicts, if it is built alike; the run says what."
        )
        self.show()
        self.changed.emit()

    def clear(self) -> None:
        """Start with random weights."""
        if self.model:
            self.model = ""
            self.hide()
            self.changed.emit()
