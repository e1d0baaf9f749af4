"""The computing tools on the Annotate page, with an array for a picture."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from array_canvas import SCHEME
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QPushButton
from superqt import QLabeledDoubleSlider

from napari_penumbra.imaging.edits import TOOLS, Edit, Stopped
from napari_penumbra.widgets.dock import Dock
from napari_penumbra.widgets.edit_controller import LIVE_MS, State
from napari_penumbra.widgets.edit_words import change_words

BY_KEY = {tool.key: tool for tool in TOOLS}


@pytest.fixture
def dock(study, canvas, qtbot):
    study.order = "file"
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("annotate")
    dock.cases.open("p001")
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow)
    dock.setFocus()
    yield dock
    dock.close()


@pytest.fixture
def edits(dock):
    return dock.annotate_page.edits


def painted(canvas):
    """Two slices with a gap of two between them."""
    canvas.paint(((1, 5, 5), (2, 12, 12)), 1)
    canvas.paint(((4, 5, 5), (5, 12, 12)), 1)


def preview_of(edits, qtbot, key):
    edits.open(BY_KEY[key])
    qtbot.waitUntil(lambda: edits.controller.state is State.PREVIEW, timeout=5000)


def test_a_key_opens_previews_and_applies_as_one_step(dock, edits, canvas, study, qtbot):
    painted(canvas)
    assert dock.annotate_page.edits_fold.isExpanded() is False
    qtbot.keyClick(dock, Qt.Key.Key_I, Qt.KeyboardModifier.ShiftModifier)
    assert dock.annotate_page.edits_fold.isExpanded()
    qtbot.waitUntil(lambda: canvas.preview is not None)
    box, after, changed = canvas.preview
    assert box == ((2, 5, 5), (4, 12, 12))
    assert changed.all()
    assert (after == 1).all()
    assert edits.words.text() == "Adds 98 voxels (1.96 ml) of penumbra."
    assert edits.notes.text() == "2 slices between 2 painted ones."
    assert not canvas.labels()[2].any(), "a preview writes nothing"
    steps = len(canvas._history)
    qtbot.keyClick(dock, Qt.Key.Key_Return)
    assert (canvas.labels()[1:5, 5:12, 5:12] == 1).all()
    assert len(canvas._history) == steps + 1
    assert canvas.preview is None
    assert edits.words.text().startswith("Interpolate applied")
    canvas.undo()
    assert not canvas.labels()[2:4].any()
    assert not edits.bar.isVisible(), "what was said of it is no news any more"


def test_escape_cancels_and_enter_is_free_again(dock, edits, canvas, qtbot):
    painted(canvas)
    preview_of(edits, qtbot, "interpolate")
    qtbot.keyClick(dock, Qt.Key.Key_Escape)
    assert canvas.preview is None
    assert edits.controller.tool is None
    before = canvas.labels().copy()
    qtbot.keyClick(dock, Qt.Key.Key_Return)
    np.testing.assert_array_equal(canvas.labels(), before)


def test_an_option_makes_the_preview_anew(edits, canvas, qtbot):
    canvas.paint(((3, 8, 8), (4, 10, 10)), 1)
    preview_of(edits, qtbot, "margin")
    small = edits.controller.edit
    edits.form.controls["mm"].setValue(6.0)
    assert edits.controller.edit is None, "what is shown is not what would be applied"
    assert not edits.apply.isEnabled()
    qtbot.waitUntil(lambda: edits.controller.edit is not None)
    assert np.count_nonzero(edits.controller.edit.after) > np.count_nonzero(small.after)
    edits.open(BY_KEY["margin"])
    assert edits.form.values()["mm"] == 6.0, "options are remembered"


@pytest.mark.parametrize("how", ["stroke", "case", "page", "fold"])
def test_a_stale_preview_vanishes(dock, edits, canvas, qtbot, how):
    painted(canvas)
    dock.annotate_page.edits_fold.expand(animate=False)
    preview_of(edits, qtbot, "interpolate")
    if how == "stroke":
        canvas.paint(((0, 0, 0), (1, 2, 2)), 2)
        assert "changed meanwhile" in edits.words.text()
        assert edits.preview.isEnabled()
    elif how == "case":
        dock.cases.open("p002")
    elif how == "page":
        dock.show_page("train")
    else:
        dock.annotate_page.edits_fold.collapse(animate=False)
    assert canvas.preview is None
    assert edits.controller.edit is None
    assert not edits.controller.apply()


def test_what_changed_unseen_is_never_written_over(edits, canvas, qtbot):
    """Voxels that changed without a stroke being told: the edit was made for others."""
    painted(canvas)
    preview_of(edits, qtbot, "interpolate")
    canvas.array[2, 6, 6] = 2
    edits.apply.click()
    assert canvas.labels()[2, 6, 6] == 2
    assert not canvas.labels()[3].any()
    assert "changed meanwhile" in edits.words.text()


def test_a_click_starts_it_and_the_next_click_the_next(edits, canvas, qtbot):
    edits.open(BY_KEY["smart_fill"])
    assert edits.words.text() == "Click into the picture."
    assert not edits.preview.isEnabled()
    canvas.on_point((3, 9, 11))
    qtbot.waitUntil(lambda: edits.controller.state is State.PREVIEW)
    edits.apply.click()
    assert canvas.labels()[3, 9, 11] == 1
    assert edits.controller.state is State.CLICK
    assert canvas.on_point is not None
    edits.cancel.click()
    assert canvas.on_point is None


def test_in_3d_it_says_that_clicks_are_for_slices(edits, canvas):
    edits.open(BY_KEY["smart_fill"])
    canvas.views.turn(True)
    assert "in slices only" in edits.words.text()
    assert "2D/3D" in edits.preview.toolTip()
    canvas.views.turn(False)
    assert edits.words.text() == "Click into the picture."


def test_with_the_mouse_over_the_picture_the_key_is_enough(dock, edits, canvas, qtbot):
    canvas.looking_at = replace(canvas.looking_at, point=(3, 9, 11))
    qtbot.keyClick(dock, Qt.Key.Key_F, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: edits.controller.state is State.PREVIEW)


def test_taking_up_the_brush_ends_the_waiting_for_a_click(edits, canvas):
    edits.open(BY_KEY["smart_fill"])
    canvas.tool_changed.emit("pan")
    assert edits.controller.tool is not None
    canvas.tool_changed.emit("paint")
    assert edits.controller.tool is None
    assert canvas.on_point is None


def test_an_error_is_said_where_the_eye_is(edits, canvas, qtbot):
    edits.open(BY_KEY["pieces"])
    qtbot.waitUntil(lambda: "Nothing is painted as penumbra" in edits.words.text())
    assert not edits.apply.isEnabled()
    assert edits.apply.toolTip() == "Preview first: it shows what will change."


def test_tools_that_cannot_work_say_why(edits, dock, study):
    assert "no prediction yet" in edits.buttons["prediction"].toolTip()
    dock.cases.open("p003")
    assert "this case has one" in edits.buttons["mismatch"].toolTip()
    assert edits.buttons["interpolate"].isEnabled()


def test_a_slow_tool_shows_progress_and_stops(edits, canvas, qtbot, monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    ended: list[bool] = []

    def slow(scene, options, report):
        started.set()
        report(0.4)
        go_on.wait(5)
        try:
            report(0.5)
        except Stopped:
            ended.append(True)
            raise
        return Edit(((0, 0, 0), (1, 1, 1)), np.zeros((1, 1, 1), np.uint8), np.ones((1, 1, 1), np.uint8))

    tool = replace(BY_KEY["walker"], run=slow)
    edits.open(tool)
    assert not started.is_set(), "a slow tool waits to be asked"
    edits.preview.click()
    qtbot.waitUntil(started.is_set)
    qtbot.waitUntil(edits.progress.isVisible, timeout=2000)
    qtbot.waitUntil(lambda: edits.progress.value() == 40)
    assert edits.apply.toolTip() == "The tool is still running."
    edits.cancel.click()
    assert edits.words.text() == "Stopped; nothing was changed."
    go_on.set()
    qtbot.waitUntil(lambda: ended == [True])
    qtbot.wait(50)
    assert canvas.preview is None
    assert edits.controller.tool is not None, "the options stay for another try"


def test_a_fault_of_a_tool_is_told_with_its_text(dock, edits, qtbot):
    def broken(scene, options, report):
        raise ZeroDivisionError("by chance")

    edits.open(replace(BY_KEY["holes"], run=broken))
    qtbot.waitUntil(lambda: "Something went wrong while running Fill holes" in edits.words.text())
    assert "by chance" in dock.messages.details.toPlainText()


def test_picking_another_class_previews_that_one(dock, edits, canvas, qtbot):
    painted(canvas)
    canvas.paint(((0, 0, 0), (1, 4, 4)), 2)
    preview_of(edits, qtbot, "margin")
    dock.annotate_page.classes.press_key(2)
    canvas.class_changed.emit(2)
    assert edits.controller.edit is None
    qtbot.waitUntil(lambda: edits.controller.edit is not None)
    assert set(edits.controller.edit.tally()) == {2}


def test_a_stroke_with_a_newly_picked_class_leaves_no_preview_behind(dock, edits, canvas, qtbot):
    """Picking a class makes a preview due; a stroke that comes before it must not be followed by it."""
    painted(canvas)
    canvas.paint(((0, 0, 0), (1, 4, 4)), 2)
    preview_of(edits, qtbot, "margin")
    canvas.class_changed.emit(2)
    canvas.paint(((0, 5, 5), (1, 7, 7)), 2)
    assert "changed meanwhile" in edits.words.text()
    qtbot.wait(3 * LIVE_MS)
    assert edits.controller.state is State.READY
    assert canvas.preview is None


def test_read_only_allows_no_tool(dock, edits, monkeypatch):
    words = "This study is open read-only: another window writes to it."
    monkeypatch.setattr(type(dock.session), "why_not_write", lambda self, name: words)
    edits.refresh()
    assert all("read-only" in edits.buttons[tool.key].toolTip() for tool in TOOLS)
    edits.open(BY_KEY["interpolate"])
    assert edits.controller.tool is None
    assert "read-only" in edits.words.text()


def test_every_form_reads_back_what_it_shows(edits):
    shown = []
    for tool in TOOLS:
        options = edits.controller.open(tool, {})
        if options is None:
            assert tool.key == "prediction", "the only one that needs what this case lacks"
            continue
        edits._make_form(tool, options.model_dump())
        assert edits.form.read() == options
        for name, control in edits.form.controls.items():
            assert isinstance(control, QCheckBox | QComboBox | QLabeledDoubleSlider), name
            assert control.toolTip()
            assert control.accessibleName()
        edits.controller.close()
        assert edits.form is None
        shown.append(tool.key)
    assert len(shown) == len(TOOLS) - 1


def test_every_tool_has_a_button_with_its_key(edits):
    for tool in TOOLS:
        button = edits.findChild(QPushButton, f"edit_{tool.key}")
        assert button.text() == tool.title
        assert button.keys


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([0, 0, 1], [0, 0, 1], "Nothing would change."),
        ([0, 0, 1], [1, 0, 1], "Adds 1 voxel (0.50 ml) of penumbra."),
        ([0, 0, 1], [1, 255, 1], "Adds 1 voxel (0.50 ml) of penumbra and 1 voxel (0.50 ml) of unknown."),
        ([2, 2, 1], [1, 0, 1], "Adds 1 voxel (0.50 ml) of penumbra. Takes away 2 voxels (1.00 ml) of core."),
    ],
)
def test_words(before, after, words):
    box = ((0, 0, 0), (1, 1, 3))
    edit = Edit(box, *(np.array(v, np.uint8).reshape(1, 1, 3) for v in (before, after)))
    names = {c.value: c.name for c in SCHEME.classes}
    assert change_words(edit, names, 0.5) == words
    assert "pixel" in change_words(edit, names, None) or words.startswith("Nothing")
