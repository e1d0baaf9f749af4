"""What the background is doing, on every page, and the button that stops it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_penumbra.domain.errors import JobError, PenumbraError
from napari_penumbra.widgets.buttons import ActionButton

STOP_TIP = "Ends at the next step and keeps what was learnt."
END_TIP = (
    "It was asked to stop and has not answered. This ends its process at once: what was learnt since the last "
    "checkpoint is lost, and Resume goes on from there."
)


def show_stop(button: ActionButton, hangs: bool, why_not: str = "") -> None:
    """Let a button that stops a run say which kind of end it means, and why there is none."""
    button.setText("End now" if hangs else "Stop")
    button.explain(END_TIP if hangs else STOP_TIP)
    button.allow(why_not)


class StatusLine(QFrame):
    """One or two lines of words; a click opens the log.

    Signals
    -------
    clicked
        The reader wants to know more.
    stopped
        The reader wants what runs to end.
    """

    clicked = Signal()
    stopped = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status_line")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.words = QElidingLabel(objectName="status_words")
        self.words.setWordWrap(True)
        self.words.setElideMode(Qt.TextElideMode.ElideRight)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self._fit()
        self.stop = ActionButton("Stop", STOP_TIP, name="status_stop")
        self.progress = QProgressBar(objectName="status_progress", textVisible=False)
        self.progress.setMaximumHeight(max(4, self.fontMetrics().height() // 3))
        row = QHBoxLayout()
        row.addWidget(self.words, 1)
        row.addWidget(self.stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 3, 6, 3)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.progress)
        self.stop.clicked.connect(self.stopped)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._status = ""
        self._error, self._error_run = "", ""
        self.show_status("Ready.", running=False)

    def text(self) -> str:
        """Return what it says, uncut."""
        return str(self.words.text())

    def show_status(self, words: str, *, running: bool, hangs: bool = False, why_not: str = "") -> None:
        """Say what is going on; an error that nobody has read yet stays in front.

        ``hangs`` tells that what runs was asked to stop long ago, ``why_not`` why it cannot be ended all the same.
        """
        self._status = words or "Ready."
        show_stop(self.stop, hangs, why_not)
        self.stop.setVisible(running)
        if not running:
            self.progress.hide()
        self._show()

    def show_progress(self, step: int, steps: int) -> None:
        """Show how far a run is."""
        self.progress.setVisible(steps > 0)
        if steps > 0:
            self.progress.setRange(0, steps)
            self.progress.setValue(min(step, steps))

    def show_error(self, error: PenumbraError) -> None:
        """Keep an error in front until it is read (`acknowledge`)."""
        self._error = error.message
        self._error_run = error.run if isinstance(error, JobError) else ""
        self._show()

    def run(self) -> str:
        """Name the run that the error is about; empty when there is none, or it is about something else."""
        return self._error_run

    def acknowledge(self) -> None:
        """The reader has seen the error."""
        self._error = self._error_run = ""
        self._show()

    def changeEvent(self, event: QEvent) -> None:
        """Take over the size of the letters, which napari gives when the dock is shown and when the reader asks."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        """Give two lines room, three at most."""
        line, rim = self.words.fontMetrics().lineSpacing(), 4
        self.words.setMinimumHeight(2 * line + rim)
        self.words.setMaximumHeight(3 * line + rim)

    def _show(self) -> None:
        text = f"⚠ {self._error} · {self._status}" if self._error else self._status
        if text != self.text():
            self.words.setText(text)
            self.words.setAccessibleName(f"Status: {text}")
        self.setToolTip(f"{text}\nA click opens the log.")

    def mouseReleaseEvent(self, event: Any) -> None:
        """Take a click anywhere on the line."""
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.pos()):
            self.clicked.emit()
