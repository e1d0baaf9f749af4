"""Every change of a labels layer is reported as a box and the voxels after it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_penumbra.plugin import strokes
from napari_penumbra.plugin.strokes import StrokeTracker


class Replica:
    """Applies the reports to a copy, as the journal's replay would."""

    def __init__(self, array: Any) -> None:
        self.array = array.copy()
        self.boxes: list[Any] = []

    def __call__(self, box: Any, after: Any) -> None:
        self.boxes.append(box)
        self.array[tuple(slice(a, b) for a, b in zip(*box, strict=True))] = after


@pytest.fixture
def layer() -> Any:
    return Labels(np.zeros((12, 40, 48), np.uint8), scale=(4, 1.5, 1))


@pytest.fixture
def replica(layer: Any) -> Any:
    replica = Replica(layer.data)
    replica.tracker = StrokeTracker(layer, replica)  # type: ignore[attr-defined]
    return replica


def test_paint_erase_fill_undo_redo(layer: Any, replica: Any) -> None:
    layer.brush_size = 5
    steps = [
        lambda: layer.paint((3, 20, 20), 1),
        lambda: layer.paint((3, 22, 25), 2),
        lambda: layer.paint((3, 20, 20), 0),
        lambda: layer.fill((3, 0, 0), 255),
        lambda: layer.undo(),
        lambda: layer.undo(),
        lambda: layer.redo(),
        lambda: layer.paint_polygon([(5, 2, 2), (5, 2, 12), (5, 12, 12)], 1),
        lambda: layer.data_setitem((np.array([7, 7]), np.array([1, 2]), np.array([3, 3])), np.array([1, 2], np.uint8)),
        lambda: layer.undo(),
    ]
    for n, step in enumerate(steps):
        step()
        np.testing.assert_array_equal(replica.array, layer.data, err_msg=f"step {n}")
        assert len(replica.boxes) == n + 1


def test_box_is_tight_and_end_exclusive(layer: Any, replica: Any) -> None:
    layer.brush_size = 1
    layer.paint((3, 20, 21), 1)
    assert replica.boxes == [((3, 20, 21), (4, 21, 22))]


def test_ball_brush(layer: Any, replica: Any) -> None:
    layer.n_edit_dimensions = 3
    layer.brush_size = 9
    layer.paint((6, 20, 20), 2)
    np.testing.assert_array_equal(replica.array, layer.data)
    assert replica.boxes[0][1][0] - replica.boxes[0][0][0] > 1


def test_undo_of_a_hidden_layer(layer: Any, replica: Any) -> None:
    layer.paint((3, 20, 20), 1)
    layer.visible = False
    layer.undo()
    np.testing.assert_array_equal(replica.array, layer.data)
    assert not replica.array.any()


def test_nothing_to_undo_reports_nothing(layer: Any, replica: Any) -> None:
    layer.undo()
    layer.redo()
    layer.paint((3, 20, 20), 0)
    assert replica.boxes == []


def test_napari_without_the_histories_we_know(layer: Any, replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strokes, "box_of", lambda item, shape: None)
    layer.paint((3, 20, 20), 1)  # the event comes before the voxels: found by the next look
    replica.tracker.sync()
    np.testing.assert_array_equal(replica.array, layer.data)
    layer.undo()
    np.testing.assert_array_equal(replica.array, layer.data)


def test_a_long_stroke_is_reported_while_it_goes_on_and_taken_back_by_escape(
    layer: Any, replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strokes, "MID_STROKE_SECONDS", 0.0)
    layer._begin_stroke()
    layer.paint((3, 20, 20), 1)
    layer.paint((3, 20, 30), 1)
    assert len(replica.boxes) == 2
    np.testing.assert_array_equal(replica.array, layer.data)
    layer._abort_stroke()
    assert not layer.data.any()
    np.testing.assert_array_equal(replica.array, layer.data)


def test_a_stroke_reported_in_pieces_is_whole_at_its_end(
    layer: Any, replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer._begin_stroke()
    layer.paint((3, 20, 20), 1)
    monkeypatch.setattr(strokes, "MID_STROKE_SECONDS", 0.0)
    layer.paint((3, 20, 30), 1)
    layer._commit_stroke()
    np.testing.assert_array_equal(replica.array, layer.data)
    layer.undo()
    np.testing.assert_array_equal(replica.array, layer.data)
    assert not layer.data.any()


def test_voxels_written_behind_our_back_are_found(layer: Any, replica: Any) -> None:
    layer.data[4, 4:8, 4:8] = 2
    replica.tracker.sync()
    np.testing.assert_array_equal(replica.array, layer.data)
    assert replica.boxes == [((4, 4, 4), (5, 8, 8))]


def test_replaced_data_is_reported_and_old_history_is_gone(layer: Any, replica: Any) -> None:
    layer.paint((3, 20, 20), 1)
    new = np.zeros_like(layer.data)
    new[8] = 2
    layer.data = new
    np.testing.assert_array_equal(replica.array, new)
    layer.undo()
    np.testing.assert_array_equal(layer.data, new)


def test_data_of_another_shape_is_refused(layer: Any, replica: Any) -> None:
    layer.paint((3, 20, 20), 1)
    before = layer.data.copy()
    layer.data = np.zeros((3, 4, 5), np.uint8)
    np.testing.assert_array_equal(layer.data, before)


def test_after_close_nothing_is_reported(layer: Any, replica: Any) -> None:
    replica.tracker.close()
    layer.paint((3, 20, 20), 1)
    layer.undo()
    assert replica.boxes == []


def test_napari_keeps_no_history_of_its_own(layer: Any, replica: Any) -> None:
    layer.paint((3, 20, 20), 1)
    layer.data_setitem((np.array([7]), np.array([1]), np.array([3])), 2)
    assert len(layer._undo_history) == 0
    assert len(replica.tracker.history) == 2


def test_one_stroke_is_one_step_however_many_pieces_it_was_reported_in(
    layer: Any, replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strokes, "MID_STROKE_SECONDS", 0.0)
    layer._begin_stroke()
    for x in (10, 20, 30):
        layer.paint((3, 20, x), 1)
    layer.undo()  # Ctrl+Z with the button still down: not now
    assert layer.data.any()
    layer._commit_stroke()
    assert len(replica.boxes) >= 3
    painted = layer.data.copy()
    layer.undo()
    assert not layer.data.any()
    layer.redo()
    np.testing.assert_array_equal(layer.data, painted)
    np.testing.assert_array_equal(replica.array, painted)


def test_a_stroke_that_was_called_off_is_no_step(layer: Any, replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layer.paint((2, 5, 5), 2)
    kept = layer.data.copy()
    monkeypatch.setattr(strokes, "MID_STROKE_SECONDS", 0.0)
    layer._begin_stroke()
    layer.paint((3, 20, 20), 1)
    layer._abort_stroke()
    np.testing.assert_array_equal(layer.data, kept)
    layer.undo()
    assert not layer.data.any()
    assert not replica.tracker.history.can_undo


def test_a_new_stroke_ends_what_could_be_done_again(layer: Any, replica: Any) -> None:
    layer.paint((3, 20, 20), 1)
    layer.undo()
    layer.paint((4, 20, 20), 1)
    layer.redo()
    assert not layer.data[3].any()


def test_who_is_being_told_may_look_without_a_comparison_of_the_volume(layer: Any) -> None:
    compared: list[Any] = []
    tracker = StrokeTracker(layer, lambda box, after: tracker.sync())
    original = tracker._compare
    tracker._compare = lambda box, **how: (compared.append(box), original(box, **how))[1]  # type: ignore[method-assign]
    layer.brush_size = 1
    layer.paint((3, 20, 20), 1)
    assert compared == [((3, 20, 20), (4, 21, 21))]


def test_a_stroke_costs_under_5_ms_on_a_large_case() -> None:
    layer = Labels(np.zeros((21, 240, 240), np.uint8), scale=(6.5, 1, 1))
    spent = []
    tracker = StrokeTracker(layer, lambda box, after: None)
    layer.brush_size = 10
    original = tracker._on_paint

    def timed(event: Any) -> None:
        start = time.process_time()
        original(event)
        spent.append(time.process_time() - start)

    layer.events.paint.disconnect(tracker._on_paint)
    layer.events.paint.connect(timed)
    for n in range(10):
        layer._begin_stroke()
        for x in range(20, 220, 4):
            layer.paint((10, 20 + 20 * n % 200, x), 1 + n % 2)
        layer._commit_stroke()
    assert float(np.median(spent)) < 0.005
