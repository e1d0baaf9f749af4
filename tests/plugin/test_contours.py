"""Contours of two annotations: where the lines lie, and that nobody needs to tell colours apart to read them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from plugin_cases import GRID, open_case
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_penumbra.domain.labels import PALETTE, UNKNOWN_COLOR
from napari_penumbra.plugin.contours import FIRST_COLOR, GAP, GAP_COLOR, LINE, SECOND_COLOR, STRIPE, lines_of
from napari_penumbra.plugin.layer_bridge import LayerBridge

SHAPE = GRID.array_shape

# Linear RGB of what is seen without one kind of cones (Viénot, Brettel and Mollon 1999; tritan after Brettel 1997).
BLINDNESS = {
    "none": np.eye(3),
    "protan": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "deutan": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
    "tritan": np.array([[1.0, 0.14461, -0.14461], [0.0, 0.85924, 0.14076], [0.0, 0.85924, 0.14076]]),
    "no colour": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}


def seen(color: str, blindness: str) -> np.ndarray:
    """CIELAB of a colour as it is seen."""
    rgb = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    other = np.clip(BLINDNESS[blindness] @ linear, 0, 1)
    back = np.where(other <= 0.0031308, other * 12.92, 1.055 * other ** (1 / 2.4) - 0.055)
    return rgb2lab(back.reshape(1, 1, 3)).ravel()


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_the_colours_are_told_apart(blindness: str) -> None:
    for one, other in itertools.combinations((FIRST_COLOR, SECOND_COLOR, GAP_COLOR), 2):
        assert deltaE_ciede2000(seen(one, blindness), seen(other, blindness)) > 20


@pytest.mark.parametrize("blindness", ["none", "protan", "deutan", "tritan"])
def test_the_colours_of_classes_are_told_apart(blindness: str) -> None:
    for one, other in itertools.combinations(PALETTE, 2):
        assert deltaE_ciede2000(seen(one, blindness), seen(other, blindness)) > 7
    # Grey is for what nobody knows: it must not pass for one of the first classes.
    for color in PALETTE[:2]:
        assert deltaE_ciede2000(seen(color, blindness), seen(UNKNOWN_COLOR, blindness)) > 10


def block(z: slice, y: slice, x: slice, value: int = 1, shape: tuple[int, ...] = (3, 12, 12)) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[z, y, x] = value
    return labels


@pytest.mark.parametrize("plane", [(1, 2), (0, 2), (0, 1)])
def test_lines_are_the_edges_within_the_plane(plane: tuple[int, int]) -> None:
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[2:7, 2:7, 2:7] = 1
    first, second = lines_of(labels, np.zeros_like(labels), plane, 1, 2)
    assert not second.any()
    hidden = ({0, 1, 2} - set(plane)).pop()
    for n in range(9):
        cut = np.take(first, n, axis=hidden)
        # A square of 5 has 16 voxels at its edge, in every slice that it is in; its ends are no surface of the plane.
        assert np.count_nonzero(cut) == (16 if 2 <= n < 7 else 0)


def test_stripes_alternate_and_never_leave_a_hole() -> None:
    first = block(slice(0, 3), slice(2, 8), slice(2, 8))
    second = block(slice(0, 3), slice(2, 8), slice(4, 10))
    a, b = lines_of(first, second, (1, 2), 2, 4)
    edge = lines_of(second, second, (1, 2), 2, 4)[0] > 0
    assert a.shape == b.shape == (3, 24, 24)
    # The second's line is whole: stripe, gap, or the first's line seen through.
    assert ((b > 0) | (a == LINE))[edge].all()
    assert not b[~edge].any()
    assert {STRIPE, GAP} <= set(np.unique(b))
    together = (a == LINE) & edge
    assert together.any()
    assert set(np.unique(b[together])) == {0, STRIPE}


def test_unknown_has_no_line_and_classes_have_one_between_them() -> None:
    labels = block(slice(0, 3), slice(2, 10), slice(2, 10))
    labels[:, 2:10, 6:10] = 2
    lines, _ = lines_of(labels, labels, (1, 2), 1, 2)
    assert lines[1, 5, 5] == LINE
    assert lines[1, 5, 6] == LINE
    labels[:] = 255
    assert not lines_of(labels, labels, (1, 2), 1, 2)[0].any()


def ours(viewer: Any) -> list[Any]:
    return [layer for layer in viewer.layers if "—" in layer.name or "┅" in layer.name]


def test_layers_come_move_and_go(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    bridge.finish_showing()
    before = list(viewer.layers)
    first = block(slice(2, 6), slice(10, 20), slice(8, 20), shape=SHAPE)
    second = block(slice(3, 7), slice(12, 22), slice(8, 20), 2, shape=SHAPE)
    active = viewer.layers.selection.active
    bridge.show_contours(first, second, ("now", "★ champion"))
    solid, striped = ours(viewer)
    assert (solid.name, striped.name) == ("p007 · — now", "p007 · ┅ ★ champion")
    assert viewer.layers.selection.active is active
    labels = bridge.layers.labels  # type: ignore[union-attr]
    # In world millimetres a line lies inside the voxels that it bounds.
    for layer, mask in ((solid, first), (striped, second)):
        for corner in np.argwhere(layer.data > 0)[:: max(1, np.count_nonzero(layer.data) // 50)]:
            voxel = np.round(labels.world_to_data(layer.data_to_world(corner))).astype(int)
            assert mask[tuple(voxel)] > 0
    # What is painted afterwards does not change what was compared.
    drawn = solid.data.copy()
    first[:] = 0
    np.testing.assert_array_equal(solid.data, drawn)
    # Another pair takes the place of the first.
    bridge.show_contours(second, second, ("a", "b"))
    assert [layer.name for layer in ours(viewer)] == ["p007 · — a", "p007 · ┅ b"]
    bridge.hide_contours()
    assert list(viewer.layers) == before
    bridge.hide_contours()  # twice does no harm


def test_another_plane_and_three_dimensions(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    labels = block(slice(2, 6), slice(10, 20), slice(8, 20), shape=SHAPE)
    bridge.show_contours(labels, labels, ("a", "b"))
    axial = ours(viewer)[0].data.shape
    viewer.dims.order = (1, 0, 2)
    assert ours(viewer)[0].data.shape != axial
    viewer.dims.ndisplay = 3
    assert not ours(viewer)[0].data.any()
    viewer.dims.ndisplay = 2
    viewer.dims.order = (0, 1, 2)
    assert ours(viewer)[0].data.shape == axial


def test_they_go_with_the_case_and_by_hand(viewer: Any, bridge: LayerBridge) -> None:
    labels = block(slice(2, 6), slice(10, 20), slice(8, 20), shape=SHAPE)
    bridge.show_contours(labels, labels, ("a", "b"))  # without a case: nothing
    assert not ours(viewer)
    bridge.show(open_case())
    bridge.show_contours(labels, labels, ("a", "b"))
    bridge.show(open_case("p008"))
    assert not ours(viewer)
    bridge.show_contours(labels, labels, ("a", "b"))
    viewer.layers.remove(ours(viewer)[0])
    assert not ours(viewer)  # one alone says nothing
    bridge.show_contours(labels, labels, ("a", "b"))
    assert len(ours(viewer)) == 2
