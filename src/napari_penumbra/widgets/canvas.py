"""What the pages ask of the picture. The plugin implements it with napari; tests with a plain array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from psygnal import SignalInstance

from napari_penumbra.domain.case import OpenCase
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box, Region
from napari_penumbra.imaging.edits import View

Tool = Literal["paint", "erase", "fill", "pick", "pan"]

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")

TOOLS: tuple[Tool, ...] = ("paint", "erase", "fill", "pick", "pan")

FIRST_COLOR, SECOND_COLOR = "#ffe14d", "#2f8cff"
"""Contours of two annotations that are compared: told apart by every common form of colour blindness."""


@dataclass(frozen=True, slots=True)
class Range:
    """Voxels of a modality from ``low`` to ``high``, both included; infinite where there is no limit."""

    modality: str
    low: float
    high: float
    paint: bool = True
    erase: bool = False


class Views(Protocol):
    """How the shown case is looked at. Without a case nothing happens.

    Signals
    -------
    planes_changed : (bool)
        The two planes across are shown, or put away.
    solid_changed : (bool)
        The large picture is in 3D now, or in slices again.
    """

    planes_changed: SignalInstance
    solid_changed: SignalInstance

    def solid(self) -> bool:
        """Whether the large picture is a view in 3D, which has neither slices nor clicks that mean one voxel."""

    def step(self, slices_on: int) -> None:
        """Go so many slices on (back if negative), to the last one at most."""

    def end(self, last: bool) -> None:
        """Go to the first or the last slice."""

    def show_plane(self, name: Plane) -> None:
        """Turn the picture to a plane, at the crosshair."""

    def show_planes(self, on: bool) -> None:
        """Show or hide the two planes across the picture, with a crosshair."""

    def planes_shown(self) -> bool:
        """Whether they are shown."""

    def show_range(self, on: bool) -> None:
        """Tint the voxels that brush and fill would change while they keep to a range; at first it is on.

        It is drawn over the picture, is part of no labels, and goes with the tool and with the range.
        """

    def windows(self) -> tuple[str, ...]:
        """Names of the clinical windows for the modality in front, the usual one first; none for a colour picture."""

    def window(self) -> str:
        """Name of the window that the modality in front is seen through; empty when it was set by hand."""

    def set_window(self, name: str) -> None:
        """Look at the modality in front through one of `windows`, in the next cases, too."""


class Canvas(Protocol):
    """The picture of one case and the labels painted into it.

    All calls are made from the GUI thread and return within 100 ms (`show` within a second). Arrays are (z, y, x).
    When no case is shown, setters do nothing, `labels` raises `UsageError`, `seconds` is 0 and `dirty` is False.

    Signals
    -------
    stroke : (box, after)
        Voxels changed, by whatever means (a brush, fill, undo, redo, `set_labels`): the box that holds the change,
        ((z0, y0, x0), (z1, y1, x1)) end exclusive, and a uint8 copy of the labels inside it after the change.
        The implementation journals it (``session.stroke``); pages only listen.
    dirty_changed : (bool)
        Whether there is something to save has changed.
    case_changed : (str | None)
        Another case is shown, or none.
    modality_changed : (str)
        Another modality has come to the front (by Tab, the strip or the layer list).
    contrast_changed : (float, float)
        The window of the modality in front has other edges, by whatever means.
    class_changed : (int)
        Another label value is painted with (by key, by the picker, or in napari's own controls).
    tool_changed : (str)
        Another tool of `TOOLS` is active.
    """

    stroke: SignalInstance
    dirty_changed: SignalInstance
    case_changed: SignalInstance
    modality_changed: SignalInstance
    contrast_changed: SignalInstance
    class_changed: SignalInstance
    tool_changed: SignalInstance

    @property
    def views(self) -> Views:
        """How the case is looked at."""

    @property
    def case(self) -> str | None:
        """Name of the shown case."""

    @property
    def modality(self) -> str | None:
        """Name of the modality in front."""

    def show(self, case: OpenCase) -> None:
        """Show a case: one image layer per modality, one labels layer with its own undo, prediction and confidence.

        Only layers that the canvas made before are removed. The confidence starts hidden. `labels` equals
        ``case.labels`` afterwards, and `dirty` is True exactly when ``case.restored`` strokes came from the journal.
        """

    def clear(self) -> None:
        """Remove everything `show` added."""

    def labels(self) -> LabelArray:
        """Current voxels of the labels layer: the live array, (z, y, x) uint8, not to be written to."""

    def set_labels(self, box: Box, values: npt.NDArray[np.uint8]) -> None:
        """Write ``values`` (of the box's shape) into the labels; journalled, emits `stroke`, sets `dirty`."""

    def undo(self) -> None:
        """Take the last step (a stroke, a `set_labels`) of the shown case back; emits `stroke`."""

    def redo(self) -> None:
        """Do the step again that was taken back last; emits `stroke`."""

    def can_undo(self) -> bool:
        """Whether the shown case has a step to take back; steps outlive saving and leaving the case."""

    def can_redo(self) -> bool:
        """Whether the shown case has a step to do again."""

    def seconds(self) -> float:
        """Active reader seconds since `show` or `mark_saved`, pauses over 20 s dropped."""

    def touched_slices(self) -> set[int]:
        """Indices (z) of the slices that were changed since `show`."""

    def dirty(self) -> bool:
        """Whether the labels differ from what was shown or last saved."""

    def mark_saved(self) -> None:
        """The labels are on disk: not dirty any more, `seconds` starts from 0. `touched_slices` stays."""

    def mark_unsaved(self, seconds: float) -> None:
        """What `mark_saved` was told of did not reach the disk: dirty again, and ``seconds`` are counted again."""

    def show_preview(self, box: Box, after: LabelArray, changed: npt.NDArray[np.bool_]) -> None:
        """Outline what would change in a box: in the colour of the class it would become, white where it would go.

        ``after`` and ``changed`` have the box's shape. Replaces the preview shown before; goes with the case.
        """

    def hide_preview(self) -> None:
        """Take the preview out of the picture."""

    def view(self) -> View:
        """What is on the screen, and the voxel under the mouse; raises `UsageError` when no case is shown."""

    def pick_point(self, on_point: Callable[[tuple[int, int, int]], None] | None) -> None:
        """Give clicks on the picture to ``on_point`` as voxels (z, y, x), in place of strokes; None paints again.

        The tool becomes ``pan`` meanwhile, and afterwards what it was before. Stops when the case goes.
        """

    def show_prediction(self, visible: bool) -> None:
        """Show or hide the prediction's outline."""

    def show_confidence(self, visible: bool) -> None:
        """Show or hide the confidence overlay."""

    def set_confidence_threshold(self, value: float) -> None:
        """Mark what the model is less sure of than ``value`` (0 to 1)."""

    def make_ready(self, region: Region) -> None:
        """Prepare for `go_to`, without a visible change and without keeping the reader waiting."""

    def go_to(self, region: Region) -> None:
        """Move the slice and the camera to a region and mark its outline."""

    def show_contours(self, first: LabelArray, second: LabelArray, names: tuple[str, str]) -> None:
        """Draw two annotations of the shown case as contours: a solid line and a striped one, in two colours.

        They replace those drawn before and go with the case. The arrays are read at once and not kept.
        """

    def hide_contours(self) -> None:
        """Take the contours out of the picture."""

    def select_class(self, value: int) -> None:
        """Paint with this label value (255 is unknown)."""

    def select_tool(self, name: Tool) -> None:
        """Take up a tool."""

    def set_brush(self, mm: float, three_d: bool) -> None:
        """Diameter of the brush in mm, and whether it paints a ball or a disc on the slice."""

    def set_range(self, limit: Range | None) -> None:
        """Let brush and fill write only to voxels in this range, from now on until another case is shown; None ends it.

        A modality that the case does not have limits nothing.
        """

    def intensities(self, modality: str) -> tuple[float, float] | None:
        """Lowest and highest intensity of a modality of the shown case; None of a colour picture or no modality."""

    def show_modality(self, name: str) -> None:
        """Bring a modality to the front."""

    def flip_modality(self, step: int = 1) -> None:
        """Bring the next (or previous) modality to the front."""

    def contrast(self) -> tuple[float, float, float, float] | None:
        """Of the modality in front: lowest and highest intensity, then the lower and upper window edge."""

    def set_contrast(self, low: float, high: float) -> None:
        """Set the window edges of the modality in front."""
