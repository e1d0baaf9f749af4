"""One sheet of all keys: look them up, change them, take the defaults back."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.widgets.buttons import ActionButton, key_words
from napari_penumbra.widgets.shortcuts import Action, Shortcuts

_NAME = int(Qt.ItemDataRole.UserRole)
_PICK = "Pick an action to change its key."


class KeySheet(QDialog):
    """Lists every action with its key, page by page. Not modal: the reader can paint beside it.

    Parameters
    ----------
    shortcuts
        The keys.
    """

    def __init__(self, shortcuts: Shortcuts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("key_sheet")
        self.setWindowTitle("Penumbra: keys")
        self.shortcuts = shortcuts
        self.search = QLineEdit(objectName="key_search", placeholderText="Find an action or a key")
        self.search.setClearButtonEnabled(True)
        self.tree = QTreeWidget(objectName="key_tree")
        self.tree.setHeaderLabels(["Action", "Key"])
        self.tree.setRootIsDecorated(False)
        self.tree.header().setStretchLastSection(False)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.what = QLabel(_PICK, objectName="key_what", wordWrap=True)
        self.edit = QKeySequenceEdit(objectName="key_edit")
        self.edit.setMaximumSequenceLength(1)
        self.set = ActionButton("Set", "Gives the action this key from now on.", name="key_set")
        self.default = ActionButton("Default", "Gives the action its default key back.", name="key_default")
        self.reset = ActionButton("Reset all", "Gives every action its default key back.", name="key_reset")
        self.leave = ActionButton("Close", "Closes the sheet.", name="key_close")
        self._lay_out()
        self.search.textChanged.connect(self._filter)
        self.tree.currentItemChanged.connect(self._on_picked)
        self.set.clicked.connect(lambda: self._set(self.edit.keySequence().toString()))
        self.default.clicked.connect(self._set_default)
        self.reset.clicked.connect(self._reset)
        self.leave.clicked.connect(self.close)
        shortcuts.changed.connect(self._on_changed)
        self.resize(430, 560)

    def _lay_out(self) -> None:
        change, ends = QHBoxLayout(), QHBoxLayout()
        for widget in (self.edit, self.set, self.default):
            change.addWidget(widget)
        ends.addWidget(self.reset)
        ends.addStretch(1)
        ends.addWidget(self.leave)
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.what)
        layout.addLayout(change)
        layout.addLayout(ends)

    def open_beside(self) -> None:
        """Show the sheet, or put it away when it shows: the same key does both."""
        if self.isVisible():
            self.close()
            return
        self.refresh()
        self.show()
        self.raise_()
        self.activateWindow()
        self.search.setFocus()

    def refresh(self) -> None:
        """Read all keys anew; the picked action stays picked."""
        name = self._name()
        self.tree.blockSignals(True)
        self.tree.clear()
        heads: dict[tuple[str, ...], QTreeWidgetItem] = {}
        for action in self.shortcuts.actions():
            head = heads.get(action.places)
            if head is None:
                head = heads[action.places] = QTreeWidgetItem([", ".join(action.places), ""])
                head.setFlags(Qt.ItemFlag.ItemIsEnabled)
                font = head.font(0)
                font.setBold(True)
                head.setFont(0, font)
                self.tree.addTopLevelItem(head)
            changed = "" if action.keys == action.default else "  (yours)"
            item = QTreeWidgetItem([action.text, (key_words(action.keys) or "none") + changed])
            item.setData(0, _NAME, action.name)
            head.addChild(item)
            if action.name == name:
                self.tree.setCurrentItem(item)
        self.tree.expandAll()
        self.tree.blockSignals(False)
        self._filter(self.search.text())
        self._on_picked()

    def _name(self) -> str:
        item = self.tree.currentItem()
        return "" if item is None else str(item.data(0, _NAME) or "")

    def _action(self) -> Action | None:
        name = self._name()
        return next((action for action in self.shortcuts.actions() if action.name == name), None)

    def pick(self, name: str) -> None:
        """Pick an action by its name."""
        for n in range(self.tree.topLevelItemCount()):
            head = self.tree.topLevelItem(n)
            for m in range(head.childCount()):
                if head.child(m).data(0, _NAME) == name:
                    self.tree.setCurrentItem(head.child(m))

    def _filter(self, text: str) -> None:
        wanted = text.strip().lower()
        for n in range(self.tree.topLevelItemCount()):
            head = self.tree.topLevelItem(n)
            items = [head.child(m) for m in range(head.childCount())]
            for item in items:
                item.setHidden(wanted not in f"{item.text(0)} {item.text(1)} {head.text(0)}".lower())
            head.setHidden(all(item.isHidden() for item in items))

    def _on_picked(self) -> None:
        action = self._action()
        why = "" if action is not None else _PICK
        for button in (self.set, self.default):
            button.allow(why)
        self.edit.setEnabled(action is not None)
        self.what.setText(_PICK if action is None else f"Press a new key for “{action.text}”, then Set. Empty: none.")
        if action is not None:
            self.edit.setKeySequence(QKeySequence(action.keys))

    def _on_changed(self) -> None:
        if self.isVisible():
            self.refresh()

    def _set(self, keys: str) -> None:
        action = self._action()
        if action is not None:
            self._change(lambda: self.shortcuts.set_keys(action.name, keys))

    def _set_default(self) -> None:
        action = self._action()
        if action is not None:
            self._set(action.default)

    def _reset(self) -> None:
        self._change(self.shortcuts.reset)

    def _change(self, work: Callable[[], None]) -> None:
        try:
            work()
        except PenumbraError as error:
            self.what.setText(f"⚠ {error}")
