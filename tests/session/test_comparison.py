from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from napari_penumbra.evaluation.figures import Curve, effort_to_reach
from napari_penumbra.session.comparison import DATA, FIGURE, folder_of, lines, ways, write_comparison
from napari_penumbra.session.robot import Work
from napari_penumbra.session.simulation import Result, Round, Settings

SVG = "{http://www.w3.org/2000/svg}"


def result(order: str, seed: int, dice: list[float], strokes: int = 10, method: str = "mean-teacher") -> Result:
    settings = Settings(method, "laptop", order, rounds=len(dice) - 1, per_round=1, start=1, held_out=2, seed=seed)
    rounds = [
        Round(n + 1, [Work(f"p{n}", 100, 100, 0, 1, 0, strokes)], dice={"a": d, "b": d}) for n, d in enumerate(dice)
    ]
    return Result("Balls", settings, ["a", "b"], ["p0"], method, "laptop", rounds)


RESULTS = [
    result("random", 0, [0.5, 0.6, 0.7]),
    result("random", 1, [0.5, 0.5, 0.7]),
    result("entropy", 0, [0.5, 0.8, 0.9], strokes=20),
]


def test_seeds_are_averaged_round_by_round() -> None:
    random, entropy = ways(RESULTS)
    assert (random.name, len(random.curve.runs), random.cases) == ("random", 2, 3)
    assert [p[3] for p in random.curve.mean()] == pytest.approx([0.5, 0.55, 0.7])
    assert random.minutes == pytest.approx(3 * 50 / 60)
    assert entropy.dice == pytest.approx(0.9)
    assert entropy.minutes == pytest.approx(3 * 90 / 60)


def test_effort_to_the_dice_that_every_way_reaches() -> None:
    random, entropy = ways(RESULTS)
    assert random.to_common == pytest.approx((2.5, 300))
    assert entropy.to_common == pytest.approx((1.5 + 1.5 * 2 / 3, 100 + 100 * 2 / 3))
    assert lines([random])[0] == ("random", "2", "3", "2.5", "0.700", "2.5", "300")


def test_methods_are_named_where_they_differ() -> None:
    names = [w.name for w in ways([*RESULTS, result("random", 0, [0.5, 0.6], method="supervised")])]
    assert names == ["mean-teacher · random", "mean-teacher · entropy", "supervised · random"]
    assert [w.name for w in ways([RESULTS[0], result("random", 0, [0.4], method="supervised")])] == [
        "mean-teacher",
        "supervised",
    ]
    assert ways([]) == []
    assert ways([result("random", 0, [])]) == []


def test_a_seed_that_is_behind_shortens_the_mean() -> None:
    (way,) = ways([RESULTS[0], result("random", 2, [0.5])])
    assert way.cases == 1


@pytest.mark.parametrize(
    ("points", "dice", "effort"),
    [
        ([(1, 0.5), (3, 0.7)], 0.6, 2.0),
        ([(1, 0.5), (3, 0.7)], 0.5, 1.0),
        ([(1, 0.5), (3, 0.7)], 0.8, None),
        ([(1, 0.5), (2, 0.4), (3, 0.7)], 0.55, 2.5),
        ([(1, 0.7), (2, 0.7)], 0.7, 1.0),
        ([], 0.1, None),
    ],
)
def test_effort_to_reach(points: list[tuple[float, float]], dice: float, effort: float | None) -> None:
    assert effort_to_reach(points, dice) == (None if effort is None else pytest.approx(effort))


def test_what_is_written(tmp_path: Path) -> None:
    assert write_comparison(tmp_path, [result("random", 0, [])]) == []
    assert list(tmp_path.iterdir()) == []
    write_comparison(tmp_path, RESULTS)
    data = json.loads((tmp_path / DATA).read_text(encoding="utf-8"))
    assert [way["name"] for way in data["ways"]] == ["random", "entropy"]
    assert data["costs"] == {"opening": 10.0, "stroke": 4.0, "decision": 2.0}
    root = ElementTree.fromstring((tmp_path / FIGURE).read_text(encoding="utf-8"))
    assert len(list(root.findall(f"{SVG}g"))) == 3
    assert len(list(root.iter(f"{SVG}circle"))) == 3 * (3 + 3)
    words = "".join(root.itertext())
    assert "reader minutes" in words
    assert "2 draws (dashed) and their mean" in words
    assert "4 s a stroke" in words


def test_every_simulation_has_its_own_folder() -> None:
    settings = RESULTS[0].settings
    assert folder_of(settings) == "mean-teacher-random-seed0"
    assert len({folder_of(replace(settings, seed=n, order=o)) for n in range(3) for o in ("random", "file")}) == 6


def test_a_curve_of_one_seed_is_its_own_mean() -> None:
    curve = Curve("x", [[(1, 10, 2.0, 0.5), (2, 20, 3.0, 0.6)]])
    assert curve.mean() == [(1, 10, 2.0, 0.5), (2, 20, 3.0, 0.6)]
