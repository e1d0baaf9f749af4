"""The preview's layer, what is on the screen in voxels, and clicks that are no strokes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from plugin_cases import GRID, open_case

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.plugin.compat import camera, canvas_size
from napari_penumbra.plugin.layer_bridge import LayerBridge

BOX = ((4, 10, 12), (7, 16, 22))


def show(bridge: LayerBridge) -> Any:
    """A case with a block of core in the box, of which half goes and the rest of the box becomes penumbra."""
    case = open_case()
    case.labels[4:7, 10:12, 12:22] = 2
    bridge.show(case)
    after = np.ones((3, 6, 10), np.uint8)
    after[:, :2] = 2
    after[:, :2, :5] = 0
    bridge.show_preview(BOX, after, after != case.labels[4:7, 10:16, 12:22])
    return next(layer for layer in bridge.viewer.layers if layer.name.endswith("preview"))


def at(layer: Any, world: Any) -> int:
    """What a layer shows at a place."""
    voxel = np.rint(layer.world_to_data(world)).astype(int)
    inside = ((voxel >= 0) & (voxel < layer.data.shape)).all()
    return int(layer.data[tuple(voxel)]) if inside else 0


def check_the_outline_lies_over_its_voxels(viewer: Any, bridge: LayerBridge) -> None:
    layer = show(bridge)
    labels = bridge.layers.labels
    removed = at(layer, labels.data_to_world((5, 10, 13)))
    assert removed not in (0, 1, 2, 255)
    assert layer.colormap.color_dict[removed][:3] == pytest.approx((1, 1, 1))
    assert at(layer, labels.data_to_world((5, 10, 20))) == 0, "what stays is not outlined"
    assert at(layer, labels.data_to_world((5, 14, 20))) == 1
    for outside in ((3, 14, 20), (7, 14, 20), (5, 9, 20), (5, 16, 20), (5, 14, 11), (5, 14, 22)):
        assert at(layer, labels.data_to_world(outside)) == 0
    np.testing.assert_allclose(layer.colormap.color_dict[1], labels.colormap.color_dict[1])
    assert not layer.editable
    assert viewer.layers.selection.active is labels, "the brush stays where it was"


def check_it_follows_another_plane(viewer: Any, bridge: LayerBridge, order: tuple[int, ...]) -> None:
    layer = show(bridge)
    viewer.dims.order = order
    world = bridge.layers.labels.data_to_world
    assert at(layer, world((5, 14, 20))) == 1
    assert at(layer, world((7, 14, 20))) == 0
    # One step of the slider per slice: voxels are divided only along the plane that is seen.
    assert layer.scale[order[0]] == bridge.layers.labels.scale[order[0]]


def check_a_new_preview_replaces_the_old_and_hiding_takes_it_away(viewer: Any, bridge: LayerBridge) -> None:
    show(bridge)
    bridge.show_preview(((0, 0, 0), (1, 1, 1)), np.full((1, 1, 1), 2, np.uint8), np.ones((1, 1, 1), bool))
    previews = [layer for layer in viewer.layers if layer.name.endswith("preview")]
    assert len(previews) == 1
    assert viewer.dims.nsteps[0] == GRID.array_shape[0], "the slider has no slice more than the scan"
    assert at(previews[0], bridge.layers.labels.data_to_world((5, 14, 20))) == 0
    assert at(previews[0], bridge.layers.labels.data_to_world((0, 0, 0))) == 2
    bridge.hide_preview()
    assert not any(layer.name.endswith("preview") for layer in viewer.layers)
    bridge.hide_preview()


def check_it_goes_with_the_case_and_may_be_deleted_by_hand(viewer: Any, bridge: LayerBridge) -> None:
    layer = show(bridge)
    viewer.layers.remove(layer)
    bridge.hide_preview()
    show(bridge)
    bridge.show(open_case("p008"))
    assert not any(layer.name.endswith("preview") for layer in viewer.layers)
    bridge.show_preview(BOX, np.ones((3, 6, 10), np.uint8), np.ones((3, 6, 10), bool))
    assert viewer.layers[-1].name == "p008 · preview"


def check_a_scheme_with_a_class_of_254_has_another_number_for_removed(viewer: Any, bridge: LayerBridge) -> None:
    from napari_penumbra.domain.labels import LabelScheme

    bridge.session.study.labels = LabelScheme.parse(["254=penumbra", "253=core"])
    layer = show(bridge)
    assert at(layer, bridge.layers.labels.data_to_world((5, 10, 13))) == 252


def check_the_view_is_the_shown_slice(viewer: Any, bridge: LayerBridge, order: tuple[int, ...], axis: int) -> None:
    bridge.show(open_case())
    viewer.dims.order = order
    viewer.dims.set_point(axis, bridge.layers.labels.data_to_world((3, 7, 9))[axis])
    viewer.reset_view()
    view = bridge.view()
    assert (view.axis, view.index) == (axis, (3, 7, 9)[axis])
    low, high = np.array(view.box)
    assert (low[axis], high[axis]) == (view.index, view.index + 1)
    others = [a for a in range(3) if a != axis]
    assert (low[others] == 0).all()
    np.testing.assert_array_equal(high[others], np.array(GRID.array_shape)[others])


def check_the_view_is_what_the_zoom_leaves(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    view = camera(viewer)
    middle = bridge.layers.labels.data_to_world((6, 20, 24))
    view.center = (0, middle[1], middle[2])
    view.zoom = min(canvas_size(viewer)) / 15.0  # 15 mm high or wide
    (_, y0, x0), (_, y1, x1) = bridge.view().box
    assert min((y1 - y0) * 1.5, (x1 - x0) * 1.0) == pytest.approx(15, abs=3)
    assert y0 <= 20 < y1
    assert x0 <= 24 < x1
    view.center = (0, 500, 500)
    (_, y0, x0), (_, y1, x1) = bridge.view().box
    assert (y1 - y0) * (x1 - x0) == 0, "nothing of the scan is on the screen"


def check_the_3d_view_is_the_whole_scan(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    viewer.dims.ndisplay = 3
    view = bridge.view()
    assert view.axis is None
    assert view.box == ((0, 0, 0), GRID.array_shape)


def check_without_a_case_there_is_no_view(viewer: Any, bridge: LayerBridge) -> None:
    with pytest.raises(UsageError, match="No case"):
        bridge.view()
    bridge.pick_point(lambda point: None)
    bridge.show_preview(BOX, np.ones((3, 6, 10), np.uint8), np.ones((3, 6, 10), bool))
    bridge.hide_preview()


def press(viewer: Any, layer: Any, voxel: tuple[int, ...], *, drag: int = 0, button: int = 1) -> None:
    """What napari calls for a press, moves and a release at a voxel."""
    world = layer.data_to_world(voxel)
    event = SimpleNamespace(type="mouse_press", button=button, pos=(50, 50), position=world, modifiers=())
    running = [made for made in (callback(viewer, event) for callback in viewer.mouse_drag_callbacks) if made]
    steps = ["mouse_move"] * (drag > 0) + ["mouse_release"]
    for made in running:
        event.type, event.pos = "mouse_press", (50, 50)
        next(made, None)
        for step in steps:
            event.type, event.pos = step, (50 + drag, 50)
            next(made, None)


def check_a_click_gives_its_voxel_and_a_drag_does_not(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    labels = bridge.layers.labels
    bridge.select_tool("paint")
    found: list[tuple[int, int, int]] = []
    told: list[str] = []
    bridge.tool_changed.connect(told.append)
    bridge.pick_point(found.append)
    assert str(labels.mode) == "pan_zoom"
    press(viewer, labels, (6, 12, 30))
    press(viewer, labels, (6, 12, 31), drag=40)
    press(viewer, labels, (6, 12, 32), button=2)
    press(viewer, labels, (6, 60, 32))
    press(viewer, labels, (6, 13, 33), drag=2)
    assert found == [(6, 12, 30), (6, 13, 33)]
    assert not labels.data.any()
    bridge.pick_point(None)
    assert str(labels.mode) == "paint"
    assert told == ["pan", "paint"]
    press(viewer, labels, (6, 12, 30))
    assert len(found) == 2


def check_a_tool_taken_up_meanwhile_stays(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    bridge.select_tool("paint")
    bridge.pick_point(lambda point: None)
    bridge.select_tool("erase")
    bridge.pick_point(None)
    assert str(bridge.layers.labels.mode) == "erase"


def check_another_case_paints_again(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    bridge.select_tool("paint")
    bridge.pick_point(lambda point: None)
    bridge.show(open_case("p008"))
    assert str(bridge.layers.labels.mode) == "paint"


@pytest.mark.parametrize(
    "checks",
    [
        pytest.param(
            (
                check_the_outline_lies_over_its_voxels,
                partial(check_it_follows_another_plane, order=(1, 0, 2)),
                partial(check_it_follows_another_plane, order=(2, 0, 1)),
                partial(check_it_follows_another_plane, order=(0, 1, 2)),
                check_a_new_preview_replaces_the_old_and_hiding_takes_it_away,
                check_it_goes_with_the_case_and_may_be_deleted_by_hand,
                check_a_scheme_with_a_class_of_254_has_another_number_for_removed,
            ),
            id="preview",
        ),
        pytest.param(
            (
                check_without_a_case_there_is_no_view,
                partial(check_the_view_is_the_shown_slice, order=(1, 0, 2), axis=1),
                partial(check_the_view_is_the_shown_slice, order=(2, 0, 1), axis=2),
                partial(check_the_view_is_the_shown_slice, order=(0, 1, 2), axis=0),
                check_the_view_is_what_the_zoom_leaves,
                check_the_3d_view_is_the_whole_scan,
            ),
            id="view",
        ),
        pytest.param(
            (
                check_a_click_gives_its_voxel_and_a_drag_does_not,
                check_a_tool_taken_up_meanwhile_stays,
                check_another_case_paints_again,
            ),
            id="clicks",
        ),
    ],
)
def test_in_one_window(checks: tuple[Callable[..., None], ...], viewer: Any, bridge: LayerBridge) -> None:
    """A window takes seconds to make: checks that belong together share one."""
    for check in checks:
        check(viewer, bridge)
