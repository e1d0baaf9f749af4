"""The patient's right is on the screen's left, heads are up, and 3D is not a mirror image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plugin_cases import SessionStub, a_region, open_case

from napari_penumbra.domain.grid import Grid
from napari_penumbra.plugin.compat import camera, canvas_overlays, canvas_size, scale_bar
from napari_penumbra.plugin.geometry import growing_letters, placement
from napari_penumbra.plugin.layer_bridge import LayerBridge
from napari_penumbra.plugin.orientation import upright
from napari_penumbra.plugin.outline import outline_of

CUBE = Grid.of((40, 40, 40), np.diag([-1.0, -1.0, 1.0, 1.0]))
TOWARDS = {"R": (2, 0), "L": (2, 39), "A": (1, 0), "P": (1, 39), "I": (0, 0), "S": (0, 39)}


def block(letter: str) -> Any:
    """A bright block at the end of the scan that faces a patient direction; none elsewhere."""
    image = np.zeros(CUBE.array_shape, np.float32)
    axis, end = TOWARDS[letter]
    where = [slice(14, 26)] * 3
    where[axis] = slice(0, 8) if end == 0 else slice(32, 40)
    image[tuple(where)] = 100
    return image


def centre_of_light(viewer: Any) -> tuple[float, float]:
    """Where the brightness is on the canvas: (right, up) from its middle, each in -1 to 1."""
    scale_bar(viewer).visible = False
    viewer.reset_view(reset_camera_angle=False)
    shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float).sum(axis=2)
    shot = np.where(letters_masked(shot) < shot.max() / 2, 0, shot)
    y, x = (np.average(np.arange(n), weights=shot.sum(axis=1 - a)) / n * 2 - 1 for a, n in enumerate(shot.shape))
    return float(x), float(-y)


def letters_masked(shot: Any) -> Any:
    """The picture without its outer frame, where the letters are."""
    inner = np.zeros_like(shot)
    y, x = (n // 8 for n in shot.shape)
    inner[y:-y, x:-x] = shot[y:-y, x:-x]
    return inner


def letters(viewer: Any) -> dict[str, str]:
    """The letters on the canvas by its edges."""
    overlays = canvas_overlays(viewer)
    shown = {edge: overlays[key] for edge in EDGES if (key := f"penumbra_{edge}") in overlays}
    return {edge: overlay.text for edge, overlay in shown.items() if overlay.visible}


def letter_at(side: tuple[float, float]) -> str:
    x, y = side
    return ("right" if x > 0 else "left") if abs(x) > abs(y) else ("top" if y > 0 else "bottom")


EDGES = ("left", "right", "top", "bottom")
PLANES = {
    (0, 1, 2): {"left": "R", "right": "L", "top": "A", "bottom": "P"},
    (1, 0, 2): {"left": "R", "right": "L", "top": "S", "bottom": "I"},
    (2, 0, 1): {"left": "A", "right": "P", "top": "S", "bottom": "I"},
}


def test_phantom_is_drawn_where_the_letters_say(shown_viewer: Any, session: SessionStub) -> None:
    bridge = LayerBridge(shown_viewer, session)  # type: ignore[arg-type]
    for letter in "RAS":
        bridge.show(open_case(grid=CUBE, images={"CT": block(letter)}))
        for order, edges in PLANES.items():
            shown_viewer.dims.order = order
            assert letters(shown_viewer) == edges
            if letter in edges.values():
                assert edges[letter_at(centre_of_light(shown_viewer))] == letter
        shown_viewer.dims.order = (0, 1, 2)
    bridge.close()


def test_3d_is_not_mirrored(shown_viewer: Any, session: SessionStub) -> None:
    """Turn the patient, and look for an end of the body where the camera says it must be drawn."""
    bridge = LayerBridge(shown_viewer, session)  # type: ignore[arg-type]
    view = camera(shown_viewer)
    to_ras = np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]], float)  # from zyx growing S, P, L
    for letter in "RPS":
        bridge.show(open_case(grid=CUBE, images={"CT": block(letter)}))
        axis, end = TOWARDS[letter]
        position = to_ras @ np.eye(3)[axis] * (1 if end else -1)
        shown_viewer.dims.ndisplay = 3
        for order in ((0, 1, 2), (1, 0, 2)):
            shown_viewer.dims.order = order
            view.angles = (0, 0, 0)  # napari turns the picture only when the angles change
            view.angles = (20, 35, 70)
            displayed = list(shown_viewer.dims.displayed)
            ahead, up = np.zeros(3), np.zeros(3)
            ahead[displayed], up[displayed] = view.view_direction, view.up_direction
            right = np.cross(to_ras @ ahead, to_ras @ up)  # in the patient's own, right-handed space
            expected = np.array([position @ right, position @ to_ras @ up])
            if np.abs(expected).max() > 0.3:
                seen = np.array(centre_of_light(shown_viewer))
                assert seen @ expected > 0.5 * np.linalg.norm(seen) * np.linalg.norm(expected)
        shown_viewer.dims.order = (0, 1, 2)
        shown_viewer.dims.ndisplay = 2
    bridge.close()


def test_letters_are_hidden_in_3d_and_gone_with_the_case(viewer: Any, bridge: LayerBridge) -> None:
    before = camera(viewer).orientation
    bridge.show(open_case())
    viewer.dims.ndisplay = 3
    assert letters(viewer) == {}
    viewer.dims.ndisplay = 2
    assert letters(viewer)["left"] == "R"
    viewer.dims.order = (1, 0, 2)
    bridge.clear()
    assert letters(viewer) == {}
    assert camera(viewer).orientation == before


def test_letters_follow_a_camera_turned_by_hand(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    camera(viewer).orientation2d = ("up", "left")
    assert letters(viewer) == {"left": "L", "right": "R", "top": "P", "bottom": "A"}


def test_upright_by_handedness() -> None:
    assert upright("SPL") == ("away", "down", "right")
    assert upright("PL") == ("away", "down", "right")
    for axes in ("PSL", "LSP", "SPL"):
        depth, up, across = upright(axes)
        assert across == "right"
        assert up == ("up" if axes[1] == "S" else "down")
        assert depth in ("towards", "away")


def test_oblique_grid_is_drawn_straight() -> None:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.0, -1.5, 4.0])
    grid = Grid.of((4, 5, 6), affine)
    assert growing_letters(grid) == ("S", "P", "L")
    np.testing.assert_allclose(placement(grid)["scale"], (4, 1.5, 1))


# ---------------------------------------------------------------- going to a region


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_go_to_shows_the_region(viewer: Any, bridge: LayerBridge, order: tuple[int, ...]) -> None:
    viewer.add_image(np.zeros((3, 300, 300), np.float32), name="somebody else's")
    bridge.show(open_case())
    viewer.dims.order = order
    region = a_region()
    bridge.go_to(region)
    assert bridge.layers is not None
    layer = bridge.layers.labels
    seen = np.round(layer.world_to_data(viewer.dims.point)).astype(int)
    assert seen[order[0]] == region.center[order[0]]
    world = layer.data_to_world(region.center)
    np.testing.assert_allclose(camera(viewer).center[1:], [world[a] for a in order[1:]])
    outline = viewer.layers["p007 · region"]
    for corner in region.box:
        inner = outline.world_to_data(layer.data_to_world(np.array(corner) - 0.5)) + 0.5
        inner[list(order[1:])] /= 4
        rim = np.array([axis != order[0] for axis in range(3)], int)  # none along the slider
        np.testing.assert_allclose(inner, np.array(corner) - region.box[0] + rim, atol=1e-6)
    assert outline.scale[order[0]] == layer.scale[order[0]]  # or the slider would stop within slices
    assert viewer.layers.selection.active is layer


def test_a_large_region_has_a_coarser_outline() -> None:
    data, place = outline_of(a_region((0, 0, 0), (90, 200, 200)), CUBE, (1, 2))
    assert data.shape == (90, 202, 202)
    assert place["scale"] == (1, 1, 1)
    corner = np.add(place["translate"], (0, 1, 1))
    np.testing.assert_allclose(corner, placement(CUBE)["translate"])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_a_region_at_the_edge_adds_no_slice(viewer: Any, bridge: LayerBridge, order: tuple[int, ...]) -> None:
    case = open_case()
    bridge.show(case)
    viewer.dims.order = order
    before = viewer.dims.range
    bridge.go_to(a_region((0, 0, 0), (1, 1, 1)))
    assert viewer.dims.range[order[0]] == before[order[0]]


def test_slider_steps_by_slices_in_every_plane(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    bridge.go_to(a_region())
    for order in PLANES:
        viewer.dims.order = order
        assert viewer.dims.nsteps[order[0]] == open_case().grid.array_shape[order[0]]
    viewer.dims.ndisplay = 3
    assert viewer.layers["p007 · region"].scale == pytest.approx(viewer.layers["p007 · labels"].scale)


def test_go_to_keeps_one_outline(shown_viewer: Any, session: SessionStub) -> None:
    bridge = LayerBridge(shown_viewer, session)  # type: ignore[arg-type]
    bridge.show(open_case())
    bridge.go_to(a_region())
    for n in range(6):
        bridge.go_to(a_region((2 + n, 4 + 3 * n, 8 + 4 * n), (1 + n % 3, 4, 5)))
    assert [layer.name for layer in shown_viewer.layers].count("p007 · region") == 1
    bridge.close()


def test_zoom_stays_when_the_region_is_well_seen(viewer: Any, bridge: LayerBridge) -> None:
    large = Grid.of((240, 240, 10), np.diag([-1.0, -1.0, 5.0, 1.0]))
    bridge.show(open_case(grid=large))
    bridge.go_to(a_region((2, 50, 50), (4, 40, 50)))
    zoom = camera(viewer).zoom
    bridge.go_to(a_region((5, 5, 5), (4, 38, 44)))
    assert camera(viewer).zoom == zoom
    bridge.go_to(a_region((5, 5, 5), (1, 1, 1)))
    assert min(canvas_size(viewer)) / camera(viewer).zoom == pytest.approx(60)
    bridge.go_to(a_region((5, 15, 5), (1, 1, 1)))
    assert min(canvas_size(viewer)) / camera(viewer).zoom == pytest.approx(60)


def test_what_takes_most_of_the_slice_is_seen_with_the_whole_slice(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    bridge.go_to(a_region((6, 12, 20), (1, 4, 5)))
    bridge.go_to(a_region((2, 1, 2), (8, 38, 44)))
    height, width = (pixels / camera(viewer).zoom for pixels in canvas_size(viewer))
    assert min(height / (40 * 1.5), width / 48) == pytest.approx(1.1)
    middle = viewer.layers[0].data_to_world(((12 - 1) / 2, (40 - 1) / 2, (48 - 1) / 2))
    np.testing.assert_allclose(camera(viewer).center[-2:], middle[1:], atol=1e-6)
