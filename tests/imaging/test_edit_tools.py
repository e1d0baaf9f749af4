"""What holds for every tool of the table: run over the table, so that a new line is tested as it is written."""

from __future__ import annotations

import numpy as np
import pytest
from edit_scenes import ball, keeps_to_the_rules, scene

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.edits import TOOLS, Scene, Tool
from napari_penumbra.imaging.edits.base import Over, silent

SHAPE = (14, 44, 56)


@pytest.fixture(scope="module")
def moment() -> Scene:
    """Two painted slices, another class, unknown voxels, a prediction, and maps with a lesion."""
    rng = np.random.default_rng(0)
    brain, late, core = (ball(SHAPE, (28, 33, x), r) for x, r in ((28, 26), (36, 12), (36, 7)))
    tmax = (np.where(late, 9.0, 2.0) * brain + rng.normal(0, 0.2, SHAPE) * brain).astype(np.float32)
    adc = (np.where(core, 400.0, 850.0) * brain).astype(np.float32)
    labels = np.zeros(SHAPE, np.uint8)
    labels[[5, 9]] = late[[5, 9]]
    labels[9, 20:23, 40:43] = 0
    labels[12, 20:24, 20:24] = 1
    labels[7, 20:24, 30:33] = 2
    labels[6, 18:30, 34:38] = 255
    predicted = np.where(late, 1, 0).astype(np.uint8)
    return scene(labels, {"Tmax": tmax, "ADC": adc}, predicted=predicted, point=(7, 22, 36), modality="Tmax", value=1)


def with_over(tool: Tool, options: dict, over: Over) -> dict:
    return {**options, "over": over} if "over" in tool.options.model_fields else options


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.key)
def test_a_tool_changes_nothing_but_what_it_says(tool, moment):
    before = moment.labels.copy()
    options = tool.options(**with_over(tool, tool.prepare(moment), Over.BACKGROUND))
    edit = tool.run(moment, options, silent)
    np.testing.assert_array_equal(moment.labels, before)
    assert not edit.empty, "the scene gives every tool something to do"
    after = keeps_to_the_rules(before, edit, (0, 1))
    assert (after[before == 255] == 255).all()
    assert (after[before == 2] == 2).all()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.key)
def test_unknown_stays_unless_asked_in_so_many_words(tool, moment):
    options = tool.options(**with_over(tool, tool.prepare(moment), Over.CLASSES))
    after = keeps_to_the_rules(moment.labels, tool.run(moment, options, silent), (0, 1, 2))
    assert (after[moment.labels == 255] == 255).all()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.key)
def test_with_nothing_painted_a_tool_works_or_says_why(tool, moment):
    from dataclasses import replace

    empty = replace(moment, labels=np.zeros(SHAPE, np.uint8))
    told: list[PenumbraError] = []
    try:
        keeps_to_the_rules(empty.labels, tool.run(empty, tool.options(**tool.prepare(empty)), silent))
    except PenumbraError as error:
        told.append(error)
    assert all(error.message.endswith(".") and error.remedy for error in told)
    assert len(told) == (tool.key not in ("smart_fill", "prediction", "mismatch")), "these need nothing painted"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.key)
def test_a_tool_describes_itself(tool):
    assert tool.tip.endswith(".")
    assert tool.key.isidentifier()
    schema = tool.options.model_json_schema()["properties"]
    for name, field in tool.options.model_fields.items():
        assert field.title, name
        assert (field.description or "").endswith("."), name
        assert "unit" in schema[name]
    with pytest.raises(ValueError, match="extra"):
        tool.options(nonsense=1)


def test_keys_and_shortcuts_are_their_own():
    assert len({tool.key for tool in TOOLS}) == len(TOOLS)
    shortcuts = [tool.shortcut for tool in TOOLS if tool.shortcut]
    assert len(set(shortcuts)) == len(shortcuts)
