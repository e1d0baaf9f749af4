"""The fold "Second reader": read a case again without seeing the first reading, and make one of both."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_penumbra.domain.case import Closing
from napari_penumbra.session.comparing import moment
from napari_penumbra.session.reader_name import NEUTRAL
from napari_penumbra.widgets.buttons import ActionButton, allow, narrow
from napari_penumbra.widgets.case_model import clock
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.reader_controller import ReaderController

SECOND = "reader 2"

RULES = {
    "agree": ("Where all agree", "What all say; the rest becomes unknown, for you to settle."),
    "majority": ("Majority", "The class most readers give; unknown on a tie."),
    "union": ("Union", "What anybody has drawn; unknown where they name different classes."),
    "intersection": ("Intersection", "Only what everybody has drawn."),
    "staple": ("STAPLE (3 readers)", "Weighs each reader by how reliable the others make it look; needs three."),
}
"""Rules of `evaluation.consensus` in words."""


class ReadersBox(QWidget):
    """Names, readings and the consensus of the shown case.

    Signals
    -------
    compare_wished : (str)
        Compare the labels on the screen with the annotation of this key.
    """

    compare_wished = Signal(str)

    def __init__(self, control: ReaderController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.control = control
        self.me = QLineEdit(objectName="reader_name", accessibleName="Your name in the study")
        self.me.setPlaceholderText(NEUTRAL)
        self.me.setToolTip("Written beside what you save from now on, on this machine. Leave it empty to stay unnamed.")
        self.second = QLineEdit(SECOND, objectName="second_name", accessibleName="Name of the second reader")
        self.start = ActionButton(
            "Read again",
            "Shows the case blank under this name: no labels, prediction or confidence of anybody else. "
            "The case's own annotation stays as it is.",
            name="read_again",
        )
        self.found = QLabel(objectName="readings", wordWrap=True)
        mute(self.found)
        self.compare = ActionButton("Compare", "Compares it with the labels on the screen.", name="compare_reading")
        self.rule = QComboBox(objectName="consensus_rule", accessibleName="Rule of the consensus")
        narrow(self.rule)
        for key, (words, tip) in RULES.items():
            self.rule.addItem(words, key)
            self.rule.setItemData(self.rule.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.make = ActionButton(
            "Make consensus",
            "Makes a new draft of the readers' annotations; what they differ in is then settled place by place.",
            name="make_consensus",
        )
        self._lay_out()
        self.me.editingFinished.connect(self._on_name)
        self.start.clicked.connect(lambda: control.read_again(self.second.text()))
        self.second.returnPressed.connect(self.start.click)
        self.compare.clicked.connect(self._on_compare)
        self.make.clicked.connect(lambda: control.make_consensus(str(self.rule.currentData())))
        self.rule.currentIndexChanged.connect(self._on_rule)
        control.changed.connect(self.refresh)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel("You save as"), 0, 0)
        grid.addWidget(self.me, 0, 1, 1, 2)
        grid.addWidget(QLabel("Another as"), 1, 0)
        grid.addWidget(self.second, 1, 1)
        grid.addWidget(self.start, 1, 2)
        layout.addLayout(grid)
        line = QHBoxLayout()
        line.addWidget(self.found, 1)
        line.addWidget(self.compare)
        layout.addLayout(line)
        last = QHBoxLayout()
        last.addWidget(self.rule, 1)
        last.addWidget(self.make)
        layout.addLayout(last)

    def refresh(self) -> None:
        """Show names and readings as they are now."""
        control = self.control
        name = control.cases.name
        if not self.me.hasFocus():
            reader = control.session.reader
            self.me.setText("" if reader == NEUTRAL else reader)
        why = control.why_not_read_again()
        self.start.allow(why)
        allow(self.second, why, "Under this name the second reading is kept.")
        readings = control.session.readings(name) if name is not None else []
        words = [
            f"{r.reader}: {'draft' if r.closing is Closing.DRAFT else r.closing.value}, {moment(r.created)}"
            + (f", {clock(r.seconds)}" if clock(r.seconds) else "")
            for r in readings
        ]
        self.found.setText("\n".join(words) or "Nobody has read this case again yet.")
        blind = control.session.is_blind(name)
        none = "A second reading goes on." if blind else "" if readings else "There is no second reading yet."
        self.compare.allow(none)
        reason = control.why_not_consensus()
        self.make.allow(reason)
        allow(self.rule, reason, RULES[str(self.rule.currentData())][1])

    def _on_rule(self) -> None:
        if self.rule.isEnabled():
            self.rule.setToolTip(RULES[str(self.rule.currentData())][1])

    def _on_name(self) -> None:
        with self.control.messages.guard("setting your name"):
            self.control.session.set_reader(self.me.text())

    def _on_compare(self) -> None:
        name = self.control.cases.name
        readings = self.control.session.readings(name) if name is not None else []
        if readings:
            self.compare_wished.emit(max(readings, key=lambda r: r.created).key)
