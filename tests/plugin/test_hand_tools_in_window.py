"""A case done by hand in the real window: keys and mouse only, and what lies on disk afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.plugin.compat import camera
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import make_sample_study
from napari_penumbra.study.store import Study
from napari_penumbra.widgets.shortcut_file import keys_file, read_keys

NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CTRL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
LEFT = Qt.MouseButton.LeftButton


class Reader(Walkthrough):
    """A reader with a mouse and a keyboard."""

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> None:
        """Press a key with the keyboard on the picture's window."""
        self.window.activateWindow()
        self.window.setFocus()
        self.wait("the window", self.window.isActiveWindow, 10)
        QTest.keyClick(self.window, key, modifiers)
        self.settle(20)

    @property
    def window(self) -> Any:
        return self.viewer.window._qt_window

    def stroke(self, voxels: list[tuple[float, float, float]], modifiers: Qt.KeyboardModifier = NONE) -> None:
        """Draw with the left button through voxels (z, y, x) of the shown slice."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        places = [self._on_canvas(canvas, self.labels_layer.data_to_world(voxel)) for voxel in voxels]
        self.drag_pixels(canvas, places, modifiers)

    def drag_pixels(self, canvas: Any, places: list[QPoint], modifiers: Qt.KeyboardModifier = NONE) -> None:
        QTest.mouseMove(canvas, places[0])
        QTest.mousePress(canvas, LEFT, modifiers, places[0])
        for place in places[1:]:
            at, everywhere = QPointF(place), QPointF(canvas.mapToGlobal(place))
            move = QMouseEvent(QEvent.Type.MouseMove, at, everywhere, LEFT, LEFT, modifiers)
            QApplication.sendEvent(canvas, move)
            self.settle(20)
        QTest.mouseRelease(canvas, LEFT, modifiers, places[-1])
        self.settle(20)

    @property
    def glow(self) -> Any:
        """What tints the picture where the brush may paint."""
        return self.window.findChild(QWidget, "range_glow")

    @property
    def labels(self) -> Any:
        """The voxels as they now stand."""
        return self.widget.bridge.labels().copy()

    @property
    def slice(self) -> int:
        return int(self.viewer.dims.current_step[0])

    def on_disk(self) -> Any:
        """What a crash at this moment would leave: the last draft and the journal."""
        with Study.open(self.widget.session.opened().root, write=False) as crashed:
            return crashed.read(self.widget.bridge.case).labels


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "study"
    return make_sample_study(folder, cases=6, labelled=1, modalities=("DWI", "ADC", "Tmax"))


@pytest.fixture
def reader(make_napari_viewer: Callable[..., Any], sample: Path, tmp_path: Path) -> Iterator[Reader]:
    study = tmp_path / "study"
    shutil.copytree(sample, study)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    reader = Reader(viewer)
    reader.widget.session.auto_predict = False
    reader.open_study(study)
    reader.widget.session.order = "file"
    reader.open_case("stroke-003")
    reader.page("annotate")
    yield reader
    reader.widget.dock.shortcuts.reset()
    reader.widget.shut()


def test_a_case_by_hand(reader: Reader) -> None:
    """Ball, range, erase, fill, undo over a change of the case, completion: each step against the files."""
    case = reader.widget.bridge
    grid = reader.widget.dock.cases.shown.grid  # type: ignore[union-attr]
    scale = np.array(grid.scale)
    z = reader.slice
    assert not reader.labels.any()

    # A ball of 20 mm by mouse: true in millimetres, on disk at once.
    reader.key(Qt.Key.Key_B, SHIFT)
    reader.find("brush_mm").setValue(20.0)
    center = (z, 30, 30)
    reader.stroke([center])
    away = np.linalg.norm((np.indices(reader.labels.shape).T - center).T * scale[:, None, None, None], axis=0)
    np.testing.assert_array_equal(reader.labels == 1, away <= 10.0)
    assert len(np.unique(np.nonzero(reader.labels)[0])) == 3
    np.testing.assert_array_equal(reader.on_disk(), reader.labels)
    ball = reader.labels

    # Erase in 3D, one long stroke: one step of undo.
    reader.key(Qt.Key.Key_E)
    reader.stroke([(z, 30, 20), (z, 30, 26), (z, 30, 32), (z, 30, 40)])
    assert (reader.labels > 0).sum() < (ball > 0).sum()
    reader.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(reader.labels, ball)
    np.testing.assert_array_equal(reader.on_disk(), ball)
    reader.key(Qt.Key.Key_Z, CTRL | SHIFT)
    erased = reader.labels
    assert (erased > 0).sum() < (ball > 0).sum()
    np.testing.assert_array_equal(reader.on_disk(), erased)

    # Only where Tmax is above 2 s, as class 2, on this slice.
    reader.key(Qt.Key.Key_B)
    reader.key(Qt.Key.Key_B, SHIFT)
    reader.key(Qt.Key.Key_2)
    reader.key(Qt.Key.Key_L)
    reader.find("range_modality").setCurrentText("Tmax")
    slider = reader.find("range_slider")
    slider.setValue((2.0, slider.maximum()))
    check_the_range_is_tinted(reader)
    reader.stroke([(z, 45, 20), (z, 45, 45)])
    tmax = case.layers.images["Tmax"].data  # type: ignore[union-attr]
    painted = reader.labels == 2
    assert (tinted_voxels(reader) == ((tmax[z] >= 2.0) & ~painted[z])).all(), "what is painted has its own colour"
    assert painted.any()
    assert (tmax[painted] >= 2.0).all()
    assert set(np.nonzero(painted)[0]) == {z}
    reader.key(Qt.Key.Key_L)
    limited = reader.labels

    # Away and back again: saved, and the steps are still there.
    reader.key(Qt.Key.Key_Right, CTRL)
    assert case.case == "stroke-004"
    reader.key(Qt.Key.Key_Z, CTRL)
    assert not reader.labels.any(), "nothing of the other case"
    reader.key(Qt.Key.Key_Left, CTRL)
    assert case.case == "stroke-003"
    np.testing.assert_array_equal(reader.labels, limited)
    reader.key(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(reader.labels, erased)
    reader.key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(reader.labels, limited)

    # Fill the background of one slice as unknown, then complete.
    reader.key(Qt.Key.Key_End)
    last = reader.slice
    assert last == grid.array_shape[0] - 1
    reader.key(Qt.Key.Key_0)
    reader.key(Qt.Key.Key_F)
    reader.stroke([(last, 2, 2)])
    assert (reader.labels[last] == UNKNOWN).all()
    reader.key(Qt.Key.Key_Return, CTRL)
    with Study.open(reader.widget.session.opened().root, write=False) as study:
        saved = study.read("stroke-003")
        assert study.case("stroke-003").state.value == "annotated"
    np.testing.assert_array_equal(saved.labels, reader.labels)
    assert saved.restored == 0


def check_the_range_is_tinted(reader: Reader) -> None:
    """The slice's voxels in range, on the screen: with the slider, the slice, the plane, the tool; never a label."""
    before, layers = reader.labels, len(reader.viewer.layers)
    tmax = reader.widget.bridge.layers.images["Tmax"].data  # type: ignore[union-attr]
    shown, slider, z = reader.find("range_shown"), reader.find("range_slider"), reader.slice
    assert (tinted_voxels(reader) == (tmax[z] >= 2.0)).all()
    slider.setValue((5.0, slider.maximum()))
    assert (tinted_voxels(reader) == (tmax[z] >= 5.0)).all()
    assert (tmax[z] >= 5.0).sum() < (tmax[z] >= 2.0).sum()
    reader.key(Qt.Key.Key_Up)
    assert (tinted_voxels(reader) == (tmax[z + 1] >= 5.0)).all()
    reader.key(Qt.Key.Key_2, ALT)
    at = int(reader.viewer.dims.current_step[1])
    assert (tinted_voxels(reader) == (tmax[:, at] >= 5.0)).all()
    reader.key(Qt.Key.Key_1, ALT)
    reader.key(Qt.Key.Key_Down)
    for key in (Qt.Key.Key_E, Qt.Key.Key_V):  # erasing is not limited, panning writes nothing
        reader.key(key)
        assert not reader.glow.isVisible()
    reader.key(Qt.Key.Key_B)
    assert reader.glow.isVisible()
    shown.click()
    assert not reader.glow.isVisible()
    shown.click()
    reader.viewer.dims.ndisplay = 3
    assert reader.glow.mask() is None
    reader.viewer.dims.ndisplay = 2
    reader.viewer.dims.set_current_step(0, z)
    slider.setValue((2.0, slider.maximum()))
    np.testing.assert_array_equal(reader.labels, before)
    assert len(reader.viewer.layers) == layers
    assert reader.widget.bridge.can_undo()
    np.testing.assert_array_equal(reader.on_disk(), before)


def tinted_voxels(reader: Reader) -> Any:
    """Which voxels of the shown slice have another colour on the screen than without the tint: seen, not asked for."""
    glow = reader.glow
    QApplication.processEvents()
    pictures = []
    for on in (True, False):
        glow.setVisible(on)
        pictures.append(reader.window.grab().toImage())
    glow.setVisible(True)
    plane = down, across = tuple(int(axis) for axis in reader.viewer.dims.displayed)
    layer, corner = reader.labels_layer, glow.mapTo(reader.window, QPoint(0, 0))
    first, last = (glow.on_screen(layer.data_to_world(voxel), plane) for voxel in ((0, 0, 0), (1, 1, 1)))
    step = last - first
    shape = layer.data.shape[down], layer.data.shape[across]
    seen = np.zeros(shape, bool)
    for row, column in np.ndindex(shape):
        spot = round(corner.x() + first.x() + column * step.x()), round(corner.y() + first.y() + row * step.y())
        seen[row, column] = pictures[0].pixel(*spot) != pictures[1].pixel(*spot)
    return seen


def test_looking_by_keys_and_mouse(reader: Reader) -> None:
    """Slices, modalities, windows, planes, the sheet: nothing of it changes a voxel."""
    viewer, case = reader.viewer, reader.widget.bridge
    reader.key(Qt.Key.Key_Home)
    seen = []
    keys = (Qt.Key.Key_Up, Qt.Key.Key_PageUp, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)
    for key in keys:
        reader.key(key)
        seen.append(reader.slice)
    assert seen == [1, 6, 5, 10, 5]

    reader.key(Qt.Key.Key_Tab)
    assert case.modality == "ADC"
    reader.key(Qt.Key.Key_Tab)
    preset = reader.find("window_preset")
    assert [preset.itemText(n) for n in range(2)] == ["0 to 10 s", "0 to 20 s"]
    preset.setCurrentIndex(0)
    preset.textActivated.emit(preset.currentText())
    assert case.contrast()[2:] == (0.0, 10.0)  # type: ignore[index]
    canvas = viewer.window._qt_viewer.canvas.native
    center = camera(viewer).center
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    reader.drag_pixels(canvas, [middle, middle + QPoint(150, 0), middle + QPoint(300, 0)], SHIFT)
    assert case.contrast()[2:] == pytest.approx((-5.0, 15.0))  # type: ignore[index]
    assert preset.currentIndex() == -1, "by hand now"
    assert not reader.labels.any()
    assert not case.dirty()
    assert camera(viewer).center == center, "the picture has not moved"

    reader.key(Qt.Key.Key_O)
    assert case.views.planes_shown()
    assert reader.find("planes_on").isChecked()
    for key, plane, axis in ((Qt.Key.Key_2, "coronal", 1), (Qt.Key.Key_3, "sagittal", 2), (Qt.Key.Key_1, "axial", 0)):
        reader.key(key, ALT)
        assert viewer.dims.order[0] == axis, plane
    assert reader.slice == 5, "back where it was"
    reader.page("review")
    reader.page("annotate")

    reader.key(Qt.Key.Key_Question)
    sheet = reader.widget.dock.key_sheet
    assert sheet.isVisible()
    sheet.pick("tool_erase")
    sheet.edit.setKeySequence("R")
    sheet.set.click()
    sheet.leave.click()
    assert reader.find("tool_erase").keys == "R"
    reader.key(Qt.Key.Key_R)
    assert reader.labels_layer.mode == "erase"
    assert read_keys(keys_file()) == {"tool_erase": "R"}
    assert reader.widget.dock.shortcuts.clashes() == []
    reader.widget.dock.shortcuts.reset()
    keys_win_over_naparis(reader)


def keys_win_over_naparis(reader: Reader) -> None:
    """Try keys that do something else in napari while a labels layer is active."""
    labels = reader.labels_layer
    for key, mode in (
        (Qt.Key.Key_E, "erase"),
        (Qt.Key.Key_F, "fill"),
        (Qt.Key.Key_V, "pan_zoom"),
        (Qt.Key.Key_B, "paint"),
    ):
        reader.key(key)
        assert labels.mode == mode
    for key, value in ((Qt.Key.Key_2, 2), (Qt.Key.Key_1, 1), (Qt.Key.Key_0, UNKNOWN)):
        reader.key(key)
        assert labels.selected_label == value
        assert labels.mode == "paint"
    size = reader.find("brush_mm").value()
    reader.key(Qt.Key.Key_BracketRight)
    assert reader.find("brush_mm").value() > size
    # Painted, then Ctrl+Z with the keyboard on napari's own layer list: still ours, still journalled.
    reader.stroke([(reader.slice, 30, 30)])
    assert reader.labels.any()
    layers = reader.viewer.window._qt_viewer.layers
    layers.setFocus()
    reader.wait("the layer list", layers.hasFocus, 10)
    for key, mode in ((Qt.Key.Key_E, "erase"), (Qt.Key.Key_B, "paint")):  # napari's list would search for a name
        QTest.keyClick(layers, key)
        assert labels.mode == mode
    QTest.keyClick(layers, Qt.Key.Key_Z, CTRL)
    assert not reader.on_disk().any()
    reader.stroke([(reader.slice, 30, 30)])
    assert reader.labels.any()
    labels.undo()
    assert not reader.on_disk().any()
