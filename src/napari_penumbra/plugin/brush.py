"""The brush in millimetres: a true disc or ball on any voxels, and, if wished, only where an image is bright enough.

napari sizes its brush in whole voxels of the finest axis and adds half a voxel, so a 5 mm ball on slices 6.5 mm apart
comes out up to a third too wide. Here the voxels whose centres lie inside the ball are painted, no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.widgets.worker_thread import Task

Mask = npt.NDArray[np.bool_]

FILL_AT_ONCE = 4_000_000
"""Voxels that are searched within a tenth of a second (one slice always); more are searched in another thread."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a stroke may write: voxels of ``image`` (z, y, x) from ``low`` to ``high``, both included."""

    image: ImageArray
    low: float
    high: float
    paint: bool
    erase: bool

    @property
    def narrow(self) -> bool:
        """Whether it ends anywhere: without ends every number is within it."""
        return np.isfinite(self.low) or np.isfinite(self.high)

    def holds_for(self, value: int) -> bool:
        """Whether it limits strokes of this label value; background erases."""
        return self.erase if value == BACKGROUND else self.paint

    def inside(self, place: tuple[Any, ...]) -> Mask:
        """Which voxels of a box or slice may be written to; those without a number may not."""
        values = self.image[place]
        return np.asarray((values >= self.low) & (values <= self.high))


@dataclass(frozen=True, slots=True)
class Reach:
    """What strokes of one label value can change while they keep to a limit."""

    limit: Limit
    value: int

    def inside(self, labels: LabelArray, place: tuple[Any, ...]) -> Mask:
        """Which voxels of a box or slice would change: those within the limit that do not have the value yet."""
        return self.limit.inside(place) & (labels[place] != self.value)


class Brush:
    """Paints, erases and fills a labels layer in napari's stead until `close`.

    Parameters
    ----------
    layer
        A napari ``Labels`` layer over a (z, y, x) array.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.limit: Limit | None = None
        self.held = False
        """While True nothing is painted: the press on the picture means something else."""
        self._closed = self._filling = False
        self._mm = 0.0
        self._size = 0
        # napari's mouse calls paint() and fill() of the instance; its contour tool goes through the third.
        layer.paint, layer.fill = self.paint, self.fill
        self._mask_into = getattr(layer, "_apply_mask_to_data", None)
        if self._mask_into is not None:
            layer._apply_mask_to_data = self._apply

    def close(self) -> None:
        """Give the layer its own tools back; a fill that is still being looked for is forgotten."""
        self._closed = True
        for name in ("paint", "fill", "_apply_mask_to_data"):
            self.layer.__dict__.pop(name, None)

    def axes(self) -> list[int]:
        """Axes that a stroke spreads over: those of the shown slice, or all three with a ball."""
        layer = self.layer
        return sorted(layer._slice_input.order[-layer.n_edit_dimensions :])

    def set_size(self, mm: float, three_d: bool) -> None:
        """Set the brush's diameter; napari's cursor shows it in voxels of the finest axis that it spreads over."""
        self.layer.n_edit_dimensions = 3 if three_d else 2
        self._mm = mm
        self._size = max(1, round(mm / self._finest()))
        self.layer.brush_size = self._size

    def diameter_mm(self) -> float:
        """Diameter in mm; napari's own controls and keys change it in whole voxels."""
        size = self.layer.brush_size
        return self._mm if size == self._size else float(size * self._finest())

    def _finest(self) -> float:
        return min(abs(float(self.layer.scale[axis])) for axis in self.axes())

    # ---------------------------------------------------------------- painting

    def paint(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Paint one dab of the brush around a voxel, as napari's ``Labels.paint``."""
        center, axes, shape = [round(float(c)) for c in coord], self.axes(), self.layer.data.shape
        if self.held or any(not 0 <= center[a] < shape[a] for a in range(len(shape)) if a not in axes):
            return
        dab = ball(tuple(abs(float(self.layer.scale[a])) for a in axes), self.diameter_mm())
        place = [slice(c, c + 1) for c in center]
        cut = []
        for axis, length in zip(axes, dab.shape, strict=True):
            first = center[axis] - length // 2
            low, high = max(first, 0), min(first + length, shape[axis])
            if low >= high:
                return
            place[axis] = slice(low, high)
            cut.append(slice(low - first, high - first))
        self._write(tuple(place), dab[tuple(cut)], new_label, axes, refresh)

    def fill(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Fill what is connected to a voxel, has its label and may be written to, as napari's ``Labels.fill``.

        A large volume is searched in another thread, and filled as one step when that is done.
        """
        center, axes, data = [round(float(c)) for c in coord], self.axes(), self.layer.data
        if self.held or any(not 0 <= c < n for c, n in zip(center, data.shape, strict=True)):
            return
        old = data[tuple(center)]
        if old == new_label:
            return
        place = tuple(slice(None) if a in axes else slice(c, c + 1) for a, c in enumerate(center))
        same = data[place] == old
        limit = self.limit if self.limit is not None and self.limit.holds_for(new_label) else None
        seed = tuple(c if a in axes else 0 for a, c in enumerate(center))

        def look() -> tuple[tuple[slice, ...], Mask] | None:
            return connected(same if limit is None else same & limit.inside(place), seed, self.layer.contiguous)

        def write(found: tuple[tuple[slice, ...], Mask] | None) -> None:
            if found is None or self._closed:
                return
            box, mask = found
            key = tuple(box[a] if a in axes else place[a] for a in range(data.ndim))
            mask = mask & (data[key] == old)  # what was painted meanwhile stays
            self._write(
                key, mask[tuple(slice(None) if a in axes else 0 for a in range(data.ndim))], new_label, axes, refresh
            )

        if same.size <= FILL_AT_ONCE:
            write(look())
        elif not self._filling:
            self._fill_later(look, write)

    def _fill_later(self, look: Callable[[], Any], write: Callable[[Any], None]) -> None:
        """Search in another thread; the waiting cursor says so, and a second click changes nothing meanwhile."""
        self._filling = True
        QApplication.setOverrideCursor(Qt.CursorShape.BusyCursor)
        task = Task(look, "filling")
        task.done.connect(write)
        task.over.connect(self._on_filled)
        task.start()

    def _on_filled(self) -> None:
        self._filling = False
        QApplication.restoreOverrideCursor()

    def _write(self, place: tuple[slice, ...], mask: Mask, value: int, axes: list[int], refresh: bool) -> None:
        layer = self.layer
        if self._mask_into is not None:  # napari 0.8: masks and boxes
            layer._paint_region_with_mask(place, mask, value, axes, refresh)
            return
        mask = np.expand_dims(mask, tuple(a for a in range(layer.ndim) if a not in axes))
        if self.limit is not None and self.limit.holds_for(value):
            mask = mask & self.limit.inside(place)
        found = np.nonzero(mask)
        layer.data_setitem(tuple(axis + s.start for axis, s in zip(found, place, strict=True)), value, refresh)

    def _apply(self, data: Any, mask: Mask, value: int, place: tuple[slice, ...]) -> Any:
        """Narrow whatever napari is about to paint to the voxels that may be written to."""
        if self.limit is not None and self.limit.holds_for(value):
            mask = mask & self.limit.inside(place)
        assert self._mask_into is not None
        return self._mask_into(data, mask, value, place)


def connected(allowed: Mask, seed: tuple[int, ...], contiguous: bool) -> tuple[tuple[slice, ...], Mask] | None:
    """Find the voxels to fill: the box around them and which ones inside it; None if the seed is none of them.

    Parameters
    ----------
    allowed
        Voxels that may be filled.
    seed
        Voxel that was clicked.
    contiguous
        Only those that are connected to the seed by their faces.
    """
    if not allowed[seed]:
        return None
    found = allowed
    if contiguous:
        parts, _ = ndimage.label(allowed)
        found = parts == parts[seed]
    box = []
    for axis in range(found.ndim):
        hit = np.flatnonzero(found.any(axis=tuple(a for a in range(found.ndim) if a != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box), found[tuple(box)]


@lru_cache(maxsize=8)
def ball(spacing: tuple[float, ...], diameter_mm: float) -> Mask:
    """Voxels whose centres lie within a ball (or disc) around the middle one.

    Parameters
    ----------
    spacing
        Distance between voxels along each axis, in mm.

    Returns
    -------
    ndarray
        bool, an odd number of voxels along every axis, the middle one always True.
    """
    radius = diameter_mm / 2 + 1e-6
    reach = [int(radius / step) for step in spacing]
    grids = np.ogrid[tuple(slice(-n, n + 1) for n in reach)]
    squared = sum((grid * step) ** 2 for grid, step in zip(grids, spacing, strict=True))
    mask = np.asarray(squared <= radius**2)
    mask.flags.writeable = False  # shared by all who ask
    return mask
