"""The fold "History": everything that happened to the shown case, to compare and to restore."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.session.comparing import moment
from napari_penumbra.session.history_words import costs, details, headline
from napari_penumbra.study.history import Event
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute, muted
from napari_penumbra.widgets.reader_controller import ReaderController

_KEY = int(Qt.ItemDataRole.UserRole)


class HistoryBox(QWidget):
    """A timeline, the newest first.

    Signals
    -------
    compare_wished : (str, str)
        Compare the annotations of these two keys.
    """

    compare_wished = Signal(str, str)

    def __init__(self, control: ReaderController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.control = control
        self.active = False
        self._events: list[Event] = []
        self.tree = QTreeWidget(objectName="history_list", accessibleName="History of the case")
        self.tree.setHeaderLabels(["When", "What", "Who"])
        self.tree.setRootIsDecorated(False)
        self.tree.setWordWrap(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.tree.header()
        header.setStretchLastSection(False)
        for column, mode in enumerate(("ResizeToContents", "Stretch", "ResizeToContents")):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode[mode])
        self.tree.setMinimumHeight(15 * self.fontMetrics().lineSpacing())
        self.note = QLabel(objectName="history_note", wordWrap=True)
        mute(self.note)
        self.compare = ActionButton(
            "Compare both", "Shows how the two picked entries differ, under Compare.", name="history_compare"
        )
        self.restore = ActionButton(
            "Restore as draft",
            "Makes the picked entry a new draft; what is there now stays in the history.",
            name="history_restore",
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        layout.addWidget(self.note)
        buttons = QHBoxLayout()
        buttons.addWidget(self.compare, 1)
        buttons.addWidget(self.restore, 1)
        layout.addLayout(buttons)
        self.tree.itemSelectionChanged.connect(self._allow)
        self.compare.clicked.connect(self._on_compare)
        self.restore.clicked.connect(self._on_restore)
        control.changed.connect(self.refresh)

    def activate(self, on: bool) -> None:
        """Read the history while it is seen."""
        self.active = on
        self.refresh()

    def refresh(self) -> None:
        """Read the history anew, if anybody sees it."""
        if not self.active:
            return
        control, name = self.control, self.control.cases.name
        blind = control.session.is_blind(name)
        picked = self.picked()
        events = [] if name is None or blind or control.session.study is None else control.session.case_history(name)
        if events != self._events:
            self._events = events
            self._fill(picked)
        if blind:
            self.note.setText("A second reading goes on: what others did is not shown until you leave it.")
        else:
            self.note.setText("● is what the case has now. Pick two to compare them, one to restore it.")
        self._allow()

    def _fill(self, picked: list[str]) -> None:
        session = self.control.session
        models = {run: session.model_title(session.model_of(run)) for run in {e.run for e in self._events} if run}
        self.tree.blockSignals(True)
        self.tree.clear()
        for event in reversed(self._events):
            model = models.get(event.run, "")
            words = "\n".join(filter(None, (("● " if event.current else "") + headline(event, model), costs(event))))
            item = QTreeWidgetItem([moment(event.when), words, event.who])
            item.setData(0, _KEY, event.key)
            for column in range(3):
                item.setToolTip(column, details(event, model))
                item.setTextAlignment(column, int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft))
                if not event.key:
                    item.setForeground(column, muted(self.tree.palette()))
            if event.current:
                font = item.font(1)
                font.setBold(True)
                item.setFont(1, font)
            self.tree.addTopLevelItem(item)
            item.setSelected(bool(event.key) and event.key in picked)
        self.tree.blockSignals(False)

    def picked(self) -> list[str]:
        """Keys of the picked entries that have labels, the older first."""
        items = sorted(self.tree.selectedItems(), key=self.tree.indexOfTopLevelItem, reverse=True)
        return [key for item in items if (key := str(item.data(0, _KEY)))]

    def _allow(self) -> None:
        picked = self.picked()
        self.compare.allow("" if len(picked) == 2 else "Pick two entries that have labels (hold Ctrl for the second).")
        one = "" if len(picked) == 1 else "Pick one entry that has labels."
        now = any(event.current and event.key in picked for event in self._events)
        self.restore.allow(
            self.control.cases.why_not_edit() or one or ("This is what the case has now." if now else "")
        )

    def _on_compare(self) -> None:
        first, second = self.picked()
        self.compare_wished.emit(first, second)

    def _on_restore(self) -> None:
        name = self.control.cases.name
        if name is not None:
            self.control.restore(name, self.picked()[0])
