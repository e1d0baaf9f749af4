"""A canvas without napari, and small real scans, for the tests of the pages."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from psygnal import Signal

from napari_penumbra.domain.case import OpenCase
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.edits import View
from napari_penumbra.session import Session

SHAPE = (6, 20, 24)
"""(z, y, x) of the test cases."""


class ArrayViews:
    """`Views` that remember what they were asked for."""

    planes_changed = Signal(bool)
    solid_changed = Signal(bool)

    def __init__(self, canvas):
        self.canvas = canvas
        self.in_3d = False
        self.on = False
        self.name = "usual"

    def step(self, slices_on):
        self.canvas.calls.append(("step", slices_on))

    def end(self, last):
        self.canvas.calls.append(("end", last))

    def show_plane(self, name):
        self.canvas.calls.append(("plane", name))

    def show_planes(self, on):
        self.on = on
        self.planes_changed.emit(on)

    def show_range(self, on):
        self.canvas.calls.append(("range shown", on))

    def planes_shown(self):
        return self.on

    def solid(self):
        return self.in_3d

    def turn(self, in_3d):
        """What napari's 2D/3D button does."""
        self.in_3d = in_3d
        self.solid_changed.emit(in_3d)

    def windows(self):
        return ("usual", "whole range") if self.canvas.shown else ()

    def window(self):
        return self.name

    def set_window(self, name):
        self.name = name
        low, high = self.canvas.intensities(self.canvas.modality)
        self.canvas.set_contrast(*((low, high) if name == "whole range" else (low + 1, high - 1)))
        self.name = name


class ArrayCanvas:
    """A `Canvas` on a plain array: what the plugin does with layers, without layers."""

    stroke = Signal(object, object)
    dirty_changed = Signal(bool)
    case_changed = Signal(object)
    modality_changed = Signal(str)
    contrast_changed = Signal(float, float)
    class_changed = Signal(int)
    tool_changed = Signal(str)

    def __init__(self, session: Session) -> None:
        self.session = session
        self.views = ArrayViews(self)
        self.shown: OpenCase | None = None
        self.array: np.ndarray | None = None
        self.calls: list[tuple] = []
        self.modality: str | None = None
        self._touched: set[int] = set()
        self._dirty = False
        self._windows: dict[str, tuple[float, float]] = {}
        self._history: list[tuple] = []
        self.preview: tuple | None = None
        self.on_point = None
        self.looking_at = View(0, 3, ((3, 0, 0), (4, *SHAPE[1:])))
        self._undone: list[tuple] = []

    @property
    def case(self):
        return self.shown.name if self.shown else None

    def show(self, case):
        self.shown = case
        self.array = case.labels
        self.modality = next(iter(case.images))
        self._touched, self._history, self._undone = set(), [], []
        self._set_dirty(case.restored > 0)
        self.case_changed.emit(case.name)
        self.modality_changed.emit(self.modality)

    def clear(self):
        self.shown = self.array = self.modality = None
        self._set_dirty(False)
        self.case_changed.emit(None)

    def labels(self):
        if self.array is None:
            raise UsageError("No case is shown.")
        return self.array

    def set_labels(self, box, values):
        (z0, y0, x0), (z1, y1, x1) = box
        place = (slice(z0, z1), slice(y0, y1), slice(x0, x1))
        self._history.append((box, self.array[place].copy()))
        self._undone = []
        self.array[place] = values
        self._touched |= set(range(z0, z1))
        if not self.session.readonly:
            self.session.stroke(self.case, box, np.asarray(values, dtype=np.uint8))
        self._set_dirty(True)
        self.stroke.emit(box, np.array(values, dtype=np.uint8))

    def paint(self, box, value):
        """What a reader's brush does."""
        (z0, y0, x0), (z1, y1, x1) = box
        self.set_labels(box, np.full((z1 - z0, y1 - y0, x1 - x0), value, dtype=np.uint8))

    def undo(self):
        self._replay(self._history, "_undone")

    def redo(self):
        self._replay(self._undone, "_history")

    def _replay(self, steps, other):
        if steps:
            box, values = steps.pop()
            history, undone = self._history, self._undone
            place = tuple(slice(a, b) for a, b in zip(*box, strict=True))
            now = self.array[place].copy()
            self.set_labels(box, values)
            self._history, self._undone = history, undone
            history.pop()
            getattr(self, other).append((box, now))

    def can_undo(self):
        return bool(self._history)

    def can_redo(self):
        return bool(self._undone)

    def seconds(self):
        return 1.5 if self.shown else 0.0

    def touched_slices(self):
        return set(self._touched)

    def dirty(self):
        return self._dirty

    def mark_saved(self):
        self._set_dirty(False)

    def mark_unsaved(self, seconds):
        self.calls.append(("mark_unsaved", seconds))
        self._set_dirty(True)

    def _set_dirty(self, dirty):
        if dirty != self._dirty:
            self._dirty = dirty
            self.dirty_changed.emit(dirty)

    def show_modality(self, name):
        self.modality = name
        self.modality_changed.emit(name)

    def flip_modality(self, step=1):
        names = list(self.shown.images)
        self.show_modality(names[(names.index(self.modality) + step) % len(names)])

    def contrast(self):
        if self.shown is None:
            return None
        image = self.shown.images[self.modality]
        low, high = float(image.min()), float(image.max())
        return low, high, *self._windows.get(self.modality, (low, high))

    def set_contrast(self, low, high):
        self._windows[self.modality] = (low, high)
        self.views.name = ""
        self.contrast_changed.emit(low, high)

    def select_class(self, value):
        self.calls.append(("class", value))

    def select_tool(self, name):
        self.calls.append(("tool", name))

    def set_brush(self, mm, three_d):
        self.calls.append(("brush", mm, three_d))

    def set_range(self, limit):
        self.calls.append(("range", limit))

    def intensities(self, modality):
        image = self.shown.images.get(modality) if self.shown else None
        return None if image is None else (float(image.min()), float(image.max()))

    def show_preview(self, box, after, changed):
        self.preview = (box, after, changed)

    def hide_preview(self):
        self.preview = None

    def view(self):
        return self.looking_at

    def pick_point(self, on_point):
        self.on_point = on_point

    def show_prediction(self, visible):
        self.calls.append(("prediction", visible))

    def show_confidence(self, visible):
        self.calls.append(("confidence", visible))

    def set_confidence_threshold(self, value):
        self.calls.append(("threshold", value))

    def show_contours(self, first, second, names):
        self.calls.append(("contours", first.copy(), second.copy(), names))

    def hide_contours(self):
        self.calls.append(("no contours",))

    def make_ready(self, region):
        pass

    def go_to(self, region):
        self.calls.append(("go", region.box))


SCHEME = LabelScheme.parse(["1=penumbra", "2=core"])


def write_image(path: Path, seed: int = 0) -> Path:
    """A small scan with a bright ball in it, 2 x 2 x 5 mm."""
    rng = np.random.default_rng(seed)
    data = rng.normal(100, 5, SHAPE[::-1]).astype(np.float32)
    data[8:14, 6:12, 2:4] += 80
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 2.0, 5.0, 1.0])), path)
    return path


def write_labels(path: Path) -> Path:
    data = np.zeros(SHAPE[::-1], dtype=np.uint8)
    data[8:14, 6:12, 2:4] = 1
    data[10:12, 8:10, 2:4] = 2
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 2.0, 5.0, 1.0])), path)
    return path


def fill(session: Session, folder: Path, cases: int = 4, labelled: int = 1) -> None:
    """Cases p000, p001 … with DWI and T2; the last one has no T2."""
    for n in range(cases):
        images = {"DWI": write_image(folder / f"p{n:03}_DWI.nii.gz", n)}
        if n < cases - 1:
            images["T2"] = write_image(folder / f"p{n:03}_T2.nii.gz", 100 + n)
        label = write_labels(folder / f"p{n:03}_label.nii.gz") if n < labelled else None
        session.add_case(f"p{n:03}", images, label)
