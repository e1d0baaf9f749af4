"""Tools to paint with, in two rows, and the brush's options below them."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.canvas import TOOLS
from napari_penumbra.widgets.range_box import RangeBox

WORDS = {
    "paint": ("Paint", "Paints the picked class with the brush."),
    "erase": ("Erase", "Takes labels away with the brush."),
    "fill": ("Fill", "Fills the connected area under the click with the picked class."),
    "pick": ("Pick", "Takes up the class under the click."),
    "pan": ("Pan", "Moves and zooms the picture; nothing is painted."),
}
KEYS = {"paint": "B", "erase": "E", "fill": "F", "pick": "I", "pan": "V"}
BRUSHES = ("paint", "erase")
LARGEST_MM = 40.0
FIRST_MM = 5.0


class ToolBox(QWidget):
    """Buttons for the canvas's tools.

    Signals
    -------
    tool_picked : (str)
        One of `canvas.TOOLS`.
    brush_changed : (float, bool)
        Diameter in mm, and whether the brush is a ball.
    undo_pressed, redo_pressed
        Wishes.
    """

    tool_picked = Signal(str)
    brush_changed = Signal(float, bool)
    undo_pressed = Signal()
    redo_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.group = QButtonGroup(self)
        self.buttons: dict[str, ActionButton] = {}
        grid = QGridLayout()
        grid.setSpacing(4)
        for n, tool in enumerate(TOOLS):
            button = ActionButton(*WORDS[tool], KEYS[tool], f"tool_{tool}")
            button.setCheckable(True)
            button.clicked.connect(lambda _, name=tool: self._pick(name))
            self.group.addButton(button)
            self.buttons[tool] = button
            grid.addWidget(button, n // 3, n % 3)
        self.undo = ActionButton(
            "Undo", "Takes the last stroke of this case back; saving or leaving it forgets none.", "Ctrl+Z", "undo"
        )
        self.redo = ActionButton("Redo", "Does the stroke again that was taken back.", "Ctrl+Shift+Z", "redo")
        history = QHBoxLayout()
        history.addWidget(self.undo, 1)
        history.addWidget(self.redo, 1)
        self.options = self._build_options()
        self.range = RangeBox()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.options)
        layout.addWidget(self.range)
        layout.addLayout(history)
        self.undo.clicked.connect(self.undo_pressed)
        self.redo.clicked.connect(self.redo_pressed)
        self.show_tool("paint")

    def _build_options(self) -> QWidget:
        options = QWidget()
        row = QHBoxLayout(options)
        row.setContentsMargins(0, 0, 0, 0)
        self.size = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.size.setObjectName("brush_mm")
        self.size.setAccessibleName("Brush diameter in mm")
        self.size.setRange(0.5, LARGEST_MM)
        self.size.setDecimals(1)
        self.size.setSingleStep(0.5)
        self.size.setValue(FIRST_MM)
        self.size.setToolTip("Diameter of the brush in mm.")
        self.flat, self.ball = QPushButton("2D", objectName="brush_2d"), QPushButton("3D", objectName="brush_3d")
        self.flat.setToolTip("The brush is a disc: it paints the shown slice only.")
        self.ball.setToolTip("The brush is a ball: it paints the slices above and below as well.")
        shape = QButtonGroup(options)
        row.addWidget(QLabel("Brush mm"))
        row.addWidget(self.size, 1)
        for button in (self.flat, self.ball):
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setMaximumWidth(button.fontMetrics().horizontalAdvance("3D") + 24)
            shape.addButton(button)
            row.addWidget(button)
        self.flat.setChecked(True)
        self.size.valueChanged.connect(self.send_brush)
        shape.buttonToggled.connect(lambda _, on: self.send_brush() if on else None)
        return options

    def allow(self, why_not: str) -> None:
        """Enable the tools that change labels, or say why not; looking stays possible."""
        for tool, button in self.buttons.items():
            button.allow(why_not if tool not in ("pan", "pick") else "")

    def allow_history(self, why_not: str, can_undo: bool, can_redo: bool) -> None:
        """Enable undo and redo, or say why not."""
        self.undo.allow(why_not or ("" if can_undo else "There is no stroke to take back."))
        self.redo.allow(why_not or ("" if can_redo else "There is no stroke to do again."))

    def show_tool(self, name: str) -> None:
        """Show which tool is active, without picking it."""
        if name in self.buttons:
            self.buttons[name].setChecked(True)
            self.options.setEnabled(name in BRUSHES)
            self.options.setToolTip("" if name in BRUSHES else "Only Paint and Erase use the brush.")

    def press_tool(self, name: str) -> None:
        """Do what a click on a tool does, from any page."""
        if self.buttons[name].isEnabled():
            self._pick(name)

    def resize_brush(self, steps: int) -> None:
        """Make the brush larger or smaller, by a tenth of its size but half a millimetre at least."""
        now = float(self.size.value())
        self.size.setValue(now + steps * max(self.size.singleStep(), round(now / 10 * 2) / 2))

    def flip_shape(self) -> None:
        """Change between the disc and the ball."""
        (self.flat if self.ball.isChecked() else self.ball).setChecked(True)

    def _pick(self, name: str) -> None:
        self.show_tool(name)
        self.tool_picked.emit(name)

    def send_brush(self, _value: object = None) -> None:
        """Say what the brush is set to."""
        self.brush_changed.emit(float(self.size.value()), self.ball.isChecked())
