"""What the brush paints, in millimetres and in intensities."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtWidgets import QApplication

from napari_penumbra.plugin import brush as brush_module
from napari_penumbra.plugin.brush import Brush, Limit, ball

SPACING = (6.5, 1.5, 1.0)
SHAPE = (9, 60, 80)
CENTER = (4, 30, 40)


@pytest.fixture
def layer() -> Any:
    return Labels(np.zeros(SHAPE, np.uint8), scale=SPACING)


@pytest.fixture
def brush(layer: Any) -> Brush:
    return Brush(layer)


def distance_mm(center: tuple[int, int, int] = CENTER) -> Any:
    """Distance of every voxel's centre from a voxel's, in mm."""
    grids = np.meshgrid(*(np.arange(n) - c for n, c in zip(SHAPE, center, strict=True)), indexing="ij")
    return np.sqrt(sum((grid * step) ** 2 for grid, step in zip(grids, SPACING, strict=True)))


@pytest.mark.parametrize("mm", [0.5, 3.0, 13.0, 20.0, 30.0])
def test_a_ball_is_a_ball_in_millimetres(layer: Any, brush: Brush, mm: float) -> None:
    brush.set_size(mm, three_d=True)
    layer.paint(CENTER, 1)
    np.testing.assert_array_equal(layer.data == 1, distance_mm() <= mm / 2)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)], ids=["axial", "coronal", "sagittal"])
def test_a_disc_lies_on_the_shown_slice_of_any_plane(order: tuple[int, int, int], make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_labels(np.zeros(SHAPE, np.uint8), scale=SPACING)
    viewer.dims.order = order
    brush = Brush(layer)
    brush.set_size(20.0, three_d=False)
    layer.paint(CENTER, 2)
    on_slice = np.zeros(SHAPE, bool)
    place = [slice(None)] * 3
    place[order[0]] = CENTER[order[0]]
    on_slice[tuple(place)] = True
    np.testing.assert_array_equal(layer.data == 2, (distance_mm() <= 10.0) & on_slice)


def test_erasing_with_the_ball_takes_all_slices(layer: Any, brush: Brush) -> None:
    layer.data[:] = 1
    brush.set_size(30.0, three_d=True)
    layer.paint(CENTER, 0)
    np.testing.assert_array_equal(layer.data == 0, distance_mm() <= 15.0)
    assert len(np.unique(np.nonzero(layer.data == 0)[0])) == 5


@pytest.mark.parametrize("center", [(0, 0, 0), (8, 59, 79), (4, -3, 40), (4, 30, 83)])
def test_at_the_border_nothing_wraps_around(layer: Any, brush: Brush, center: tuple[int, int, int]) -> None:
    brush.set_size(12.0, three_d=True)
    layer.paint(center, 1)
    np.testing.assert_array_equal(layer.data == 1, distance_mm(center) <= 6.0)


@pytest.mark.parametrize("center", [(4, -30, 40), (20, 30, 40), (-1, 30, 40)])
def test_beyond_the_picture_nothing_is_painted(layer: Any, brush: Brush, center: tuple[int, int, int]) -> None:
    brush.set_size(6.0, three_d=False)
    layer.paint(center, 1)
    layer.fill(center, 1)
    assert not layer.data.any()


def test_naparis_own_size_control_still_works(layer: Any, brush: Brush) -> None:
    brush.set_size(5.3, three_d=False)
    assert brush.diameter_mm() == 5.3
    layer.brush_size = 11
    assert brush.diameter_mm() == 11.0
    layer.paint(CENTER, 1)
    assert np.ptp(np.nonzero(layer.data)[2]) + 1 == 11


def ramp() -> Any:
    """Intensity grows by one from column to column; one voxel has no number."""
    image = np.broadcast_to(np.arange(80, dtype=np.float32), SHAPE).copy()
    image[4, 30, 40] = np.nan
    return image


@pytest.mark.parametrize("three_d", [False, True])
def test_the_brush_writes_only_in_range(layer: Any, brush: Brush, three_d: bool) -> None:
    image = ramp()
    brush.set_size(30.0, three_d)
    brush.limit = Limit(image, 36, 44, paint=True, erase=False)
    layer.paint(CENTER, 1)
    reach = distance_mm() <= 15.0
    if not three_d:
        reach[[z for z in range(9) if z != 4]] = False
    np.testing.assert_array_equal(layer.data == 1, reach & (image >= 36) & (image <= 44))
    layer.paint((4, 30, 30), 0)
    assert not layer.data[4, 30, 36:40].any(), "erasing is not limited unless it is asked for"


def test_erasing_in_range_only(layer: Any, brush: Brush) -> None:
    layer.data[:] = 1
    brush.set_size(30.0, three_d=False)
    brush.limit = Limit(ramp(), 36, np.inf, paint=False, erase=True)
    layer.paint(CENTER, 0)
    layer.paint(CENTER, 2)
    assert (layer.data[4, 30, 30:36] == 2).all(), "painting is not limited unless it is asked for"
    brush.limit = None
    layer.data[:] = 1
    brush.limit = Limit(ramp(), 36, np.inf, paint=False, erase=True)
    layer.paint(CENTER, 0)
    assert (layer.data[4, 30, 30:36] == 1).all()
    assert not layer.data[4, 30, 41:50].any()


def test_fill_stays_connected_within_the_range(layer: Any, brush: Brush) -> None:
    image = np.zeros(SHAPE, np.float32)
    image[4, 10:20, 10:20] = image[4, 40:50, 40:50] = image[5, 10:20, 10:20] = 9
    brush.set_size(5.0, three_d=False)
    brush.limit = Limit(image, 5, 20, paint=True, erase=False)
    layer.fill((4, 12, 12), 1)
    assert layer.data.sum() == 100
    layer.fill((4, 0, 0), 1)
    assert layer.data.sum() == 100, "the voxel under the click is out of range"
    brush.set_size(5.0, three_d=True)
    layer.fill((4, 42, 42), 2)
    layer.fill((5, 12, 12), 1)
    assert (layer.data == 1).sum() == 200
    layer.contiguous = False
    brush.limit = None
    layer.fill((4, 12, 12), 2)
    assert (layer.data == 2).sum() == 300


def test_fill_without_a_range_is_naparis() -> None:
    rng = np.random.default_rng(3)
    start = (rng.random(SHAPE) < 0.4).astype(np.uint8)
    mine, theirs = (Labels(start.copy(), scale=SPACING) for _ in range(2))
    Brush(mine).set_size(5.0, three_d=True)
    theirs.n_edit_dimensions = 3
    for coord in ((4, 30, 40), (0, 0, 0), (8, 59, 79)):
        for layer in (mine, theirs):
            layer.fill(coord, 3)
        np.testing.assert_array_equal(mine.data, theirs.data)


def test_a_large_volume_is_filled_from_another_thread_and_what_was_painted_meanwhile_stays(
    layer: Any, brush: Brush, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    monkeypatch.setattr(brush_module, "FILL_AT_ONCE", 1000)
    go = threading.Event()
    original = brush_module.connected

    def slow(*what: Any) -> Any:
        go.wait(5)
        return original(*what)

    monkeypatch.setattr(brush_module, "connected", slow)
    brush.set_size(5.0, three_d=True)
    layer.fill((4, 30, 40), 2)
    assert not layer.data.any()
    assert QApplication.overrideCursor() is not None
    layer.fill((4, 30, 40), 3)  # one at a time
    layer.data[4, 0, 0] = 1
    go.set()
    qtbot.waitUntil(lambda: bool(layer.data[8, 59, 79]), timeout=5000)
    assert layer.data[4, 0, 0] == 1
    assert (layer.data == 2).sum() == layer.data.size - 1
    qtbot.waitUntil(lambda: QApplication.overrideCursor() is None, timeout=5000)


def test_a_fill_of_a_case_that_was_left_is_forgotten(
    layer: Any, brush: Brush, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    monkeypatch.setattr(brush_module, "FILL_AT_ONCE", 1000)
    brush.set_size(5.0, three_d=True)
    layer.fill((4, 30, 40), 2)
    brush.close()
    qtbot.waitUntil(lambda: QApplication.overrideCursor() is None, timeout=5000)
    assert not layer.data.any()


def test_the_contour_tool_keeps_to_the_range_too(layer: Any, brush: Brush) -> None:
    if not hasattr(Labels, "_apply_mask_to_data"):
        pytest.skip("this napari paints contours in another way")
    brush.limit = Limit(ramp(), 36, 44, paint=True, erase=False)
    layer.paint_polygon([(4, 10, 10), (4, 10, 70), (4, 50, 70), (4, 50, 10)], 1)
    assert set(np.nonzero(layer.data)[2]) == set(range(36, 45))


def test_a_closed_brush_leaves_the_layer_as_it_was(layer: Any, brush: Brush) -> None:
    brush.limit = Limit(ramp(), 1000, 2000, paint=True, erase=True)
    brush.close()
    layer.brush_size = 5
    layer.paint(CENTER, 1)
    assert layer.data.any()


def test_a_dab_always_holds_its_middle() -> None:
    assert ball((6.5, 6.5, 6.5), 0.0).shape == (1, 1, 1)
    assert ball((6.5, 6.5, 6.5), 0.0).all()
    assert ball((1.0, 1.0), 4.0).sum() == 13
