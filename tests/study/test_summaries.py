from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from napari_penumbra.study.summaries import read_summary

GOOD: dict[str, Any] = {
    "version": 1,
    "classes": [{"value": 0, "voxels": 90, "entropy": 0.9}, {"value": 3, "voxels": 10, "entropy": 4.0}],
    "in_question": {"voxels": 20, "entropy": 5.0},
    "disagreement": {"voxels": 8, "distance": 2.0},
    "features": {"layer": "bottom", "values": [0.5, -1.0]},
}


def test_a_summary_is_read() -> None:
    found = read_summary(GOOD)
    assert found is not None
    assert found.foreground == 0.1
    assert found.classes[3].mean == 0.4
    assert found.in_question.mean == 0.25
    assert found.disagreement is not None
    assert found.disagreement.mean == 0.25
    assert (found.layer, found.features.tolist()) == ("bottom", [0.5, -1.0])


def test_what_a_method_does_not_have_may_be_absent() -> None:
    found = read_summary({k: v for k, v in GOOD.items() if k not in ("disagreement", "features")})
    assert found is not None
    assert found.disagreement is None
    assert found.features.size == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("classes",), None),
        (("classes", 0, "voxels"), -1),
        (("classes", 1, "entropy"), 11.0),
        (("classes", 1, "entropy"), math.nan),
        (("classes", 1, "value"), "core"),
        (("in_question",), []),
        (("in_question", "voxels"), None),
        (("disagreement", "distance"), -3),
        (("features", "values"), [[1.0]]),
        (("features", "values"), ["a"]),
        (("features", "values"), [math.inf]),
        (("features", "values"), [0.0] * 5000),
        (("features",), 7),
    ],
)
def test_nonsense_is_no_summary(path: tuple[Any, ...], value: Any) -> None:
    data = copy.deepcopy(GOOD)
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert read_summary(data) is None


@pytest.mark.parametrize("data", [None, [], "text", 3, {}])
def test_something_else_is_no_summary(data: Any) -> None:
    assert read_summary(data) is None
