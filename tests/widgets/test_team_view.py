"""The list of a team: what is asked twice, what cannot be taken, and what stays chosen."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from napari_penumbra.session.together import CheckedOut, Crew
from napari_penumbra.study.team.leases import EXPIRE_S, Holder
from napari_penumbra.study.team.rescue import Unsaved
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.team_view import TeamView

NOW = dt.datetime(2026, 3, 4, 15, 0, tzinfo=dt.UTC)


def held(case: str, reader: str, silent: float = 1.0, mine: bool = False) -> CheckedOut:
    return CheckedOut(case, Holder(len(reader), reader, NOW, silent), mine)


BEN, MINE, GONE = held("p1", "ben"), held("p2", "anna", mine=True), held("p3", "carla", silent=EXPIRE_S + 60)


@pytest.fixture
def view(qtbot: Any) -> TeamView:
    made = TeamView("Strokes")
    qtbot.addWidget(made)
    made.taken = []
    made.left = []
    made.taking_wished.connect(made.taken.append)
    made.leaving_wished.connect(lambda: made.left.append(True))
    made.show_crew(Crew("db/penumbra", [BEN, MINE, GONE], [Unsaved("p1", "ben", 1, NOW.timestamp())]))
    return made


def choose(view: TeamView, row: int) -> None:
    view.table.setCurrentItem(view.table.topLevelItem(row))


def test_it_says_who_has_what(view: TeamView) -> None:
    rows = [[view.table.topLevelItem(n).text(c) for c in range(4)] for n in range(3)]
    assert [row[:2] for row in rows] == [["p1", "ben"], ["p2", "anna (this window)"], ["p3", "carla"]]
    assert rows[0][3] == "1 s ago"
    assert rows[2][3].endswith("ago, so it is free")
    assert view.head.text() == "The index is on db/penumbra. 3 cases checked out."
    assert "p1: 1 stroke of ben not saved yet" in view.unsaved.text()


def test_its_close_button_is_like_those_of_the_other_windows(view: TeamView, qtbot: Any) -> None:
    assert isinstance(view.close_button, ActionButton)
    assert all(button.icon().isNull() for button in view.buttons.buttons()), "the style's cross is dark on dark"
    with qtbot.waitSignal(view.rejected):
        view.close_button.click()


def test_a_case_of_somebody_at_work_is_asked_for_twice(view: TeamView) -> None:
    choose(view, 0)
    view.take.click()
    assert view.taken == []
    assert "ben was heard of 1 s ago and may be drawing on p1." in view.messages.words.text()
    view.take.click()
    assert view.taken == ["p1"]


@pytest.mark.parametrize("between", ["another row", "leaving"])
def test_being_sure_of_one_thing_is_not_being_sure_of_another(view: TeamView, between: str) -> None:
    view.take.click()
    if between == "another row":
        choose(view, 2)
        choose(view, 0)
    else:
        view.leave.click()
    view.take.click()
    assert view.taken == []
    assert view.left == []


def test_a_case_of_a_dead_machine_is_taken_at_once(view: TeamView) -> None:
    choose(view, 2)
    view.take.click()
    assert view.taken == ["p3"]


def test_the_own_case_is_not_taken_from_oneself(view: TeamView) -> None:
    choose(view, 1)
    assert not view.take.isEnabled()
    assert "It is yours" in view.take.toolTip()


def test_what_is_chosen_stays_chosen_and_may_be_gone(view: TeamView) -> None:
    choose(view, 2)
    view.show_crew(Crew("db/penumbra", [BEN, GONE], []))
    assert view.chosen() == GONE
    assert not view.unsaved.isVisibleTo(view)
    view.show_crew(Crew("db/penumbra", [], []))
    assert view.chosen() is None
    assert not view.take.isEnabled()
    assert view.head.text().endswith("Every case is free.")


def test_leaving_is_asked_twice(view: TeamView) -> None:
    view.leave.click()
    assert view.left == []
    view.leave.click()
    assert view.left == [True]


def test_while_the_server_is_asked_no_other_wish_is_taken(view: TeamView) -> None:
    choose(view, 2)
    view.begin_asking()
    assert view.head.text() == "Asking the server…"
    assert not any(button.isEnabled() for button in (view.take, view.look, view.leave))
    choose(view, 0)
    assert not view.take.isEnabled(), "also for another row"
    view.end_asking()
    assert view.head.text() == "The index is on db/penumbra. 3 cases checked out."
    assert all(button.isEnabled() for button in (view.take, view.look, view.leave))


def test_a_view_without_an_answer_claims_nothing(qtbot: Any) -> None:
    made = TeamView("Strokes")
    qtbot.addWidget(made)
    made.begin_asking()
    made.end_asking()
    assert made.head.text() == ""
    assert not made.take.isEnabled()
