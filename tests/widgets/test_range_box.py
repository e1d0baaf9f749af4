from __future__ import annotations

import math

import pytest

from napari_penumbra.session import switches
from napari_penumbra.widgets.canvas import Range
from napari_penumbra.widgets.range_box import RangeBox, range_words

ENDS = {"ADC": (0.0, 2000.0), "Tmax": (0.0, 12.0), "colours": None}


@pytest.fixture
def box(qtbot):
    box = RangeBox()
    qtbot.addWidget(box)
    box.show()
    box.set_case(list(ENDS), "ADC", ENDS.get)
    box.told = []
    box.changed.connect(box.told.append)
    return box


def test_off_it_limits_nothing_and_takes_one_row(box):
    assert box.range() is None
    assert not box.options.isVisible()
    assert not box.modality.isVisible()


def test_a_handle_at_the_end_is_no_limit(box):
    box.switch.click()
    assert box.told == [Range("ADC", -math.inf, math.inf, True, False)]
    assert box.words.text() == "no limit"
    box.slider.setValue((0.0, 620.0))
    assert box.range() == Range("ADC", -math.inf, 620.0, True, False)
    assert box.words.text() == "620 and less"
    box.erase.click()
    box.paint.click()
    assert box.told[-1] == Range("ADC", -math.inf, 620.0, False, True)
    box.switch.click()
    assert box.told[-1] is None


def test_each_modality_keeps_its_range_also_in_the_next_case(box):
    box.switch.click()
    box.slider.setValue((0.0, 620.0))
    box.modality.setCurrentText("Tmax")
    box.slider.setValue((6.0, 12.0))
    assert box.range() == Range("Tmax", 6.0, math.inf, True, False)
    wider = {**ENDS, "Tmax": (0.0, 20.0)}
    box.set_case(["ADC", "Tmax"], "ADC", wider.get)
    assert box.told[-1] == Range("Tmax", 6.0, math.inf, True, False), "a limit that was none stays none"
    box.modality.setCurrentText("ADC")
    assert box.told[-1] == Range("ADC", -math.inf, 620.0, True, False)


def test_a_modality_without_intensities_limits_nothing(box):
    box.switch.click()
    box.modality.setCurrentText("colours")
    assert box.told[-1] is None
    assert not box.slider.isEnabled()
    box.set_case([], None, ENDS.get)
    assert box.told[-1] is None


def test_an_image_of_one_value(box):
    box.set_case(["flat"], "flat", lambda name: (3.0, 3.0))
    box.switch.click()
    assert box.range() == Range("flat", -math.inf, math.inf, True, False)


def test_showing_it_in_the_picture_is_a_switch_that_is_remembered(box, qtbot, tmp_path, monkeypatch):
    told = []
    box.shown_changed.connect(told.append)
    monkeypatch.setattr(switches.platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "config"))
    box.switch.click()
    assert box.shown.isChecked()
    box.told.clear()
    box.shown.click()
    assert told == [False]
    assert box.told == [], "what it keeps to is the same"
    again = RangeBox()
    qtbot.addWidget(again)
    assert not again.shown.isChecked()


def test_words():
    assert [range_words(*r) for r in ((-math.inf, 620), (6, math.inf), (0.0006, 12345))] == [
        "620 and less",
        "6 and more",
        "0.0006 to 1.234e+04",
    ]
