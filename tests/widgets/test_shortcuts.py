"""Keys: found by themselves, shown on the buttons, changeable, remembered, silent while the reader types."""

from __future__ import annotations

import json

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QLineEdit, QListWidget, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.dock import Dock
from napari_penumbra.widgets.shortcut_file import keys_file, read_keys, write_keys
from napari_penumbra.widgets.shortcuts import EVERYWHERE, Shortcuts, bind, is_bare


class Desk(QWidget):
    """Two pages, one button on each, a line to write in."""

    def __init__(self, file):
        super().__init__()
        layout = QVBoxLayout(self)
        self.left, self.right, self.line, self.list = QWidget(), QWidget(), QLineEdit(), QListWidget()
        for widget in (self.left, self.right, self.line, self.list):
            layout.addWidget(widget)
        self.pressed = []
        self.a = self.button("Accept", "A", "accept", self.left)
        self.b = self.button("Better", "B", "better", self.right)
        bind(self, "Down", lambda: self.pressed.append("down"), name="down", text="Next slice", repeat=True)
        self.shortcuts = Shortcuts(self, {"Left": self.left, "Right": self.right}, file)

    def button(self, text, keys, name, page):
        button = ActionButton(text, f"{text} it.", keys, name)
        button.clicked.connect(lambda: self.pressed.append(name))
        (page.layout() or QVBoxLayout(page)).addWidget(button)
        return button


@pytest.fixture
def desk(qtbot, tmp_path):
    desk = Desk(tmp_path / "keys" / "shortcuts.json")
    qtbot.addWidget(desk)
    desk.show()
    desk.activateWindow()
    qtbot.waitUntil(desk.isActiveWindow)
    desk.setFocus()
    qtbot.waitUntil(desk.hasFocus)
    yield desk
    desk.shortcuts.stop()


def test_a_button_with_keys_is_bound_by_itself(desk, qtbot):
    qtbot.keyClick(desk, Qt.Key.Key_A)
    desk.a.allow("Not now.")
    qtbot.keyClick(desk, Qt.Key.Key_A)
    assert desk.pressed == ["accept"], "a disabled button does nothing"
    desk.right.hide()
    qtbot.keyClick(desk, Qt.Key.Key_B)
    assert desk.pressed == ["accept"], "keys of a page live while it shows"


def test_a_button_that_comes_later_is_bound_when_it_shows(desk, qtbot):
    late = desk.button("Late", "L", "late", desk.left)
    late.show()
    qtbot.waitUntil(lambda: late.key is not None)
    qtbot.keyClick(desk, Qt.Key.Key_L)
    assert desk.pressed == ["late"]
    assert "late" in [action.name for action in desk.shortcuts.actions()]


def test_a_button_bound_by_its_page_is_not_bound_twice(desk, qtbot):
    key = bind(desk.left, "A", desk.a.click, button=desk.a)
    assert key is desk.a.key
    desk.shortcuts.collect()
    qtbot.keyClick(desk, Qt.Key.Key_A)
    assert desk.pressed == ["accept"]


def test_letters_reach_a_text_and_arrows_a_list(desk, qtbot):
    desk.line.setFocus()
    qtbot.waitUntil(desk.line.hasFocus)
    qtbot.keyClick(desk.line, Qt.Key.Key_A)
    assert (desk.pressed, desk.line.text()) == ([], "a")
    desk.list.addItems(["x", "y"])
    desk.list.setCurrentRow(0)
    desk.list.setFocus()
    qtbot.waitUntil(desk.list.hasFocus)
    qtbot.keyClick(desk.list, Qt.Key.Key_Down)
    assert (desk.pressed, desk.list.currentRow()) == ([], 1)
    qtbot.keyClick(desk.list, Qt.Key.Key_A)
    assert desk.pressed == ["accept"]
    desk.setFocus()
    qtbot.keyClick(desk, Qt.Key.Key_Down)
    assert desk.pressed == ["accept", "down"]


def test_a_dialog_with_the_keyboard_keeps_its_keys_to_itself(desk, qtbot):
    desk.shortcuts.set_keys("better", "Ctrl+Return")
    dialog = QDialog(desk)
    box = QListWidget(dialog)
    dialog.show()
    dialog.activateWindow()
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)
    qtbot.keyClick(box, Qt.Key.Key_A)
    qtbot.keyClick(box, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert desk.pressed == []
    dialog.close()
    desk.activateWindow()
    desk.setFocus()
    qtbot.waitUntil(desk.hasFocus)
    qtbot.keyClick(desk, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert desk.pressed == ["better"]


def test_another_key_is_shown_used_and_remembered(desk, qtbot, tmp_path):
    wide = desk.a.sizeHint().width()
    desk.shortcuts.set_keys("accept", "ctrl+shift+k")
    assert desk.a.keys == "Ctrl+Shift+K"
    assert desk.a.sizeHint().width() > wide
    qtbot.keyClick(desk, Qt.Key.Key_A)
    qtbot.keyClick(desk, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert desk.pressed == ["accept"]
    again = Desk(tmp_path / "keys" / "shortcuts.json")
    qtbot.addWidget(again)
    assert again.a.keys == "Ctrl+Shift+K"
    again.shortcuts.reset()
    assert again.a.keys == "A"
    assert read_keys(tmp_path / "keys" / "shortcuts.json") == {}
    again.shortcuts.stop()


def test_no_key_at_all(desk, qtbot):
    desk.shortcuts.set_keys("accept", "")
    qtbot.keyClick(desk, Qt.Key.Key_A)
    assert desk.pressed == []
    assert desk.a.keys == ""


def test_clashes_are_refused_within_a_page_and_everywhere_but_not_between_pages(desk):
    with pytest.raises(UsageError, match=r"taken: Next slice \(Everywhere\)"):
        desk.shortcuts.set_keys("accept", "Down")
    desk.shortcuts.set_keys("accept", "B")
    assert desk.shortcuts.clashes() == [], "Left and Right never show together"
    desk.button("Third", "T", "third", desk.left)
    desk.shortcuts.collect()
    with pytest.raises(UsageError, match=r"B is taken: Accept \(Left\)"):
        desk.shortcuts.set_keys("third", "b")
    assert [a.keys for a in desk.shortcuts.actions() if a.name == "third"] == ["T"]


HOSTILE = [
    b"",
    b"{",
    b"[1, 2]",
    b"\xff\xfe\x00",
    b'{"version": 1}',
    b'{"version": 1, "keys": [1]}',
    b'{"version": 99, "keys": {"accept": "K"}}',
    b'{"version": 1, "keys": {"accept": 7, "better": ["K"], "down": null}}',
    json.dumps({"version": 1, "keys": {"accept": "K" * 200}}).encode(),
    b'{"version": 1, "keys": {"accept": "' + b"x" * 200_000 + b'"}}',
    b"[" * 90_000,
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_damaged_file_gives_the_defaults(tmp_path, qtbot, content):
    file = tmp_path / "shortcuts.json"
    file.write_bytes(content)
    desk = Desk(file)
    qtbot.addWidget(desk)
    assert [button.keys for button in (desk.a, desk.b)] == ["A", "B"]
    desk.shortcuts.set_keys("accept", "K")
    assert read_keys(file) == {"accept": "K"}
    desk.shortcuts.stop()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Exception, match="not saved"):
        write_keys(tmp_path / "file" / "shortcuts.json", {"accept": "K"})


@pytest.mark.parametrize(
    ("keys", "bare"),
    [("A", True), ("Shift+A", True), ("?", True), ("Ctrl+A", False), ("Alt+1", False), ("F1", False), ("F", True)],
)
def test_which_keys_are_typed(keys, bare):
    assert is_bare(keys) is bare


# ---------------------------------------------------------------- the whole dock


@pytest.fixture
def dock(study, canvas, qtbot):
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow)
    yield dock
    dock.shortcuts.reset()
    dock.close()


def test_no_default_keys_clash(dock):
    assert dock.shortcuts.clashes() == []


def test_every_button_with_keys_is_in_the_sheet_and_every_action_says_what_it_does(dock):
    named = {action.name for action in dock.shortcuts.actions()}
    for button in dock.findChildren(ActionButton):
        assert not button.shortcut_keys or button.key.name in named
    for action in dock.shortcuts.actions():
        assert action.text, action
        assert not action.text.startswith("key "), action
        assert action.places == (EVERYWHERE,) or EVERYWHERE not in action.places


def test_tools_have_keys_on_both_pages(dock, canvas, qtbot):
    dock.cases.open("p001")
    dock.show_page("annotate")
    dock.setFocus()
    qtbot.keyClick(dock, Qt.Key.Key_E)
    assert canvas.calls[-1] == ("tool", "erase")
    assert dock.annotate_page.tools.buttons["erase"].isChecked()
    qtbot.keyClick(dock, Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.calls[-1] == ("brush", 5.0, True)
    qtbot.keyClick(dock, Qt.Key.Key_BracketRight)
    assert canvas.calls[-1] == ("brush", 5.5, True)
    qtbot.keyClick(dock, Qt.Key.Key_BracketLeft)
    assert canvas.calls[-1] == ("brush", 5.0, True)
    dock.show_page("review")
    qtbot.keyClick(dock, Qt.Key.Key_F)
    assert canvas.calls[-1] == ("tool", "fill")
    qtbot.keyClick(dock, Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.modality == "T2"


def test_the_sheet_shows_changes_and_refuses(dock, qtbot):
    dock.show_page("annotate")
    qtbot.keyClick(dock, Qt.Key.Key_F1)
    sheet = dock.key_sheet
    assert sheet.isVisible()
    assert not sheet.isModal()
    sheet.search.setText("redo")
    shown = [
        head.child(m).text(0)
        for head in (sheet.tree.topLevelItem(n) for n in range(sheet.tree.topLevelItemCount()))
        for m in range(head.childCount())
        if not head.child(m).isHidden()
    ]
    assert shown == ["Redo the stroke or verdict"]
    sheet.pick("redo")
    sheet.edit.setKeySequence("Ctrl+Z")
    sheet.set.click()
    assert "taken" in sheet.what.text()
    sheet.edit.setKeySequence("Ctrl+Y")
    sheet.set.click()
    assert dock.annotate_page.tools.redo.keys == "Ctrl+Y"
    assert read_keys(keys_file()) == {"redo": "Ctrl+Y"}
    assert sheet.tree.currentItem().text(1) == "Ctrl+Y  (yours)"
    sheet.default.click()
    assert dock.annotate_page.tools.redo.keys == "Ctrl+Shift+Z"
    sheet.leave.click()
    assert not sheet.isVisible()
