"""The study's runs: how each stands, which one predicts, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.domain.progress import RunState
from napari_penumbra.jobs.methods_info import method_title
from napari_penumbra.session import RunInfo
from napari_penumbra.session.words import share
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.keyed_list import KeyedList, Row

_NEWEST_WARNINGS = 3
_NAMES = {"predict": "prediction", "import": "imported model"}
_PAUSE_TIP = "Saves, frees the graphics card or the processor for you, and waits until Resume."
_CANCEL_TIP = "Takes it out of the queue; Resume puts it back."


class RunList(QWidget):
    """Newest run first; the champion marked with a star.

    Signals
    -------
    selected, resumed, crowned, paused, cancelled : (str)
        Run ids: show its curves, go on with it, let it predict from now on, let it wait, take it out of the queue.
    """

    selected = Signal(str)
    resumed = Signal(str)
    crowned = Signal(str)
    paused = Signal(str)
    cancelled = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = KeyedList("run_list", "Runs", 8)
        self.says = QLabel(wordWrap=True, objectName="run_says")
        self.says.setTextFormat(Qt.TextFormat.PlainText)
        self.says.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Its longest word (a run's or a case's name) must not widen the page.
        self.says.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.resume = ActionButton("Resume", "Goes on from the run's last checkpoint.", name="resume")
        self.aside = ActionButton("Pause", _PAUSE_TIP, name="pause")
        self.crown = ActionButton(
            "Use model ★", "Lets this run's model predict from now on; the one before stays.", name="crown"
        )
        row = QHBoxLayout()
        row.addWidget(self.resume)
        row.addWidget(self.aside)
        row.addWidget(self.crown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addWidget(self.says)
        layout.addLayout(row)
        self._infos: dict[str, RunInfo] = {}
        self._why_not = ""
        self.list.currentItemChanged.connect(self._on_current)
        self.resume.clicked.connect(lambda: self.resumed.emit(self.current() or ""))
        self.aside.clicked.connect(self._on_aside)
        self.crown.clicked.connect(lambda: self.crowned.emit(self.current() or ""))

    def set_runs(self, infos: Sequence[RunInfo], why_not: str = "") -> None:
        """Show the runs; ``why_not`` says why none can be started now."""
        self._why_not = why_not
        self._infos = {info.id: info for info in infos}
        tips = ("\n".join([info.message, *(f"⚠ {text}" for text in info.warnings), info.id]) for info in infos)
        words = (run_words(info, len(infos) - n) for n, info in enumerate(infos))
        self.list.show_rows([Row(*row) for row in zip(self._infos, words, tips, strict=True)])
        self._allow()

    def current(self) -> str | None:
        """Return the id of the selected run."""
        return self.list.key()

    def select(self, run: str | None) -> None:
        """Select a run."""
        self.list.pick(run)

    def _on_current(self) -> None:
        self._allow()
        run = self.current()
        if run is not None:
            self.selected.emit(run)

    def _on_aside(self) -> None:
        info = self._infos.get(self.current() or "")
        if info is not None:
            (self.cancelled if info.state is RunState.QUEUED else self.paused).emit(info.id)

    def _say(self, info: RunInfo | None) -> None:
        """Say of the selected run how it stands and what it warns of."""
        lines = []
        if info is not None:
            lines = [info.message, *(f"⚠ {text}" for text in info.warnings[-_NEWEST_WARNINGS:])]
            if len(info.warnings) > _NEWEST_WARNINGS:
                lines.append(f"… and {len(info.warnings) - _NEWEST_WARNINGS} earlier; a tip over the run has all.")
        self.says.setText("\n".join(lines))
        self.says.setVisible(bool(lines))

    def _allow(self) -> None:
        info = self._infos.get(self.current() or "")
        self._say(info)
        queued = info is not None and info.state is RunState.QUEUED
        self.aside.setText("Cancel" if queued else "Pause")
        self.aside.explain(_CANCEL_TIP if queued else _PAUSE_TIP)
        why_aside = "Only a training that runs can be paused."
        if info is not None and (queued or (info.kind == "train" and info.state is RunState.RUNNING)):
            why_aside = ""
        self.aside.allow(why_aside)
        why_resume = self._why_not
        why_crown = ""
        if info is None:
            why_resume = why_crown = "Select a run first."
        elif info.state is RunState.PAUSED:
            why_resume, why_crown = "", "The run is still going on."
        elif not info.state.over:
            why_resume = why_crown = "The run is still going on."
        else:
            if info.state is RunState.FINISHED:
                why_resume = "The run has finished; start a new one to learn more."
            if info.kind == "predict":
                why_crown = "A prediction has no model of its own."
            elif info.champion:
                why_crown = "This model predicts already."
        self.resume.allow(why_resume)
        self.crown.allow(why_crown)


def run_words(info: RunInfo, number: int) -> str:
    """Say a run in one line: ``★ 3 · Mean teacher · finished · 3,000/3,000 · Dice .71 · 21 Nov 05:12``."""
    parts = [f"{'★ ' if info.champion else ''}{number}", _NAMES.get(info.kind) or method_title(info.method)]
    parts.append(f"queued, place {info.place}" if info.place else info.state.value)
    if info.steps:
        parts.append(f"{info.step:,}/{info.steps:,}")
    if info.dice is not None:
        parts.append(f"Dice {share(info.dice)}")
    if info.warnings:
        parts.append(f"⚠ {len(info.warnings)}")
    parts.append(f"{info.created.astimezone():%d\u00a0%b\u00a0%H:%M}")  # a line that wraps keeps it together
    return " · ".join(parts)
