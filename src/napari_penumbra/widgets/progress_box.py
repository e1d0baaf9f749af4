"""How the labelling goes: time and corrections per case, time saved, whether to stop. A fold of the Study page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.session import Session
from napari_penumbra.session.effort_table import advice_words, saved_words, write_effort
from napari_penumbra.study.minutes import Finished
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.progress_plot import FIGURES, ProgressPlot


class ProgressBox(QWidget):
    """Reads the finished cases when it is shown or told to `refresh`; a hidden one reads nothing.

    Signals
    -------
    opened : (str)
        The reader wants to see this case.
    """

    opened = Signal(str)

    def __init__(self, session: Session, messages: MessageBar, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("progress_box")
        self.session = session
        self.messages = messages
        self.done: Sequence[Finished] = ()
        self.advice = QLabel(objectName="stop_rule", wordWrap=True)
        font = self.advice.font()
        font.setBold(True)
        self.advice.setFont(font)
        self.saved = QLabel(objectName="time_saved", wordWrap=True)
        self.what = QComboBox(objectName="progress_figure", accessibleName="What is drawn")
        for key, (words, _) in FIGURES.items():
            self.what.addItem(words, key)
        # The longest entry must not widen the dock.
        self.what.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.what.setToolTip(
            "One mark per finished case, in the order of finishing; a click on it opens the case. The line is the "
            "middle one (median) of the last 5 corrected cases."
        )
        self.save = ActionButton(
            "Save as CSV…",
            "Writes a table of all finished cases for a spreadsheet: seconds, strokes, changed voxels, decisions.",
            name="save_effort",
        )
        self.plot = ProgressPlot()
        self._lay_out()
        self.what.currentIndexChanged.connect(self._draw)
        self.save.clicked.connect(self.ask_save)
        self.plot.clicked.connect(self.opened)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.advice)
        layout.addWidget(self.saved)
        row = QHBoxLayout()
        row.addWidget(self.what, 1)
        row.addWidget(self.save)
        layout.addLayout(row)
        layout.addWidget(self.plot)

    def showEvent(self, event: Any) -> None:
        """Catch up."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Read the finished cases anew, if anybody sees them."""
        if not self.isVisible():
            return
        with self.messages.guard("reading what the cases took"):
            study = self.session.study
            self.done = study.finished() if study is not None else ()
        self.advice.setText(advice_words(self.done))
        self.saved.setText(saved_words(self.done))
        self.save.allow("" if self.done else "No case was finished in this study yet.")
        self._draw()

    def _draw(self) -> None:
        anything = bool(self.done)
        for part in (self.plot, self.what):
            part.setVisible(anything)
        if anything:
            self.plot.draw(self.done, str(self.what.currentData()))
        self._claim_height()

    def resizeEvent(self, event: Any) -> None:
        """Claim the height that the words need at this width."""
        super().resizeEvent(event)
        self._claim_height()

    def _claim_height(self) -> None:
        """Ask for the height of the wrapped words: the fold around it gives what a wide box would need, else."""
        layout = self.layout()
        if layout is not None:
            layout.activate()
            self.setMinimumHeight(max(0, layout.totalHeightForWidth(self.width())))

    # ---------------------------------------------------------------- CSV

    def ask_save(self) -> None:
        """Ask for a file and write the table."""
        name = "effort.csv"
        path, _ = QFileDialog.getSaveFileName(self, "Save what the cases took", name, "Table (*.csv)")
        if path:
            self.save_to(Path(path))

    def save_to(self, path: Path) -> None:
        """Write the table; where it lies, or what went wrong, is told in the dock."""
        if not path.suffix:
            path = path.with_suffix(".csv")
        with self.messages.guard(f"writing {path.name}"):
            write_effort(path, self.done, self.session.reader)
            self.messages.show_notice(f"Written: {path}")
