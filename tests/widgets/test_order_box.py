"""The foot of the case list: orders in words, the reader's own wish, predicting ahead."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_penumbra.domain.case import Closing
from napari_penumbra.session import Session, switches
from napari_penumbra.session.switches import PREDICT_AHEAD, remembered
from napari_penumbra.study import orders
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.case_model import second_line
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.study_page import StudyPage


@pytest.fixture(autouse=True)
def _own_config(tmp_path, monkeypatch):
    monkeypatch.setattr(switches.platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "config"))


@pytest.fixture
def page(study, canvas, qtbot):
    bar = MessageBar()
    qtbot.addWidget(bar)
    controller = CaseController(study, canvas, bar)
    page = StudyPage(study, controller)
    qtbot.addWidget(page)
    page.resize(420, 700)
    page.show()
    yield page
    page.disconnect_all()
    controller.disconnect_all()


def names(page: StudyPage) -> list[str]:
    return [row.name for row in page.table.cases.rows]


def test_every_order_is_listed_with_a_sentence(page):
    box = page.order
    assert [box.itemData(n) for n in range(box.count())] == orders.names()
    for n in range(box.count()):
        assert box.itemText(n) == orders.get(box.itemData(n)).title
        assert box.itemData(n, Qt.ItemDataRole.ToolTipRole).endswith(".")
    assert box.currentData() == "auto"


def test_the_default_says_what_it_goes_by_now(page, study):
    words = page.ordering.words
    assert words.text() == "Now “at random, foreground likely”: no model has predicted these cases yet."
    assert words.isVisible()
    page.order.setCurrentIndex(page.order.findData("file"))
    assert study.order == "file"
    assert names(page) == ["p000", "p001", "p002", "p003"]
    assert not words.isVisible()
    assert "in which the cases were added" in page.order.toolTip()


def test_every_waiting_case_has_its_reason(page):
    rows = {row.name: row for row in page.table.cases.rows}
    for name in ("p001", "p002", "p003"):
        assert "at random" in second_line(rows[name])
        index = page.table.cases.index_of(name)
        assert "Why here: " in index.data(Qt.ItemDataRole.ToolTipRole)


def test_the_reader_overrules_the_order(page, study, qtbot):
    last = names(page)[2]
    page.table.pin_wished.emit(last, True)
    qtbot.waitUntil(lambda: names(page)[0] == last)
    assert "you asked for it next" in second_line(page.table.cases.rows[0])
    page.next.click()
    assert page.cases.name == last
    page.table.pin_wished.emit(last, False)
    qtbot.waitUntil(lambda: names(page)[0] != last)


def test_a_wish_is_fulfilled_by_closing_the_case(page, study, qtbot):
    page.table.pin_wished.emit("p002", True)
    study.close_case("p002", np.ones_like(study.load("p002").labels), Closing.COMPLETE)
    study.reopen_case("p002")
    assert not study.opened().case("p002").pinned


def test_predicting_ahead_is_on_until_it_is_switched_off_and_that_is_remembered(page, study, canvas, qtbot):
    box = page.ordering.ahead
    assert box.isChecked()
    assert study.predict_ahead
    assert "There is no model yet." in box.toolTip()
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert not study.predict_ahead
    assert "Switched off" in box.toolTip()
    assert not remembered(PREDICT_AHEAD)
    another = Session()
    again = StudyPage(another, page.cases)
    qtbot.addWidget(again)
    assert not again.ordering.ahead.isChecked()
    assert not another.predict_ahead
    again.disconnect_all()
