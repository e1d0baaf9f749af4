"""Which case comes next: the order, what it goes by now, and whether cases are predicted ahead."""

from __future__ import annotations

from contextlib import suppress

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import DiskError, PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.session.switches import PREDICT_AHEAD, remember, remembered
from napari_penumbra.study import orders
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute


class OrderBox(QWidget):
    """The foot of the case list.

    Signals
    -------
    changed
        The session has another order now.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.next = ActionButton(
            "Open next case",
            "Opens the next case of the order; what is shown is saved first.",
            "Ctrl+Right",
            "open_next",
        )
        self.order = QComboBox(objectName="case_order", accessibleName="Order of the cases")
        for name in orders.names():
            with suppress(PenumbraError):  # of another package, and broken: the command line says how
                order = orders.get(name)
                self.order.addItem(order.title, name)
                self.order.setItemData(self.order.count() - 1, order.summary, Qt.ItemDataRole.ToolTipRole)
        # The longest title must not widen the dock; the list that opens is as wide as it needs.
        self.order.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.order.setMinimumContentsLength(6)
        self.order.view().setMinimumWidth(self.order.view().sizeHintForColumn(0) + 24)
        self.words = QLabel(objectName="order_words", wordWrap=True)
        mute(self.words)
        self.ahead = QCheckBox("Predict the next cases ahead", objectName="predict_ahead")
        self.ahead.setChecked(remembered(PREDICT_AHEAD))
        session.order = str(self.order.currentData())
        session.predict_ahead = self.ahead.isChecked()
        self._lay_out()
        self.order.currentIndexChanged.connect(self._on_order)
        self.ahead.toggled.connect(self._on_ahead)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.next)
        row.addWidget(QLabel("order:"))
        row.addWidget(self.order, 1)
        layout.addLayout(row)
        layout.addWidget(self.words)
        layout.addWidget(self.ahead)

    def refresh(self, words: str, cases: bool) -> None:
        """Say what the order goes by now (``words``), and what predicting ahead does."""
        order = orders.get(self.session.order)
        self.words.setText(words)
        self.words.setVisible(bool(words) and words != order.summary)
        self.order.setToolTip(f"How the list is sorted and where “next” goes. {order.summary}")
        self.next.allow("" if cases else "There is no case to open.")
        self.ahead.setToolTip(
            "Predicts the next cases in the background while nothing trains, so that they can be corrected as soon as "
            f"they are opened.\n{self.session.ahead_words()}"
        )

    def _on_order(self) -> None:
        self.session.order = str(self.order.currentData())
        self.changed.emit()

    def _on_ahead(self, wanted: bool) -> None:
        self.session.predict_ahead = wanted
        with suppress(DiskError):  # then it is as before the next time: not worth a word now
            remember(PREDICT_AHEAD, wanted)
        self.changed.emit()
