from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QScrollBar, QWidget

from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.widgets.dock import Dock
from napari_penumbra.widgets.fold import Fold

NAMES = [
    "tab_study",
    "tab_annotate",
    "tab_train",
    "tab_review",
    "case_table",
    "open_next",
    "add_cases",
    "open_study",
    "new_study",
    "case_complete",
    "save_partial",
    "class_list",
    "method",
    "preset",
    "steps",
    "start",
    "stop",
    "curves",
    "preflight",
    "region_list",
    "next_region",
    "accept_region",
    "reject_region",
    "unknown_region",
    "accept_case",
    "undo_decision",
    "confidence_on",
    "confidence_threshold",
    "status_line",
]


@pytest.fixture
def dock(session, canvas, qtbot):
    dock = Dock(session, canvas)
    qtbot.addWidget(dock)
    dock.show()
    yield dock
    dock.close()


def test_every_name_of_the_contract_is_there_once(dock):
    for name in NAMES:
        assert len(dock.findChildren(QWidget, name)) == 1, name


@pytest.mark.parametrize("page", ["study", "annotate", "train", "review"])
def test_every_page_says_what_to_do_when_there_is_nothing(dock, page):
    dock.findChild(QWidget, f"tab_{page}").click()
    assert dock.page() == page
    empty = dock.findChild(QWidget, f"{page}_empty")
    assert empty.isVisible()
    assert empty.words.text()
    assert empty.button.isVisible()
    if page != "study":
        empty.button.click()
        assert dock.page() == "study"


def test_fits_a_narrow_dock_on_a_low_screen(dock, study):
    dock.cases.open("p000")
    for page in ("study", "annotate", "train", "review"):
        dock.show_page(page)
        hint = dock.minimumSizeHint()
        assert hint.width() <= 400, page
        assert hint.height() <= 600, page


CONTROLS = (QAbstractButton, QComboBox, QAbstractSlider, QAbstractSpinBox)


def controls_on(dock) -> list[QWidget]:
    """What can be seen of the page that can be pressed, moved or chosen; parts of a control are not controls."""
    seen = [control for kind in CONTROLS for control in dock.findChildren(kind) if control.isVisible()]
    parts = {part for control in seen for part in control.findChildren(QWidget)}
    return [c for c in seen if c not in parts and not isinstance(c, QScrollBar) and c.parentWidget().isEnabled()]


@pytest.mark.parametrize("case", [None, "p000", "p001"])
def test_a_disabled_control_says_why(dock, study, case):
    if case is not None:
        dock.cases.open(case)
    disabled = 0
    for page in ("study", "annotate", "train", "review"):
        dock.show_page(page)
        for fold in dock.pages.currentWidget().findChildren(Fold):
            fold.expand(animate=False)
        for control in controls_on(dock):
            if not control.isEnabled():
                disabled += 1
                assert control.toolTip(), control.objectName()
                # The words of an enabled button say what it does, and not why it cannot.
                assert control.toolTip() != getattr(control, "_tooltip", ""), control.objectName()
    assert disabled >= 5


def test_every_button_says_what_it_will_do(dock, study):
    dock.cases.open("p001")
    for page in ("study", "annotate", "train", "review"):
        dock.show_page(page)
        for control in controls_on(dock):
            if not isinstance(control.parentWidget(), Fold):  # a headline says itself what is below it
                said = control.toolTip().strip(".").lower()
                assert said, control.objectName()
                assert said != getattr(control, "text", str)().strip(" .…").lower(), control.objectName()


def test_status_line_follows_the_session_and_is_never_empty(dock, session, study):
    assert dock.status.text() == session.status
    session.failed.emit(JobError("Training failed: the disk is full.", "Make room."))
    assert "disk is full" in dock.status.text()
    assert "disk is full" in dock.messages.words.text()
    dock.status.clicked.emit()
    assert dock.status.text() == session.status


def test_what_another_thread_says_is_shown_by_this_one(dock, session, monkeypatch):
    seen = []
    shown = dock.status.show_error
    monkeypatch.setattr(dock.status, "show_error", lambda error: (seen.append(threading.get_ident()), shown(error)))
    thread = threading.Thread(target=session.failed.emit, args=(JobError("The disk is full."),))
    thread.start()
    thread.join()
    assert seen == [], "the other thread touches no widget"
    dock.poll()
    assert seen == [threading.get_ident()]
    assert "disk is full" in dock.status.text()


def test_opening_a_case_from_the_table_goes_to_annotate(dock, study):
    dock.study_page.open_case("p001")
    assert dock.page() == "annotate"


def test_a_study_that_is_in_use_is_read_only_with_a_banner(dock, study, tmp_path, qtbot):
    from array_canvas import ArrayCanvas

    from napari_penumbra.session import Session

    other = Session()
    canvas = ArrayCanvas(other)
    second = Dock(other, canvas)
    qtbot.addWidget(second)
    second.show()
    second.study_page.open_folder(study.study.root)
    assert other.readonly
    assert second.banner.isVisible()
    assert "Read-only" in second.banner.text()
    assert second.cases.open("p001")
    second.show_page("annotate")
    for name in ("case_complete", "save_partial", "tool_paint", "tool_erase"):
        control = second.findChild(QWidget, name)
        assert not control.isEnabled()
        assert "read-only" in control.toolTip()
    assert not second.study_page.add.isEnabled()
    second.close()
    other.close()


def test_closing_the_study_clears_the_canvas(dock, study, canvas, session):
    dock.cases.open("p001")
    session.close()
    assert canvas.case is None
    dock.show_page("annotate")
    assert dock.annotate_page.empty.words.text() == "No study open."


def test_polling_survives_a_fault_and_tells_it(dock, session, monkeypatch):
    def broken() -> None:
        raise OSError("share is gone")

    monkeypatch.setattr(session, "poll", broken)
    dock.poll()
    assert "background process" in dock.messages.words.text()


def test_shutting_down_twice_is_safe(dock, study):
    before = dock.messages.words.text()
    dock.shut_down()
    dock.shut_down()  # whatever is let go of twice would raise
    study.failed.emit(UsageError("Said to nobody.", "Nothing to do."))
    assert dock.messages.words.text() == before


def test_another_study_with_a_case_of_the_same_name_clears_the_canvas(dock, study, canvas, tmp_path):
    from array_canvas import SCHEME, fill

    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    (tmp_path / "other").mkdir()
    dock.cases.save()
    study.create(tmp_path / "second", "Second", ["DWI", "T2"], SCHEME)
    assert canvas.case is None
    fill(study, tmp_path / "other", cases=2)
    assert study.study.read("p001").labels.max() == 0


def test_deleting_the_dock_without_closing_it_lets_go(session, canvas, qtbot):
    dock = Dock(session, canvas)
    dock.show()
    dock.deleteLater()
    qtbot.waitUntil(lambda: dock._closed)
    session.status_changed.emit("nobody listens")
    session.study_changed.emit()


def test_words_of_a_listener_are_not_lost(dock, session):
    from napari_penumbra.domain.errors import DiskError

    def full() -> None:
        raise DiskError("The disk is full.", "Make room.")

    session.study_changed.connect(full)
    with dock.messages.guard("testing"):
        session.study_changed.emit()
    session.study_changed.disconnect(full)
    assert dock.messages.words.text() == "⚠ The disk is full. Make room."


def test_the_next_case_is_read_while_the_reader_works_on_this_one(dock, canvas, study, qtbot, monkeypatch):
    read = []
    whole = study.read_ahead
    monkeypatch.setattr(study, "read_ahead", lambda name: (whole(name), read.append(name)))
    dock.cases.open("p001")
    assert dock.ahead.busy
    dock.ahead._soon.start(0)
    qtbot.waitUntil(lambda: not dock.ahead.busy, timeout=5000)
    assert read == [dock.cases.next_name()]
    (path,) = [path for path in study.study._core.ahead._kept if "DWI" in path.name]
    assert path.is_file()
    assert dock.cases.open(read[0])
    assert study.study._core.ahead._kept == {}
    np.testing.assert_array_equal(canvas.shown.images["DWI"], study.study.read(read[0]).images["DWI"])
