"""Copy the model's prediction, but only where the reader is looking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.imaging.edits.base import Edit, Options, Over, Report, Scene, Tool, edit_of, option, over_option
from napari_penumbra.imaging.edits.boxes import Spacing, slices_of, widen


class PredictionOptions(Options):
    """What the reader may choose."""

    where: Literal["what is on the screen", "around a click"] = option(
        "what is on the screen", "Where", "The part of the scan that you see now, or a box around a click."
    )
    depth_mm: float = option(
        0.0, "Depth", "Slices within this distance of the shown one as well; 0 is the shown slice.",
        unit="mm", ge=0, le=100,
    )  # fmt: skip
    box_mm: float = option(30.0, "Box", "Edge of the box around the click.", unit="mm", ge=2, le=200)
    classes: Literal["all classes", "picked class"] = option(
        "all classes", "Classes", "All predicted classes, or the picked one alone."
    )
    erase: bool = option(
        False, "Erase what is not predicted", "Inside the box, labels of these classes go where the model has none."
    )
    over: Over = over_option()


def copy_prediction(
    labels: LabelArray,
    predicted: LabelArray,
    box: Box,
    *,
    values: tuple[int, ...],
    erase: bool = False,
    over: Over = Over.BACKGROUND,
    names: Mapping[int, str] | None = None,
) -> Edit:
    """Take over a prediction inside a box.

    Parameters
    ----------
    labels, predicted
        (z, y, x) uint8 of one shape; neither is changed.
    box
        Where; voxels outside it never change.
    values
        Which predicted classes are copied.
    erase
        Make background of what is painted as one of ``values`` where the prediction has none of them.

    Raises
    ------
    UsageError
        The box lies outside the scan.
    """
    if any(b <= a for a, b in zip(*box, strict=True)):
        raise UsageError("Nothing of the scan is on the screen.", "Move the picture into view, then try again.")
    before, said = labels[slices_of(box)], predicted[slices_of(box)]
    copied = np.isin(said, values)
    wanted = np.where(copied, said, before)
    if erase:
        wanted = np.where(np.isin(before, values) & ~copied, BACKGROUND, wanted)
    own = values if erase else ()
    return edit_of(labels, box, wanted.astype(np.uint8), over=over, own=own, names=names)


def _box(scene: Scene, options: PredictionOptions) -> Box:
    if options.where == "around a click":
        z, y, x = scene.seed()
        return widen(((z, y, x), (z + 1, y + 1, x + 1)), options.box_mm / 2, scene.spacing, scene.labels.shape)
    if scene.view.axis is None:
        return scene.view.box
    deep: Spacing = tuple(s if n == scene.view.axis else float("inf") for n, s in enumerate(scene.spacing))  # type: ignore[assignment]
    return widen(scene.view.box, options.depth_mm, deep, scene.labels.shape)


def _run(scene: Scene, options: PredictionOptions, report: Report) -> Edit:
    if scene.predicted is None:
        raise UsageError("This case has no prediction.", "Train a model, then predict.")
    return copy_prediction(
        scene.labels,
        scene.predicted,
        _box(scene, options),
        values=tuple(scene.classes) if options.classes == "all classes" else (scene.value,),
        erase=options.erase,
        over=options.over,
        names=scene.classes,
    )


def _why_not(images: Mapping[str, Any], predicted: bool) -> str:
    return "" if predicted else "This case has no prediction yet: train a model, then predict."


TOOL = Tool(
    key="prediction",
    title="Copy prediction",
    tip="Takes over what the model has predicted, but only where you are looking.",
    options=PredictionOptions,
    run=_run,
    shortcut="Shift+P",
    why_not=_why_not,
    wants_click=lambda options: options.where == "around a click",
)
