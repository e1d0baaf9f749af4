from __future__ import annotations

import re

import pytest
from qtpy.QtGui import QColor, QPalette

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.widgets.colors import contrast
from napari_penumbra.widgets.curves import Curves


def step(n: int, **losses: float) -> Progress:
    return Progress(Kind.STEP, n, 100, losses=losses, metrics={"seconds_per_step": 0.4})


def validation(n: int, dice: float, reference: float) -> Progress:
    return Progress(Kind.VALIDATION, n, 100, metrics={"dice": dice, "reference_dice": reference})


@pytest.fixture
def curves(qtbot):
    curves = Curves()
    qtbot.addWidget(curves)
    curves.resize(400, 500)
    curves.show()
    return curves


def shown(curves: Curves, key: str) -> dict[str, list[float]]:
    items = curves._plots[key].getPlotItem().listDataItems()
    return {item.name(): [] if item.yData is None else item.yData.tolist() for item in items}


def test_says_what_will_be_here(curves):
    assert not curves.empty.isHidden()
    assert not curves._plots


def test_draws_losses_dice_with_reference_and_speed(curves):
    curves.set_history([step(10, supervised=1.0, consistency=0.1), validation(10, 0.4, 0.3), step(20, supervised=0.8)])
    assert shown(curves, "losses") == {"supervised": [1.0, 0.8], "consistency": [0.1]}
    assert shown(curves, "dice") == {"with unlabelled cases": [0.4], "labels only": [0.3]}
    assert shown(curves, "speed") == {"seconds per step": [0.4, 0.4]}
    assert curves.empty.isHidden()
    assert curves._plots["speed"].getPlotItem().getAxis("left").labelUnits == "s"


def test_live_events_are_drawn_soon(curves, qtbot):
    curves.add(step(10, supervised=1.0))
    qtbot.waitUntil(lambda: bool(curves._plots) and shown(curves, "losses") == {"supervised": [1.0]})


def test_a_resumed_run_does_not_draw_steps_twice(curves):
    events = [step(10, supervised=1.0), validation(10, 0.4, 0.3), step(20, supervised=0.8), validation(20, 0.5, 0.3)]
    curves.set_history([*events, Progress(Kind.STARTED), step(11, supervised=0.7), validation(20, 0.6, 0.3)])
    assert shown(curves, "losses") == {"supervised": [1.0, 0.7]}
    assert shown(curves, "dice")["with unlabelled cases"] == [0.4, 0.6]


def test_a_line_shows_where_a_case_has_joined(curves, qtbot):
    joined = [Progress(Kind.POOL, 20, 100, case=name, message=f"{name} was accepted.") for name in ("p4", "p5")]
    curves.set_history([step(10, supervised=1.0), validation(20, 0.4, 0.3), joined[0], joined[1]])
    lines = {key: line for (key, at), line in curves.joined._lines.items() if at == 20}
    assert set(lines) == {"losses", "dice", "speed"}
    assert {line.value() for line in lines.values()} == {20}
    assert lines["dice"].label.format == "+ p4 +1"
    assert lines["dice"].toolTip() == "p4 was accepted.\np5 was accepted."
    curves.add(Progress(Kind.POOL, 40, 100, {}, {"joined": 0.0}, case="p6", message="p6 was taken back."))
    qtbot.waitUntil(lambda: ("dice", 40) in curves.joined._lines)
    assert curves.joined._lines["dice", 40].label.format == "− p6"
    curves.set_history([step(10, supervised=1.0)])
    assert not curves.joined._lines
    names = [type(item).__name__ for item in curves._plots["dice"].getPlotItem().items]
    assert "InfiniteLine" not in names


def test_not_a_number_is_left_out(curves):
    curves.set_history([step(10, supervised=float("nan")), step(20, supervised=0.8)])
    assert shown(curves, "losses") == {"supervised": [0.8]}


def test_another_run_replaces_the_curves(curves):
    curves.set_history([step(10, supervised=1.0, consistency=0.1)])
    curves.set_history([step(10, dice=0.5)])
    assert shown(curves, "losses") == {"dice": [0.5]}


@pytest.mark.parametrize("ground", ["#262930", "#efebe9"])
def test_lines_can_be_seen_in_both_themes(curves, ground):
    palette = QPalette(curves.palette())
    palette.setColor(QPalette.ColorRole.Window, QColor(ground))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#ffffff" if ground == "#262930" else "#3b3a39"))
    curves.set_history([step(10, a=1, b=2, c=3, d=4, e=5, f=6)])
    curves.setPalette(palette)
    assert curves._plots["losses"].backgroundBrush().color() == QColor(ground)
    for item in curves._plots["losses"].getPlotItem().listDataItems():
        assert contrast(item.opts["pen"].color(), QColor(ground)) >= 3


def test_the_parts_of_two_networks_are_named_below_the_plot(curves):
    losses = {"segmentation.total": 1.0, "confidence.total": 2.0, "segmentation.region_attention": 0.5}
    curves.set_history([step(n, **losses) for n in (1, 2)])
    words = re.sub(r"<(?!br)[^>]*>", "", curves.legend.text()).replace("&nbsp;", " ")
    assert words == "segmentation: ── total ┈┈ region attention<br>confidence: ╌╌ total"
