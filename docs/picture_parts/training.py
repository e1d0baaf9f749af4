"""Pictures of the Train page."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QSpinBox

from picture_parts.desk import Desk


def train(desk: Desk) -> None:
    """Show what is recommended, what it will cost, and the curves of the training before."""
    _begin(desk, "twice")
    runs = desk.widget.session.runs()
    desk.widget.dock.train_page.runs.select(next(run.id for run in runs if run.kind == "train"))
    box = desk.widget.dock.train_page.preflight
    desk.wait("the measurement", lambda: box.preflight is not None and box.preflight.measured is not None, 300)
    desk.shoot()


def models(desk: Desk) -> None:
    """Show two models, and why one of them predicts."""
    _begin(desk, "twice")
    desk.widget.dock.train_page.preflight.stop()
    desk.unfold("models")
    last, scroll = desk.find("model_memory"), desk.widget.dock.train_page.scroll

    def seen() -> bool:
        scroll.ensureWidgetVisible(last)  # again and again: the page grows while it fills
        return not last.visibleRegion().isEmpty()

    desk.settle(500)
    desk.wait("the end of the fold", seen, 10)
    desk.shoot()


def where(desk: Desk) -> None:
    """Show three processes chosen on one computer."""
    _begin(desk, "fresh")
    desk.unfold("where")
    how = desk.find("where_how", QComboBox)
    how.setFocus()
    QTest.keyClick(how, Qt.Key.Key_Down)
    desk.find("where_processes", QSpinBox).setValue(3)
    desk.widget.dock.train_page.preflight.stop()
    form = desk.widget.dock.train_page.where
    # Rather no picture than one of words that are cut off.
    desk.wait("room for the form", lambda: form.height() >= form.layout().heightForWidth(form.width()), 10)
    desk.shoot_widget(desk.find("where"))


def _begin(desk: Desk, study: str) -> None:
    """Go to the Train page and wait for its recommendation, with a case on the canvas."""
    desk.use(study)
    desk.open_case("stroke-006")
    desk.page("train")
    method = desk.find("method", QComboBox)
    desk.wait("the recommendation", lambda: method.currentText().startswith("Recommended"), 120)


PICTURES = {"train": train, "models": models, "tools/where": where}
