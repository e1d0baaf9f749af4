"""Smooth the outline of a class, or of all classes together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.imaging.edits.base import (
    Edit,
    Options,
    Over,
    Report,
    Scene,
    Tool,
    edit_of,
    option,
    over_option,
    silent,
)
from napari_penumbra.imaging.edits.boxes import Mask, Spacing, box_around, slices_of, widen


class SmoothOptions(Options):
    """What the reader may choose."""

    classes: Literal["picked class", "all classes"] = option(
        "picked class",
        "Classes",
        "The picked class alone, or all together: then they share their borders without gaps.",
    )
    mm: float = option(3.0, "Smooth by", "Bumps and dents of about this size go.", unit="mm", ge=0.1, le=15)
    keep_volume: bool = option(True, "Keep the volume", "The class keeps its volume; without it, small parts shrink.")
    over: Over = over_option()


def smooth(
    labels: LabelArray,
    spacing: Spacing,
    values: tuple[int, ...],
    mm: float,
    *,
    keep_volume: bool = True,
    over: Over = Over.BACKGROUND,
    names: Mapping[int, str] | None = None,
    report: Report = silent,
) -> Edit:
    """Smooth classes with a Gaussian whose standard deviation is half of ``mm``.

    Parameters
    ----------
    labels
        (z, y, x) uint8, not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    values
        The classes. Several are smoothed against each other and against the rest: their borders stay shared.
    mm
        Size of the bumps that shall go.
    keep_volume
        Choose the level at which the smoothed class has as many voxels as before; otherwise one half.

    Raises
    ------
    UsageError
        Nothing is painted.
    """
    painted = np.isin(labels, values)
    box = box_around(painted)
    if box is None:
        raise UsageError("There is nothing to smooth.", "Paint something, or pick another class above.")
    sigma = mm / 2
    box = widen(box, 3 * sigma, spacing, labels.shape, voxels=1)
    before = labels[slices_of(box)]
    soft = []
    for n, value in enumerate(values):
        soft.append(_soft(before == value, spacing, sigma, keep_volume))
        report((n + 1) / len(values))
    stack = np.stack(soft)
    best = np.array(values, dtype=np.uint8)[stack.argmax(axis=0)]
    ours = painted[slices_of(box)]
    wanted = np.where(stack.max(axis=0) > 0, best, np.where(ours, BACKGROUND, before)).astype(np.uint8)
    return edit_of(labels, box, wanted, over=over, own=values, names=names)


def _soft(mask: Mask, spacing: Spacing, sigma: float, keep_volume: bool) -> npt.NDArray[np.float32]:
    """A mask smoothed, less the level at which it is cut: positive inside."""
    from scipy import ndimage

    soft = ndimage.gaussian_filter(mask.astype(np.float32), [sigma / s for s in spacing], mode="nearest", truncate=3.0)
    level = 0.5
    count = int(mask.sum())
    if keep_volume and 0 < count < mask.size:
        # The count-th largest value: as many voxels lie above the middle between it and the next as before.
        edge = np.partition(soft.ravel(), (mask.size - count - 1, mask.size - count))
        level = float(edge[mask.size - count - 1] / 2 + edge[mask.size - count] / 2)
        level = max(level, 1e-3)
    return np.asarray(soft - level, dtype=np.float32)


def _prepare(scene: Scene) -> dict[str, Any]:
    """Begin with what shows on this scan: bumps of less than two voxels are its grid."""
    edge = sorted(scene.spacing)[1]
    return {"mm": float(np.clip(np.ceil(4 * edge) / 2, 2.0, 15.0))}


def _run(scene: Scene, options: SmoothOptions, report: Report) -> Edit:
    values = tuple(scene.classes) if options.classes == "all classes" else (scene.value,)
    return smooth(
        scene.labels,
        scene.spacing,
        values,
        options.mm,
        keep_volume=options.keep_volume,
        over=options.over,
        names=scene.classes,
        report=report,
    )


TOOL = Tool(
    key="smooth",
    title="Smooth",
    tip="Takes bumps and dents off the picked class.",
    options=SmoothOptions,
    run=_run,
    shortcut="Shift+S",
    prepare=_prepare,
)
