"""The fold "Models": what there is, which one predicts and why, and how models come, go and start trainings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.model import SUFFIX
from napari_penumbra.session import Session, warm
from napari_penumbra.session.model_exchange import Draft
from napari_penumbra.session.model_info import ModelInfo
from napari_penumbra.session.model_words import details, model_words
from napari_penumbra.session.words import duration
from napari_penumbra.widgets.buttons import ActionButton, narrow
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.keyed_list import KeyedList, Row
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.worker_thread import Task

_FILTER = f"Model (*{SUFFIX})"
_READONLY = "This study is open read-only: another window writes to it."


class ModelsBox(QWidget):
    """Newest model first; the champion marked with a star.

    Signals
    -------
    start_wished : (str)
        Start the next training from this model.
    """

    start_wished = Signal(str)

    def __init__(self, session: Session, messages: MessageBar, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.messages = messages
        self._infos: dict[str, ModelInfo] = {}
        self._task: Task | None = None
        self._make_widgets()
        self._make_buttons()
        self._lay_out()
        session.keep_warm = float(self.memory.currentData())
        session.models_changed.connect(self.refresh, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self.session.models_changed.disconnect(self.refresh)

    # ---------------------------------------------------------------- layout

    def _make_widgets(self) -> None:
        self.list = KeyedList("model_list", "Models", 7)
        self.says = QLabel(wordWrap=True, objectName="model_says")
        self.says.setTextFormat(Qt.TextFormat.PlainText)
        self.says.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.rule = QLabel(wordWrap=True, objectName="model_rule")
        self.rule.setText(
            "★ predicts. A new model takes its place only if its Dice on the frozen cases is higher; where none is "
            "frozen, the newer one does."
        )
        self.rule.setToolTip(self.session.rule)
        mute(self.rule)
        for label in (self.says, self.rule):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.keep = QCheckBox("Keep this champion", objectName="model_keep")
        self.memory = QComboBox(objectName="model_memory", accessibleName="Keep the model in memory")
        narrow(self.memory)
        for seconds in warm.CHOICES:
            self.memory.addItem(duration(seconds) if seconds else "not at all", seconds)
        wanted = warm.remembered()
        nearest = min(range(len(warm.CHOICES)), key=lambda n: abs(warm.CHOICES[n] - wanted))
        self.memory.setCurrentIndex(nearest)
        self.list.currentItemChanged.connect(self._allow)
        self.keep.clicked.connect(self._on_keep)
        self.memory.currentIndexChanged.connect(self._on_memory)

    def _make_buttons(self) -> None:
        self.crown = ActionButton(
            "Make champion ★",
            "Lets the picked model predict from now on, whatever the figures say.",
            name="model_crown",
        )
        self.back = ActionButton("Roll back", "Lets the champion before this one predict again.", name="model_back")
        self.start = ActionButton(
            "Start from this one",
            "The next training begins with what the picked model has learnt, instead of random weights.",
            name="model_start",
        )
        self.compare = ActionButton(
            "Compare all",
            "Measures every model on the frozen cases, by the same code, in the background.",
            name="model_compare",
        )
        self.export = ActionButton(
            "Export…",
            "Writes the picked model as one file, for another study or another machine. No case's name is in it.",
            name="model_export",
        )
        self.fetch = ActionButton(
            "Import…", "Takes a model file in, after a check of all that can be wrong with it.", name="model_import"
        )
        self.crown.clicked.connect(self._on_crown)
        self.back.clicked.connect(self._on_back)
        self.start.clicked.connect(lambda: self.start_wished.emit(self.current() or ""))
        self.compare.clicked.connect(self._on_compare)
        self.export.clicked.connect(self._on_export)
        self.fetch.clicked.connect(self._on_import)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.list, self.says, self.keep):
            layout.addWidget(widget)
        grid = QGridLayout()
        buttons = (self.crown, self.back, self.start, self.compare, self.export, self.fetch)
        for n, button in enumerate(buttons):
            grid.addWidget(button, n // 2, n % 2)
        layout.addLayout(grid)
        layout.addWidget(self.rule)
        row = QHBoxLayout()
        row.addWidget(QLabel("Keep the model in memory:"))
        row.addWidget(self.memory, 1)
        layout.addLayout(row)

    # ---------------------------------------------------------------- showing

    def refresh(self) -> None:
        """Read the models anew, if anybody sees them."""
        if not self.isVisible():
            return
        with self.messages.guard("reading the models"):
            infos = self.session.models()
            self._infos = {info.id: info for info in infos}
            self.list.show_rows([Row(info.id, model_words(info), info.id) for info in infos])
            self.memory.setToolTip(
                "A prediction process that holds the model answers at once; it gives the memory back when a training "
                f"needs it, and after this time without work.\n{self.session.warm_words()}"
            )
            self._allow()

    def showEvent(self, event: Any) -> None:
        """Read the models when the fold opens."""
        super().showEvent(event)
        self.refresh()

    def current(self) -> str | None:
        """Return the name of the picked model."""
        return self.list.key()

    def select(self, model: str | None) -> None:
        """Pick a model."""
        self.list.pick(model)

    def _allow(self, *_: object) -> None:
        info = self._infos.get(self.current() or "")
        self.says.setText(details(info) if info is not None else "No model yet: label two cases, then train.")
        readonly = _READONLY if self.session.readonly else ""
        none = "" if info is not None else "There is no model yet."
        busy = "A model file is being checked." if self._task is not None else ""
        self.crown.allow(readonly or none or ("This model predicts already." if info and info.champion else ""))
        self.back.allow(readonly or self.session.why_not_roll_back())
        self.start.allow(readonly or none)
        self.export.allow(none or busy)
        self.fetch.allow(readonly or busy)
        measuring = "They are being compared now." if self.session.measuring else ""
        self.compare.allow(readonly or none or measuring)
        champion = any(i.champion for i in self._infos.values())
        self.keep.setEnabled(champion and not readonly)
        self.keep.setChecked(bool(self.session.kept))
        self.keep.setToolTip(
            "New models are made and measured, but none takes over by itself until you take this back."
            if champion
            else "There is no champion to keep."
        )

    # ---------------------------------------------------------------- doing

    def _do(self, what: str, call: Callable[[], object]) -> None:
        with self.messages.guard(what):
            call()
        self.refresh()

    def _on_crown(self) -> None:
        self._do("changing the champion", lambda: self.session.make_champion(self.current() or ""))

    def _on_back(self) -> None:
        self._do("rolling back", self.session.roll_back)

    def _on_keep(self, keep: bool) -> None:
        self._do("keeping the champion", lambda: self.session.keep_champion(keep))

    def _on_compare(self) -> None:
        with self.messages.guard("comparing the models"):
            if not self.session.compare_models():
                self.messages.show_notice(self._why_nothing_to_compare())
        self.refresh()

    def _why_nothing_to_compare(self) -> str:
        if any(row.role.value == "validation" for row in self.session.cases()):
            return "All models have been measured on the frozen cases already."
        return "No case is frozen, so there is nothing to compare on; a training of four labelled cases freezes one."

    def _on_memory(self) -> None:
        seconds = float(self.memory.currentData())
        self.session.keep_warm = seconds
        with suppress(DiskError):  # then it is as before the next time: not worth a word now
            warm.remember(seconds)

    def _on_export(self) -> None:
        info = self._infos.get(self.current() or "")
        if info is None:
            return
        path, _ = QFileDialog.getSaveFileName(self, "Save the model as one file", f"{info.method}{SUFFIX}", _FILTER)
        if path:
            self._in_background(
                lambda: self.session.export_model(info.id, Path(path)), "exporting the model", self._on_exported
            )

    def _on_exported(self, path: Path) -> None:
        self.messages.show_notice(f"The model was saved as {path.name}. It holds no case's name and no code.")

    def _on_import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Take in a model file", "", _FILTER)
        if path:
            self._in_background(
                lambda: self.session.read_model(Path(path)), "checking the model file", self._on_checked
            )

    def _on_checked(self, draft: Draft) -> None:
        with self.messages.guard("importing the model"):
            model = self.session.take_model(draft)
            self.refresh()
            self.select(model)
            self.messages.show_notice("The model was imported. It predicts when you make it champion.")

    def _in_background(self, call: Callable[[], Any], what: str, done: Callable[[Any], None]) -> None:
        task = Task(call, what)
        task.done.connect(done)
        task.failed.connect(self.messages.show_error)
        task.over.connect(self._on_over)
        self._task = task.start()
        self._allow()

    def _on_over(self) -> None:
        self._task = None
        self._allow()
