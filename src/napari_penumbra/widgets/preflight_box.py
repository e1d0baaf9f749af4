"""What a training would see, what it would cost, and what may go wrong: lines that start with ✓, ⚠ or ✗."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.launch import HERE, Launch
from napari_penumbra.session import Preflight, Session
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.worker_thread import Task

DEBOUNCE_MS = 400


class PreflightBox(QWidget):
    """Looks ahead whenever the settings change, in another thread; the newest wish wins.

    Signals
    -------
    looked : (Preflight | None)
        The counts are known, or (None) they could not be had.
    """

    looked = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("preflight")
        self.session = session
        self.preflight: Preflight | None = None
        self.start_from = ""
        self.way = HERE
        self.words = QLabel(objectName="preflight_words", wordWrap=True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.measure = ActionButton(
            "Measure", "Takes two trial steps in the background and tells time and memory.", name="measure"
        )
        self.cancel = ActionButton(
            "Stop measuring", "Forgets the measurement; training can start without it.", name="measure_cancel"
        )
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.measure)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addLayout(row)
        self._wish: tuple[str, str, dict[str, object], int | None] | None = None
        self._task: Task | None = None
        self._error: PenumbraError | None = None
        self._measured_for: object = None
        self._debounce = QTimer(self, singleShot=True, interval=DEBOUNCE_MS)
        self._debounce.timeout.connect(self._look)
        self.measure.clicked.connect(self._measure)
        self.cancel.clicked.connect(self.stop)
        self._show()

    def ask(self, method: str, preset: str, config: dict[str, object], steps: int | None) -> None:
        """Look ahead at these settings soon."""
        self._drop()
        self._wish = (method, preset, config, steps)
        self._debounce.start()

    def begin_from(self, model: str) -> None:
        """Measure from now on as a training would run that starts from a model; empty: with random weights."""
        self.start_from, self._measured_for, self._error = model, ("", ""), None

    def work_as(self, way: Launch) -> bool:
        """Measure from now on as the run would be launched; whether that is something else than before."""
        changed = way != self.way
        if changed:
            self.way, self._measured_for, self._error = way, ("", ""), None
        return changed

    def stop(self) -> None:
        """Drop what is being looked at or measured; what is known stays."""
        self._drop()
        self._show()

    def _drop(self) -> None:
        self._debounce.stop()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _look(self) -> None:
        if self._wish is None or self.session.study is None:
            return
        method, preset, config, steps = self._wish
        queue = self.session.queueable
        task = Task(lambda: self.session.preflight(method, preset, config, steps, queue=queue), "looking ahead")
        task.done.connect(self._on_looked)
        task.failed.connect(self._on_failed)
        self._task = task.start()

    def _on_looked(self, preflight: Preflight) -> None:
        self._task = None
        self._error = None
        key = (preflight.method, preset_key(preflight))
        known = self.preflight.measured if self.preflight is not None and self._measured_for == key else None
        self.preflight = preflight if known is None else preflight.with_measured(known)
        self._show()
        self.looked.emit(self.preflight)
        busy = self.session.readonly or self.session.active is not None
        if known is None and preflight.can_start and not busy:
            self._measure()

    def _measure(self) -> None:
        preflight = self.preflight
        if preflight is None or self._task is not None:
            return
        model, way = self.start_from, self.way
        task = Task(lambda: self.session.measure(preflight, start_from=model, way=way), "measuring a trial step")
        task.done.connect(self._on_measured)
        task.failed.connect(self._on_failed)
        self._task = task.start()
        self._show()

    def _on_measured(self, preflight: Preflight) -> None:
        self._task = None
        self._error = None
        self.preflight = preflight
        self._measured_for = (preflight.method, preset_key(preflight))
        self._show()
        self.looked.emit(preflight)

    def _on_failed(self, error: PenumbraError) -> None:
        self._task = None
        self._error = error
        self._show()
        self.looked.emit(self.preflight)

    def _show(self) -> None:
        measuring = self._task is not None and self.preflight is not None
        self.words.setText("\n".join(self._lines(measuring)))
        self.words.setToolTip(self._error.details if self._error is not None else "")
        self.cancel.setVisible(measuring)
        ready = self.preflight is not None and self.preflight.can_start and self.preflight.measured is None
        self.measure.setVisible(ready and not measuring)
        self.measure.allow("Not while a run is going on." if self.session.active is not None else "")

    def _lines(self, measuring: bool) -> list[str]:
        ahead = self.preflight
        lines = []
        if ahead is not None:
            if ahead.problem:
                lines.append(f"✗ {ahead.problem} {ahead.remedy}".strip())
            else:
                lines.append(f"✓ {ahead.pool_words}")
                cost = ahead.cost_words
                lines.append(f"✓ {cost}" if ahead.measured else f"… {cost}" + (", measuring…" if measuring else ""))
            lines += [f"⚠ {warning}" for warning in ahead.warnings]
        if self._error is not None:
            lines.append(f"⚠ {self._error}")
        return lines or ["Looking at the pools…"]


def preset_key(preflight: Preflight) -> str:
    """Settings that change what a step costs."""
    return f"{preflight.preset} {preflight.steps} {sorted(preflight.config.items())}"
