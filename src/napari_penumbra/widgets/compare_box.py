"""The fold "Compare": two annotations of the shown case side by side, in figures, as contours and place by place."""

from __future__ import annotations

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.session.agreement_words import summary
from napari_penumbra.widgets.buttons import ActionButton, allow
from napari_penumbra.widgets.canvas import FIRST_COLOR, SECOND_COLOR
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.compare_controller import CompareController
from napari_penumbra.widgets.compare_table import AgreementTable, PlaceList
from napari_penumbra.widgets.eliding_combo import ElidingCombo

_TAKES = {
    "first": ("Take —", "This place becomes what the first (solid) has there; one step of undo."),
    "second": ("Take ┅", "This place becomes what the second (striped) has there; one step of undo."),
    "background": ("Neither", "This place becomes background; one step of undo."),
    "unknown": ("Unknown", "Nobody can say: this place teaches nothing wrong; one step of undo."),
}
_CONTOURS = "Draws both over the picture: — solid yellow, ┅ striped blue."
_IN_SLICES = "Contours are drawn on slices. Napari's 2D/3D button below the layer list goes back to them."
_RESOLVING = "Accept takes the class drawn there, Reject background, Unknown leaves it open; or paint."


class CompareBox(QWidget):
    """Chooses two annotations and shows how they differ.

    Parameters
    ----------
    control
        What is compared and what came of it.
    """

    def __init__(self, control: CompareController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.control = control
        self._listed: object = None
        self.first = ElidingCombo("compare_first", "First annotation")
        self.second = ElidingCombo("compare_second", "Second annotation")
        self.note = QLabel(objectName="compare_note", wordWrap=True)
        mute(self.note)
        self.table = AgreementTable()
        self.places = PlaceList()
        self.contours = QCheckBox("Contours", objectName="compare_contours", checked=True)
        self.contours.setToolTip(_CONTOURS)
        self.jump = ActionButton(
            "Next largest", "Goes to the largest disagreement, then to the next smaller one.", "J", "compare_jump"
        )
        self.takes = {key: ActionButton(text, tip, name=f"take_{key}") for key, (text, tip) in _TAKES.items()}
        self._lay_out()
        for chooser in (self.first, self.second):
            chooser.activated.connect(self._on_chosen)
        self.contours.toggled.connect(control.show_contours)
        control.canvas.views.solid_changed.connect(self._allow_contours)
        self.jump.clicked.connect(lambda: control.jump(1))
        self.places.picked.connect(control.go)
        for key, button in self.takes.items():
            button.clicked.connect(lambda _=False, key=key: control.take(key))
        control.changed.connect(self.refresh)
        control.current_changed.connect(self._on_current)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for row, (chooser, color, striped) in enumerate(
            ((self.first, FIRST_COLOR, False), (self.second, SECOND_COLOR, True))
        ):
            line = QLabel()
            line.setPixmap(_line(color, striped, self.fontMetrics().height()))
            line.setToolTip("Striped contour" if striped else "Solid contour")
            grid.addWidget(line, row, 0)
            grid.addWidget(chooser, row, 1)
        layout.addLayout(grid)
        layout.addWidget(self.table)
        layout.addWidget(self.note)
        layout.addWidget(self.places)
        looks = QHBoxLayout()
        looks.addWidget(self.contours)
        looks.addStretch(1)
        looks.addWidget(self.jump)
        layout.addLayout(looks)
        takes = QHBoxLayout()
        takes.setSpacing(4)
        for button in self.takes.values():
            takes.addWidget(button, 1)
        layout.addLayout(takes)

    # ---------------------------------------------------------------- control → box

    def refresh(self) -> None:
        """Show the pair, the figures and the places as they are now."""
        control = self.control
        control.ask_again()
        why = control.why_not()
        self._fill_choosers(why)
        study, units = control.session.study, control.units()
        result = control.result
        scheme = study.labels if study is not None else None
        self.table.show_result(result, scheme, units)
        if result is not self._listed or result is None:
            self._listed = result
            if result is not None and scheme is not None and units is not None:
                self.places.show_places(result.places, scheme, units)
            else:
                self.places.clear()
        if why:
            words = why
        elif control.busy:
            words = "Comparing…"
        elif result is None or units is None:
            words = "Choose two annotations."
        else:
            words = summary(result, units)
        self.note.setText(words)
        self.places.setVisible(bool(control.places))
        for button in self.takes.values():
            button.setVisible(bool(control.places))
        for widget in (self.table, self.places):
            widget.setEnabled(not why)
        self._allow_contours()
        self._on_current()

    def _allow_contours(self, _solid: bool = False) -> None:
        """Contours are lines on a slice: in 3D the box says so instead of showing nothing."""
        solid = self.control.canvas.views.solid()
        self.contours.setText("Contours (in slices only: you are in 3D)" if solid else "Contours")
        allow(self.contours, _IN_SLICES if solid else self.control.why_not(), _CONTOURS)

    def _fill_choosers(self, why: str) -> None:
        choices = self.control.choices()
        pair = self.control.pair or ("", "")
        for chooser, wanted in zip((self.first, self.second), pair, strict=True):
            chooser.blockSignals(True)
            chooser.clear()
            for choice in choices:
                chooser.addItem(choice.title, choice.key)
                chooser.setItemData(chooser.count() - 1, choice.title, Qt.ItemDataRole.ToolTipRole)
            chooser.setCurrentIndex(chooser.findData(wanted))
            chooser.setEnabled(not why)
            chooser.setToolTip(why or chooser.currentText())
            chooser.blockSignals(False)

    def _on_current(self) -> None:
        control = self.control
        self.places.select(control.current)
        if control.resolving and control.result is not None:
            self.places.show_settled(control.settled)
            left = control.unsettled()
            count = len(control.places)
            if left:
                self.note.setText(f"{left} of {count} places are open. {_RESOLVING}")
            else:
                self.note.setText("Every place is settled: accept the case.")
        none = "There is no disagreement to go to." if control.result is not None and not control.places else ""
        self.jump.allow(control.why_not() or ("Comparing…" if control.busy else none))
        why = control.why_not_take()
        for button in self.takes.values():
            button.allow(why)

    # ---------------------------------------------------------------- box → control

    def _on_chosen(self) -> None:
        pair = (str(self.first.currentData() or ""), str(self.second.currentData() or ""))
        if all(pair) and pair != self.control.pair:
            self.control.set_pair(pair)


def _line(color: str, striped: bool, height: int) -> QPixmap:
    """Return a piece of a contour as it is drawn over the picture, on black."""
    pixmap = QPixmap(2 * height, height)
    pixmap.fill(QColor("black"))
    painter = QPainter(pixmap)
    pen = QPen(QColor(color), 3)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    if striped:
        pen.setDashPattern([2.0, 1.5])
    painter.setPen(pen)
    painter.drawLine(QPointF(2, height / 2), QPointF(2 * height - 2, height / 2))
    painter.end()
    return pixmap
