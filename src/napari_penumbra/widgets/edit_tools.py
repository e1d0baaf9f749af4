"""The Annotate page's computing tools: choose one, set its options, see what it would change, apply or cancel."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.edits import TOOLS, Tool
from napari_penumbra.session import Session
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.class_list import ClassList
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.edit_controller import EditController, State
from napari_penumbra.widgets.edit_form import EditForm
from napari_penumbra.widgets.paragraph import Paragraph
from napari_penumbra.widgets.shortcuts import bind

SHOW_PROGRESS_MS = 300
CLICK_WORDS = "Click into the picture."
IN_3D_WORDS = (
    "A click means a voxel in slices only, and the picture is in 3D: go back to slices with napari's 2D/3D button "
    "below the layer list, then click."
)


class EditTools(QWidget):
    """A button per tool; the opened tool's options take their place.

    What would change, and Preview, Apply and Cancel, stand in ``bar``, which the page puts where it is always seen.

    Parameters
    ----------
    page
        The keys of the tools work while it shows.

    Signals
    -------
    opened
        A tool was opened, perhaps by its key: whoever folds this away should show it.
    """

    opened = Signal()

    def __init__(
        self, session: Session, canvas: Canvas, cases: CaseController, classes: ClassList, page: QWidget
    ) -> None:
        super().__init__()
        self.setObjectName("edit_tools")
        self.cases = cases
        self._classes = classes
        self.controller = EditController(session, canvas, cases, classes.value, self)
        self.form: EditForm | None = None
        self._last: dict[str, dict[str, Any]] = {}
        self._build(page)
        self._late = QTimer(self, singleShot=True, interval=SHOW_PROGRESS_MS)
        self._late.timeout.connect(self._show_progress)
        self.controller.changed.connect(self.refresh)
        self.controller.canvas.views.solid_changed.connect(self._on_solid)
        self.controller.progressed.connect(self._on_share)
        self.refresh()

    def disconnect_all(self) -> None:
        """Stop listening to the canvas."""
        self.controller.disconnect_all()

    # ---------------------------------------------------------------- layout

    def _build(self, page: QWidget) -> None:
        self.buttons: dict[str, ActionButton] = {}
        self._grid = QWidget()
        grid = QGridLayout(self._grid)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for n, tool in enumerate(TOOLS):
            name = f"edit_{tool.key}"
            button = ActionButton(tool.title, tool.tip, name=name)
            button.clicked.connect(partial(self.open, tool))
            self.buttons[tool.key] = button
            grid.addWidget(button, n // 2, n % 2)
            if tool.shortcut:
                action = partial(self.open, tool, at_mouse=True)
                bind(page, tool.shortcut, action, shown_on=(button,), name=name, text=tool.title)
        self._opened = self._build_opened()
        self.bar = self._build_bar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._grid)
        layout.addWidget(self._opened)

    def _build_opened(self) -> QWidget:
        opened = QWidget()
        self.title = QLabel(objectName="edit_title")
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.tip = Paragraph("edit_tip")
        mute(self.tip)
        self._rows = QVBoxLayout(opened)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.addWidget(self.title)
        self._rows.addWidget(self.tip)
        self.notes = Paragraph("edit_notes")
        mute(self.notes)
        self._rows.addWidget(self.notes)
        return opened

    def _build_bar(self) -> QWidget:
        """What would change, and the buttons that decide; the page keeps it in sight."""
        bar = QWidget(objectName="edit_bar")
        self.figures = QLabel(objectName="edit_figures", wordWrap=True)
        self.figures.setFont(self.title.font())
        self.words = QLabel(objectName="edit_words", wordWrap=True)
        self.progress = QProgressBar(objectName="edit_progress")
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(8)
        self.preview = ActionButton("Preview", "Shows what would change; nothing is written.", name="edit_preview")
        self.apply = ActionButton("Apply", "Writes what is previewed, as one step of undo.", name="edit_apply")
        self.cancel = ActionButton("Cancel", "Closes the tool; nothing is written.", name="edit_cancel")
        self._decide = QWidget()
        row = QHBoxLayout(self._decide)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.preview, self.apply, self.cancel):
            row.addWidget(button, 1)
        layout = QVBoxLayout(bar)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.figures, self.words, self.progress, self._decide):
            layout.addWidget(widget)
        self.preview.clicked.connect(self.controller.preview)
        self.apply.clicked.connect(self.controller.apply)
        self.cancel.clicked.connect(self._on_cancel)
        # Owned by the row of buttons: Enter and Escape are everybody else's while no tool is open.
        owner, enter, leave = self._decide, self._on_enter, self._on_cancel
        bind(owner, "Return", enter, shown_on=(self.apply,), name="edit_apply", text="Apply the tool, or preview")
        bind(owner, "Esc", leave, shown_on=(self.cancel,), name="edit_cancel", text="Cancel the tool")
        return bar

    # ---------------------------------------------------------------- tools

    def open(self, tool: Tool, _checked: bool = False, *, at_mouse: bool = False) -> None:
        """Open a tool with the options it had last; by its key, it starts where the mouse is."""
        self._keep_options()
        with self.cases.messages.guard(f"opening {tool.title}"):
            options = self.controller.open(tool, self._last.get(tool.key, {}))
            if options is not None:
                self._make_form(tool, options.model_dump())
                self.controller.begin(at_mouse=at_mouse)
        self.refresh()
        self.opened.emit()

    def _make_form(self, tool: Tool, values: dict[str, Any]) -> None:
        self._drop_form()
        case, scheme = self.cases.shown, self._classes.scheme
        self.form = EditForm(
            tool.options,
            values,
            () if case is None else tuple(case.images),
            {} if scheme is None else {c.value: c.name for c in scheme.classes},
            pixels=case is not None and case.grid.is_picture,
        )
        self.form.changed.connect(self._on_options)
        self._rows.insertWidget(2, self.form)
        self.title.setText(tool.title)
        self.tip.setText(tool.tip)

    def _drop_form(self) -> None:
        self.notes.setText("")
        if self.form is not None:
            self._rows.removeWidget(self.form)
            self.form.hide()
            self.form.deleteLater()
            self.form = None

    def _keep_options(self) -> None:
        """Remember the options of the opened tool for the next time."""
        if self.controller.tool is not None and self.form is not None:
            self._last[self.controller.tool.key] = self.form.values()

    def _on_options(self) -> None:
        if self.form is not None:
            try:
                self.controller.set_options(self.form.read())
            except (PenumbraError, ValueError) as error:
                self.words.setText(f"⚠ {error}")

    def _on_enter(self) -> None:
        """Apply what is previewed; without a preview, make one."""
        if not self.controller.why_not_apply():
            self.controller.apply()
        elif self.preview.isEnabled():
            self.controller.preview()

    def _on_cancel(self) -> None:
        """Stop what runs; when nothing runs, close the tool."""
        if self.controller.state is State.RUNNING:
            self.controller.stop()
        else:
            self.controller.close()

    def hideEvent(self, event: Any) -> None:
        """Another page: a preview must not stay on the picture without its buttons."""
        super().hideEvent(event)
        self.on_folded(self.isVisible())

    def on_folded(self, expanded: bool) -> None:
        """Close the opened tool when it is folded away; for the same reason."""
        if not expanded and self.controller.tool is not None:
            self.controller.close()

    # ---------------------------------------------------------------- showing

    def refresh(self) -> None:
        """Show the controller's state."""
        controller = self.controller
        tool = controller.tool
        if tool is None and self.form is not None:
            self._drop_form()
        self._grid.setVisible(tool is None)
        self._opened.setVisible(tool is not None)
        self._decide.setVisible(tool is not None)
        for known in TOOLS:
            self.buttons[known.key].allow(controller.why_not(known))
        edit, state = controller.edit, controller.state
        figures = {} if edit is None else edit.figures
        self.figures.setText(" · ".join(f"{name} {text}" for name, text in figures.items()))
        self.figures.setVisible(bool(figures))
        if edit is not None or not self.notes.isVisible():  # between two previews the old notes keep the place
            self.notes.setText("" if edit is None else "\n".join(edit.notes))
        self.notes.setVisible(bool(self.notes.text()) and tool is not None)
        click = IN_3D_WORDS if controller.canvas.views.solid() else CLICK_WORDS
        self.words.setText(controller.words or (click if state is State.CLICK else ""))
        self.words.setVisible(bool(self.words.text()))
        self.apply.allow(controller.why_not_apply())
        running = state is State.RUNNING
        waiting = state is State.CLICK
        self.preview.allow(click if waiting else "The tool is running." if running else "")
        self.bar.setVisible(tool is not None or bool(self.words.text()))
        if not running:
            self._late.stop()
            self.progress.hide()
        elif not self._late.isActive() and self.progress.isHidden():
            self.progress.setRange(0, 0)  # busy, until the tool says how far it is
            self._late.start()

    def _on_solid(self, _solid: bool) -> None:
        """Into 3D, or back to slices."""
        self.refresh()

    def _show_progress(self) -> None:
        if self.controller.state is State.RUNNING:
            self.progress.show()

    def _on_share(self, share: float) -> None:
        self.progress.setRange(0, 100)
        self.progress.setValue(round(100 * share))
