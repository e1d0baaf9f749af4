"""The first-time user's path of docs/first-steps.md, with the mouse alone, in napari's own menu and the real window."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QMenu, QSpinBox, QWidget

from napari_penumbra.domain.case import CaseState, Closing, Origin
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.plugin.compat import camera
from napari_penumbra.plugin.main_widget import PenumbraWidget
from napari_penumbra.study import samples

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DOCS = Path(__file__).parents[2] / "docs" / "first-steps.md"
STUDY = "Whole stroke study of 24 cases in the Penumbra dock (simulated)"
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
TINY: dict[str, Any] = {"width": 4, "patch": (16, 32, 32), "pretrain_steps": 2, "ramp_steps": 2}


class Newcomer:
    """Somebody with a mouse, who presses only what can be seen, and whose clicks are counted."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.window = viewer.window._qt_window
        self.steps: list[str] = []

    def wait(self, what: str, ready: Callable[[], Any], seconds: float = 300) -> None:
        for _ in range(round(seconds / 0.05)):
            if ready():
                return
            QTest.qWait(50)
        raise TimeoutError(what)

    def press(self, widget: QWidget, at: QPoint, words: str) -> None:
        assert widget.isVisible(), f"{words} is not to be seen"
        assert widget.rect().contains(at), f"{words} is out of sight"
        self.steps.append(words)
        QTest.mouseClick(widget, LEFT, NONE, at)
        QTest.qWait(150)

    def menu(self, *titles: str) -> None:
        """Open napari's menu bar and go down to an entry, each with a click."""
        bar: Any = self.window.menuBar()
        for title in titles:
            action = next(a for a in bar.actions() if a.text().replace("&", "") == title)
            self.press(bar, bar.actionGeometry(action).center(), title)
            if action.menu() is None:
                return
            bar = action.menu()
            assert isinstance(bar, QMenu)
            self.wait(f"the menu {title}", bar.isVisible, 10)

    @property
    def dock(self) -> Any:
        return self.window.findChild(PenumbraWidget).dock

    def click(self, name: str) -> None:
        """Press a button of the dock that can be seen and pressed."""
        button = next(b for b in self.dock.findChildren(QAbstractButton, name) if b.isVisible())
        assert button.isEnabled(), f"{name}: {button.toolTip()}"
        middle = button.rect().center()
        seen = self.window.rect().contains(button.mapTo(self.window, middle))
        assert seen, f"{name} is not inside the window"
        self.press(button, middle, button.text())

    def stroke(self, voxels: list[tuple[float, float, float]]) -> None:
        """Draw one stroke on the picture."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        view, layer = camera(self.viewer), self.viewer.layers.selection.active
        places = []
        for voxel in voxels:
            world = layer.data_to_world(voxel)
            y, x = ((a - b) * view.zoom for a, b in zip(world[-2:], view.center[-2:], strict=True))
            places.append(QPoint(round(canvas.width() / 2 + x), round(canvas.height() / 2 + y)))
        self.steps.append("stroke")
        QTest.mouseMove(canvas, places[0])
        QTest.mousePress(canvas, LEFT, NONE, places[0])
        for place in places[1:]:
            at, everywhere = QPointF(place), QPointF(canvas.mapToGlobal(place))
            QApplication.sendEvent(canvas, QMouseEvent(QEvent.Type.MouseMove, at, everywhere, LEFT, LEFT, NONE))
            QTest.qWait(20)
        QTest.mouseRelease(canvas, LEFT, NONE, places[-1])
        QTest.qWait(100)


def test_the_first_steps_take_as_many_clicks_as_the_page_says(
    make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = samples.make_sample_study
    monkeypatch.setattr(  # the same study with fewer cases: made in seconds
        samples,
        "make_sample_study",
        lambda folder, cohort: whole(folder, cases=6, labelled=4, cohort=cohort, modalities=("DWI", "ADC", "Tmax")),
    )
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    me = Newcomer(viewer)

    me.menu("File", "Open Sample", "Penumbra", STUDY)
    me.wait("the study", lambda: me.window.findChild(PenumbraWidget) and me.dock.session.study)
    me.wait("the case table", lambda: me.dock.study_page.table.model().rowCount() == 6, 30)
    session = me.dock.session

    me.click("open_next")
    me.wait("a case", lambda: me.dock.canvas.case is not None, 60)
    name = me.dock.canvas.case
    assert me.dock.page() == "annotate"
    first = int(viewer.dims.current_step[0])
    middle = [n // 2 for n in me.dock.canvas.labels().shape]
    line = [(float(middle[1]), float(middle[2]) + n) for n in (0, 3, 6, 9)]
    me.stroke([(first, *place) for place in line])
    slider = viewer.window._qt_viewer.dims.slider_widgets[0].slider
    at = slider.rect().center()
    me.press(slider, QPoint(at.x() + slider.width() // 8, at.y()), "slider")
    second = int(viewer.dims.current_step[0])
    assert second != first
    me.stroke([(second, *place) for place in line])
    drawn = me.dock.canvas.labels().copy()
    assert sorted(np.flatnonzero(drawn.any(axis=(1, 2)))) == sorted((first, second))
    me.click("save_partial")
    assert session.study.case(name).state is CaseState.ANNOTATED
    assert "Train can start" in me.dock.annotate_page.note.text()
    stands = session.study.read(name).labels
    assert (stands[first] != UNKNOWN).all()
    assert np.count_nonzero((stands == UNKNOWN).all(axis=(1, 2))) == len(stands) - 2

    me.click("tab_train")
    page = me.dock.train_page
    me.wait("the list of methods", lambda: page.start.isEnabled(), 120)
    page.findChild(QSpinBox, "steps").setValue(6)  # a real training takes minutes: the test's own few steps
    page.findChild(QWidget, "config_form").set_changes(TINY)
    me.wait("the check before the start", lambda: page.start.isEnabled(), 60)
    me.click("start")
    me.wait("the model", lambda: session.study.champion() is not None, 300)
    me.wait("predictions", lambda: session.active is None and session.counts().predicted > 0, 300)
    assert "review them" in session.status

    me.click("tab_review")
    me.click("review_empty_button")
    me.wait("the case to review", lambda: me.dock.review.case is not None and not me.dock.review.loading, 60)
    reviewed = me.dock.canvas.case
    me.click("accept_case")
    me.wait("the acceptance", lambda: session.study.case(reviewed).state is CaseState.ACCEPTED, 30)

    (closed,) = session.study.annotations(name)
    assert (closed.closing, closed.origin) == (Closing.PARTIAL, Origin.PAINTED)
    (accepted,) = session.study.annotations(reviewed)
    assert (accepted.closing, accepted.origin) == (Closing.COMPLETE, Origin.REVIEWED)
    text = DOCS.read_text(encoding="utf-8")
    assert int(re.search(r"\*\*(\d+) clicks\*\*", text)[1]) == len(me.steps), me.steps
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == [str(n + 1) for n in range(len(me.steps))]
    for words, row in zip(me.steps, re.findall(r"^\| \d+ \|(.*)$", text, re.MULTILINE), strict=True):
        assert words.split("  ")[0].strip() in row, (words, row)
