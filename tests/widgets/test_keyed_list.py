"""What is picked stays picked, whatever rows come and go."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from napari_penumbra.widgets.keyed_list import KeyedList, Row


def rows(*keys: str) -> list[Row]:
    return [Row(key, key.upper(), f"about {key}") for key in keys]


def test_the_picked_row_is_kept_by_its_key(qtbot: QtBot) -> None:
    made = KeyedList("list", "Things", 4)
    qtbot.addWidget(made)
    assert made.key() is None
    made.show_rows(rows("a", "b"))
    assert made.key() == "a"
    made.pick("b")
    made.pick("not there")
    assert made.key() == "b"
    same = made.item(1)
    made.show_rows([Row("a", "x", ""), Row("b", "y", "tip")])
    assert made.item(1) is same, "rows of the same keys are not made anew: the list does not jump"
    assert (same.text(), same.toolTip()) == ("y", "tip")
    heard: list[str | None] = []
    made.currentItemChanged.connect(lambda *_: heard.append(made.key()))
    made.show_rows(rows("c", "b", "a"))
    assert (made.keys(), made.key(), heard) == (["c", "b", "a"], "b", ["b"])
    made.show_rows(rows("c"))
    assert made.key() == "c"
    made.show_rows([])
    assert made.key() is None


def test_a_long_row_goes_on_in_a_second_line_instead_of_losing_its_end(qtbot: QtBot) -> None:
    made = KeyedList("list", "Things", 8)
    qtbot.addWidget(made)
    made.show_rows([Row("a", "short", ""), Row("b", "a word and another one and " * 3 + "the end", "")])
    made.resize(300, 200)
    made.show()
    qtbot.waitUntil(lambda: made.visualItemRect(made.item(1)).height() >= 2 * made.fontMetrics().lineSpacing())
    assert made.visualItemRect(made.item(1)).width() <= made.viewport().width()
    assert made.visualItemRect(made.item(0)).height() < 2 * made.fontMetrics().lineSpacing()
