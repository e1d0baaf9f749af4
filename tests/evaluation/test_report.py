"""The table: means that do not hide misses, JSON that any reader copes with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_penumbra.evaluation.metrics import FIGURES, score
from napari_penumbra.evaluation.report import CaseScores, Table


@pytest.fixture
def table() -> Table:
    full = np.zeros((4, 6, 6), np.uint8)
    full[1:3, 2:4, 2:4] = 1
    empty = np.zeros_like(full)
    pairs = {"right": (full, full), "missed": (empty, full), "nothing there": (empty, empty)}
    rows = tuple(CaseScores(name, score(a, b, (2, 1, 1), (1, 2))) for name, (a, b) in pairs.items())
    return Table(rows, {1: "core", 2: "penumbra"})


def test_mean_counts_misses_and_leaves_undefined_distances_out(table: Table) -> None:
    mean = table.mean(1)
    assert mean.figures["dice"] == pytest.approx(2 / 3)
    assert (mean.n["dice"], mean.n["hd"]) == (3, 2)
    assert (mean.missed, mean.spurious) == (1, 0)
    assert table.mean(2).figures["hd"] is None


def test_json_is_strict_and_defines_what_it_holds(table: Table) -> None:
    data = json.loads(json.dumps(table.to_json(), allow_nan=False))
    assert data["units"] == "mm"
    assert set(data["cases"]["missed"]["1"]) >= set(FIGURES) - {"predicted_ml", "reference_ml"}
    assert data["mean"]["1"]["missed"] == 1
    assert {"dice", "hd95", "hd95_pooled", "assd", "empty", "unknown"} <= set(data["definitions"])


def test_lines_fit_the_header_and_end_with_means(table: Table) -> None:
    lines = table.lines()
    assert {len(line) for line in lines} == {len(table.header)}
    assert [line[0] for line in lines[-2:]] == ["mean", "mean"]
    assert "1 missed" in lines[-2][-1]
    assert lines[-1][4] == "–"
