"""The table about confidence: fitted on other voxels than it is applied to, in figures and as a picture."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from napari_penumbra.evaluation.calibration import Tally, fit_isotonic, fit_temperature, reliability, scaled
from napari_penumbra.evaluation.confidence import HEADER, ConfidenceTable
from napari_penumbra.evaluation.figures import efficiency_figure, reliability_figure
from napari_penumbra.evaluation.svg import Bars, Line, Panel, figure, ticks

SVG = "{http://www.w3.org/2000/svg}"


def tally(share: float, confidence: float = 0.95, n: int = 200) -> Tally:
    """Voxels of one confidence of which a share is right; the wrong ones have half of it."""
    right = np.arange(n) < share * n
    return Tally.of(np.where(right, confidence, confidence / 2), right)


TABLE = ConfidenceTable({"a": tally(0.9), "b": tally(0.8), "c": tally(0.5, 0.6)})


def test_each_case_gets_the_temperature_of_the_others() -> None:
    others = Tally.total([TABLE.tallies["b"], TABLE.tallies["c"]])
    row = TABLE.rows["a"]
    assert row.temperature == pytest.approx(fit_temperature(others))
    assert row.ece == pytest.approx(reliability(TABLE.tallies["a"]).error)
    assert row.ece_scaled == pytest.approx(
        reliability(TABLE.tallies["a"], values=scaled(fit_temperature(others))).error
    )
    assert row.right == pytest.approx(0.95, abs=0.002)
    assert row.wrong == pytest.approx(0.475, abs=0.002)


def test_validation_cases_come_first() -> None:
    table = ConfidenceTable({"a": tally(0.9)}, validation=tally(0.6))
    assert table.rows["a"].temperature == pytest.approx(fit_temperature(tally(0.6)))
    assert table.to_json()["temperature_from"] == "validation cases"
    assert table.after is not None


def test_one_case_alone_is_not_scaled_by_itself() -> None:
    table = ConfidenceTable({"a": tally(0.9)})
    assert table.rows["a"].temperature is None
    assert table.after is None
    assert table.everything.ece_isotonic is None
    assert table.lines()[0][3:7] == (f"{table.rows['a'].ece:.3f}", "–", "–", "–")
    assert "as predicted" in reliability_figure(table, "One")


def test_lines_and_json_say_the_same() -> None:
    lines = TABLE.lines()
    assert [line[0] for line in lines] == ["a", "b", "c", "all voxels"]
    assert {len(line) for line in lines} == {len(HEADER)}
    data = json.loads(json.dumps(TABLE.to_json(), allow_nan=False))
    assert f"{data['cases']['b']['ece']:.3f}" == lines[1][3]
    assert f"{data['all']['mean_right']:.3f}" == lines[3][1]
    assert data["all"]["right_exceeds_wrong"] is True
    assert data["all"]["voxels"] == 600
    expected = sum(row.ece_isotonic for row in TABLE.rows.values()) / 3  # cases of equal size
    assert data["all"]["ece_isotonic"] == pytest.approx(expected)
    isotonic = fit_isotonic(Tally.total([TABLE.tallies["a"], TABLE.tallies["c"]]))
    assert data["cases"]["b"]["ece_isotonic"] == pytest.approx(reliability(TABLE.tallies["b"], values=isotonic).error)
    assert sum(b["voxels"] for b in data["reliability"]) == 600


def test_a_confidence_that_is_no_surer_where_right_is_told() -> None:
    right = np.arange(100) < 60
    upside_down = Tally.of(np.where(right, 0.2, 0.9), right)
    assert ConfidenceTable({"a": upside_down}).lines()[0][-1] == "no surer where right"


def test_a_case_without_voxels_near_foreground_has_no_figures() -> None:
    table = ConfidenceTable({"a": tally(0.9), "empty": Tally.total([])})
    assert table.lines()[1][1:5] == ("–", "–", "–", "–")
    assert table.everything.ece == pytest.approx(table.rows["a"].ece)
    json.dumps(table.to_json(), allow_nan=False)
    ElementTree.fromstring(reliability_figure(ConfidenceTable({"empty": Tally.total([])}), "Nothing"))


def test_the_reliability_figure_is_a_picture() -> None:
    root = ElementTree.fromstring(reliability_figure(TABLE, "Mean teacher <2 & simulated>"))
    words = " ".join(node.text or "" for node in root.iter(f"{SVG}text"))
    assert "Mean teacher <2 & simulated>" in words
    assert "share of right voxels" in words
    assert "ECE" in words
    assert len(list(root.iter(f"{SVG}circle"))) >= 4
    assert len(list(root.iter(f"{SVG}rect"))) >= 15


def test_the_efficiency_figure_has_a_dot_a_round_in_each_panel() -> None:
    points = [(2, 774, 5.0, 0.57), (3, 1217, 6.5, 0.61), (4, 1650, 7.0, 0.7)]
    root = ElementTree.fromstring(efficiency_figure("Balls", points, "three", full=2000))
    assert len(list(root.iter(f"{SVG}circle"))) == 9
    one = ElementTree.fromstring(efficiency_figure("One round", points[:1], ""))
    assert len(list(one.iter(f"{SVG}circle"))) == 3
    for place in one.iter(f"{SVG}circle"):
        assert math.isfinite(float(place.attrib["cx"]))
        assert math.isfinite(float(place.attrib["cy"]))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1.5, 6.2, [2, 3, 4, 5, 6]),
        (-3, 3, [-2, 0, 2]),
        (0, 8421, [0, 2000, 4000, 6000, 8000]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_dots_lie_where_their_numbers_say() -> None:
    panel = Panel("", "x", "y", [Line([(0, 0), (5, 10), (10, math.nan)])], x_range=(0, 10), y_range=(0, 10))
    root = ElementTree.fromstring(figure([panel]))
    dots = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")]
    assert dots == [(62.0, 268.0), (232.0, 34.0)], "a value that is not a number is not drawn"
    bar = figure([Panel("", "x", "y", bars=[Bars([(0, 1, 0.5)])], x_range=(0, 1), y_range=(0, 1))])
    assert 'height="117.0"' in bar
    assert figure([Panel("", "x", "y")]).count("<path") >= 1, "an empty panel is still drawn"


def test_cases_are_counted_in_whole_numbers() -> None:
    root = ElementTree.fromstring(efficiency_figure("Balls", [(2, 774, 5.0, 0.57), (4, 1650, 7.0, 0.7)], ""))
    first = root.find(f"{SVG}g")
    assert first is not None
    below = [node.text for node in first.iter(f"{SVG}text") if node.get("y") == "284.0"]
    assert below == ["2", "3", "4"]
