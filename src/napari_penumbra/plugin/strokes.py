"""Finds every change of a labels layer, by whatever means it came, as a box and the voxels inside it afterwards.

napari tells of strokes by its ``paint`` event, which carries the history item; undo and redo tell nobody, and a long
stroke tells only when the mouse button is let go. So the tracker keeps a copy of what has been reported (the shadow),
narrows each change to the box that the history item names, and reports what differs from the shadow there. Without a
history item that it understands (another napari version, another plugin) it compares the whole volume instead:
slower, never wrong.

Undo and redo are not napari's: the steps go into a `History` that belongs to the case, and napari keeps none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.plugin.history import History, union

Report = Callable[[Box, LabelArray], None]

MID_STROKE_SECONDS = 0.5
"""A stroke that goes on is reported in pieces this far apart, so that a crash costs less than a second of it."""


class StrokeTracker:
    """Watches one labels layer until `close`.

    Parameters
    ----------
    layer
        A napari ``Labels`` layer over a uint8 numpy array (z, y, x).
    report
        Called with the box that changed (end exclusive) and a copy of its voxels after the change, in that order.
    history
        Where the steps go and come back from; a new one by default.
    """

    def __init__(self, layer: Any, report: Report, history: History | None = None) -> None:
        self.layer = layer
        self.history = History() if history is None else history
        self._report = report
        self._telling = False
        _keep_no_history(layer)
        self._shadow: LabelArray = np.array(layer.data, dtype=np.uint8)
        self._staged_seen = 0
        self._mid: Box | None = None
        self._mid_time = time.monotonic()
        # napari's own key binding calls layer.undo(): an attribute of the instance catches it even while the layer is
        # hidden, when no event is sent.
        layer.undo = self.undo
        layer.redo = self.redo
        layer.events.paint.connect(self._on_paint)
        layer.events.labels_update.connect(self._on_drawn)
        layer.events.set_data.connect(self._on_refresh)
        layer.events.data.connect(self._on_replaced)

    def close(self) -> None:
        """Stop watching."""
        events = self.layer.events
        events.paint.disconnect(self._on_paint)
        events.labels_update.disconnect(self._on_drawn)
        events.set_data.disconnect(self._on_refresh)
        events.data.disconnect(self._on_replaced)
        for name in ("undo", "redo"):
            self.layer.__dict__.pop(name, None)

    def undo(self) -> None:
        """Take the last step back; nothing happens in the middle of a stroke."""
        self._replay(self.history.undo)

    def redo(self) -> None:
        """Do again what was taken back last."""
        self._replay(self.history.redo)

    def sync(self) -> None:
        """Report whatever differs from what was reported so far, wherever it is (about 0.1 ms per million voxels).

        Whoever is being told of a change asks for nothing that is not known: then it costs nothing.
        """
        if self._telling:
            return
        self._compare(_whole(self._shadow.shape))
        if not self._drawing():
            self.history.close()

    # ---------------------------------------------------------------- finding

    def _replay(self, step: Callable[[LabelArray], Box | None]) -> None:
        if self._drawing():
            return
        self.sync()  # what was written unseen is a step of its own, or the voxels and the steps would not fit together
        box = step(self.layer.data)
        if box is not None:
            self._compare(box, record=False)
            self.layer.refresh()

    def _drawing(self) -> bool:
        """Whether a stroke is going on that napari has not sent yet."""
        return bool(getattr(self.layer, "_staged_history", None))

    def _on_paint(self, event: Any) -> None:
        self._staged_seen = 0
        self._mid = None
        item = getattr(event, "value", None)
        box = box_of(item, self._shadow.shape)
        if item is None or box is None:
            self.sync()
            return
        # Called directly (not by the mouse), napari sends the event before it writes. Whoever hears the report may look
        # at the labels at once, so the item is written here; napari then writes the same values again.
        _apply(item, self.layer.data[_slices(box)], box)
        self._compare(box)
        self.history.close()

    def _on_drawn(self, event: Any = None) -> None:
        """Report a piece of a stroke whose mouse button is still down."""
        staged = getattr(self.layer, "_staged_history", None)
        now = time.monotonic()
        if not staged or now - self._mid_time < MID_STROKE_SECONDS:
            return
        box = box_of(staged[self._staged_seen :], self._shadow.shape)
        self._staged_seen = len(staged)
        self._mid_time = now
        if box is not None:
            self._mid = box if self._mid is None else union((self._mid, box))
            self._compare(box)

    def _on_refresh(self, event: Any = None) -> None:
        """A stroke that was reported in part may have been called off (Escape): report that, too."""
        if self._mid is not None and not getattr(self.layer, "_staged_history", None):
            box, self._mid, self._staged_seen = self._mid, None, 0
            self.history.drop_open()
            self._compare(box, record=False)

    def _on_replaced(self, event: Any = None) -> None:
        """Someone assigned ``layer.data``: keep it if it fits, else put the labels back."""
        data = self.layer.data
        reset = getattr(self.layer, "_reset_history", None)
        if reset is not None:
            reset()  # the old history would write the old voxels into the new ones
        if not isinstance(data, np.ndarray) or data.shape != self._shadow.shape or data.dtype != np.uint8:
            self.layer.data = self._shadow.copy()
            return
        self.sync()
        self.history.clear()

    # ---------------------------------------------------------------- telling

    def _compare(self, box: Box, *, record: bool = True) -> None:
        after = self.layer.data[_slices(box)]
        known = self._shadow[_slices(box)]
        changed = known != after
        if not changed.any():
            return
        inside = _bounds(changed)
        tight = tuple(slice(a, b) for a, b in zip(*inside, strict=True))
        values = np.array(after[tight], dtype=np.uint8)
        low, high = (_triple(a + s for a, s in zip(corner, box[0], strict=True)) for corner in inside)
        if record:
            self.history.add((low, high), known[tight], values)
        known[tight] = values
        self._telling = True
        try:
            self._report((low, high), values)
        finally:
            self._telling = False


def _keep_no_history(layer: Any) -> None:
    """Let napari forget every step at once: two histories of the same voxels could only contradict each other."""
    layer._history_limit = 0
    reset = getattr(layer, "_reset_history", None)
    if reset is not None:
        reset()


def box_of(item: Any, shape: Sequence[int]) -> Box | None:
    """Find the box that a history item (a list of napari's atoms) touches, or None when it has an unknown form."""
    if not isinstance(item, (list, tuple)) or not item:
        return None
    total: Box | None = None
    for atom in item:
        box = _atom_box(atom, shape)
        if box is None:
            return None
        total = box if total is None else union((total, box))
    return total


def _atom_box(atom: Any, shape: Sequence[int]) -> Box | None:
    key = getattr(atom, "slice_key", None)
    if key is not None:
        bounds = [s.indices(n) for s, n in zip(key, shape, strict=True)]
        return _triple(b[0] for b in bounds), _triple(b[1] for b in bounds)
    if not isinstance(atom, tuple) or len(atom) != 3 or len(atom[0]) != len(shape):
        return None
    indices = [np.asarray(axis) for axis in atom[0]]
    if any(axis.size == 0 or axis.dtype.kind not in "iu" or axis.min() < 0 for axis in indices):
        return None
    return _triple(int(a.min()) for a in indices), _triple(int(a.max()) + 1 for a in indices)


def _apply(item: Sequence[Any], array: LabelArray, box: Box) -> None:
    """Write the new values of all atoms into ``array``, which holds the voxels of ``box``."""
    start = box[0]
    for atom in item:
        key = getattr(atom, "slice_key", None)
        if key is None:
            indices, _, values = atom
            array[tuple(np.asarray(axis) - s for axis, s in zip(indices, start, strict=True))] = values
            continue
        part = array[tuple(slice(k.start - s, k.stop - s) for k, s in zip(key, start, strict=True))]
        part[... if atom.mask is None else atom.mask] = atom.new_value


def _bounds(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Box:
    """Smallest box around the True voxels of a mask that has some."""
    low, high = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        low.append(int(hit[0]))
        high.append(int(hit[-1]) + 1)
    return _triple(low), _triple(high)


def _whole(shape: Sequence[int]) -> Box:
    return (0, 0, 0), _triple(shape)


def _slices(box: Box) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in zip(*box, strict=True))


def _triple(values: Any) -> tuple[int, int, int]:
    z, y, x = (int(v) for v in values)
    return z, y, x
