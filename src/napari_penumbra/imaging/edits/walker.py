"""Random walker: each voxel goes to the seed that a random walk, slowed at edges, reaches first.

After L. Grady, "Random walks for image segmentation", IEEE Transactions on Pattern Analysis and Machine Intelligence
28, 2006. Slower than growing from seeds, and better where an edge has gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging.apart import compute
from napari_penumbra.imaging.edits._growing import FAR, Seeds, noise_of, seeds_of
from napari_penumbra.imaging.edits.base import Edit, Options, Report, Scene, Tool, edit_of, option, silent
from napari_penumbra.imaging.edits.boxes import Spacing, slices_of
from napari_penumbra.imaging.edits.seeds import front_modality

MOST_VOXELS = 1_000_000
"""Of the box. A million voxels take about half a minute on one core."""
MOST_HERE = 60_000
"""Larger boxes, which take more than a second or two, are computed in a process that can be stopped."""


class WalkerOptions(Options):
    """What the reader may choose."""

    modality: str = option("", "Edges of", "The modality whose edges hold the walk up.", kind="modality")
    reach_mm: float = option(
        10.0, "Reach", "How far from a painted voxel the classes may grow.", unit="mm", ge=1, le=60
    )
    strictness: float = option(1.0, "Strictness", "Higher: smaller steps of intensity count as edges.", ge=0.1, le=10.0)


def random_walk(
    labels: LabelArray,
    image: ImageArray,
    spacing: Spacing,
    *,
    values: tuple[int, ...],
    reach_mm: float = 10.0,
    strictness: float = 1.0,
    names: Mapping[int, str] | None = None,
    report: Report = silent,
) -> Edit:
    """Let painted classes grow by a random walker.

    Parameters
    ----------
    labels, image
        (z, y, x); the labels are not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    values
        Classes that grow.
    reach_mm
        How far from a seed a voxel may be taken; what is farther is background.
    strictness
        How strongly a step of intensity holds the walk up; 1 suits steps of a few times the noise.

    Returns
    -------
    Edit
        Changes background only.

    Raises
    ------
    UsageError
        Nothing is painted, or the box is larger than `MOST_VOXELS`.
    """
    seeds = seeds_of(labels, values, spacing, reach_mm, MOST_VOXELS, "The random walk")
    report(0.05)
    part = np.asarray(image[slices_of(seeds.box)], dtype=np.float32)
    found = _walk(seeds, part, spacing, strictness, lambda: report(0.05))
    report(1.0)
    before = labels[slices_of(seeds.box)]
    grown = seeds.open & np.isin(found, values)
    return edit_of(labels, seeds.box, np.where(grown, found, before).astype(np.uint8), names=names)


def _walk(
    seeds: Seeds,
    image: npt.NDArray[np.float32],
    spacing: Spacing,
    strictness: float,
    check: Callable[[], None],
) -> npt.NDArray[np.int32]:
    """Label of each voxel of the box."""
    markers = _only_the_shore(seeds.markers)
    numbers = np.unique(markers[markers > 0])
    if numbers.size < 2:  # every open voxel can only go one way
        return np.where(seeds.markers == 0, numbers[0], seeds.markers).astype(np.int32)
    counted = np.where(markers > 0, np.searchsorted(numbers, markers) + 1, markers)  # 1, 2, …: one system per number
    # In units of the noise, so that one strictness suits every scanner; of the range where there is no noise.
    scaled = image / max(noise_of(image), 1e-3 * float(np.ptp(image)), 1e-12)
    beta = strictness * 10 * float(scaled.std())  # undoes scikit-image's own scaling
    found = compute(
        "random_walker",
        {"image": scaled, "markers": counted},
        {"beta": beta, "spacing": [s / min(spacing) for s in spacing]},
        apart=counted.size > MOST_HERE,
        check=check,
    )
    back = np.concatenate([[0], numbers])[np.maximum(found, 0)]
    return np.where(seeds.markers == 0, back, seeds.markers).astype(np.int32)


def _only_the_shore(markers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Leave out far voxels that touch nothing open (-1): each costs time and changes nothing."""
    from scipy import ndimage

    near = ndimage.binary_dilation(markers == 0)
    return np.where((markers == FAR) & ~near, -1, markers).astype(np.int32)


def _run(scene: Scene, options: WalkerOptions, report: Report) -> Edit:
    return random_walk(
        scene.labels,
        scene.image(options.modality),
        scene.spacing,
        values=tuple(scene.classes),
        reach_mm=options.reach_mm,
        strictness=options.strictness,
        names=scene.classes,
        report=report,
    )


TOOL = Tool(
    key="walker",
    title="Random walker",
    tip="Like Grow from seeds, but closes gaps in weak edges. Slow: for small structures.",
    options=WalkerOptions,
    run=_run,
    shortcut="Shift+W",
    prepare=front_modality,
    live=False,
)
