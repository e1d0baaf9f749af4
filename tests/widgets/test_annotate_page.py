from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_penumbra.widgets import case_controller
from napari_penumbra.widgets.dock import Dock


@pytest.fixture
def dock(study, canvas, qtbot):
    dock = Dock(study, canvas)
    study.order = "file"
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("annotate")
    yield dock
    dock.close()


@pytest.fixture
def page(dock):
    return dock.annotate_page


def volumes(page) -> list[str]:
    return [page.classes.topLevelItem(n).text(1) for n in range(page.classes.topLevelItemCount())]


def test_without_a_case_the_button_opens_one(dock, page, canvas):
    assert "No case open" in page.empty.words.text()
    page.empty.button.click()
    assert canvas.case == "p001"
    assert not page._filled.isHidden()


def test_shows_classes_volumes_and_modalities(dock, page, canvas):
    dock.cases.open("p000")
    assert volumes(page)[0] == "1.28"  # 64 voxels of 20 mm³
    assert list(page.strip.buttons) == ["DWI", "T2"]
    assert ("class", 1) in canvas.calls
    dock.cases.open("p003")
    assert not page.strip.buttons["T2"].isEnabled()
    assert page.strip.buttons["T2"].toolTip() == "This case has no T2."


def test_volumes_follow_the_brush(dock, page, canvas, qtbot):
    dock.cases.open("p001")
    assert volumes(page) == ["0", "0", "0"]
    canvas.paint(((2, 0, 0), (3, 5, 10)), 2)
    qtbot.waitUntil(lambda: volumes(page) == ["0", "1.00", "0"])
    canvas.undo()
    qtbot.waitUntil(lambda: volumes(page) == ["0", "0", "0"])


def test_in_3d_the_note_says_what_the_brush_does_there(dock, page, canvas):
    dock.cases.open("p001")
    assert page.note.isHidden()
    canvas.views.turn(True)
    assert "only what is painted already" in page.note.text()
    assert "2D/3D" in page.note.text(), "the way back"
    canvas.views.turn(False)
    assert page.note.isHidden()


def test_class_tool_and_modality_go_both_ways(dock, page, canvas):
    dock.cases.open("p001")
    page.classes.press_key(2)
    assert canvas.calls[-1] == ("class", 2)
    canvas.class_changed.emit(1)
    assert page.classes.value() == 1
    page.tools.buttons["erase"].click()
    assert canvas.calls[-1] == ("tool", "erase")
    canvas.tool_changed.emit("pan")
    assert page.tools.buttons["pan"].isChecked()
    page.strip.buttons["T2"].click()
    assert canvas.modality == "T2"
    canvas.flip_modality()
    assert page.strip.buttons["DWI"].isChecked()
    page.strip.window_slider.setValue((100.0, 150.0))
    assert canvas.contrast()[2:] == pytest.approx((100.0, 150.0), abs=1)


def test_case_complete_closes_and_reopen_takes_it_back(dock, page, canvas, study, qtbot):
    dock.cases.open("p001")
    assert page.complete.isEnabled(), "a case may be complete with nothing painted: no lesion"
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    assert "not saved yet" in page.head.text()
    page.complete.click()
    assert study.study.case("p001").state.value == "annotated"
    assert study.counts().labelled == 2
    assert not page.complete.isEnabled()
    assert "closed" in page.complete.toolTip()
    page.reopen.click()
    assert study.counts().labelled == 1
    assert page.complete.isEnabled()


def test_save_as_partial_makes_untouched_slices_unknown(dock, page, canvas, study):
    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    page.partial.click()
    labels = study.study.read("p001").labels
    assert (labels[0] == 255).all()
    assert labels[2, 3, 3] == 1
    assert labels[2, 0, 0] == 0


def test_next_and_previous_save_first(dock, page, canvas, study, qtbot):
    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    page.next.click()
    assert canvas.case == "p002"
    assert study.study.read("p001").labels[2, 3, 3] == 1
    page.previous.click()
    assert canvas.case == "p001"


def test_autosave_saves_what_is_dirty_and_only_that(dock, page, canvas, study):
    dock.cases.open("p001")
    dock.cases.autosave()
    assert len(study.study.annotations("p001")) == 0
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    dock.cases.autosave()
    dock.cases.autosave()
    assert not canvas.dirty()
    study.finish_draft()
    assert len(study.study.annotations("p001")) == 1


def test_a_button_that_qt_believes_pressed_for_ever_does_not_stop_autosave(dock, canvas, study, monkeypatch, qtbot):
    monkeypatch.setattr(QApplication, "mouseButtons", staticmethod(lambda: Qt.MouseButton.LeftButton))
    monkeypatch.setattr(case_controller, "RETRY_MS", 5)
    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    dock.cases.autosave()
    assert canvas.dirty(), "not in the middle of a stroke"
    qtbot.waitUntil(lambda: not canvas.dirty(), timeout=5000)


def test_closing_the_dock_saves(dock, canvas, study):
    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    dock.close()
    assert study.study.read("p001").labels[2, 3, 3] == 1


def test_strokes_of_a_crash_are_brought_back_and_told(dock, canvas, study):
    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    dock.session.study_changed.emit()
    canvas._dirty = False  # as if the window had been killed: nothing is saved on the way out
    dock.cases.open("p001")
    assert "brought back" in dock.messages.words.text()
    assert canvas.labels()[2, 3, 3] == 1
    assert canvas.dirty()


def test_a_failed_save_is_told_and_the_case_stays(dock, canvas, study, monkeypatch):
    from napari_penumbra.domain.errors import DiskError

    def full(*_args, **_kwargs):
        raise DiskError("The disk is full.", "Make room, then save again.")

    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    monkeypatch.setattr(study.study, "save", full)
    dock.cases.open("p002")
    assert canvas.case == "p001"
    assert canvas.dirty()
    assert "disk is full" in dock.messages.words.text()
    monkeypatch.undo()
    assert dock.cases.open("p002")


def test_keys(dock, page, canvas, study, qtbot):
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow)
    dock.cases.open("p001")
    dock.setFocus()
    qtbot.keyClick(dock, Qt.Key.Key_2)
    assert page.classes.value() == 2
    qtbot.keyClick(dock, Qt.Key.Key_Tab)
    assert canvas.modality == "T2"
    qtbot.keyClick(dock, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert canvas.case == "p002"
    qtbot.keyClick(dock, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    assert canvas.case == "p001"
    qtbot.keyClick(dock, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert study.study.case("p001").state.value == "annotated"
