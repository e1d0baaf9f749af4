"""`penumbra history` and `penumbra compare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli

from napari_penumbra.domain.case import Closing
from napari_penumbra.session import Session


@pytest.fixture
def lived(study: Path) -> Path:
    """p0 was imported, read again by another with one slice less, and closed anew with other labels."""
    session = Session()
    session.open(study)
    labels = session.load("p0").labels
    less = labels.copy()
    less[np.flatnonzero(labels.any(axis=(1, 2)))[0]] = 0
    session.opened().save_reading("p0", "reader 2", less, Closing.COMPLETE, 75.0)
    session.close_case("p0", np.roll(labels, 1, axis=2), Closing.COMPLETE, 30.0)
    session.close()
    return study


def test_history(cli: Cli, lived: Path) -> None:
    said = cli("history", lived, "p0").out
    rows = [line for line in said.splitlines() if "2" in line and ":" in line]
    assert [word in row for word, row in zip(("added", "imported", "read again", "complete"), rows, strict=True)]
    assert "reader 2" in said
    assert "75 s" in said
    data = cli("history", lived, "p0", "--json").data
    assert [e["what"] for e in data["events"]] == ["added", "imported", "second reading", "complete"]
    assert data["events"][-1]["in_pool"] is True
    assert cli("history", lived, "p3", "--json").data["events"][0]["what"] == "added"


def test_compare(cli: Cli, lived: Path) -> None:
    said = cli("compare", lived, "p0", "r1", "reader 2").out
    assert "HD95 mm" in said
    assert "They differ in 1 place" in said
    assert "ball only A" in said
    data = cli("compare", lived, "p0", "r1", "reader 2", "--json").data
    assert (data["first"], data["second"], len(data["places"])) == ("r1", "s1", 1)
    (one,) = data["classes"]
    assert one["only_first_ml"] == pytest.approx(data["disagreed_ml"]) == pytest.approx(data["places"][0]["ml"])
    assert one["scores"]["dice"] == pytest.approx(2 * one["agreed_ml"] / (one["first_ml"] + one["second_ml"]))


def test_compare_with_itself(cli: Cli, lived: Path) -> None:
    said = cli("compare", lived, "p0", "current", "r2").out
    assert "agree in every voxel" in said
    assert "1.00" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("compare", "p0", "r1", "r9"), "nothing called"),
        (("compare", "p0", "r1", "champion"), "nothing called"),
        (("compare", "nobody", "r1", "r1"), "no case"),
        (("history", "nobody"), "no case"),
    ],
)
def test_what_is_not_there(cli: Cli, lived: Path, words: tuple[str, ...], told: str) -> None:
    assert told in cli(words[0], lived, *words[1:], code=2).err
