"""The canvas made of napari layers."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks
from plugin_cases import GRID, SessionStub, a_region, open_case, predicted_case
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton

from napari_penumbra.domain.case import CaseState, Prediction
from napari_penumbra.domain.errors import DiskError, UsageError
from napari_penumbra.plugin import pointer
from napari_penumbra.plugin.compat import scale_bar
from napari_penumbra.plugin.layer_bridge import LayerBridge


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def paint(bridge: LayerBridge, z: int = 5, value: int = 1) -> None:
    assert bridge.layers is not None
    bridge.layers.labels.brush_size = 4
    bridge.layers.labels.paint((z, 20, 20), value)


# ---------------------------------------------------------------- what is shown


def test_layers_of_a_case(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    bridge.finish_showing()
    assert names(viewer) == ["p007 · DWI", "p007 · T2", "p007 · confidence", "p007 · prediction", "p007 · labels"]
    dwi, t2, confidence, prediction, labels = viewer.layers
    assert (dwi.visible, t2.visible) == (True, False)
    assert not confidence.visible
    assert prediction.visible
    assert prediction.contour == 1
    assert not prediction.editable
    assert viewer.layers.selection.active is labels
    assert labels.mode == "paint"
    assert labels.selected_label == 1
    assert bridge.case == "p007"
    assert not bridge.dirty()
    assert scale_bar(viewer).visible


def test_hidden_layers_come_once_the_picture_is_there(viewer: Any, bridge: LayerBridge, qtbot: Any) -> None:
    bridge.show(predicted_case())
    assert names(viewer) == ["p007 · DWI", "p007 · prediction", "p007 · labels"]
    other = viewer.add_image(np.ones((5, 6, 7), np.float32), name="mine")
    qtbot.waitUntil(lambda: len(viewer.layers) == 6, timeout=5000)
    assert names(viewer)[:5] == ["p007 · DWI", "p007 · T2", "p007 · confidence", "p007 · prediction", "p007 · labels"]
    assert viewer.layers.selection.active is other


def test_hidden_layers_of_a_case_that_was_left_do_not_come(viewer: Any, bridge: LayerBridge, qtbot: Any) -> None:
    bridge.show(predicted_case())
    bridge.show(open_case("p008"))
    qtbot.wait(300)
    assert names(viewer) == ["p008 · DWI", "p008 · T2", "p008 · labels"]


def mouse_press() -> SimpleNamespace:
    return SimpleNamespace(type="mouse_press", handled=False, modifiers=(), button=1, position=(0.0, 0.0, 0.0))


def test_no_layer_comes_in_the_middle_of_a_stroke(viewer: Any, bridge: LayerBridge, qtbot: Any) -> None:
    event = mouse_press()
    bridge.show(predicted_case())
    mouse_press_callbacks(viewer, event)
    qtbot.wait(400)
    assert len(viewer.layers) == 3
    event.type = "mouse_release"
    mouse_release_callbacks(viewer, event)
    qtbot.waitUntil(lambda: len(viewer.layers) == 5, timeout=5000)


def test_hidden_layers_come_although_qt_believes_in_a_pressed_button(
    viewer: Any, bridge: LayerBridge, qtbot: Any
) -> None:
    button = QPushButton()
    qtbot.addWidget(button)
    button.show()
    QTest.mouseDClick(button, Qt.MouseButton.LeftButton)  # as on the case table: Qt never hears of the second release
    assert QApplication.mouseButtons() == Qt.MouseButton.LeftButton, "Qt has changed: this test shows nothing any more"
    bridge.show(predicted_case())
    qtbot.waitUntil(lambda: len(viewer.layers) == 5, timeout=5000)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_a_release_that_got_lost_does_not_hold_layers_back_for_ever(
    viewer: Any, bridge: LayerBridge, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointer, "LONGEST_REST_S", 0.3)
    bridge.show(predicted_case())
    mouse_press_callbacks(viewer, mouse_press())
    qtbot.waitUntil(lambda: len(viewer.layers) == 5, timeout=5000)


def test_scheme_names_and_colours(viewer: Any, bridge: LayerBridge, session: SessionStub) -> None:
    bridge.show(open_case())
    labels = viewer.layers["p007 · labels"]
    for value in (1, 2):
        wanted = session.opened().labels.by_value(value).color
        got = "#" + "".join(f"{round(255 * c):02x}" for c in labels.get_color(value)[:3])
        assert got == wanted
    unknown = labels.get_color(255)
    assert unknown[0] == unknown[1] == unknown[2]
    assert unknown[3] == 1
    assert labels.get_color(7) is None or labels.get_color(7)[3] == 0
    assert labels.get_color(0) is None or labels.get_color(0)[3] == 0
    table = labels.features
    assert dict(zip(table["index"], table["class"], strict=True)) == {
        0: "background",
        1: "penumbra",
        2: "core",
        255: "unknown",
    }


def test_every_layer_lies_on_the_same_millimetres(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    first = viewer.layers[0]
    for layer in viewer.layers:
        np.testing.assert_allclose(layer.extent.world, first.extent.world)
        np.testing.assert_allclose(layer.data_to_world((3, 4, 5)), first.data_to_world((3, 4, 5)))
        assert {str(u) for u in layer.units} == {"millimeter"}
    # World is (S, P, L): voxel (x=5, y=4, z=3) of the grid is at RAS (25, 14, 2).
    np.testing.assert_allclose(first.data_to_world((3, 4, 5)), (2.0, -14.0, -25.0))


def test_a_layer_moved_by_hand_goes_back_and_the_reader_is_told_once(
    viewer: Any, bridge: LayerBridge, session: SessionStub
) -> None:
    told: list[Any] = []
    session.failed.connect(told.append)
    bridge.show(open_case())
    dwi, labels = viewer.layers["p007 · DWI"], viewer.layers["p007 · labels"]
    for _ in range(2):
        dwi.affine = [[1, 0, 0, 0], [0, 1, 0, 7], [0, 0, 1, 0], [0, 0, 0, 1]]  # as napari's transform tool does
        np.testing.assert_array_equal(dwi.extent.world, labels.extent.world)
    assert len(told) == 1
    assert "p007" in told[0].message
    bridge.go_to(a_region())
    bridge.go_to(a_region((1, 2, 3)))
    assert len(told) == 1, "the mark of a region moves by itself"


def test_the_prediction_names_its_model(viewer: Any, bridge: LayerBridge, session: SessionStub) -> None:
    path = Path("x.nii.gz")
    made = Prediction(1, "p007", "3", path, path, dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
    bridge.show(dataclasses.replace(predicted_case(), prediction=made))
    assert "p007 · prediction ★3" in names(viewer)
    session.star = "#"  # another one has become champion
    session.models_changed.emit()
    assert "p007 · prediction #3" in names(viewer)


def test_hidden_layers_that_come_in_3d_stay_hidden(viewer: Any, bridge: LayerBridge) -> None:
    viewer.dims.ndisplay = 3
    bridge.show(open_case())
    bridge.finish_showing()
    assert [viewer.layers[n].visible for n in ("p007 · DWI", "p007 · T2")] == [True, False]
    assert bridge.modality == "DWI"


def test_contrast_ignores_padding_and_outliers(viewer: Any, bridge: LayerBridge) -> None:
    rng = np.random.default_rng(1)
    image = np.zeros(GRID.array_shape, np.float32)
    image[:, 10:30, 10:40] = rng.uniform(100, 200, (12, 20, 30))
    image[0, 10, 10] = 1e6
    bridge.show(open_case(images={"CT": image, "flat": np.full(GRID.array_shape, 3, np.float32)}))
    low, high = viewer.layers["p007 · CT"].contrast_limits
    assert 95 < low < 110
    assert 190 < high < 205
    contrast = bridge.contrast()
    assert contrast is not None
    assert contrast[:2] == (0.0, 1e6)
    bridge.set_contrast(50, 60)
    bridge.set_contrast(60, 50)
    assert bridge.contrast() == (0.0, 1e6, 50.0, 60.0)


def test_opens_on_the_slice_with_most_to_see(viewer: Any, bridge: LayerBridge) -> None:
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[9, 3:9, 3:9] = 2
    labels[2, 3:5, 3:5] = 1
    labels[0] = 255
    bridge.show(open_case(labels=labels))
    z = viewer.layers[0].world_to_data(viewer.dims.point)[0]
    assert round(z) == 9


# ---------------------------------------------------------------- nothing drawn is lost


def test_every_edit_is_journalled(viewer: Any, bridge: LayerBridge, session: SessionStub) -> None:
    bridge.show(open_case())
    assert bridge.layers is not None
    layer = bridge.layers.labels
    heard: list[Any] = []
    bridge.stroke.connect(lambda box, after: heard.append(box))
    edits = [
        lambda: layer.paint((5, 20, 20), 1),
        lambda: layer.paint((5, 21, 20), 0),
        lambda: layer.fill((6, 0, 0), 2),
        lambda: bridge.undo(),
        lambda: bridge.redo(),
        lambda: layer.undo(),
        lambda: bridge.set_labels(((1, 2, 3), (2, 4, 6)), np.full((1, 2, 3), 2, np.uint8)),
    ]
    for n, edit in enumerate(edits):
        edit()
        np.testing.assert_array_equal(session.replay("p007", layer.data.shape), layer.data, err_msg=f"edit {n}")
        assert len(heard) == n + 1
    assert bridge.dirty()
    assert bridge.touched_slices() == {1, 5, 6}


def test_who_hears_of_a_stroke_sees_it_in_the_labels(bridge: LayerBridge, session: SessionStub) -> None:
    bridge.show(open_case())
    assert bridge.layers is not None
    seen: list[int] = []
    bridge.stroke.connect(lambda box, after: seen.append(int((bridge.labels() > 0).sum())))
    bridge.layers.labels.brush_size = 1
    bridge.layers.labels.paint((5, 20, 20), 1)
    bridge.set_labels(((1, 2, 3), (2, 3, 4)), np.full((1, 1, 1), 2, np.uint8))
    bridge.undo()
    assert seen == [1, 2, 1]
    assert len(session.strokes) == 3


def test_dirty_tells_once(bridge: LayerBridge) -> None:
    bridge.show(open_case())
    told: list[bool] = []
    bridge.dirty_changed.connect(told.append)
    paint(bridge, 5)
    paint(bridge, 6)
    bridge.mark_saved()
    bridge.mark_saved()
    assert told == [True, False]


def test_restored_strokes_are_dirty(bridge: LayerBridge) -> None:
    bridge.show(open_case(restored=3))
    assert bridge.dirty()


def test_set_labels_is_one_undoable_step(bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    before = bridge.labels().copy()
    bridge.set_labels(((4, 10, 10), (8, 20, 24)), np.zeros((4, 10, 14), np.uint8))
    assert not bridge.labels().any()
    bridge.undo()
    np.testing.assert_array_equal(bridge.labels(), before)


@pytest.mark.parametrize("how", ["hidden", "3D", "coronal"])
def test_set_labels_in_any_view(viewer: Any, bridge: LayerBridge, how: str) -> None:
    bridge.show(open_case())
    if how == "hidden":
        viewer.layers["p007 · labels"].visible = False
    elif how == "3D":
        viewer.dims.ndisplay = 3
    else:
        viewer.dims.order = (1, 0, 2)
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 3
    bridge.set_labels(((1, 2, 3), (3, 5, 7)), values)
    np.testing.assert_array_equal(bridge.labels()[1:3, 2:5, 3:7], values)


def test_set_labels_of_a_wrong_shape(bridge: LayerBridge) -> None:
    bridge.show(open_case())
    with pytest.raises(ValueError, match="shape"):
        bridge.set_labels(((1, 2, 3), (2, 4, 6)), np.zeros((1, 1, 1), np.uint8))


def test_a_full_disk_is_told_and_painting_goes_on(bridge: LayerBridge, session: SessionStub) -> None:
    bridge.show(open_case())
    told: list[Any] = []
    session.failed.connect(told.append)
    session.journal_error = DiskError("The disk is full.")
    paint(bridge)
    assert told == [session.journal_error]
    assert bridge.dirty()
    assert bridge.labels().any()


def test_history_of_one_case_never_writes_into_another(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case("p001"))
    paint(bridge)
    first = viewer.layers["p001 · labels"]
    bridge.show(open_case("p002"))
    assert viewer.layers["p002 · labels"] is not first
    bridge.undo()
    first.undo()
    assert not bridge.labels().any()
    paint(bridge, 7, 2)
    expected = bridge.labels().copy()
    bridge.show(open_case("p001"))
    bridge.undo()
    bridge.redo()
    assert not bridge.labels().any()
    assert expected.any()


def test_steps_outlive_saving_another_layer_and_leaving_the_case(
    viewer: Any, bridge: LayerBridge, session: SessionStub
) -> None:
    bridge.show(open_case("p001"))
    paint(bridge)
    painted = bridge.labels().copy()
    bridge.mark_saved()
    viewer.layers.selection.active = viewer.layers["p001 · DWI"]
    bridge.show(open_case("p002"))
    assert not bridge.can_undo()
    paint(bridge, 7, 2)
    bridge.show(open_case("p001", labels=painted.copy()))  # as it was saved
    assert not bridge.dirty()
    assert bridge.can_undo()
    bridge.undo()
    assert not bridge.labels().any()
    assert bridge.dirty(), "taking back is a change like any other"
    bridge.redo()
    np.testing.assert_array_equal(bridge.labels(), painted)
    assert [name for name, _, _ in session.strokes] == ["p001", "p002", "p001", "p001"]


def test_a_left_case_is_not_journalled_any_more(viewer: Any, bridge: LayerBridge, session: SessionStub) -> None:
    bridge.show(open_case("p001"))
    old = viewer.layers["p001 · labels"]
    bridge.show(open_case("p002"))
    old.paint((5, 20, 20), 1)
    old.undo()
    assert session.strokes == []
    assert not bridge.dirty()


def test_deleting_the_labels_layer_brings_it_back(
    viewer: Any, bridge: LayerBridge, session: SessionStub, qtbot: Any
) -> None:
    told: list[Any] = []
    session.failed.connect(told.append)
    bridge.show(open_case())
    paint(bridge)
    painted = bridge.labels().copy()
    viewer.layers.remove("p007 · labels")
    np.testing.assert_array_equal(bridge.labels(), painted)
    qtbot.waitUntil(lambda: "p007 · labels" in names(viewer), timeout=2000)
    assert viewer.layers.selection.active.name == "p007 · labels"
    bridge.undo()
    assert not bridge.labels().any()
    paint(bridge)
    np.testing.assert_array_equal(session.replay("p007", painted.shape), bridge.labels())
    assert "stay" in told[0].message


def test_deleting_all_layers_keeps_the_labels(viewer: Any, bridge: LayerBridge, qtbot: Any) -> None:
    bridge.show(predicted_case())
    bridge.finish_showing()
    bridge.go_to(a_region())
    viewer.layers.clear()
    qtbot.waitUntil(lambda: names(viewer) == ["p007 · labels"], timeout=2000)
    bridge.flip_modality()
    bridge.show_confidence(True)
    bridge.show_prediction(True)
    bridge.go_to(a_region())
    assert bridge.modality is None
    assert bridge.contrast() is None
    bridge.show(open_case("p008"))
    bridge.finish_showing()
    assert names(viewer) == ["p008 · DWI", "p008 · T2", "p008 · labels"]


def test_closing_the_viewer_leaves_the_labels_readable(viewer: Any, bridge: LayerBridge, qtbot: Any) -> None:
    bridge.show(open_case())
    paint(bridge)
    viewer.close()
    assert bridge.labels().any()
    qtbot.wait(20)


def test_foreign_layers_are_left_alone(viewer: Any, bridge: LayerBridge) -> None:
    other = viewer.add_image(np.ones((5, 6, 7), np.float32), name="p007 · DWI")
    bridge.show(open_case())
    mine = bridge.layers
    assert mine is not None
    mine.images["T2"].name = "renamed by the reader"
    before = (other.data.copy(), tuple(other.scale), other.name, other.visible)
    bridge.show(open_case("p008"))
    bridge.clear()
    assert list(viewer.layers) == [other]
    np.testing.assert_array_equal(other.data, before[0])
    assert (tuple(other.scale), other.name, other.visible) == before[1:]
    assert bridge.case is None


def test_without_a_case_setters_do_nothing(bridge: LayerBridge) -> None:
    bridge.set_labels(((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), np.uint8))
    bridge.undo()
    bridge.redo()
    bridge.flip_modality()
    bridge.show_modality("DWI")
    bridge.go_to(a_region())
    bridge.select_class(1)
    bridge.select_tool("erase")
    bridge.set_brush(3, True)
    bridge.show_confidence(True)
    bridge.set_confidence_threshold(0.3)
    bridge.clear()
    assert bridge.seconds() == 0
    assert not bridge.dirty()
    with pytest.raises(UsageError):
        bridge.labels()


def test_a_read_only_study_cannot_be_painted(viewer: Any, bridge: LayerBridge, session: SessionStub) -> None:
    session.readonly = True
    bridge.show(open_case())
    labels = viewer.layers["p007 · labels"]
    assert not labels.editable
    bridge.select_tool("paint")
    assert labels.mode == "pan_zoom"


# ---------------------------------------------------------------- tools and views


def test_tools_follow_and_lead_napari(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    classes: list[int] = []
    tools: list[str] = []
    bridge.class_changed.connect(classes.append)
    bridge.tool_changed.connect(tools.append)
    labels = viewer.layers["p007 · labels"]
    bridge.select_class(2)
    bridge.select_class(77)
    labels.selected_label = 1
    labels.mode = "erase"
    bridge.select_tool("fill")
    assert (classes, tools) == ([2, 1], ["erase", "fill"])
    bridge.select_class(255)
    bridge.show(open_case("p008"))
    fresh = viewer.layers["p008 · labels"]
    assert (fresh.selected_label, fresh.mode) == (255, "fill")


def test_the_plus_key_never_leaves_the_scheme(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    labels = viewer.layers["p007 · labels"]
    labels.selected_label += 1
    labels.selected_label += 1
    assert labels.selected_label == 255
    labels.selected_label -= 1
    assert labels.selected_label == 2


def test_brush_is_in_millimetres(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    bridge.set_brush(9.0, False)
    assert bridge.layers is not None
    layer = bridge.layers.labels
    layer.paint((5, 20, 20), 1)
    inside = np.argwhere(layer.data)
    assert set(inside[:, 0]) == {5}
    assert np.ptp(inside[:, 2]) + 1 == 9
    assert np.ptp(inside[:, 1]) * 1.5 <= 9
    bridge.undo()
    bridge.set_brush(9.0, True)
    layer.paint((5, 20, 20), 1)
    assert np.ptp(np.argwhere(layer.data)[:, 0]) == 2


def test_flip_modality(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(open_case())
    fronts: list[str] = []
    bridge.modality_changed.connect(fronts.append)
    bridge.flip_modality()
    assert bridge.modality == "T2"
    assert [viewer.layers[n].visible for n in ("p007 · DWI", "p007 · T2")] == [False, True]
    bridge.flip_modality()
    bridge.flip_modality(-1)
    assert fronts == ["T2", "DWI", "T2"]
    bridge.show(open_case("p008"))
    assert bridge.modality == "T2"
    bridge.finish_showing()
    assert viewer.layers["p008 · T2"].visible
    assert not viewer.layers["p008 · DWI"].visible
    viewer.layers["p008 · DWI"].visible = True
    assert bridge.modality == "DWI"


def test_confidence_is_drawn_only_below_the_threshold(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    bridge.finish_showing()
    layer = viewer.layers["p007 · confidence"]
    assert not layer.visible
    bridge.show_confidence(True)
    bridge.set_confidence_threshold(0.4)
    assert layer.visible
    low, high = layer.contrast_limits

    def alpha(confidence: float) -> float:
        return float(layer.colormap.map(np.array([np.clip((confidence - low) / (high - low), 0, 1)]))[0, 3])

    hues = layer.colormap.map(np.linspace(0, 1, 21))[:, :3]
    assert np.ptp(hues, axis=0).max() < 1e-6, "one hue, never a rainbow over the anatomy"

    assert alpha(0.0) > alpha(0.2) > alpha(0.39) > 0.2
    assert alpha(0.4) == alpha(0.9) == 0
    bridge.show(predicted_case("p008"))
    bridge.finish_showing()
    assert not viewer.layers["p008 · confidence"].visible
    assert viewer.layers["p008 · confidence"].contrast_limits[1] == pytest.approx(0.4)


def test_on_the_same_slice_the_outline_alone_is_drawn_anew(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    bridge.go_to(a_region())
    drawn = []
    for layer in viewer.layers:
        layer.events.set_data.connect(lambda event: drawn.append(event.source.name))
    bridge.go_to(a_region((6, 20, 10)))
    assert drawn == ["p007 · region"]
    outline, labels = viewer.layers["p007 · region"], viewer.layers["p007 · labels"]
    middle = np.argwhere(outline.data).mean(axis=0)
    np.testing.assert_allclose(outline.data_to_world(middle), labels.data_to_world((6.5, 21.5, 12)))
    assert viewer.dims.nsteps[0] == GRID.array_shape[0]


def test_3d_does_not_warn_about_outlines(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    bridge.go_to(a_region())
    viewer.dims.ndisplay = 3
    viewer.layers["p007 · prediction"].refresh()
    viewer.dims.ndisplay = 2
    assert viewer.layers["p007 · prediction"].contour == 1


def test_slices_that_were_decided_before(bridge: LayerBridge) -> None:
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[3, 4, 5] = 1
    labels[6] = 255
    bridge.show(open_case(labels=labels.copy(), state=CaseState.IN_PROGRESS))
    assert bridge.touched_slices() == {3}
    bridge.show(open_case(labels=labels.copy(), state=CaseState.ANNOTATED))
    assert bridge.touched_slices() == set(range(12)) - {6}
    bridge.show(dataclasses.replace(predicted_case()))
    assert bridge.touched_slices() == set()


def test_signal_of_the_shown_case(bridge: LayerBridge) -> None:
    told: list[Any] = []
    bridge.case_changed.connect(told.append)
    bridge.show(open_case("p001"))
    bridge.show(open_case("p002"))
    bridge.clear()
    assert told == ["p001", "p002", None]
