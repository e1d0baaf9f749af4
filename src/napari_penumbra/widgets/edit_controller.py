"""Runs a computing tool on the shown case: preview, apply as one step of undo, cancel. Nothing stale is applied."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.regions import Box
from napari_penumbra.imaging.edits import Edit, Options, Scene, Stopped, Tool
from napari_penumbra.session import Session
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.edit_words import change_words
from napari_penumbra.widgets.worker_thread import Task

LIVE_MS = 120
"""How long a slider must rest before the preview is made anew."""


class State(StrEnum):
    """Where the opened tool is."""

    READY = "ready"
    """Nothing to show yet."""
    CLICK = "waiting for a click"
    RUNNING = "running"
    PREVIEW = "preview shown"


class EditController(QObject):
    """The tool that is opened, and its preview.

    A tool works on a copy of the labels in another thread. Its answer is shown on the canvas and kept only until the
    labels change by other means, another case is shown, or the tool is closed.

    Parameters
    ----------
    value
        The class that is painted with.

    Signals
    -------
    changed
        Another state, other words, another tool.
    progressed : (float)
        How far the running tool is, 0 to 1.
    """

    changed = Signal()
    progressed = Signal(float)
    _share = Signal(object, float)

    def __init__(
        self,
        session: Session,
        canvas: Canvas,
        cases: CaseController,
        value: Callable[[], int | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.session = session
        self.canvas = canvas
        self.cases = cases
        self.tool: Tool | None = None
        self.options: Options | None = None
        self.edit: Edit | None = None
        self.words = ""
        self._value = value
        self._point: tuple[int, int, int] | None = None
        self._run: _Run | None = None
        self._again = False
        self._picking = False
        self._applying = False
        self._shown = False
        self._soon = QTimer(self, singleShot=True, interval=LIVE_MS)
        self._soon.timeout.connect(self.preview)
        self._share.connect(self._on_share)
        canvas.stroke.connect(self._on_stroke)
        canvas.case_changed.connect(self._on_case)
        canvas.class_changed.connect(self._on_class)
        canvas.tool_changed.connect(self._on_tool)

    def disconnect_all(self) -> None:
        """Stop listening to the canvas and forget what runs."""
        self._drop()
        self._soon.stop()
        self.canvas.stroke.disconnect(self._on_stroke)
        self.canvas.case_changed.disconnect(self._on_case)
        self.canvas.class_changed.disconnect(self._on_class)
        self.canvas.tool_changed.disconnect(self._on_tool)

    @property
    def state(self) -> State:
        """Where the opened tool is."""
        if self._run is not None:
            return State.RUNNING
        if self.edit is not None:
            return State.PREVIEW
        return State.CLICK if self._picking else State.READY

    def why_not(self, tool: Tool) -> str:
        """Say why a tool cannot work on the shown case; empty when it can."""
        reason = self.cases.why_not_edit()
        case = self.cases.shown
        if not reason and case is not None:
            reason = tool.why_not(case.images, case.predicted is not None)
        return reason

    # ---------------------------------------------------------------- open and close

    def open(self, tool: Tool, last: dict[str, Any]) -> Options | None:
        """Open a tool with the options used last, where the case has no better ones; None when it cannot work."""
        self.close()
        self.words = self.why_not(tool)
        if self.words:
            self.changed.emit()
            return None
        self.options = tool.options(**_first_values(tool, tool.prepare(self.scene()), last))
        self.tool = tool
        return self.options

    def begin(self, *, at_mouse: bool = False) -> None:
        """Do what the opened tool does first: wait for a click, or show what it would change.

        Parameters
        ----------
        at_mouse
            Take the voxel under the mouse for the first click, if it is over the picture.
        """
        if self.tool is None or self.options is None:
            return
        if self.tool.wants_click(self.options):
            self._wait_for_click()
            self._point = self.canvas.view().point if at_mouse else None
        if self.tool.live and (self._point is not None or not self._picking):
            self.preview()
        self.changed.emit()

    def close(self, words: str = "") -> None:
        """Close the tool; whatever was not applied is gone."""
        self._drop()
        self._soon.stop()
        self._stop_picking()
        self.tool = self.options = self._point = None
        self.words = words
        self.changed.emit()

    def set_options(self, options: Options) -> None:
        """Take other options; a quick tool shows what they change, a slow one waits to be asked."""
        if self.tool is None or options == self.options:
            return
        self.options = options
        self._drop(keep_picture=self.tool.live)
        if self.tool.wants_click(options):
            self._wait_for_click()
        else:
            self._stop_picking()
            self._point = None
        if not self.tool.live:
            self.words = "Options changed: press Preview."
        elif self._point is not None or not self._picking:
            self._soon.start()
        self.changed.emit()

    # ---------------------------------------------------------------- preview

    def scene(self) -> Scene:
        """Take a private copy of the moment; raises `UsageError` when no case is open."""
        labels = np.array(self.canvas.labels(), dtype=np.uint8)
        case, study = self.cases.shown, self.session.opened()
        images = {} if case is None else case.images
        value = self._value()
        return Scene(
            labels=labels,
            images=images,
            spacing=(1.0, 1.0, 1.0) if case is None else case.grid.scale,
            view=self.canvas.view(),
            value=study.labels.values[0] if value is None else value,
            classes={c.value: c.name for c in study.labels.classes},
            modality=self.canvas.modality or "",
            predicted=None if case is None else case.predicted,
            point=self._point,
        )

    def preview(self) -> None:
        """Run the tool in another thread and show what it would change."""
        tool, options = self.tool, self.options
        if tool is None or options is None:
            return
        self._soon.stop()
        if self._run is not None:  # one at a time: the one that runs is told to stop, and the new one follows it
            self._again = True
            self._run.stop()
            return
        self._drop(keep_picture=True)
        try:
            scene = self.scene()
        except PenumbraError as error:
            self._on_failed(error)
            return
        run = _Run(tool, scene, options, self._share.emit)
        run.task.done.connect(lambda edit: self._on_done(run, edit))
        run.task.failed.connect(lambda error: self._on_failed(error, run))
        run.task.over.connect(lambda: self._on_over(run))
        self._run = run
        self.words = ""
        run.task.start()
        self.changed.emit()

    def _on_share(self, run: object, share: float) -> None:
        if run is self._run:
            self.progressed.emit(share)

    def _on_done(self, run: _Run, edit: Edit) -> None:
        if run is not self._run:
            return
        self._run = None
        self.edit = edit
        case = self.cases.shown
        voxel_ml = None if case is None or case.grid.is_picture else case.grid.voxel_ml
        self.words = change_words(edit, run.scene.classes, voxel_ml)
        if edit.empty:
            self._hide()
        else:
            self.canvas.show_preview(edit.box, edit.after, edit.changed)
            self._shown = True
        self.changed.emit()

    def _on_failed(self, error: PenumbraError, run: _Run | None = None) -> None:
        if run is not None and run is not self._run:
            return
        self._run = None
        self._hide()
        if error.details:
            self.cases.messages.show_error(error)  # a fault of the program: its text must not be lost
        self.words = f"⚠ {error}"
        self.changed.emit()

    def _on_over(self, run: _Run) -> None:
        """The thread is free. Whoever stopped the run may want another one."""
        if run is self._run:
            self._run = None
        if self._again and self._run is None:
            self._again = False
            self.preview()
        self.changed.emit()

    def stop(self) -> None:
        """Stop the running tool, and keep it open."""
        if self._run is not None:
            self._drop()
            self.words = "Stopped; nothing was changed."
            self.changed.emit()

    def _drop(self, *, keep_picture: bool = False) -> None:
        """Forget the answer that is shown or on its way; its picture may stay until the next one replaces it."""
        self._again = False
        if self._run is not None:
            self._run.stop()
            self._run = None
        self.edit = None
        if not keep_picture:
            self._hide()

    def _hide(self) -> None:
        if self._shown:
            self._shown = False
            self.canvas.hide_preview()

    # ---------------------------------------------------------------- apply

    def why_not_apply(self) -> str:
        """Say why there is nothing to apply; empty when there is."""
        reason = self.cases.why_not_edit()
        if reason:
            return reason
        if self.state is State.RUNNING:
            return "The tool is still running."
        if self.edit is None:
            return "Preview first: it shows what will change."
        return "Nothing would change." if self.edit.empty else ""

    def apply(self) -> bool:
        """Write what is previewed into the labels, as one step of undo."""
        edit, tool = self.edit, self.tool
        if edit is None or tool is None or self.why_not_apply():
            return False
        with self.cases.messages.guard(f"applying {tool.title}"):
            (z0, y0, x0), (z1, y1, x1) = edit.box
            if not np.array_equal(self.canvas.labels()[z0:z1, y0:y1, x0:x1], edit.before):
                self._gone_stale()
                return False
            self._applying = True
            try:
                self.canvas.set_labels(edit.box, edit.after)
            finally:
                self._applying = False
            self._drop()
            self._point = None
            told = f"{tool.title} applied: {self.words} Undo takes it back."
            if self._picking:  # the next click starts the next one
                self.words = told
                self.changed.emit()
            else:
                self.close(told)
            return True
        return False

    # ---------------------------------------------------------------- clicks

    def _wait_for_click(self) -> None:
        if not self._picking:
            self._picking = True
            self.canvas.pick_point(self._on_point)

    def _stop_picking(self) -> None:
        if self._picking:
            self._picking = False
            self.canvas.pick_point(None)

    def _on_point(self, point: tuple[int, int, int]) -> None:
        self._point = point
        self.preview()

    # ---------------------------------------------------------------- listening

    def _on_stroke(self, box: Box, after: object) -> None:
        if self._applying:
            return
        if self.edit is not None or self._run is not None or self._soon.isActive():
            self._gone_stale()
        elif self.tool is None and self.words:  # what was said of the last tool is no news any more
            self.words = ""
            self.changed.emit()

    def _gone_stale(self) -> None:
        self._drop()
        self._soon.stop()  # a preview that was due for the labels of before the stroke must not come after it
        self.words = "The labels have changed meanwhile: preview again."
        self.changed.emit()

    def _on_case(self, case: str | None) -> None:
        if self.tool is not None:
            self.close()
        else:
            self.words = ""
            self.changed.emit()

    def _on_class(self, value: int) -> None:
        """Another class was picked: what is shown was for the one before."""
        if self.edit is None and self._run is None:
            return
        self._drop()
        if self.tool is not None and self.tool.live:
            self._soon.start()
        else:
            self.words = "Another class is picked: press Preview."
        self.changed.emit()

    def _on_tool(self, name: str) -> None:
        if self._picking and name != "pan":
            self.close()  # the reader paints again; clicks are strokes


def _first_values(tool: Tool, of_case: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """Values to begin with: modalities and classes as this case has them, everything else as the reader left it."""
    values = {}
    for name, field in tool.options.model_fields.items():
        extra = field.json_schema_extra
        chosen_in_case = isinstance(extra, dict) and bool(extra["kind"])
        sources = (of_case, last) if chosen_in_case else (last, of_case)
        found = [source[name] for source in sources if source.get(name) not in (None, "")]
        if found:
            values[name] = found[0]
    return values


class _Run:
    """One call of a tool: its task, and the report that stops it."""

    def __init__(self, tool: Tool, scene: Scene, options: Options, tell: Callable[[object, float], None]) -> None:
        self.scene = scene
        self._told = 0.0
        self._tell = tell
        self.task = Task(lambda: tool.run(scene, options, self._report), f"running {tool.title}")

    def stop(self) -> None:
        """End it at its next report, and drop its answer."""
        self.task.cancel()

    def _report(self, share: float) -> None:
        if self.task.cancelled:
            raise Stopped
        if share - self._told >= 0.01:  # a signal to the window for every slice would be too many
            self._told = share
            self._tell(self, share)
