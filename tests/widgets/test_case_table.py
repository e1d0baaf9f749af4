from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QImage

from napari_penumbra.domain.case import CaseRow, CaseState, Closing, Role
from napari_penumbra.widgets.case_model import clock, second_line
from napari_penumbra.widgets.case_table import CaseTable


def row(n: int, **changes) -> CaseRow:
    base = CaseRow(f"p{n:04}", ("DWI", "T2"), (), CaseState.NEW, Role.TRAINING, None, 0.0, None)
    return replace(base, **changes)


@pytest.fixture
def table(qtbot):
    table = CaseTable()
    qtbot.addWidget(table)
    table.resize(380, 400)
    table.show()
    return table


def names(table: CaseTable) -> list[str]:
    return [table.filter.index(n, 0).data() for n in range(table.filter.rowCount())]


def test_double_click_and_return_open(table, qtbot):
    table.cases.set_rows([row(1), row(2)], Path("/study"))
    place = table.visualRect(table.filter.index(1, 0)).center()
    with qtbot.waitSignal(table.opened) as opened:
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        qtbot.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert opened.args == ["p0002"]
    with qtbot.waitSignal(table.opened):
        qtbot.keyClick(table, Qt.Key.Key_Return)


def test_a_changed_row_keeps_selection_and_scroll(table):
    table.cases.set_rows([row(n) for n in range(200)], Path("/study"))
    table.select("p0150")
    at = table.verticalScrollBar().value()
    changed = [row(n, state=CaseState.PREDICTED) if n == 3 else row(n) for n in range(200)]
    table.cases.set_rows(changed, Path("/study"))
    assert table.selected() == "p0150"
    assert table.verticalScrollBar().value() == at


def test_filter_by_name_state_or_reason(table):
    rows = [row(2), row(1, state=CaseState.ACCEPTED), row(3, state=CaseState.PREDICTED, reason="weak at the border")]
    table.cases.set_rows(rows, Path("/study"))
    assert names(table) == ["p0002", "p0001", "p0003"]
    table.filter.set_filter("weak predicted")
    assert names(table) == ["p0003"]
    table.filter.set_filter("000")
    assert names(table) == ["p0002", "p0001", "p0003"]


def test_second_line_and_clock():
    shown = row(1, missing=("Tmax",), role=Role.VALIDATION, closing=Closing.PARTIAL, reason="weak at the border")
    assert second_line(shown) == ("frozen: measures models, never trains · without Tmax · partial · weak at the border")
    assert [clock(s) for s in (0, 5, 100, 3700)] == ["", "0:05", "1:40", "1:01:40"]


def test_two_thousand_cases_are_shown_and_updated(table, tmp_path):
    picture = QImage(64, 64, QImage.Format.Format_RGB32)
    picture.fill(QColor("gray"))
    picture.save(str(tmp_path / "t.png"))
    rows = [row(n, thumbnail=Path("t.png"), reason="next: weak at the posterior border") for n in range(2000)]
    table.cases.set_rows(rows, tmp_path)
    table.grab()
    assert table.model().rowCount() == 2000
    table.cases.set_rows([*rows[:-1], replace(rows[-1], state=CaseState.PREDICTED)], tmp_path)
    table.grab()
    assert table.model().rowCount() == 2000


def test_a_broken_thumbnail_does_not_matter(table, tmp_path):
    (tmp_path / "t.png").write_bytes(b"no picture")
    table.cases.set_rows([row(1, thumbnail=Path("t.png"))], tmp_path)
    assert not table.grab().isNull()
    assert table.model().rowCount() == 1


def test_what_a_screen_reader_says(table):
    table.cases.set_rows([row(1, state=CaseState.IN_REVIEW)], Path("/study"))
    assert "in review" in table.filter.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)
