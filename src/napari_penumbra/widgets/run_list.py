"""The study's runs: how each stands, which one predicts, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHBoxLayout, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_penumbra.domain.progress import RunState
from napari_penumbra.session import RunInfo
from napari_penumbra.session.words import share
from napari_penumbra.widgets.buttons import ActionButton

_RUN = int(Qt.ItemDataRole.UserRole)


class RunList(QWidget):
    """Newest run first; the champion marked with a star.

    Signals
    -------
    selected, resumed, crowned : (str)
        Run ids: show its curves, go on with it, let it predict from now on.
    """

    selected = Signal(str)
    resumed = Signal(str)
    crowned = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QListWidget(objectName="run_list")
        self.list.setAccessibleName("Runs")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMaximumHeight(8 * self.fontMetrics().lineSpacing())
        self.resume = ActionButton("Resume", "Goes on from the run's last checkpoint.", name="resume")
        self.crown = ActionButton(
            "Use this model ★", "Lets this run's model predict from now on; the one before stays.", name="crown"
        )
        row = QHBoxLayout()
        row.addWidget(self.resume)
        row.addWidget(self.crown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addLayout(row)
        self._infos: dict[str, RunInfo] = {}
        self._why_not = ""
        self.list.currentItemChanged.connect(self._on_current)
        self.resume.clicked.connect(lambda: self.resumed.emit(self.current() or ""))
        self.crown.clicked.connect(lambda: self.crowned.emit(self.current() or ""))

    def set_runs(self, infos: Sequence[RunInfo], why_not: str = "") -> None:
        """Show the runs; ``why_not`` says why none can be started now."""
        self._why_not = why_not
        current = self.current()
        if [info.id for info in infos] != list(self._infos):
            self.list.blockSignals(True)
            self.list.clear()
            for info in infos:
                item = QListWidgetItem()
                item.setData(_RUN, info.id)
                self.list.addItem(item)
            self.list.blockSignals(False)
        self._infos = {info.id: info for info in infos}
        for n, info in enumerate(infos):
            item = self.list.item(n)
            item.setText(run_words(info, len(infos) - n))
            item.setToolTip(f"{info.message}\n{info.id}")
        self.select(current if current in self._infos else infos[0].id if infos else None)
        self._allow()

    def current(self) -> str | None:
        """Return the id of the selected run."""
        item = self.list.currentItem()
        return None if item is None else str(item.data(_RUN))

    def select(self, run: str | None) -> None:
        """Select a run."""
        for n in range(self.list.count()):
            if self.list.item(n).data(_RUN) == run:
                self.list.setCurrentRow(n)

    def _on_current(self) -> None:
        self._allow()
        run = self.current()
        if run is not None:
            self.selected.emit(run)

    def _allow(self) -> None:
        info = self._infos.get(self.current() or "")
        why_resume = self._why_not
        why_crown = ""
        if info is None:
            why_resume = why_crown = "Select a run first."
        elif not info.state.over:
            why_resume = why_crown = "The run is still going on."
        else:
            if info.state is RunState.FINISHED:
                why_resume = "The run has finished; start a new one to learn more."
            if info.kind != "train":
                why_crown = "A prediction has no model of its own."
            elif info.champion:
                why_crown = "This model predicts already."
        self.resume.allow(why_resume)
        self.crown.allow(why_crown)


def run_words(info: RunInfo, number: int) -> str:
    """Say a run in one line: ``★ 3 · mean-teacher · finished · 3,000/3,000 · Dice .71 · 21 Nov 05:12``."""
    parts = [f"{'★ ' if info.champion else ''}{number}", info.method if info.kind == "train" else "prediction"]
    parts.append(info.state.value)
    if info.steps:
        parts.append(f"{info.step:,}/{info.steps:,}")
    if info.dice is not None:
        parts.append(f"Dice {share(info.dice)}")
    parts.append(f"{info.created.astimezone():%d %b %H:%M}")
    return " · ".join(parts)
