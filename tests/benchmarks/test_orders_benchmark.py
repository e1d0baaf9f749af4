"""The benchmark of orders: its plan, its minutes, its table, and one cell with a played worker; no training."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import orders
import pytest
from orders import METHOD, ORDERS, QUICK, Cell, Plan

from napari_penumbra.session.robot import Work
from napari_penumbra.session.simulate import Simulation
from napari_penumbra.session.simulation import Result, Round
from napari_penumbra.study import orders as registered


@pytest.fixture(autouse=True)
def _own_work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_BENCH_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("PENUMBRA_BENCH_DATA", str(tmp_path / "nowhere"))


def result(cell: Cell, plan: Plan, rounds: int, gain: float = 0.1) -> Result:
    made = [
        Round(n + 1, [Work(f"p{n}", 10, 20, 2, 1, 0, 5)], dice={"a": 0.3 + gain * n}, seconds=120.0)
        for n in range(rounds)
    ]
    return Result("Cohort", plan.settings(cell), ["a"], ["p0"], cell.method, "laptop", made)


def test_every_order_is_one_of_the_program_and_those_that_need_no_plan_are_left_out() -> None:
    assert set(ORDERS) <= set(registered.names())
    assert not {"auto", "file"} & set(ORDERS)


def test_all_orders_of_a_seed_differ_in_nothing_else() -> None:
    plan = Plan()
    settings = [asdict(plan.settings(Cell("stroke", order, 1))) | {"order": ""} for order in ORDERS]
    assert all(s == settings[0] for s in settings)
    assert len({Cell("la", o, s).id for o in ORDERS for s in (0, 1)}) == 2 * len(ORDERS)
    assert plan.settings(Cell("la", "random", 0)).held_out == 20


def test_minutes_are_those_of_the_rounds_that_were_timed(tmp_path: Path) -> None:
    plan, cells = Plan(rounds=3), [Cell("stroke", "random", 0), Cell("stroke", "classes", 0)]
    assert orders.left_minutes(cells, plan, tmp_path) == 8 * orders.MINUTES_A_ROUND
    place = orders.place_of(cells[0], tmp_path)
    place.mkdir(parents=True)
    result(cells[0], plan, rounds=3).write(place)
    assert orders.left_minutes(cells, plan, tmp_path) == pytest.approx((1 + 4) * 2.0)


def test_without_the_scans_it_says_so_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["orders.py", "--cohort", "la", "--quick"])
    assert orders.main() == 0
    said = capsys.readouterr().out
    assert "la is left out: no scans in" in said
    assert "0 of 0 cells are done." in said


def test_a_cell_is_carried_out_once_and_longer_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[str, int]] = []

    def play(self: Simulation):
        started.append((self.settings.order, self.settings.rounds))
        (self.out / "study").mkdir(parents=True)
        cell = Cell("stroke", self.settings.order, self.settings.seed)
        made = result(cell, Plan(), rounds=0)
        for n in range(self.settings.rounds + 1):
            made = result(cell, Plan(), rounds=n + 1, gain=0.05 if self.settings.order == "random" else 0.1)
            made.settings = self.settings
            made.write(self.out)
            yield made

    monkeypatch.setattr(Simulation, "run", play)
    monkeypatch.setattr(orders, "source_of", lambda cohort, cases: (tmp_path, tmp_path))
    monkeypatch.setattr(orders, "RESULTS", tmp_path / "results" / "orders")
    monkeypatch.setattr(orders, "PAGE", tmp_path / "results" / "orders.md")
    words = ["orders.py", "--cohort", "stroke", "--seed", "0", "--order", "random", "--order", "classes", "--rounds"]
    monkeypatch.setattr(sys, "argv", [*words, "2"])
    assert orders.main() == 0
    assert started == [("random", 2), ("classes", 2)]
    work = tmp_path / "work" / "orders" / "cells" / "stroke"
    assert not list(work.glob("*/study")), "copies of the cohort are not kept"
    assert orders.main() == 0
    assert len(started) == 2, "what is done is not done again"
    assert "2 of 2 cells are done." in capsys.readouterr().out
    page = (tmp_path / "results" / "orders.md").read_text(encoding="utf-8")
    assert "| random | 1 | 3 |" in page
    assert "Highest Dice at the end: classes." in page
    assert (tmp_path / "results" / "orders" / "stroke" / "comparison.svg").exists()
    data = json.loads((tmp_path / "results" / "orders" / "stroke" / "mean-teacher-random-seed0.json").read_text())
    assert data["machine"]["cores"] > 0
    monkeypatch.setattr(sys, "argv", [*words, "3"])
    assert orders.main() == 0
    assert started[2:] == [("random", 3), ("classes", 3)]


def test_quick_is_quick_and_beside_the_results() -> None:
    assert QUICK.rounds == 1
    assert QUICK.settings(Cell("la", "random", 0)).steps == 4


def test_methods_have_a_table_of_their_own_and_orders_are_of_one_method(tmp_path: Path) -> None:
    plan = Plan()
    for cell in (Cell("stroke", "random", 0), Cell("stroke", "classes", 0), Cell("stroke", "random", 0, "supervised")):
        place = tmp_path / "stroke"
        place.mkdir(exist_ok=True)
        made = result(cell, plan, rounds=3)
        (place / f"{cell.id}.json").write_text(json.dumps(made.to_json()))
    page = tmp_path / "orders.md"
    orders.write_table(tmp_path, page)
    of_orders, of_methods = page.read_text().split("### Methods")
    assert "| classes |" in of_orders
    assert "supervised" not in of_orders
    assert "| supervised |" in of_methods
    assert f"| {METHOD} |" in of_methods
    assert "classes" not in of_methods
    assert (tmp_path / "stroke" / "methods" / "comparison.svg").exists()
    assert "between methods" in of_methods
