from __future__ import annotations

import threading
from pathlib import Path

import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor, QFont, QFontDatabase, QHelpEvent, QPalette, QRawFont
from qtpy.QtWidgets import QApplication, QToolTip

import napari_penumbra
from napari_penumbra.domain.errors import ImageError, PenumbraError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.widgets import worker_thread
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.class_list import ClassList, ml_words
from napari_penumbra.widgets.colors import AA, contrast, muted
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.status_line import StatusLine
from napari_penumbra.widgets.tool_box import ToolBox
from napari_penumbra.widgets.worker_thread import Task

SCHEME = LabelScheme.parse(["1=penumbra", "2=core"])


# ---------------------------------------------------------------- messages


def test_an_error_is_one_sentence_with_a_way_on_and_details_behind_a_button(qtbot):
    bar = MessageBar()
    qtbot.addWidget(bar)
    bar.show()
    bar.show_error(ImageError("p007.nii is cut off.", "Copy it again.", "OSError: short read"))
    assert bar.words.text() == "⚠ p007.nii is cut off. Copy it again."
    assert bar.details.isHidden()
    bar._more.click()
    assert "short read" in bar.details.toPlainText()
    with qtbot.waitSignal(bar.dismissed):
        bar._close.click()
    assert bar.isHidden()


def test_a_fault_of_ours_is_told_in_words_too(qtbot):
    bar = MessageBar()
    qtbot.addWidget(bar)
    with bar.guard("opening p007"):
        raise ZeroDivisionError("division by zero")
    assert "while opening p007" in bar.words.text()
    assert "division by zero" not in bar.words.text()
    assert "ZeroDivisionError" in bar.details.toPlainText()


# ---------------------------------------------------------------- threads


def test_a_task_answers_by_signal_in_this_thread(qtbot):
    seen = []
    task = Task(threading.get_ident, "counting")
    task.done.connect(lambda ident: seen.append((ident, threading.get_ident())))
    with qtbot.waitSignal(task.over):
        task.start()
    worker, here = seen[0]
    assert worker != here == threading.get_ident()


def test_a_task_that_fails_says_so(qtbot):
    for raised, expected in ((ImageError("It is cut off."), "It is cut off."), (KeyError("x"), "while counting")):

        def fail(error: Exception = raised) -> None:
            raise error

        task = Task(fail, "counting")
        with qtbot.waitSignal(task.failed) as failed:
            task.start()
        assert isinstance(failed.args[0], PenumbraError)
        assert expected in failed.args[0].message


def test_a_generator_comes_item_by_item_and_can_be_stopped(qtbot):
    go, seen, closed = threading.Event(), [], []

    def items():
        try:
            for n in range(100):
                yield n
                go.wait(5)
        finally:
            closed.append(True)

    task = Task(items, "counting")
    task.step.connect(seen.append)
    task.start()
    qtbot.waitUntil(lambda: seen == [0])
    with qtbot.waitSignal(task.over):
        task.stop()
        go.set()
    assert len(seen) <= 2
    assert closed == [True]


def test_a_cancelled_task_says_nothing_more(qtbot):
    go, seen = threading.Event(), []
    task = Task(lambda: go.wait(5), "waiting")
    task.done.connect(seen.append)
    task.start()
    task.cancel()
    with qtbot.waitSignal(task.over):
        go.set()
    assert seen == []
    assert worker_thread.finish()


# ---------------------------------------------------------------- buttons, keys


def test_a_disabled_button_says_why(qtbot):
    button = ActionButton("Accept", "The region is right.", "A", "accept")
    qtbot.addWidget(button)
    button.allow("Pick a region first.")
    assert not button.isEnabled()
    assert button.toolTip() == "Pick a region first."
    button.allow()
    assert button.toolTip() == "The region is right."


def test_the_shortcut_is_on_the_button(qtbot):
    plain, keyed = ActionButton("Accept"), ActionButton("Accept", shortcut="Shift+A")
    for button in (plain, keyed):
        qtbot.addWidget(button)
        button.grab()
    assert keyed.sizeHint().width() > plain.sizeHint().width()
    assert "Shift+A" in keyed.accessibleName()


def test_where_there_is_no_room_the_shortcut_is_in_the_tooltip(qtbot):
    button = ActionButton("Accept the rest", "Accepts them.", "Shift+A")
    qtbot.addWidget(button)
    button.resize(button.sizeHint())
    button.show()
    place = button.rect().center()
    help_event = QHelpEvent(QEvent.Type.ToolTip, place, button.mapToGlobal(place))
    assert button.minimumSizeHint().width() < button.sizeHint().width()
    QApplication.sendEvent(button, help_event)
    assert QToolTip.text() == "Accepts them."
    button.resize(button.minimumSizeHint())
    QApplication.sendEvent(button, help_event)
    assert QToolTip.text() == "Accepts them. Key: Shift+A"
    QToolTip.hideText()
    button.grab()


# ---------------------------------------------------------------- colours


@pytest.mark.parametrize(("ground", "text"), [("#262930", "#f0f1f2"), ("#efebe9", "#3b3a39"), ("#000000", "#ffff00")])
def test_grey_text_keeps_its_contrast(ground, text):
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor(ground))
    palette.setColor(QPalette.ColorRole.WindowText, QColor(text))
    assert contrast(muted(palette), QColor(ground)) >= AA


# ---------------------------------------------------------------- classes, tools


def test_class_list_shows_names_volumes_and_keys(qtbot):
    classes = ClassList()
    qtbot.addWidget(classes)
    classes.set_scheme(SCHEME)
    classes.set_volumes({1: 12.345, 2: 0.0})
    rows = [[classes.topLevelItem(n).text(c) for c in range(3)] for n in range(3)]
    assert rows == [["penumbra", "12.3", "1"], ["core", "0", "2"], ["unknown", "", "0"]]


def test_keys_pick_classes_and_the_canvas_picks_back(qtbot):
    classes = ClassList()
    qtbot.addWidget(classes)
    classes.set_scheme(SCHEME)
    for key, value in ((2, 2), (0, 255), (1, 1)):
        with qtbot.waitSignal(classes.picked, check_params_cb=lambda v, wanted=value: v == wanted):
            classes.press_key(key)
    with qtbot.assertNotEmitted(classes.picked):
        classes.press_key(7)
        classes.pick(2)
    assert classes.value() == 2


def test_volume_words():
    assert [ml_words(v) for v in (0, 0.123, 12.34, 1234.5)] == ["0", "0.12", "12.3", "1,234"]


def test_tools_both_ways(qtbot):
    tools = ToolBox()
    qtbot.addWidget(tools)
    with qtbot.waitSignal(tools.tool_picked) as picked:
        tools.buttons["fill"].click()
    assert picked.args == ["fill"]
    assert not tools.options.isEnabled()
    with qtbot.assertNotEmitted(tools.tool_picked):
        tools.show_tool("erase")
    assert tools.buttons["erase"].isChecked()
    with qtbot.waitSignal(tools.brush_changed) as brush:
        tools.ball.click()
    assert brush.args == [5.0, True]
    tools.allow("Read-only.")
    assert not tools.buttons["paint"].isEnabled()
    assert tools.buttons["pan"].isEnabled()
    assert tools.buttons["paint"].toolTip() == "Read-only."


# ---------------------------------------------------------------- status line


def test_the_status_line_always_says_something(qtbot):
    line = StatusLine()
    qtbot.addWidget(line)
    line.show_status("", running=False)
    assert line.text()
    line.show_status("mean teacher · step 12/100", running=True)
    line.show_progress(12, 100)
    assert not line.stop.isHidden()
    line.show_error(PenumbraError("The disk is full."))
    assert "The disk is full." in line.text()
    line.show_status("Idle", running=False)
    assert "The disk is full." in line.text(), "an error stays until it is read"
    with qtbot.waitSignal(line.clicked):
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton)
    line.acknowledge()
    assert line.text() == "Idle"


# ---------------------------------------------------------------- signs


def test_every_sign_is_in_the_font_that_bare_linux_desks_have(qapp):
    if "DejaVu Sans" not in QFontDatabase.families():
        pytest.skip("DejaVu Sans is not installed")
    font = QRawFont.fromFont(QFont("DejaVu Sans"))
    words = "".join(file.read_text(encoding="utf-8") for file in Path(napari_penumbra.__file__).parent.rglob("*.py"))
    assert [sign for sign in sorted(set(words)) if sign.isprintable() and not font.supportsCharacter(ord(sign))] == []
