"""Where a training runs and by how many processes: here, several here, or on a cluster."""

from __future__ import annotations

import importlib.util
import json
from typing import Any, cast

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent, QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.launch import HOWS, How, Launch
from napari_penumbra.jobs.launchers import processes_here, why_not
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.paragraph import Paragraph

_TITLES: dict[str, str] = {
    "local": "This computer, one process",
    "torchrun": "This computer, several processes",
    "slurm": "Slurm cluster",
}
_TIPS: dict[str, str] = {
    "local": "Learns on the graphics card if there is one, else on the processor.",
    "torchrun": "One process per graphics card (torchrun).",
    "slurm": "Hands the training in to the cluster, which must see the study's folder under the same path.",
}
_WORDS = "Every process takes the patches that the preset names, so two processes learn from twice as many a step. "
_COSTS: dict[str, str] = {
    "torchrun": "Memory and time below are measured with all of them at work, without what they tell each other.",
    "slurm": "Memory and time below are those of one process on this computer.",
}
_MOST = 64


class WhereForm(QWidget):
    """One choice, and what belongs to it. What this computer does not have cannot be chosen, and says why.

    Signals
    -------
    changed
        Another choice was made.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._looked = False
        self.how = QComboBox(objectName="where_how", accessibleName="Where the training runs")
        self.how.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for how in HOWS:
            self.how.addItem(_TITLES[how], how)
        self.processes = QSpinBox(objectName="where_processes", minimum=1, maximum=_MOST, value=2)
        self.processes.setToolTip("How many processes learn together; at best one per graphics card.")
        self.cluster = QLineEdit(objectName="where_cluster", placeholderText="slurm_partition=gpu timeout_min=600")
        self.cluster.setToolTip("What Slurm is asked for: key=value, with spaces between, by submitit's names.")
        self.board = QCheckBox("Also write files for TensorBoard", objectName="where_board")
        self.board.setToolTip("Into the folder of the run, for those who follow several runs there.")
        self.closed = Paragraph("where_closed")
        self.words = Paragraph("where_words")
        for label in (self.closed, self.words):
            mute(label)
        self._lay_out()
        self.how.currentIndexChanged.connect(self._on_how)
        self.processes.valueChanged.connect(self.changed)
        self.cluster.textChanged.connect(self.changed)
        self._on_how()

    def _lay_out(self) -> None:
        body = QVBoxLayout(self)
        body.setContentsMargins(6, 0, 6, 6)
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Where", self.how)
        self._form.addRow("Processes", self.processes)
        self._form.addRow("Slurm", self.cluster)
        body.addLayout(self._form)
        body.addWidget(self.words)
        body.addWidget(self.board)
        body.addWidget(self.closed)

    def showEvent(self, event: QShowEvent) -> None:
        """Look, the first time, what this computer has."""
        super().showEvent(event)
        if not self._looked:
            self._looked = True
            self.look()

    def look(self) -> None:
        """Close the ways that this computer does not have, and say why."""
        if importlib.util.find_spec("tensorboard") is None:
            self.board.setEnabled(False)
            self.board.setToolTip('TensorBoard is not installed: pip install "napari-penumbra[board]"')
        model = cast("QStandardItemModel", self.how.model())
        reasons = []
        for row, how in enumerate(HOWS):
            why = why_not(how)
            model.item(row).setEnabled(not why)
            self.how.setItemData(row, why or _TIPS[how], Qt.ItemDataRole.ToolTipRole)
            if why:
                reasons.append(f"{_TITLES[how]}: {why}")
        self.closed.setText("\n".join(reasons))
        self.closed.setVisible(bool(reasons))
        if not why_not("torchrun"):
            self.processes.setValue(processes_here())
        self._on_how()

    def _on_how(self, _row: int = 0) -> None:
        how = self.how.currentData()
        self._form.setRowVisible(self.processes, how != "local")
        self._form.setRowVisible(self.cluster, how == "slurm")
        self.words.setVisible(how != "local")
        self.words.setText(_WORDS + _COSTS.get(how, ""))
        self.how.setToolTip(str(self.how.currentData(Qt.ItemDataRole.ToolTipRole) or _TIPS[how]))
        self.changed.emit()

    def choice(self) -> Launch:
        """What is chosen; raises `UsageError` in words when what Slurm is asked for cannot be read."""
        how: How = self.how.currentData()
        if how == "local":
            return Launch()
        cluster = asked_for(self.cluster.text()) if how == "slurm" else {}
        return Launch(how, self.processes.value(), cluster)


def asked_for(text: str) -> dict[str, Any]:
    """Read ``key=value key=value``; raises `UsageError` for what is not that."""
    found: dict[str, Any] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(
                f'Slurm cannot be asked for "{word}".', "Write key=value, for example slurm_partition=gpu."
            )
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
