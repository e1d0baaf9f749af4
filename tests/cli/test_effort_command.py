"""``penumbra effort``: the table, the CSV file, JSON, and nobody's name."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from cli_tools import GRID, Cli

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.session.effort_table import COLUMNS
from napari_penumbra.study.store import Study


def test_effort_of_a_study(cli: Cli, study: Path, tmp_path: Path) -> None:
    assert "No case was finished" in cli("effort", study).out  # labels that came from files are nobody's minutes
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[4:6, 5:9, 5:9] = 1
    with Study.open(study) as opened:
        for n, seconds in enumerate((100.0, 200.0)):
            opened.save(f"p{3 + n}", labels, Closing.COMPLETE, Origin.PAINTED, "Anna Example", seconds, strokes=4 + n)
    file = tmp_path / "effort.csv"
    said = cli("effort", study, "--csv", file)
    assert "by hand" in said.out
    assert "3 min" in said.out
    assert "Not yet known whether to stop: 0 of 5 corrected cases." in said.out
    assert str(file) in said.out.replace("\n", "")
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert tuple(rows[0]) == COLUMNS
    assert [(r["case"], r["active_seconds"], r["strokes"], r["voxels_changed"]) for r in rows] == [
        ("p3", "100.0", "4", "32"),
        ("p4", "200.0", "5", "32"),
    ]
    assert "Anna" not in said.out + file.read_text(encoding="utf-8")
    data = cli("effort", study, "--json").data
    assert data["stop"] is None
    assert [case["case"] for case in data["cases"]] == ["p3", "p4"]
    assert "Anna" not in str(data)


def test_a_file_that_cannot_be_written(cli: Cli, study: Path, tmp_path: Path) -> None:
    assert "effort.csv" in cli("effort", study, "--csv", tmp_path / "nowhere" / "effort.csv", code=6).err
