"""The Annotate page: classes, tools, modalities, and closing the case."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QStackedLayout, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_penumbra.domain.case import Closing, OpenCase, Role
from napari_penumbra.domain.colour import PICTURE, has_colour
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.domain.regions import Box
from napari_penumbra.session import Session
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.class_list import ClassList
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.edit_tools import EditTools
from napari_penumbra.widgets.empty_state import EmptyState
from napari_penumbra.widgets.fold import free_fold
from napari_penumbra.widgets.modality_strip import ModalityStrip
from napari_penumbra.widgets.tool_box import ToolBox
from napari_penumbra.widgets.view_box import ViewBox
from napari_penumbra.widgets.volumes import VolumeCounter

_IN_3D = (
    "In 3D the brush changes only what is painted already. Napari's 2D/3D button below the layer list goes back to "
    "slices."
)


class AnnotatePage(QWidget):
    """Paints on the shown case.

    Signals
    -------
    wish : (str)
        What the empty state's button asks for: ``study`` or ``next``.
    volumes_told : (LabelScheme, dict, bool)
        Amount of each label value in the shown case, in millilitres or (True) pixels.
    """

    wish = Signal(str)
    volumes_told = Signal(object, object, bool)

    def __init__(self, session: Session, canvas: Canvas, cases: CaseController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.canvas = canvas
        self.cases = cases
        self._volumes: VolumeCounter | None = None
        self._pixels = False
        self._build()
        # Volumes at most five times a second: a brush sends a stroke per mouse move.
        self._soon = QTimer(self, singleShot=True, interval=200)
        self._soon.timeout.connect(self._show_volumes)
        cases.opened.connect(self._on_opened)
        cases.cleared.connect(self.refresh)
        cases.changed.connect(self.refresh)
        canvas.stroke.connect(self._on_stroke)
        canvas.class_changed.connect(self.classes.pick)
        canvas.tool_changed.connect(self.tools.show_tool)
        canvas.modality_changed.connect(self._on_modality)
        canvas.contrast_changed.connect(self._on_contrast)
        canvas.views.solid_changed.connect(self._on_solid)

    def disconnect_all(self) -> None:
        """Stop listening to the canvas."""
        self.edits.disconnect_all()
        self.canvas.stroke.disconnect(self._on_stroke)
        self.canvas.class_changed.disconnect(self.classes.pick)
        self.canvas.tool_changed.disconnect(self.tools.show_tool)
        self.canvas.modality_changed.disconnect(self._on_modality)
        self.canvas.contrast_changed.disconnect(self._on_contrast)
        self.canvas.views.solid_changed.disconnect(self._on_solid)
        self.views.disconnect_all()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.head = QElidingLabel(objectName="annotate_case")
        font = self.head.font()
        font.setBold(True)
        self.head.setFont(font)
        self.note = QLabel(objectName="annotate_note", wordWrap=True)
        mute(self.note)
        self.classes = ClassList()
        self.tools = ToolBox()
        self.strip = ModalityStrip()
        self.views = ViewBox(self.canvas.views)
        self.edits = EditTools(self.session, self.canvas, self.cases, self.classes, self)
        self.edits_fold = free_fold("Tools", self.edits, "edit_tools_fold")
        self.edits_fold.toggled.connect(self.edits.on_folded)
        self.edits.opened.connect(self._show_edits)
        self._opening = QTimer(self, singleShot=True, interval=1000)
        self.partial = ActionButton(
            "Save as partial",
            "Closes the case; slices that nobody touched stay unknown and teach nothing wrong.",
            name="save_partial",
        )
        self.complete = ActionButton(
            "Case complete", "Closes the case: what is not painted is background.", "Ctrl+Return", "case_complete"
        )
        self.reopen = ActionButton(
            "Reopen case", "Takes the case back out of the labelled pool; nothing is deleted.", name="reopen_case"
        )
        self.previous = ActionButton("Previous", "Saves, then opens the case before.", "Ctrl+Left", "previous_case")
        self.next = ActionButton("Next", "Saves, then opens the next case.", "Ctrl+Right", "next_case")
        self.empty = EmptyState("annotate_empty")
        self._lay_out()
        self.classes.picked.connect(self._pick_class)
        self.tools.tool_picked.connect(self.canvas.select_tool)
        self.tools.brush_changed.connect(self.canvas.set_brush)
        self.tools.range.changed.connect(self.canvas.set_range)
        self.tools.range.shown_changed.connect(self.canvas.views.show_range)
        self.canvas.views.show_range(self.tools.range.shown.isChecked())
        self.tools.undo_pressed.connect(self.canvas.undo)
        self.tools.redo_pressed.connect(self.canvas.redo)
        self.strip.picked.connect(self.canvas.show_modality)
        self.strip.window_changed.connect(self.canvas.set_contrast)
        self.strip.preset_picked.connect(self.canvas.views.set_window)
        self.complete.clicked.connect(lambda: self.cases.close_case(Closing.COMPLETE))
        self.partial.clicked.connect(lambda: self.cases.close_case(Closing.PARTIAL))
        self.reopen.clicked.connect(self.cases.reopen)
        self.previous.clicked.connect(lambda: self.cases.open_next(-1))
        self.next.clicked.connect(lambda: self.cases.open_next(1))
        self.empty.pressed.connect(self.wish)

    def _lay_out(self) -> None:
        inner = QWidget()
        body = QVBoxLayout(inner)
        body.setContentsMargins(0, 0, 0, 0)
        for widget in (self.head, self.note, self.classes, self.tools, self.edits_fold, self.strip, self.views):
            body.addWidget(widget)
        body.addStretch(1)
        scroll = self._scroll = scrolled(inner)
        scroll.verticalScrollBar().rangeChanged.connect(self._scroll_to_edits)
        filled = QWidget()
        layout = QVBoxLayout(filled)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.edits.bar)
        # The buttons that close a case never scroll out of sight.
        layout.addWidget(self.reopen)
        for row in ((self.partial, self.complete), (self.previous, self.next)):
            line = QHBoxLayout()
            for button in row:
                line.addWidget(button, 1)
            layout.addLayout(line)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(filled)
        self._stack.addWidget(self.empty)
        self._filled = filled

    # ---------------------------------------------------------------- session and canvas → page

    def _on_opened(self, case: OpenCase) -> None:
        study = self.session.study
        if study is None:
            return
        self.classes.set_scheme(study.labels)
        self._pixels = case.grid.is_picture
        voxel_ml = 1.0 if self._pixels else case.grid.voxel_ml
        self._volumes = VolumeCounter(self.canvas.labels(), voxel_ml, (*study.labels.values, UNKNOWN))
        self._show_volumes()
        missing = [m for m in study.modalities if m not in case.images]
        whole = (PICTURE,) if has_colour(tuple(case.images)) else ()
        self.strip.set_modalities([*whole, *case.images], missing)
        self._on_modality(self.canvas.modality or "")
        value = self.classes.value()
        if value is not None:
            self.canvas.select_class(value)
        self.tools.send_brush()
        self.tools.range.set_case(list(case.images), self.canvas.modality, self.canvas.intensities)

    def showEvent(self, event: Any) -> None:
        """Catch up: a hidden page reads nothing."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Read anew what the shown case is and what may be done with it, if anybody sees it."""
        if not self.isVisible():
            return
        with self.cases.messages.guard("reading the case"):
            self._refresh()

    def _refresh(self) -> None:
        name = self.cases.name
        self._stack.setCurrentWidget(self._filled if name is not None else self.empty)
        if name is None:
            self._volumes = None
            self._say_empty()
            return
        row = self.cases.row()
        why_not = self.cases.why_not_edit()
        closed = row is not None and row.state.labelled
        saving = self.session.saving == name
        dirty = self.cases.unsaved()
        state = "" if row is None else f" · {row.state.value}"
        self.head.setText(f"{name}{state}" + (" · being saved" if saving else " · not saved yet" if dirty else ""))
        note = why_not if self.session.readonly else ""  # what a team's reader has checked out is told above the pages
        if not note and row is not None and row.role is Role.VALIDATION:
            note = "Frozen: this case measures models and never trains."
        if not note and closed:
            note = f"This case is closed and teaches. Painting on it makes it a draft again. {self._what_next()}"
        if not note and self.canvas.views.solid():
            note = _IN_3D
        self.note.setText(note)
        self.note.setVisible(bool(note))
        done = "The case is closed; nothing has changed since." if closed and not dirty else ""
        self.complete.allow(why_not or done)
        self.partial.allow(why_not or done)
        self.reopen.setVisible(closed)
        self.reopen.allow(why_not)
        self.tools.allow(why_not)
        self.edits.refresh()
        self.tools.allow_history(why_not, self.canvas.can_undo(), self.canvas.can_redo())

    def _what_next(self) -> str:
        """Say where to go from a closed case."""
        labelled = self.session.counts().labelled
        if labelled < 2:
            return "Next opens another one: from two labelled cases on, a model can be trained."
        return f"Next opens another one; with {labelled} labelled cases, ⟳ Train can start, too."

    def _show_edits(self) -> None:
        """Unfold the computing tools, and scroll the opened one to the top if the screen is too low for all."""
        self.edits_fold.expand(animate=False)
        self._opening.start()
        self._scroll_to_edits()

    def _scroll_to_edits(self, *_range: int) -> None:
        """Follow the page while the opened tool takes its room, but never the reader's own scrolling later on."""
        if self._opening.isActive() and self.edits.controller.tool is not None:
            self._scroll.verticalScrollBar().setValue(self.edits_fold.y())

    def _say_empty(self) -> None:
        if self.session.study is None:
            self.empty.say("No study open.", "Go to Study", "study", "Shows the Study page.")
        elif not self.session.counts().cases:
            self.empty.say("This study has no cases yet.", "Go to Study", "study", "Shows the Study page.")
        else:
            self.empty.say("No case open.", "Open next case", "next", "Opens the next case of the study's order.")

    def _on_stroke(self, box: Box, after: np.ndarray) -> None:
        if self._volumes is not None:
            self._volumes.update(self.canvas.labels(), box)
            self.tools.allow_history(self.cases.why_not_edit(), self.canvas.can_undo(), self.canvas.can_redo())
            if not self._soon.isActive():
                self._soon.start()

    def _show_volumes(self) -> None:
        if self._volumes is not None and self.classes.scheme is not None:
            volumes = self._volumes
            amounts = {value: volumes.ml(value) for value in (*self.classes.scheme.values, UNKNOWN)}
            self.classes.set_volumes(amounts, self._pixels)
            self.volumes_told.emit(self.classes.scheme, amounts, self._pixels)

    def _on_modality(self, name: str) -> None:
        self.strip.show_modality(name, self.canvas.contrast())
        self.strip.show_windows(self.canvas.views.windows(), self.canvas.views.window())

    def _on_solid(self, _solid: bool) -> None:
        """Into 3D, or back to slices: the note says what the brush does there."""
        self.refresh()

    def _on_contrast(self, _low: float, _high: float) -> None:
        self._on_modality(self.canvas.modality or "")

    def _pick_class(self, value: int) -> None:
        self.canvas.select_class(value)


def scrolled(inner: QWidget) -> QScrollArea:
    """Let a page scroll up and down when the screen is too low, never sideways."""
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(scroll.horizontalScrollBarPolicy().ScrollBarAlwaysOff)
    scroll.setWidget(inner)
    return scroll
