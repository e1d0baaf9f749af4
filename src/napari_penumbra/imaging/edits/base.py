"""What every annotating tool shares: what it may look at, what it gives back, and which voxels it may not touch.

A tool never writes. It looks at a `Scene`, a private copy of one moment, and gives back an `Edit`: a box of labels as
they were and as they would be. So a tool can run in another thread, be thrown away, be shown before it is applied, and
be refused when the labels have changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Literal, get_args, get_origin

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.imaging.edits.boxes import Mask, Spacing, box_around, slices_of

Report = Callable[[float], None]
"""Told how far a tool is, 0 to 1. Raises `Stopped` when nobody wants the answer any more."""


class Stopped(Exception):
    """The reader has cancelled: the tool ends without an answer."""


def silent(_share: float) -> None:
    """Report to nobody."""


class Over(StrEnum):
    """Which voxels a tool may write over. What it was not asked to touch stays as it is."""

    BACKGROUND = "background only"
    CLASSES = "other classes too"
    EVERYTHING = "everything, unknown too"


@dataclass(frozen=True, slots=True)
class View:
    """What the reader is looking at.

    Attributes
    ----------
    axis
        Axis (0 z, 1 y, 2 x) across which slices are turned; None in a 3D view.
    index
        The shown slice along ``axis``.
    box
        What of the scan is seen on the screen, in voxels; one slice thick in 2D.
    point
        The voxel under the mouse, None when it is not over the picture.
    """

    axis: int | None
    index: int
    box: Box
    point: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of the shown case, for a tool to look at. Arrays are (z, y, x).

    Attributes
    ----------
    labels
        A private copy.
    images
        Modality to intensities.
    spacing
        Edges of a voxel along z, y, x in mm.
    view
        What is on the screen.
    value
        The class that is painted with.
    classes
        Label value to name, without background and unknown.
    modality
        The modality in front; empty when none is.
    predicted
        The model's labels, if there are any.
    point
        The voxel that was clicked for this tool, if any.
    """

    labels: LabelArray
    images: Mapping[str, ImageArray]
    spacing: Spacing
    view: View
    value: int
    classes: Mapping[int, str]
    modality: str = ""
    predicted: LabelArray | None = None
    point: tuple[int, int, int] | None = None

    def image(self, name: str) -> ImageArray:
        """Return a modality; raises `UsageError` when the case has none of that name."""
        if name not in self.images:
            raise UsageError(f"This case has no {name or 'modality'}.", "Choose another modality.")
        return self.images[name]

    def seed(self) -> tuple[int, int, int]:
        """Return the clicked voxel; raises `UsageError` when nothing was clicked."""
        if self.point is None:
            raise UsageError("No place was chosen.", "Click into the picture where the tool shall start.")
        return self.point


@dataclass(frozen=True, slots=True)
class Edit:
    """What a tool would change.

    Attributes
    ----------
    box
        Smallest box around all changes, ((z0, y0, x0), (z1, y1, x1)), end exclusive. Empty when nothing would change.
    before, after
        uint8 labels inside the box.
    notes
        What the tool assumed or left alone, one plain sentence each.
    figures
        Numbers worth reading live, name to text ("mismatch ratio" to "2.1").
    """

    box: Box
    before: LabelArray
    after: LabelArray
    notes: tuple[str, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> Mask:
        """Voxels of the box that would change."""
        return np.asarray(self.before != self.after)

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return self.before.size == 0 or not self.changed.any()

    def tally(self) -> dict[int, tuple[int, int]]:
        """Count voxels per label value: how many it would gain and lose. Background is not counted."""
        changed = self.changed
        gained = np.bincount(self.after[changed], minlength=256)
        lost = np.bincount(self.before[changed], minlength=256)
        touched = np.flatnonzero(gained + lost)
        return {int(v): (int(gained[v]), int(lost[v])) for v in touched if v != BACKGROUND}


Run = Callable[[Scene, Any, Report], Edit]


@dataclass(frozen=True, slots=True)
class Tool:
    """One line of the table of tools: what the window needs to offer it.

    Attributes
    ----------
    key
        Short name for object names and files.
    title
        What its button says.
    tip
        What will happen, for the tooltip and above its options.
    options
        A pydantic model whose fields are the form.
    run
        Scene, options and report to `Edit`; raises `PenumbraError` in words.
    shortcut
        Key sequence that opens it.
    prepare
        Options that depend on the case, by name, for when the tool is opened.
    why_not
        Says why the tool cannot work on a scene's modalities and prediction; empty when it can.
    wants_click
        The tool starts at a voxel that the reader clicks.
    live
        Quick enough to be run anew whenever an option is changed.
    """

    key: str
    title: str
    tip: str
    options: type[Options]
    run: Run
    shortcut: str = ""
    prepare: Callable[[Scene], dict[str, Any]] = lambda scene: {}
    why_not: Callable[[Mapping[str, Any], bool], str] = lambda images, predicted: ""
    wants_click: Callable[[Any], bool] = lambda options: False
    live: bool = True


class Options(BaseModel):
    """Base of every tool's options: frozen, and nothing that the tool does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def option(
    default: Any,
    title: str,
    help_text: str,
    *,
    unit: str = "",
    kind: str = "",
    none: str = "",
    more: bool = False,
    **limits: Any,
) -> Any:
    """Describe one option of a tool: title, tooltip, unit and limits stand once, and the form is read off them.

    Parameters
    ----------
    kind
        ``modality`` or ``class`` for a choice among those of the case.
    none
        What a form says for no choice: a modality of "" or a class of 0.
    more
        Rarely changed: a form may fold it away.
    limits
        ``ge`` and ``le``, as for `pydantic.Field`.
    """
    extra: dict[str, Any] = {"unit": unit, "kind": kind, "none": none, "more": more}
    return Field(default, title=title, description=help_text, json_schema_extra=extra, **limits)


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """Unit, kind, words for no choice and whether it is rarely changed, as `option` keeps them."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def choices_of(annotation: Any) -> tuple[Any, ...]:
    """What an option may be; empty when it is not chosen from a list."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(annotation)
    return ()


def limits_of(field: FieldInfo) -> tuple[float, float]:
    """Least and largest value of a number."""
    low = next((m.ge for m in field.metadata if getattr(m, "ge", None) is not None), 0.0)
    high = next((m.le for m in field.metadata if getattr(m, "le", None) is not None), 100.0)
    return float(low), float(high)


def over_option(*, more: bool = False) -> Any:
    """Describe the option that every painting tool has."""
    words = "Which voxels may be painted over. Everything else stays as you left it."
    return option(Over.BACKGROUND, "Write over", words, more=more)


# -------------------------------------------------------------------- writing, on paper


def may_write(before: LabelArray, over: Over, own: tuple[int, ...]) -> Mask:
    """Tell which voxels a tool may change: background, its ``own`` classes, and what ``over`` allows."""
    if over is Over.EVERYTHING:
        return np.ones(before.shape, dtype=bool)
    if over is Over.CLASSES:
        return before != UNKNOWN
    return np.isin(before, (BACKGROUND, *own))


def edit_of(
    labels: LabelArray,
    box: Box,
    wanted: LabelArray,
    *,
    over: Over = Over.BACKGROUND,
    own: tuple[int, ...] = (),
    names: Mapping[int, str] | None = None,
    notes: tuple[str, ...] = (),
    figures: Mapping[str, str] | None = None,
) -> Edit:
    """Make the edit that brings a box to ``wanted`` as far as the rules allow.

    Parameters
    ----------
    labels
        The whole (z, y, x) labels, not changed.
    box, wanted
        Where, and the labels that the tool would like there.
    over, own
        What may be written over; see `may_write`.
    names
        Label value to name, to say in words which voxels were left alone.

    Returns
    -------
    Edit
        Trimmed to the voxels that change; what was wanted but not allowed is told in its notes.
    """
    before = labels[slices_of(box)]
    allowed = may_write(before, over, own)
    differs = before != wanted
    after = np.where(allowed, wanted, before).astype(np.uint8)
    kept = _kept_words(before[differs & ~allowed], names or {})
    tight = box_around(differs & allowed)
    if tight is None:
        nothing = np.zeros((0, 0, 0), dtype=np.uint8)
        return Edit(((0, 0, 0), (0, 0, 0)), nothing, nothing, (*notes, *kept), figures or {})
    place = slices_of(tight)
    low = tuple(a + b for a, b in zip(box[0], tight[0], strict=True))
    high = tuple(a + b for a, b in zip(box[0], tight[1], strict=True))
    here = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    return Edit(here, before[place].copy(), after[place], (*notes, *kept), figures or {})


def _kept_words(kept: npt.NDArray[np.uint8], names: Mapping[int, str]) -> tuple[str, ...]:
    """Say which voxels stay although the tool would have liked to change them."""
    found = []
    for value, count in enumerate(np.bincount(kept, minlength=256)):
        if count:
            name = "unknown" if value == UNKNOWN else names.get(value, f"class {value}")
            found.append(
                f"{int(count):,} voxel{'s' if count > 1 else ''} of {name} {'stay' if count > 1 else 'stays'}."
            )
    return tuple(found)


def need_painted(labels: LabelArray, value: int, name: str) -> Box:
    """Box around a class; raises `UsageError` when nothing of it is painted."""
    box = box_around(labels == value)
    if box is None:
        raise UsageError(f"Nothing is painted as {name} yet.", "Paint some of it, or pick another class above.")
    return box
