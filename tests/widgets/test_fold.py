"""The headline that folds things away."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_penumbra.widgets.fold import Fold


def page(qtbot, *parts: QWidget) -> QScrollArea:
    """A low page with these parts below each other."""
    inner, area = QWidget(), QScrollArea()
    layout = QVBoxLayout(inner)
    for part in parts:
        layout.addWidget(part)
    area.setWidget(inner)
    area.setWidgetResizable(True)
    area.resize(300, 200)
    qtbot.addWidget(area)
    area.show()
    qtbot.waitExposed(area)
    return area


def tall(height: int) -> QWidget:
    widget = QLabel("tall")
    widget.setFixedHeight(height)
    return widget


def test_a_click_unfolds_it_and_brings_it_into_view(qtbot):
    fold = Fold("Log", tall(80), "log")
    area = page(qtbot, tall(150), fold)
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    assert fold.toggleButton().text() == "▸  Log"
    assert fold.height() < 2 * fold.toggleButton().height(), "shut, it takes its headline's height"
    qtbot.mouseClick(fold.toggleButton(), Qt.MouseButton.LeftButton)
    assert fold.toggleButton().text() == "▾  Log"
    qtbot.waitUntil(lambda: not fold.visibleRegion().isEmpty() and fold.visibleRegion().boundingRect() == fold.rect())
    qtbot.mouseClick(fold.toggleButton(), Qt.MouseButton.LeftButton)
    assert fold.toggleButton().text() == "▸  Log"


def test_the_arrow_can_be_read_on_dark(qtbot):
    fold = Fold("Log", tall(20), "log")
    qtbot.addWidget(fold)
    fold.setStyleSheet("* {background: #101010; color: #f0f0f0}")
    fold.show()
    qtbot.waitExposed(fold)
    button = fold.toggleButton()
    image = button.grab().toImage()
    arrow = button.fontMetrics().horizontalAdvance("▸") + 6
    inks = [QColor(image.pixel(x, y)).lightness() for x in range(arrow) for y in range(image.height())]
    assert max(inks) > 150
    assert button.palette().color(QPalette.ColorRole.ButtonText).lightness() > 150
