"""Shapes with known volumes on unequal voxels, and what every edit must keep to."""

from __future__ import annotations

import numpy as np

from napari_penumbra.imaging.edits.base import Edit, Scene, View
from napari_penumbra.imaging.edits.boxes import slices_of

SPACING = (4.0, 1.5, 1.0)
"""z, y, x in mm: three lengths that cannot be mixed up unseen."""


def ball(shape: tuple[int, int, int], center_mm: tuple[float, float, float], radius_mm: float, spacing=SPACING):
    """Voxels whose centre lies within a radius of a point (mm from the first voxel's centre)."""
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(axes, center_mm, strict=True)) <= radius_mm**2


def applied(labels: np.ndarray, edit: Edit) -> np.ndarray:
    """The labels after an edit."""
    after = labels.copy()
    after[slices_of(edit.box)] = edit.after
    return after


def keeps_to_the_rules(labels: np.ndarray, edit: Edit, may_lose: tuple[int, ...] = (0,)) -> np.ndarray:
    """Check what holds for every edit and give the labels after it.

    Its box fits the array, it says truly what was there, is trimmed to what changes, and only voxels of ``may_lose``
    have changed.
    """
    assert all(0 <= a <= b <= n for a, b, n in zip(*edit.box, labels.shape, strict=True))
    np.testing.assert_array_equal(edit.before, labels[slices_of(edit.box)])
    assert edit.after.dtype == np.uint8
    assert edit.after.shape == edit.before.shape
    after = applied(labels, edit)
    changed = labels != after
    assert set(np.unique(labels[changed])) <= set(may_lose)
    if changed.any():
        where = np.argwhere(changed)
        assert edit.box == (tuple(where.min(0)), tuple(where.max(0) + 1))
    assert edit.empty == (not changed.any())
    for value, (gained, lost) in edit.tally().items():
        assert gained == np.count_nonzero(changed & (after == value))
        assert lost == np.count_nonzero(changed & (labels == value))
    return after


def scene(labels: np.ndarray, images: dict | None = None, **changes) -> Scene:
    """A scene of two classes in an axial view of its middle slice."""
    depth = labels.shape[0] // 2
    view = View(0, depth, ((depth, 0, 0), (depth + 1, *labels.shape[1:])))
    values = {"spacing": SPACING, "view": view, "value": 1, "classes": {1: "penumbra", 2: "core"}, **changes}
    return Scene(labels, images or {}, **values)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks."""
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
