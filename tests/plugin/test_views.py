"""Slices, planes, windows and the two planes across."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from plugin_cases import GRID, open_case
from qtpy.QtCore import QPoint, QPointF, Qt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.plugin.layer_bridge import LayerBridge
from napari_penumbra.plugin.window_drag import PIXELS, moved
from napari_penumbra.widgets.plane_view import PlaneView, Slice

SHAPE = GRID.array_shape


def at(viewer: Any) -> list[int]:
    """Slice (z, y, x) that the slider stands at."""
    return [int(v) for v in viewer.dims.current_step[-3:]]


def test_slices_by_one_by_five_and_to_the_ends(viewer: Any, bridge: LayerBridge) -> None:
    bridge.views.step(1)  # nothing is shown: nothing happens
    bridge.views.end(True)
    bridge.show(open_case())
    viewer.dims.set_current_step(0, 5)
    seen = []
    for steps in (1, 5, 5, -5, -5, -5):
        bridge.views.step(steps)
        seen.append(at(viewer)[0])
    assert seen == [6, 11, 11, 6, 1, 0]
    bridge.views.end(True)
    assert at(viewer)[0] == SHAPE[0] - 1
    bridge.views.end(False)
    assert at(viewer)[0] == 0
    bridge.views.show_plane("sagittal")
    bridge.views.end(True)
    assert at(viewer)[2] == SHAPE[2] - 1
    viewer.dims.ndisplay = 3
    bridge.views.step(-3)
    assert at(viewer)[2] == SHAPE[2] - 1


LETTERS = {
    "axial": {"left": "R", "right": "L", "top": "A", "bottom": "P"},
    "coronal": {"left": "R", "right": "L", "top": "S", "bottom": "I"},
    "sagittal": {"left": "A", "right": "P", "top": "S", "bottom": "I"},
}
FLIPPED = Grid.of((48, 40, 12), [[1, 0, 0, 30], [0, 1.5, 0, 20], [0, 0, -4, -10], [0, 0, 0, 1]])


@pytest.mark.parametrize("grid", [GRID, FLIPPED], ids=["LPS", "RAI"])
def test_planes_turn_at_the_crosshair_with_the_letters_of_a_workstation(
    viewer: Any, bridge: LayerBridge, grid: Grid
) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[7, 10:13, 30:33] = 1
    bridge.show(open_case(grid=grid, labels=labels))
    assert bridge.views.planes.place == (7.0, 11.0, 31.0), "it begins amid what is labelled"
    for name, axis, slice_at in (("coronal", 1, 11), ("sagittal", 2, 31), ("axial", 0, 7)):
        bridge.views.show_plane(name)  # type: ignore[arg-type]
        assert at(viewer)[axis] == slice_at
        assert bridge._letters.letters() == LETTERS[name]
        assert bridge.views.planes.place == (7.0, 11.0, 31.0)


def press(viewer: Any, world: Any, **more: Any) -> Any:
    """Press on the picture at a place of the world."""
    event = SimpleNamespace(
        type="mouse_press", handled=False, modifiers=(), button=1, position=tuple(world), pos=np.array([50.0, 60.0])
    )
    event.__dict__.update(more, is_dragging=True)
    mouse_press_callbacks(viewer, event)
    return event


def test_the_crosshair_goes_where_the_reader_works(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    assert bridge.layers is not None
    event = press(viewer, bridge.layers.labels.data_to_world((6, 20, 33)))
    mouse_release_callbacks(viewer, event)
    viewer.dims.set_current_step(0, 3)
    assert bridge.views.planes.place == pytest.approx((3.0, 20.0, 33.0))


def test_the_planes_panel(shown_viewer: Any, session: Any, qtbot: Any) -> None:
    """One window for all that is drawn: what the slices show, clicks, the wheel, strokes, windows, another case."""
    viewer = shown_viewer
    bridge = LayerBridge(viewer, session)
    bridge.show(open_case())
    told: list[bool] = []
    bridge.views.planes_changed.connect(told.append)
    canvas_before = viewer.window._qt_viewer.canvas.native.width()
    bridge.views.show_planes(True)
    panel = bridge.views.planes.panel
    assert panel is not None
    qtbot.waitUntil(lambda: all(view.slice is not None for view in panel.views), timeout=5000)
    assert told == [True]
    assert bridge.views.planes_shown()
    assert viewer.window._qt_viewer.canvas.native.width() == canvas_before, "the docks at the sides keep their room"
    coronal, sagittal = panel.views
    assert (coronal.slice.title, sagittal.slice.title) == ("Coronal", "Sagittal")
    assert (coronal.slice.letters, sagittal.slice.letters) == ("RLSI", "APSI")
    assert coronal.slice.spacing == pytest.approx((4.0, 1.0))
    # A click in the coronal plane takes the large picture to that slice and the other plane to that column.
    place = coronal.place_of(9, 40)
    qtbot.mouseClick(coronal, Qt.MouseButton.LeftButton, pos=QPoint(round(place.x()), round(place.y())))
    assert at(viewer)[0] == 9
    assert bridge.views.planes.place[2] == pytest.approx(40, abs=0.6)
    # On the large picture two lines go through the same place.
    crosshair = bridge.views.planes.crosshair
    assert crosshair is not None
    assert crosshair.isVisible()
    place = crosshair.point()
    scene = viewer.window._qt_viewer.canvas
    world = scene._map_canvas2world((place.x(), place.y()), scene.view)
    wanted = bridge.layers.labels.data_to_world(bridge.views.planes.place)  # type: ignore[union-attr]
    np.testing.assert_allclose(world[-2:], wanted[-2:], atol=0.6)
    # The picture is what the arrays say, at that place.
    bridge.views.planes.draw()
    x = round(bridge.views.planes.place[2])
    values = bridge.layers.images["DWI"].data[:, :, x]  # type: ignore[union-attr]
    low, high = bridge.contrast()[2:]  # type: ignore[index]
    wanted = ((values - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(sagittal.slice.grey, wanted)
    # A stroke shows at once, in its colour.
    bridge.set_labels(((9, 20, x), (10, 21, x + 1)), np.full((1, 1, 1), 1, np.uint8))
    qtbot.waitUntil(lambda: sagittal.slice.overlay[9, 20, 3] > 0, timeout=5000)
    color = session.opened().labels.by_value(1).color
    assert "#" + sagittal.slice.overlay[9, 20, :3].tobytes().hex() == color.lower()
    assert not sagittal.slice.overlay[0, 0].any()
    # Another window, another modality: shown.
    grey = sagittal.slice.grey
    bridge.set_contrast(0, 1000)
    qtbot.waitUntil(lambda: sagittal.slice.grey is not grey and sagittal.slice.grey.max() < 100, timeout=5000)
    # The wheel goes through the slices of that plane.
    before = bridge.views.planes.place[1]
    coronal.stepped.emit(1)
    assert bridge.views.planes.place[1] == pytest.approx(round(before) + 1)
    # The large picture turned to coronal: axial and sagittal stand beside it.
    bridge.views.show_plane("coronal")
    qtbot.waitUntil(lambda: coronal.slice.title == "Axial", timeout=5000)
    assert (coronal.slice.letters, sagittal.slice.title) == ("RLAP", "Sagittal")
    bridge.show(open_case("p008"))
    bridge.clear()
    assert coronal.slice is None
    assert not crosshair.isVisible()
    bridge.views.show_planes(False)
    assert told[-1] is False
    # Its own x takes the dock apart; the key brings it back.
    bridge.views.show_planes(True)
    assert told[-1] is True
    panel.parentWidget().destroyOnClose()
    assert told[-1] is False
    assert not bridge.views.planes_shown()
    qtbot.wait(50)
    bridge.views.show_planes(True)
    assert bridge.views.planes_shown()
    assert told[-1] is True
    bridge.close()


# ---------------------------------------------------------------- windows


def test_named_windows_stay_from_case_to_case(viewer: Any, bridge: LayerBridge) -> None:
    assert bridge.views.windows() == ()
    rng = np.random.default_rng(0)

    def images(scale: float) -> dict[str, Any]:
        return {m: (rng.random(SHAPE) * scale).astype(np.float32) for m in ("Tmax", "T2")}

    edges: list[tuple[float, float]] = []
    bridge.contrast_changed.connect(lambda low, high: edges.append((low, high)))
    bridge.show(open_case(images=images(12)))
    assert bridge.views.window() == "usual"
    bridge.views.set_window("0 to 10 s")
    assert bridge.contrast()[2:] == (0.0, 10.0)  # type: ignore[index]
    assert bridge.views.window() == "0 to 10 s"
    assert edges == [(0.0, 10.0)]
    bridge.show_modality("T2")
    bridge.views.set_window("whole range")
    low, high, lower, upper = bridge.contrast()  # type: ignore[misc]
    assert (lower, upper) == (low, high)
    bridge.show(open_case("p008", images=images(20)))
    assert bridge.modality == "T2"
    low, high, lower, upper = bridge.contrast()  # type: ignore[misc]
    assert (lower, upper) == (low, high), "percentiles are found anew"
    bridge.show_modality("Tmax")
    assert bridge.contrast()[2:] == (0.0, 10.0)  # type: ignore[index]


def test_a_window_by_hand_stays_only_where_intensities_have_a_unit(viewer: Any, bridge: LayerBridge) -> None:
    def images() -> dict[str, Any]:
        return {m: np.random.default_rng(0).random(SHAPE, np.float32) * 12 for m in ("Tmax", "T2")}

    bridge.show(open_case(images=images()))
    bridge.set_contrast(2, 7)
    assert bridge.views.window() == ""
    bridge.show_modality("T2")
    bridge.set_contrast(2, 7)
    assert bridge.views.window() == ""
    bridge.show(open_case("p008", images=images()))
    assert bridge.contrast()[2:] != (2.0, 7.0)  # type: ignore[index]
    assert bridge.views.window() == "usual"
    bridge.show_modality("Tmax")
    assert bridge.contrast()[2:] == (2.0, 7.0)  # type: ignore[index]
    assert bridge.views.window() == ""


@pytest.mark.parametrize("tool", ["paint", "fill", "pick"])
def test_shift_and_drag_changes_the_window_and_nothing_else(viewer: Any, bridge: LayerBridge, tool: str) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[6, 15:25, 15:25] = 2
    bridge.show(open_case(labels=labels.copy()))
    assert bridge.layers is not None
    layer = bridge.layers.labels
    bridge.select_tool(tool)  # type: ignore[arg-type]
    bridge.set_contrast(100, 200)
    world = layer.data_to_world((6, 20, 20))
    event = press(viewer, world, modifiers=("Shift",), view_direction=None, dims_displayed=[1, 2])
    mouse_press_callbacks(layer, event)
    event.type, event.pos = "mouse_move", np.array([50.0 + PIXELS, 60.0 - PIXELS / 2])
    mouse_move_callbacks(viewer, event)
    mouse_move_callbacks(layer, event)
    assert bridge.contrast()[2:] == pytest.approx((0.0, 200.0))  # type: ignore[index]
    event.type = "mouse_release"
    mouse_release_callbacks(viewer, event)
    mouse_release_callbacks(layer, event)
    np.testing.assert_array_equal(bridge.labels(), labels)
    assert not bridge.dirty()
    assert layer.selected_label == 1
    layer.paint((6, 5, 5), 1)
    assert bridge.dirty(), "afterwards painting goes on"


@pytest.mark.parametrize(
    ("dx", "dy", "wanted"),
    [(0, 0, (100, 200)), (PIXELS, 0, (50, 250)), (-PIXELS, 0, (125, 175)), (0, PIXELS, (200, 300))],
)
def test_where_a_drag_leads(dx: float, dy: float, wanted: tuple[float, float]) -> None:
    assert moved((0, 1000, 100, 200), dx, dy) == pytest.approx(wanted)


def test_a_window_never_closes() -> None:
    low, high = moved((0, 1000, 100, 200), -1e5, 0)
    assert high - low == pytest.approx(1.0)
    assert moved((5, 5, 5, 6), 0, 0) == (5, 6)


# ---------------------------------------------------------------- one plane as a widget


@pytest.fixture
def view(qtbot: Any) -> Iterator[PlaneView]:
    view = PlaneView("plane")
    qtbot.addWidget(view)
    view.resize(300, 200)
    return view


@pytest.mark.parametrize("flip", [(False, False), (True, False), (False, True), (True, True)])
def test_voxels_and_pixels_belong_together(view: PlaneView, flip: tuple[bool, bool]) -> None:
    grey = np.zeros((12, 48), np.uint8)
    grey[2, 40] = 255
    overlay = np.zeros((12, 48, 4), np.uint8)
    overlay[9, 5] = (255, 0, 0, 255)
    view.show_slice(Slice("Coronal", grey, overlay, (4.0, 1.0), flip, "RLSI", (6.0, 20.0)))
    frame = view.frame()
    assert (frame.width(), frame.height()) == (200.0, 200.0), "48 mm by 48 mm"
    for row, column in ((2, 40), (9, 5)):
        assert view.voxel_at(view.place_of(row, column)) == pytest.approx((row, column))
    picture = view.grab().toImage()
    bright = view.place_of(2, 40).toPoint()
    red = view.place_of(9, 5).toPoint()
    assert picture.pixelColor(bright).lightness() > 100
    assert picture.pixelColor(red).red() > 200
    assert picture.pixelColor(red).green() < 60
    assert view.voxel_at(QPointF(-50, -50)) in {(0.0, 0.0), (11.0, 0.0), (0.0, 47.0), (11.0, 47.0)}


def test_an_empty_view_draws_and_hears_nothing(view: PlaneView, qtbot: Any) -> None:
    view.grab()
    with qtbot.assertNotEmitted(view.moved):
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton)
