"""Smart fill: spreads from a click through tissue that looks alike, in 3D, and stops at edges.

A front sets out from the click and runs at full speed through tissue of the intensity found there, slowly where the
intensity differs or the image is steep (fast marching). What it reaches within the time in which it would have run the
wanted distance is filled: in a clear-cut structure the whole of it, never farther than that distance.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging.edits._growing import edges, noise_of, smoothed
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
from napari_penumbra.imaging.edits.boxes import Mask, Spacing, size_of, slices_of, widen
from napari_penumbra.imaging.edits.seeds import front_modality

MOST_VOXELS = 8_000_000
Voxel = tuple[int, int, int]


class SmartFillOptions(Options):
    """What the reader may choose."""

    modality: str = option("", "Follow", "The modality whose edges stop the fill.", kind="modality")
    reach_mm: float = option(20.0, "Reach", "Farthest way from the click.", unit="mm", ge=2, le=80)
    tolerance: float = option(
        4.0, "Tolerance", "Higher: fills tissue that differs more from where you clicked.", ge=0.5, le=12.0
    )
    start_mm: float = option(
        2.0, "Look at", "How much around the click shows what the tissue looks like.", unit="mm", ge=0, le=10
    )
    over: Over = over_option()


def smart_fill(
    labels: LabelArray,
    image: ImageArray,
    spacing: Spacing,
    seed: Voxel,
    value: int,
    *,
    reach_mm: float = 20.0,
    tolerance: float = 4.0,
    start_mm: float = 2.0,
    over: Over = Over.BACKGROUND,
    names: Mapping[int, str] | None = None,
    report: Report = silent,
) -> Edit:
    """Fill what hangs together with a voxel and looks like it.

    Parameters
    ----------
    labels, image
        (z, y, x); the labels are not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    seed
        The voxel (z, y, x) that was clicked.
    value
        The class to paint.
    reach_mm
        Farthest way from the seed, through the tissue.
    tolerance
        How far an intensity may differ from the seed's surroundings before the front is half as fast, in units of
        the noise or of a tenth of the range around, whichever is larger.
    start_mm
        Radius around the seed in which the intensity is looked at.

    Returns
    -------
    Edit
        One connected piece around the seed, without holes that are smaller than a few voxels.

    Raises
    ------
    UsageError
        The seed lies outside the scan, or the box is larger than `MOST_VOXELS`.
    """
    if any(not 0 <= v < n for v, n in zip(seed, labels.shape, strict=True)):
        raise UsageError("The click lies outside the scan.", "Click inside the structure.")
    at = (seed, (seed[0] + 1, seed[1] + 1, seed[2] + 1))
    box = widen(at, reach_mm, spacing, labels.shape)
    if size_of(box) > MOST_VOXELS:
        raise UsageError(
            f"Smart fill would look at {size_of(box) / 1e6:.0f} million voxels.", "Lower the reach and click again."
        )
    part = np.asarray(image[slices_of(box)], dtype=np.float32)
    start = tuple(s - b for s, b in zip(seed, box[0], strict=True))
    speed = _speed(part, spacing, (start[0], start[1], start[2]), tolerance, start_mm)
    report(0.4)
    reached = _march(speed, spacing, (start[0], start[1], start[2]), reach_mm)
    report(0.9)
    before = labels[slices_of(box)]
    wanted = np.where(_tidy(reached), value, before).astype(np.uint8)
    report(1.0)
    return edit_of(labels, box, wanted, over=over, own=(value,), names=names)


def _speed(
    image: npt.NDArray[np.float32], spacing: Spacing, start: Voxel, tolerance: float, start_mm: float
) -> npt.NDArray[np.float64]:
    """How fast the front runs through each voxel: 1 in tissue like the start's, towards 0 in other tissue."""
    level = float(np.median(image[_ball(image.shape, spacing, start, start_mm)]))
    finest = min(spacing)
    smooth = smoothed(image, spacing, 0.7 * finest)
    # Tissue varies more than noise does: a tenth of the range around is one unit even in a noiseless picture.
    low, high = (float(v) for v in np.percentile(image, (5, 95)))
    unit = tolerance * max(noise_of(image), 0.1 * (high - low), 1e-12)
    unlike = (smooth - level) / unit
    steep = edges(image, spacing, finest) * finest / unit
    # The high power makes a wall of what is twice as different, and leaves what differs a little alone.
    speed = 1.0 / (1.0 + unlike**8 + steep**4)
    return np.asarray(np.maximum(speed, 1e-6), dtype=np.float64)


def _ball(shape: tuple[int, ...], spacing: Spacing, center: Voxel, mm: float) -> Mask:
    """Voxels whose centre is within ``mm`` of a voxel's, that voxel always."""
    axes = [((np.arange(n) - c) * s) ** 2 for n, c, s in zip(shape, center, spacing, strict=True)]
    squared = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]
    return np.asarray(squared <= mm**2)


def _march(speed: npt.NDArray[np.float64], spacing: Spacing, start: Voxel, reach_mm: float) -> Mask:
    """Voxels that the front reaches in the time it takes to run ``reach_mm`` at full speed."""
    import SimpleITK as sitk

    flat = [axis for axis in range(3) if speed.shape[axis] == 1]
    # Fast marching needs two voxels along each axis to have a direction in it.
    field = np.pad(speed, [(0, 1) if axis in flat else (0, 0) for axis in range(3)], constant_values=1e-6)
    picture = sitk.GetImageFromArray(field)
    picture.SetSpacing([float(s) for s in spacing[::-1]])
    marching = sitk.FastMarchingImageFilter()
    marching.SetTrialPoints([[int(v) for v in start[::-1]]])
    marching.SetStoppingValue(float(reach_mm))
    times = sitk.GetArrayFromImage(marching.Execute(picture))
    reached = times <= reach_mm
    return np.asarray(reached[: speed.shape[0], : speed.shape[1], : speed.shape[2]])


def _tidy(reached: Mask) -> Mask:
    """Close pinholes: voxels of noise that the front went around."""
    from scipy import ndimage

    holes, count = ndimage.label(~reached)
    if not count:
        return reached
    sizes = np.bincount(holes.ravel())
    return np.asarray(reached | ((holes > 0) & (sizes[holes] <= 8)))


def _run(scene: Scene, options: SmartFillOptions, report: Report) -> Edit:
    return smart_fill(
        scene.labels,
        scene.image(options.modality),
        scene.spacing,
        scene.seed(),
        scene.value,
        reach_mm=options.reach_mm,
        tolerance=options.tolerance,
        start_mm=options.start_mm,
        over=options.over,
        names=scene.classes,
        report=report,
    )


TOOL = Tool(
    key="smart_fill",
    title="Smart fill 3D",
    tip="Click into a structure: fills what looks alike around it, in 3D, up to the edges.",
    options=SmartFillOptions,
    run=_run,
    shortcut="Shift+F",
    prepare=front_modality,
    wants_click=lambda options: True,
)
