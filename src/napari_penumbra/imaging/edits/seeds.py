"""Grow from seeds: every painted class floods the image from where it is painted and stops at its edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging.apart import compute
from napari_penumbra.imaging.edits._growing import FAR, edges, seeds_of
from napari_penumbra.imaging.edits.base import Edit, Options, Report, Scene, Tool, edit_of, option, silent
from napari_penumbra.imaging.edits.boxes import Spacing, slices_of

MOST_VOXELS = 12_000_000
MOST_HERE = 1_500_000
"""Larger boxes, which take more than a second or two, are flooded in a process that can be stopped."""


class SeedOptions(Options):
    """What the reader may choose."""

    modality: str = option("", "Edges of", "The modality whose edges stop the growth.", kind="modality")
    reach_mm: float = option(
        15.0, "Reach", "How far from a painted voxel the classes may grow.", unit="mm", ge=1, le=100
    )
    smooth_mm: float = option(
        1.0, "Ignore detail below", "Smooths the picture first, so that noise is no edge.", unit="mm", ge=0, le=10
    )


def grow_from_seeds(
    labels: LabelArray,
    image: ImageArray,
    spacing: Spacing,
    *,
    values: tuple[int, ...],
    reach_mm: float = 15.0,
    smooth_mm: float = 1.0,
    names: Mapping[int, str] | None = None,
    report: Report = silent,
) -> Edit:
    """Let painted classes grow to the edges of an image by a watershed of its steepness.

    What lies farther than the reach from every seed is taken as background and grows inwards as the classes grow
    outwards; they meet on the steepest edge between them.

    Parameters
    ----------
    labels, image
        (z, y, x); the labels are not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    values
        Classes that grow.
    reach_mm
        How far from a seed a voxel may be taken.
    smooth_mm
        Standard deviation of the smoothing before edges are looked for.

    Returns
    -------
    Edit
        Changes background only: seeds, other classes and unknown stay.

    Raises
    ------
    UsageError
        Nothing is painted, or the box is larger than `MOST_VOXELS`.
    """
    seeds = seeds_of(labels, values, spacing, reach_mm, MOST_VOXELS, "Growing")
    report(0.1)
    steep = edges(np.asarray(image[slices_of(seeds.box)], dtype=np.float32), spacing, smooth_mm)
    report(0.3)
    # Few distinct heights make the flood fill by distance where the image is flat, instead of by its noise.
    top = float(np.percentile(steep, 99.5)) or 1.0
    heights = np.clip(np.rint(steep / top * 255), 0, 255).astype(np.uint8)
    flooded = compute(
        "watershed",
        {"heights": heights, "markers": seeds.markers},
        apart=heights.size > MOST_HERE,
        check=lambda: report(0.3),
    )
    report(1.0)
    before = labels[slices_of(seeds.box)]
    grown = seeds.open & (flooded != FAR)
    wanted = np.where(grown, flooded, before).astype(np.uint8)
    return edit_of(labels, seeds.box, wanted, names=names)


def front_modality(scene: Scene) -> dict[str, Any]:
    """Start with the modality in front; with the case's first where that is a colour picture."""
    name = scene.modality if scene.modality in scene.images else next(iter(scene.images), "")
    return {"modality": name}


def _run(scene: Scene, options: SeedOptions, report: Report) -> Edit:
    return grow_from_seeds(
        scene.labels,
        scene.image(options.modality),
        scene.spacing,
        values=tuple(scene.classes),
        reach_mm=options.reach_mm,
        smooth_mm=options.smooth_mm,
        names=scene.classes,
        report=report,
    )


TOOL = Tool(
    key="seeds",
    title="Grow from seeds",
    tip="Lets every painted class grow to the edges of the picture, all of them against each other.",
    options=SeedOptions,
    run=_run,
    shortcut="Shift+G",
    prepare=front_modality,
    live=False,
)
