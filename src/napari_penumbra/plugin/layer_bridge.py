"""The canvas made of napari layers: one case at a time, in layers of its own, every change journalled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_penumbra.domain.case import OpenCase
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box, Region
from napari_penumbra.imaging.edits import View
from napari_penumbra.plugin.activity import ActiveSeconds
from napari_penumbra.plugin.compat import camera, scale_bar
from napari_penumbra.plugin.confidence_overlay import threshold_limits
from napari_penumbra.plugin.contours import Contours
from napari_penumbra.plugin.drawn import Drawn
from napari_penumbra.plugin.geometry import growing_letters
from napari_penumbra.plugin.history import Shelf
from napari_penumbra.plugin.layers import CaseLayers, decided_slices, first_slice, make_layers
from napari_penumbra.plugin.modalities import Modalities
from napari_penumbra.plugin.orientation import OrientationLetters
from napari_penumbra.plugin.own_layers import OwnLayers
from napari_penumbra.plugin.placed import Placed
from napari_penumbra.plugin.preview import Preview
from napari_penumbra.plugin.region_mark import RegionMark
from napari_penumbra.plugin.strokes import StrokeTracker
from napari_penumbra.plugin.tools import Tools
from napari_penumbra.plugin.viewpoint import ClickPicker, view_of
from napari_penumbra.plugin.views import CaseViews
from napari_penumbra.widgets.canvas import Range, Tool

if TYPE_CHECKING:
    from napari_penumbra.session import Session


class LayerBridge:
    """Implements `widgets.canvas.Canvas` with a napari viewer.

    Owns only the layers that it made. A case gets layers of its own and gives them up for the next, so that the undo
    history of one case can never write into another.

    Parameters
    ----------
    viewer
        A napari viewer, or the proxy that napari hands to plugins.
    session
        Where strokes are journalled and where the label scheme comes from.
    """

    stroke = Signal(object, object)
    dirty_changed = Signal(bool)
    case_changed = Signal(object)
    modality_changed = Signal(str)
    contrast_changed = Signal(float, float)
    class_changed = Signal(int)
    tool_changed = Signal(str)
    labels_removed = Signal()
    """The labels layer was deleted by hand, or napari is closing: now is the time to save."""

    def __init__(self, viewer: Any, session: Session) -> None:
        # Layers are told apart by identity, which napari's plugin proxy hides.
        self.viewer = getattr(viewer, "__wrapped__", viewer)
        self.session = session
        self.case: str | None = None
        self.layers: CaseLayers | None = None
        self._open: OpenCase | None = None
        self._threshold = 0.5
        self._dirty = False
        self._touched: set[int] = set()
        self._tracker: StrokeTracker | None = None
        self._shelf = Shelf()
        self._history_of: tuple[Path, str] | None = None
        self._active = ActiveSeconds()
        self._letters = OrientationLetters(self.viewer)
        self._tools = Tools(self.class_changed.emit, self.tool_changed.emit)
        self._modalities = Modalities(self._on_front, self._on_contrast)
        self.views = CaseViews(self.viewer, self._modalities, self._tools)
        self._own = OwnLayers(self.viewer, self._on_lost)
        self._placed = Placed(self._on_moved)
        self._contours = Contours(self.viewer, self._own)
        self._preview = Preview(self.viewer, self._own)
        self._mark = RegionMark(self.viewer, self._own)
        self._drawn: tuple[Drawn, ...] = (self._contours, self._preview, self._mark)
        self._clicks = ClickPicker(self.viewer)
        self._connect(True)
        session.models_changed.connect(self._name_prediction, thread="main")

    # ---------------------------------------------------------------- showing a case

    def show(self, case: OpenCase) -> None:
        """Show a case; see `Canvas.show`."""
        study = self.session.opened()
        made = make_layers(case, study.labels, self._modalities.wanted, self._threshold)
        self._add_source_grid(case.name, made)
        self._let_go()
        self.case, self._open, self.layers = case.name, case, made
        self._name_prediction()
        self._own.replace(made.all())
        self._placed.hold(made.all())
        made.labels.editable = self.session.may_write(case.name)
        self.viewer.layers.selection.active = made.labels
        self._history_of = (study.root, case.name)
        history = self._shelf.take(self._history_of, made.labels.data)
        self._tracker = StrokeTracker(made.labels, self._on_change, history)
        self._tools.attach(made.labels, study.labels)
        self._modalities.attach(made.images)
        self.views.attach(made.labels, study.labels, () if case.grid.is_picture else growing_letters(case.grid))
        self._touched = decided_slices(case)
        self._dirty = False
        self._look_at_case(case, made)
        self._active.start()
        self.case_changed.emit(case.name)
        self._set_dirty(case.restored > 0)

    def _name_prediction(self) -> None:
        """Say on the prediction's layer which model it is of, and whether that one is champion."""
        case, made = self._open, self.layers
        if case is not None and made is not None and case.prediction is not None and made.prediction is not None:
            model = self.session.predicted_by(case.prediction.run)
            made.prediction.name = f"{case.name} · prediction {model}".rstrip()

    def finish_showing(self) -> None:
        """Add the layers of the case that are still to come: hidden ones are added when the window is idle."""
        self._own.finish()

    def clear(self) -> None:
        """Remove everything `show` added."""
        had = self.case
        self._let_go()
        self._own.replace(())
        self._letters.clear()
        self.case = self._open = self.layers = None
        self._set_dirty(False)
        if had is not None:
            self.case_changed.emit(None)

    def close(self) -> None:
        """Let go of the viewer: called once, when the dock goes. Layers stay as they are."""
        self._connect(False)
        self.session.models_changed.disconnect(self._name_prediction)
        self._own.close()
        self._let_go()
        self.views.close()
        self.layers = None
        self.case = None

    def _look_at_case(self, case: OpenCase, made: CaseLayers) -> None:
        viewer = self.viewer
        if case.grid.is_picture:  # nobody measured it: neither sides of a patient nor millimetres
            self._letters.clear()
        else:
            self._letters.show(growing_letters(case.grid))
        scale_bar(viewer).visible = not case.grid.is_picture
        viewer.dims.axis_labels = (*viewer.dims.axis_labels[:-3], "z", "y", "x")
        z = made.labels.data_to_world((first_slice(case), 0, 0))[0]
        viewer.reset_view()
        viewer.dims.set_point(viewer.dims.ndim - 3, float(z))

    def _add_source_grid(self, name: str, made: CaseLayers) -> None:
        """Note on which grid the case's own files lie, so that saving a layer by hand writes it there."""
        source = self.session.opened().source_grid(name)
        for layer in made.all():
            layer.metadata["penumbra"]["source_grid"] = source.to_json()

    def _let_go(self) -> None:
        self._clicks.stop()
        self._placed.release()
        if self._tracker is not None:
            self._tracker.close()
            self._shelf.put(self._history_of, self._tracker.history, self._tracker.layer.data)
            self._tracker = None
        self._tools.detach()
        self._modalities.detach()
        self.views.detach()
        for drawn in self._drawn:
            drawn.forget()

    # ---------------------------------------------------------------- labels

    def labels(self) -> LabelArray:
        """Current voxels: the live array."""
        if self.layers is None or self._tracker is None:
            raise UsageError("No case is open.", "Double-click one on the Study page.")
        self._tracker.sync()  # whatever wrote into the array unseen is journalled now
        array: LabelArray = self.layers.labels.data
        return array

    def set_labels(self, box: Box, values: npt.NDArray[np.uint8]) -> None:
        """Write a box of labels as one undoable step."""
        if self.layers is None:
            return
        layer = self.layers.labels
        old = layer.data[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
        if old.shape != values.shape:
            raise ValueError(f"values of shape {values.shape} for a box of {old.shape}")
        where = np.nonzero(old != values)
        indices = tuple(axis + start for axis, start in zip(where, box[0], strict=True))
        if indices[0].size:
            layer.data_setitem(indices, values[where], refresh=False)
            layer.refresh()

    def undo(self) -> None:
        """Take the last stroke back."""
        if self._tracker is not None:
            self._tracker.undo()

    def redo(self) -> None:
        """Do it again."""
        if self._tracker is not None:
            self._tracker.redo()

    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._tracker is not None and self._tracker.history.can_undo

    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._tracker is not None and self._tracker.history.can_redo

    def seconds(self) -> float:
        """Active seconds since `show` or `mark_saved`."""
        return self._active.seconds if self.case is not None else 0.0

    def touched_slices(self) -> set[int]:
        """Slices (z) that a person has decided about."""
        return set(self._touched)

    def dirty(self) -> bool:
        """Whether there is something to save."""
        return self._dirty

    def mark_saved(self) -> None:
        """The labels are on disk."""
        self._active.take()
        self._set_dirty(False)

    def mark_unsaved(self, seconds: float) -> None:
        """The labels are not on disk after all."""
        if self.case is not None:
            self._active.give_back(seconds)
            self._set_dirty(True)

    def _set_dirty(self, dirty: bool) -> None:
        if dirty != self._dirty:
            self._dirty = dirty
            self.dirty_changed.emit(dirty)

    def _on_change(self, box: Box, after: LabelArray) -> None:
        self._active.act()
        self._touched.update(range(box[0][0], box[1][0]))
        if self.case is not None and not self.session.readonly:
            try:
                self.session.stroke(self.case, box, after)
            except PenumbraError as error:
                # Painting goes on and the draft is still saved; the reader is told once per stroke, not stopped.
                self.session.failed.emit(error)
        self._set_dirty(True)
        self.views.changed()
        self.stroke.emit(box, after)

    # ---------------------------------------------------------------- tools

    def select_class(self, value: int) -> None:
        """Paint with this value."""
        self._tools.select_class(value)

    def select_tool(self, name: Tool) -> None:
        """Take up a tool."""
        self._tools.select_tool(name)

    def set_brush(self, mm: float, three_d: bool) -> None:
        """Size of the brush."""
        self._tools.set_brush(mm, three_d)

    def set_range(self, limit: Range | None) -> None:
        """Write only to voxels in this range."""
        self._tools.set_limit(self._modalities.limit(limit))

    def intensities(self, modality: str) -> tuple[float, float] | None:
        """Lowest and highest intensity of a modality."""
        return self._modalities.intensities(modality)

    # ---------------------------------------------------------------- overlays

    def show_preview(self, box: Box, after: LabelArray, changed: npt.NDArray[np.bool_]) -> None:
        """Outline what would change in a box."""
        if self.case is not None and self._open is not None:
            scheme = self.session.opened().labels
            self._preview.show(self.case, self._open.grid, scheme, box, after, changed)

    def hide_preview(self) -> None:
        """Take the preview out of the picture."""
        self._preview.hide()

    def view(self) -> View:
        """What is on the screen."""
        if self.layers is None:
            raise UsageError("No case is open.", "Double-click one on the Study page.")
        return view_of(self.viewer, self.layers.labels)

    def pick_point(self, on_point: Callable[[tuple[int, int, int]], None] | None) -> None:
        """Give clicks to ``on_point``; None paints again."""
        if on_point is None or self.layers is None:
            self._clicks.stop()
        else:
            self._clicks.start(self.layers.labels, on_point)

    def show_prediction(self, visible: bool) -> None:
        """Show or hide the prediction's outline."""
        if self.layers is not None and self.layers.prediction is not None:
            self.layers.prediction.visible = visible

    def show_confidence(self, visible: bool) -> None:
        """Show or hide the confidence overlay."""
        if self.layers is not None and self.layers.confidence is not None:
            self._own.finish()
            self.layers.confidence.visible = visible

    def set_confidence_threshold(self, value: float) -> None:
        """Mark what is below ``value``."""
        self._threshold = value
        if self.layers is not None and self.layers.confidence is not None:
            self.layers.confidence.contrast_limits = threshold_limits(value)

    def make_ready(self, region: Region) -> None:
        """Expect that a region will be gone to."""
        if self._open is not None:
            self._mark.prepare(self._open.name, self._open.grid, region)

    def go_to(self, region: Region) -> None:
        """Move to a region and mark its outline."""
        if self.layers is not None and self._open is not None:
            self._mark.show(self._open.name, self._open.grid, self.layers.labels, region)

    def show_contours(self, first: LabelArray, second: LabelArray, names: tuple[str, str]) -> None:
        """Draw two annotations as contours."""
        if self._open is not None and self.layers is not None:
            self._contours.show(self._open.name, self._open.grid, first, second, names)
            self._contours.dim(self.layers.labels, self.layers.prediction)

    def hide_contours(self) -> None:
        """Take the contours out of the picture."""
        self._contours.hide()

    # ---------------------------------------------------------------- modalities

    @property
    def modality(self) -> str | None:
        """The modality in front."""
        return self._modalities.front

    def show_modality(self, name: str) -> None:
        """Bring a modality to the front."""
        self._own.finish()
        self._modalities.show(name)

    def flip_modality(self, step: int = 1) -> None:
        """Bring the next (or previous) modality to the front."""
        self._own.finish()
        self._modalities.flip(step)

    def contrast(self) -> tuple[float, float, float, float] | None:
        """Range and window of the modality in front."""
        return self._modalities.contrast()

    def set_contrast(self, low: float, high: float) -> None:
        """Set the window of the modality in front."""
        self._modalities.set_contrast(low, high)

    def _on_front(self, name: str) -> None:
        self.views.front_changed()
        self.modality_changed.emit(name)

    def _on_contrast(self, low: float, high: float) -> None:
        self.views.front_changed()
        self.contrast_changed.emit(low, high)

    # ---------------------------------------------------------------- listening to napari

    def _connect(self, on: bool) -> None:
        dims, view = self.viewer.dims.events, camera(self.viewer).events
        for emitter, slot in (
            (dims.point, self._on_act),
            (view.center, self._on_act),
            (view.zoom, self._on_act),
            (dims.order, self._on_plane),
            (dims.ndisplay, self._on_plane),
        ):
            if on:
                emitter.connect(slot)
            else:
                emitter.disconnect(slot)

    def _on_act(self, event: Any = None) -> None:
        self._active.act()
        self._redraw()

    def _redraw(self) -> None:
        for drawn in self._drawn:
            drawn.redraw()

    def _on_plane(self, event: Any = None) -> None:
        self._redraw()
        QTimer.singleShot(0, self._tools.plane_changed)  # after the layers know of the new plane

    def _on_lost(self, layer: Any) -> None:
        """A layer of ours was deleted by hand: images may go, the labels come back at once."""
        made = self.layers
        if made is None or any(drawn.lost(layer) for drawn in self._drawn):
            return
        if layer is made.labels:
            self.labels_removed.emit()
            QTimer.singleShot(0, lambda: self._bring_back(layer))
        elif layer is made.prediction:
            made.prediction = None
        elif layer is made.confidence:
            made.confidence = None
        else:
            self._modalities.forget(layer)
            made.images = {name: image for name, image in made.images.items() if image is not layer}

    def _on_moved(self) -> None:
        """A layer was moved by hand, and lies where it belongs again."""
        self.session.failed.emit(
            UsageError(
                f"The layers of {self.case} stay on their millimetres: beside its picture a label would be wrong.",
                "Move and zoom the picture with Pan (V).",
            )
        )

    def _bring_back(self, layer: Any) -> None:
        """Put the labels layer back, with its undo history, unless the case or the window is gone."""
        if self.layers is None or self.layers.labels is not layer or not self._own.bring_back(layer):
            return
        self.viewer.layers.selection.active = layer
        self.session.failed.emit(
            UsageError(
                f"The labels of {self.case} stay while the case is open.",
                "Hide the layer with its eye, or open another case.",
            )
        )
