"""Names matched between a model and a study, figures on frozen cases, and the card of a model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from napari_penumbra.domain.errors import ModelError, PenumbraError
from napari_penumbra.domain.frozen import FROZEN_FILE, CaseFigures, FrozenFigures
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.model import FORMAT_VERSION, ModelCard
from napari_penumbra.domain.naming import match_names
from napari_penumbra.domain.spec import SpecCase

GRID = Grid.of((4, 4, 4), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_names_match_whatever_their_order_and_spelling() -> None:
    assert match_names("modality", ("DWI", "T2  flair"), ("t2 FLAIR", " dwi")) == (" dwi", "t2 FLAIR")


@pytest.mark.parametrize(
    ("model", "study", "words"),
    [
        (("A", "B"), ("A",), "knows the class B, which this study does not have"),
        (("A", "B", "C"), ("A",), "classes B, C, which this study does not have"),
        (("A",), ("A", "B"), "does not know the study's class B"),
        (("A", "a"), ("A",), "Two classes have the same name"),
    ],
)
def test_what_has_no_namesake_is_named(model: tuple[str, ...], study: tuple[str, ...], words: str) -> None:
    with pytest.raises(ModelError, match=words) as error:
        match_names("class", model, study)
    assert ", ".join(study) in error.value.remedy


def case(name: str, label: str | None = "r1", key: str = "k") -> SpecCase:
    return SpecCase(name, ("a.nii",), GRID, label, "validation", key)


def test_figures_hold_for_the_case_and_the_label_they_were_measured_on(tmp_path: Path) -> None:
    known = {"a": CaseFigures("r1", "k", {1: 0.5, 2: 1.0}), "b": CaseFigures("r1", "k", {1: 0.25, 2: 0.25})}
    (tmp_path / FROZEN_FILE).write_text(FrozenFigures("step-9", known).to_text())
    figures = FrozenFigures.read(tmp_path, "step-9")
    assert figures.dice([case("a"), case("b")]) == 0.5
    assert figures.dice([case("a")]) == 0.75
    for other in (case("a", "r2"), case("a", key="other"), case("c")):
        assert figures.dice([case("b"), other]) is None
    assert figures.dice([]) is None
    assert FrozenFigures.read(tmp_path, "step-10").cases == {}, "another checkpoint's"


@pytest.mark.parametrize("dice", ["{}", '{"1": 7}', "[]", '{"x": 1}', "3"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"checkpoint": "s"}', '{"checkpoint": "s", "cases": {"a": %s}}'])
def test_figures_that_cannot_be_read_are_none(tmp_path: Path, text: str, dice: str) -> None:
    entry = f'{{"label": "r1", "key": "k", "dice": {dice}}}'
    (tmp_path / FROZEN_FILE).write_text(text.replace("%s", entry))
    assert FrozenFigures.read(tmp_path, "s").dice([case("a")]) is None


def card() -> dict[str, Any]:
    plan = {"modalities": ["T1"], "values": [2, 1], "spacing": [5.0, 1.0, 1.0]}
    labels = [{"value": n, "name": f"c{n}", "color": "#000000"} for n in (1, 2)]
    state = {
        "method": "supervised",
        "preset": "laptop",
        "config": {},
        "problem": {},
        "plan": plan,
        "labels": labels,
        "modalities": ["T1"],
        "patch": [8, 8, 8],
        "seed": 1,
        "step": 3,
        "steps": 9,
    }
    return ModelCard(state, "0" * 64, {"dice": 0.5}, {"model": "r"}).to_json()


def test_a_card_survives_its_file() -> None:
    data = json.loads(json.dumps(card()))
    read = ModelCard.from_json(data, "file")
    assert read.to_json() == data
    assert (read.method, read.modalities, read.labels.values) == ("supervised", ("T1",), (1, 2))
    assert dataclasses.is_dataclass(read)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("digest",), "short"),
        (("figures",), {"dice": "much"}),
        (("provenance",), 3),
        (("state", "config"), []),
        (("state", "method"), ""),
        (("state", "preset"), 7),
        (("state", "step"), 10),
        (("state", "step"), -1),
        (("state", "seed"), "x"),
        (("state", "patch"), [8, 8]),
        (("state", "patch"), [8, 8, 10**9]),
        (("state", "plan", "spacing"), [1e-9, 1, 1]),
        (("state", "plan", "values"), [1, 3]),
        (("state", "plan", "modalities"), ["T1", "T1"]),
        (("state", "plan", "modalities"), []),
        (("state", "labels"), [{"value": 999, "name": "x", "color": ""}]),
        (("version",), FORMAT_VERSION + 1),
        (("version",), "1"),
        (("format",), "zip"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused_in_words(where: tuple[str, ...], value: Any) -> None:
    data: Any = card()
    inner = data
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    with pytest.raises(PenumbraError) as error:
        ModelCard.from_json(data, "brain.penumbra-model")
    assert error.value.message.endswith(".")
    assert error.value.remedy
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize("key", ["state", "digest", "figures", "provenance"])
def test_a_card_with_something_missing_is_refused_by_name(key: str) -> None:
    data = card()
    del data[key]
    with pytest.raises(ModelError, match=f"It lacks '{key}'"):
        ModelCard.from_json(data, "brain.penumbra-model")
