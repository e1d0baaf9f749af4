"""Pictures of the tools that compute, each with its preview on a case that was painted for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt
from scipy import ndimage

from picture_parts.annotating import largest, wait_for_preview
from picture_parts.desk import SHIFT, Desk

CASE, PREDICTED = "stroke-004", "stroke-011"
PENUMBRA, CORE = 1, 2
Labels = npt.NDArray[np.uint8]


def overview(desk: Desk) -> None:
    """Show the tools, each with its key, beside a painted case."""
    truth = _begin(desk)
    desk.paint(truth)
    desk.go_to(largest(truth > 0))
    desk.unfold("edit_tools_fold")
    desk.shoot(desk.canvas_and_dock())


def interpolate(desk: Desk) -> None:
    """Two painted slices, three to be filled between them."""
    truth = _begin(desk)
    z = largest(truth > 0)
    _shoot(desk, _only(truth, [z - 2, z + 2]), Qt.Key.Key_I, z)


def seeds(desk: Desk) -> None:
    """A little of both classes, grown."""
    truth = _begin(desk)
    desk.widget.bridge.show_modality("Tmax")
    _shoot(desk, _seeds_of(truth), Qt.Key.Key_G, largest(truth > 0), slow=True)


def walker(desk: Desk) -> None:
    """Grow the same seeds by the random walker."""
    truth = _begin(desk)
    desk.widget.bridge.show_modality("Tmax")
    _shoot(desk, _seeds_of(truth), Qt.Key.Key_W, largest(truth > 0), slow=True)


def smart_fill(desk: Desk) -> None:
    """Click once into the core."""
    truth = _begin(desk)
    desk.page("annotate")
    z = largest(truth == CORE)
    desk.go_to(z)
    desk.press(Qt.Key.Key_2)
    desk.press(Qt.Key.Key_F, SHIFT)
    desk.stroke([(z, *_deepest(truth[z] == CORE))])
    wait_for_preview(desk)
    desk.shoot(desk.canvas_and_dock())


def pieces(desk: Desk) -> None:
    """Three specks beside the lesion."""
    truth = _begin(desk)
    painted = np.where(truth > 0, PENUMBRA, 0).astype(np.uint8)
    z = largest(painted > 0)
    y, x = _deepest(painted[z] > 0)
    for dy, dx, size in ((4, -16, 2), (-12, -14, 1), (15, 2, 2)):
        spot = painted[z, y + dy : y + dy + size, x + dx : x + dx + size]
        spot[...] = PENUMBRA
    _shoot(desk, painted, Qt.Key.Key_K, z)


def holes(desk: Desk) -> None:
    """A lesion with a gap in it."""
    truth = _begin(desk)
    painted = np.where(truth > 0, PENUMBRA, 0).astype(np.uint8)
    z = largest(painted > 0)
    y, x = _deepest(painted[z] > 0)
    painted[z, y - 2 : y + 2, x - 1 : x + 3] = 0
    _shoot(desk, painted, Qt.Key.Key_H, z)


def smooth(desk: Desk) -> None:
    """A lesion with a ragged outline."""
    truth = _begin(desk)
    whole = truth > 0
    rim = ndimage.binary_dilation(whole, iterations=1) & ~ndimage.binary_erosion(whole, iterations=1)
    ragged = whole ^ (rim & (np.random.default_rng(0).random(whole.shape) < 0.4))
    ragged &= whole.any(axis=(1, 2))[:, None, None]
    _shoot(desk, np.where(ragged, PENUMBRA, 0).astype(np.uint8), Qt.Key.Key_S, largest(whole))


def margin(desk: Desk) -> None:
    """A lesion that shall grow."""
    truth = _begin(desk)
    _shoot(desk, np.where(truth > 0, PENUMBRA, 0).astype(np.uint8), Qt.Key.Key_E, largest(truth > 0))


def mirror(desk: Desk) -> None:
    """A lesion on the other side of the head."""
    truth = _begin(desk)
    _shoot(desk, np.where(truth > 0, PENUMBRA, 0).astype(np.uint8), Qt.Key.Key_M, largest(truth > 0))


def prediction(desk: Desk) -> None:
    """Take a model's labels over on one slice of a case that nobody has painted."""
    desk.use("trained")
    desk.open_case(PREDICTED)
    desk.page("annotate")
    truth = desk.truth(PREDICTED) > 0
    z = largest(truth)
    desk.go_to(z)
    # A predicted case opens with the prediction: half of it is wiped away first.
    desk.press(Qt.Key.Key_E)
    desk.find("brush_mm").setValue(20.0)
    y, x = _deepest(truth[z])
    desk.stroke([(z, y - 4, x), (z, y - 2, x)])
    desk.press(Qt.Key.Key_P, SHIFT)
    wait_for_preview(desk)
    desk.shoot(desk.canvas_and_dock())


def _begin(desk: Desk) -> Labels:
    """Open the case and give back what it is."""
    desk.use("maps")
    desk.open_case(CASE)
    desk.page("annotate")
    return desk.truth(CASE)


def _shoot(desk: Desk, painted: Labels, key: Qt.Key, z: int, *, slow: bool = False) -> None:
    """Paint, open a tool by its key, let it preview, and take the picture of a slice."""
    desk.paint(painted)
    desk.go_to(z)
    desk.press(key, SHIFT)
    if slow:
        desk.click("edit_preview")
    wait_for_preview(desk)
    desk.shoot(desk.canvas_and_dock())


def _seeds_of(truth: Labels) -> Labels:
    """Paint the inside of each class on three slices."""
    z = largest(truth > 0)
    found = np.zeros_like(truth)
    for value in (PENUMBRA, CORE):
        for near in (z - 1, z, z + 1):
            inside = ndimage.binary_erosion(truth[near] == value, iterations=2)
            found[near][inside] = value
    return found


def _only(truth: Labels, slices: list[int]) -> Labels:
    found = np.zeros_like(truth)
    found[slices] = truth[slices]
    return found


def _deepest(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Voxel of a slice that is farthest from the outline."""
    y, x = np.unravel_index(int(ndimage.distance_transform_edt(mask).argmax()), mask.shape)
    return int(y), int(x)


PICTURES: dict[str, Callable[[Desk], None]] = {
    "tools/annotate-tools": overview,
    "tools/interpolate": interpolate,
    "tools/grow-from-seeds": seeds,
    "tools/smart-fill-3d": smart_fill,
    "tools/random-walker": walker,
    "tools/keep-largest": pieces,
    "tools/fill-holes": holes,
    "tools/smooth": smooth,
    "tools/grow-or-shrink": margin,
    "tools/mirror": mirror,
    "tools/copy-prediction": prediction,
}
