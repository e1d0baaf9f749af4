from __future__ import annotations

from enum import StrEnum

import pytest
from pydantic import BaseModel, Field

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.widgets.config_form import ConfigForm


class Loss(StrEnum):
    DICE = "dice"
    CROSS = "cross entropy"


class Config(BaseModel):
    steps: int = Field(3000, ge=1)
    learning_rate: float = Field(1e-3, gt=0, le=10, title="Learning rate", description="Step size at the start.")
    decay: float = Field(3e-7, ge=0)
    batch: int = Field(2, ge=1, le=256, title="Batch", json_schema_extra={"unit": "patches"})
    patch: tuple[int, int, int] = Field((32, 64, 64), title="Patch", json_schema_extra={"unit": "voxels"})
    loss: Loss = Loss.DICE
    noisy: bool = True
    limit: float | None = Field(None, title="Limit")
    weights: list[float] = [1.0, 2.0]
    name: str = "teacher"


@pytest.fixture
def form(qtbot):
    form = ConfigForm()
    qtbot.addWidget(form)
    form.set_schema(Config.model_json_schema(), {"batch": 4, "learning_rate": 1e-4})
    return form


def test_shows_the_presets_values_and_gives_back_no_change(form):
    assert form.widget("batch").value == 4
    assert form.widget("learning_rate").value == pytest.approx(1e-4)
    assert form.widget("decay").value == pytest.approx(3e-7)
    assert form.widget("patch").value == (32, 64, 64)
    assert form.changes() == {}


def test_steps_are_asked_for_elsewhere(form):
    with pytest.raises(KeyError):
        form.widget("steps")


def test_only_changed_values_come_back_and_the_config_takes_them(form, qtbot):
    with qtbot.waitSignal(form.changed):
        form.widget("batch").value = 8
    form.widget("patch").value = (16, 32, 32)
    form.widget("loss").value = "cross entropy"
    form.widget("noisy").value = False
    form.widget("limit").value = "0.5"
    form.widget("weights").value = (1.0, 3.0)
    form.widget("decay").value = 4e-7
    changes = form.changes()
    assert changes == {
        "batch": 8,
        "patch": [16, 32, 32],
        "loss": "cross entropy",
        "noisy": False,
        "limit": 0.5,
        "weights": [1.0, 3.0],
        "decay": pytest.approx(4e-7),
    }
    config = Config.model_validate(changes)
    assert config.patch == (16, 32, 32)
    assert "Batch" in form.summary.text()


def test_a_value_that_went_back_is_no_change(form):
    form.widget("batch").value = 8
    form.widget("batch").value = 4
    assert form.changes() == {}


def test_reset_goes_back_to_the_preset(form):
    form.set_changes({"batch": 8, "limit": 0.5, "unheard_of": 1})
    assert set(form.changes()) == {"batch", "limit"}
    form.back.click()
    assert form.changes() == {}
    assert form.back.toolTip() == "Every parameter has the preset's value."


def test_unreadable_text_is_told_in_words(form):
    form.widget("limit").value = "many"
    with pytest.raises(UsageError, match="Limit"):
        form.changes()
    assert "⚠" in form.summary.text()


def test_bounds_units_and_help_are_on_the_control(form):
    assert form.widget("batch").min == 1
    assert form.widget("batch").max == 256
    assert form.widget("batch").label == "Batch (patches)"
    assert "Step size at the start." in form.widget("learning_rate").tooltip
    assert "The preset has 0.0001." in form.widget("learning_rate").tooltip


def test_another_schema_replaces_the_form(form):
    form.set_schema({"properties": {"alpha": {"type": "number", "default": 0.99, "title": "EMA"}}}, {})
    assert form.widget("alpha").value == pytest.approx(0.99)
    with pytest.raises(KeyError):
        form.widget("batch")
