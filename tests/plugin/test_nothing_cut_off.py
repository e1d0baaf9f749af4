"""No page of the dock, at the widths that it is used at, shows a control that reaches beyond what can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_settings
from plugin_cases import leave_prediction
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QScrollArea, QWidget
from superqt import QCollapsible

from napari_penumbra.plugin.main_widget import PenumbraWidget
from napari_penumbra.study.samples import make_sample_study

PAGES = ("study", "annotate", "train", "review")
WIDTHS = (360, 420)
LARGE_POINTS, LARGE_WIDTH = 18, 480
"""Letters for those who see badly, and the widest that the dock is meant to be."""


@pytest.fixture
def widget(make_napari_viewer: Callable[..., Any], tmp_path: Path) -> Iterator[PenumbraWidget]:
    """The dock, docked, with an open study."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    _, made = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
    made.session.auto_predict = False
    made.open_study(make_sample_study(tmp_path / "study", cases=6))
    yield made
    made.shut()


def cut_off(area: QScrollArea) -> list[str]:
    """Name the visible controls inside a scroll area that reach beyond its right or left edge."""
    viewport, found = area.viewport(), []
    for child in area.widget().findChildren(QWidget):
        inner = child.parentWidget()
        while inner is not None and inner is not area.widget() and not hasattr(inner, "viewport"):
            inner = inner.parentWidget()
        if not child.isVisibleTo(area) or inner is not area.widget():
            continue  # what lies in a list or another scroll area is that one's own affair
        left = child.mapTo(viewport, QPoint(0, 0)).x()
        if child.width() and (left < 0 or left + child.width() > viewport.width()):
            found.append(f"{type(child).__name__} {child.objectName()!r}: {left} to {left + child.width()}")
    return [f"{words} in {viewport.width()} px" for words in found]


def dock_widths(widget: PenumbraWidget, width: int, qtbot: Any) -> None:
    """Make the dock this wide, as the reader does by dragging its edge."""
    outer = widget.parentWidget()
    outer.setFixedWidth(width)
    qtbot.waitUntil(lambda: widget.width() <= width and outer.width() == width, timeout=5000)


def check_pages(widget: PenumbraWidget, width: int, qtbot: Any) -> None:
    """Unfold everything on every page and look for what is cut off."""
    dock = widget.dock
    seen = 0
    for page in PAGES:
        dock.show_page(page)
        shown = dock.pages.currentWidget()
        for group in shown.findChildren(QCollapsible):
            group.expand(animate=False)
        qtbot.wait(300)
        for area in shown.findChildren(QScrollArea):
            if area.isVisible() and area.widget() is not None:
                seen += 1
                assert cut_off(area) == [], f"{page} at {width} px"
        assert shown.width() <= width
        outside = [
            child.objectName()
            for child in shown.findChildren(QWidget)
            if child.isVisible() and child.mapTo(dock, QPoint(child.width(), 0)).x() > dock.width() + 1
        ]
        assert outside == [], f"{page} at {width} px"
    assert seen >= 3


def test_no_control_is_cut_off_on_any_page(widget: PenumbraWidget, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dock = widget.dock
    name = next(row.name for row in widget.session.cases() if not row.state.labelled)
    study = widget.session.opened()
    labels = np.zeros_like(study.read(name).labels)
    labels[5, 10:20, 10:20] = 1
    leave_prediction(study, name, labels, np.full(labels.shape, 0.5, np.float32))
    assert dock.cases.open(name)
    dock.annotate_page.tools.range.switch.click()

    def recommended() -> bool:
        return bool(dock.train_page.form.method.currentText().startswith("Recommended"))

    for width in WIDTHS:
        dock_widths(widget, width, qtbot)
        dock.show_page("train")
        qtbot.waitUntil(recommended, timeout=60_000)
        check_pages(widget, width, qtbot)
    monkeypatch.setattr(get_settings().appearance, "font_size", LARGE_POINTS)
    dock_widths(widget, LARGE_WIDTH, qtbot)
    check_pages(widget, LARGE_WIDTH, qtbot)
