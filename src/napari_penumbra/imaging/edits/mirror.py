"""Mirror a class to the other hemisphere, across the head's own plane of symmetry."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging.edits._symmetry import Plane, find_plane
from napari_penumbra.imaging.edits.base import (
    Edit,
    Options,
    Over,
    Report,
    Scene,
    Tool,
    edit_of,
    need_painted,
    option,
    over_option,
    silent,
)
from napari_penumbra.imaging.edits.boxes import Spacing, slices_of
from napari_penumbra.imaging.edits.seeds import front_modality

DOUBTFUL = 0.3
"""Below this likeness the two sides look too different for the plane to be trusted."""


class MirrorOptions(Options):
    """What the reader may choose."""

    modality: str = option(
        "", "Symmetry of", "The modality whose symmetry shows the middle of the head.", kind="modality"
    )
    into: int = option(
        0, "Paint as", "The class of the mirrored side.", kind="class", none="the picked class", ge=0, le=255
    )
    over: Over = over_option()


def mirror(
    labels: LabelArray,
    image: ImageArray,
    spacing: Spacing,
    value: int,
    *,
    into: int | None = None,
    plane: Plane | None = None,
    over: Over = Over.BACKGROUND,
    name: str = "",
    names: Mapping[int, str] | None = None,
    report: Report = silent,
) -> Edit:
    """Copy a class to the other side of the head; the class itself stays where it is.

    Parameters
    ----------
    labels, image
        (z, y, x) on a canonical grid (x grows towards the patient's left); the labels are not changed.
    spacing
        Edges of a voxel along z, y, x in mm.
    value, into
        The class, and which class its mirror image becomes: the same by default.
    plane
        The plane of symmetry; found in the image by default.

    Raises
    ------
    UsageError
        Nothing is painted.
    """
    from scipy import ndimage

    source = need_painted(labels, value, name or f"class {value}")
    plane = plane or find_plane(np.asarray(image, dtype=np.float32), spacing, report=report)
    target = _target(source, plane, spacing, labels.shape)
    into = value if into is None else into
    notes = _words(plane)
    if target is None:
        return edit_of(labels, source, labels[slices_of(source)], notes=(*notes, "The other side is not on the scan."))
    scale = np.array(spacing).reshape(3, 1, 1, 1)
    index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(*target, strict=True)), indexing="ij"))
    there = plane.mirrored(index * scale) / scale
    # Half and half: the outline falls between voxels, and the volume stays.
    soft = ndimage.map_coordinates((labels == value).astype(np.float32), there, order=1, mode="constant")
    before = labels[slices_of(target)]
    wanted = np.where(soft >= 0.5, into, before).astype(np.uint8)
    # A mirrored voxel that falls on the class itself is the class already: the middle of the head.
    wanted = np.where(before == value, before, wanted)
    return edit_of(labels, target, wanted, over=over, own=(into,), names=names, notes=notes)


def _target(
    source: tuple[tuple[int, int, int], tuple[int, int, int]], plane: Plane, spacing: Spacing, shape: tuple[int, ...]
) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    """Box that holds a box's mirror image within the scan, None when it lies outside."""
    ends = [(a, b - 1) for a, b in zip(*source, strict=True)]
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1) * np.array(spacing).reshape(3, 1)
    there = plane.mirrored(corners) / np.array(spacing).reshape(3, 1)
    low = np.maximum(np.floor(there.min(axis=1)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(there.max(axis=1)).astype(int) + 2, shape)
    if (low >= high).any():
        return None
    a, b, c = (int(v) for v in low)
    d, e, f = (int(v) for v in high)
    return (a, b, c), (d, e, f)


def _words(plane: Plane) -> tuple[str, ...]:
    told = f"The head is {plane.words()}; likeness of its sides {max(plane.likeness, 0.0):.2f}."
    if plane.likeness >= DOUBTFUL:
        return (told,)
    return (told, "The sides look little alike: check the preview, or try another modality.")


def _run(scene: Scene, options: MirrorOptions, report: Report) -> Edit:
    return mirror(
        scene.labels,
        scene.image(options.modality),
        scene.spacing,
        scene.value,
        into=options.into or scene.value,
        over=options.over,
        name=scene.classes.get(scene.value, ""),
        names=scene.classes,
        report=report,
    )


TOOL = Tool(
    key="mirror",
    title="Mirror",
    tip="Copies the picked class to the other side of the head.",
    options=MirrorOptions,
    run=_run,
    shortcut="Shift+M",
    prepare=front_modality,
)
