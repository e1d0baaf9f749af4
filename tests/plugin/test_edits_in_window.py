"""Every computing tool in napari's real window, by mouse and keyboard: preview, apply, undo, save, and the file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox

from napari_penumbra.imaging.edits import TOOLS
from napari_penumbra.imaging.files import read_labels, write_nifti
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import REFERENCE, make_sample_study
from napari_penumbra.study.store import Study
from napari_penumbra.widgets.edit_controller import State

CASE = "stroke-001"
BY_KEY = {tool.key: tool for tool in TOOLS}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """One unlabelled case with the maps of a stroke, and its truth as a prediction."""
    root = make_sample_study(tmp_path / "study", cases=1, labelled=0, seed=503, modalities=("DWI", "Tmax", "ADC"))
    with Study.open(root) as opened:
        folder = opened.layout.predictions(CASE)
        folder.mkdir(parents=True, exist_ok=True)
        truth = read_labels(root / REFERENCE / f"{CASE}.nii.gz").volume
        grid = opened.grid(CASE)
        paths = {}
        for kind, data in (("labels", truth.data), ("confidence", np.full(truth.data.shape, 0.9, np.float32))):
            file = folder / f"made.{kind}.nii.gz"
            write_nifti(file, data, grid)
            paths[kind] = opened.layout.relative(file)
        row = {"case": CASE, "run": "made", "created": dt.datetime.now(dt.UTC).isoformat(), **paths}
        (folder / "made.json").write_text(json.dumps(row))
        assert opened.register_predictions()
    return root


@pytest.fixture
def walk(make_napari_viewer: Callable[..., Any], study: Path) -> Iterator[Walkthrough]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 620)  # the fewer pixels, the sooner they are drawn without a graphics card
    walk = Walkthrough(viewer)
    walk.open_study(study)
    walk.open_case(CASE)
    walk.page("annotate")
    start = np.zeros(walk.widget.bridge.labels().shape, np.uint8)
    _write(walk, start)  # an open case shows its prediction's voxels: the tools begin with an empty one
    yield walk
    walk.widget.shut()


def _write(walk: Walkthrough, labels: np.ndarray) -> None:
    walk.widget.bridge.set_labels(((0, 0, 0), labels.shape), labels)


def _labels(walk: Walkthrough) -> np.ndarray:
    return walk.widget.bridge.labels().copy()


def _truth(study: Path) -> np.ndarray:
    return read_labels(study / REFERENCE / f"{CASE}.nii.gz").volume.data


def _edits(walk: Walkthrough) -> Any:
    return walk.widget.dock.annotate_page.edits


def _preview_shown(walk: Walkthrough) -> bool:
    return any(layer.name == f"{CASE} · preview" for layer in walk.viewer.layers)


def _press_key_of(walk: Walkthrough, key: str) -> None:
    """Press the key that the tool's button shows."""
    letter = BY_KEY[key].shortcut.removeprefix("Shift+")
    walk.press(Qt.Key[f"Key_{letter}"], Qt.KeyboardModifier.ShiftModifier)


def _wait_for_preview(walk: Walkthrough, key: str) -> None:
    walk.wait(f"the preview of {key}", lambda: _edits(walk).controller.state is State.PREVIEW, 20)


def _settled_start(truth: np.ndarray) -> np.ndarray:
    """Something for every tool: two painted slices of both classes, a hole, a speck, and an unknown patch."""
    labels = np.zeros(truth.shape, np.uint8)
    painted = np.flatnonzero((truth > 0).sum(axis=(1, 2)) > 60)
    for z in (painted[0], painted[0] + 3):
        labels[z] = truth[z]
        y, x = np.argwhere(labels[z] == 1)[len(np.argwhere(labels[z] == 1)) // 2]
        labels[z, y, x] = 0
    labels[1, 2, 2] = 1
    labels[painted[0] + 1, 2:5, 2:5] = 255
    return labels


def _middle_of(truth: np.ndarray) -> tuple[int, int, int]:
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(truth > 0)
    z, y, x = (int(v) for v in np.unravel_index(depth.argmax(), depth.shape))
    return z, y, x


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(("interpolate", "walker", "mismatch"), id="a quick, a slow and a live one"),
        pytest.param(tuple(BY_KEY), id="all", marks=pytest.mark.slow),
    ],
)
def test_tools_by_their_keys_preview_apply_and_are_undone_as_one_step(
    walk: Walkthrough, study: Path, keys: tuple[str, ...]
) -> None:
    truth = _truth(study)
    start = _settled_start(truth)
    _write(walk, start)
    walk.viewer.dims.set_current_step(0, _middle_of(truth)[0])
    for tool in TOOLS:
        if tool.key not in keys or tool.key == "smart_fill":  # smart fill by the mouse, below
            continue
        _press_key_of(walk, tool.key)
        if not tool.live:
            assert _edits(walk).controller.state is State.READY, "a slow tool waits to be asked"
            walk.click("edit_preview")
        _wait_for_preview(walk, tool.key)
        edit = _edits(walk).controller.edit
        assert not edit.empty, f"{tool.key} has nothing to do: {walk.find('edit_words').text()}"
        assert _preview_shown(walk), tool.key
        assert "ml)" in walk.find("edit_words").text()
        np.testing.assert_array_equal(_labels(walk), start, tool.key)
        walk.press(Qt.Key.Key_Return)
        after = _labels(walk)
        assert np.count_nonzero(after != start) == np.count_nonzero(edit.changed), tool.key
        assert (after[start == 255] == 255).all(), tool.key
        assert not _preview_shown(walk), tool.key
        walk.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        np.testing.assert_array_equal(_labels(walk), start, tool.key)
    _the_mouse_fills(walk, truth, start)
    _escape_and_strokes_drop_a_preview(walk, start)
    _save_and_read(walk, study, truth)


def _the_mouse_fills(walk: Walkthrough, truth: np.ndarray, start: np.ndarray) -> None:
    """Click the button, click into the lesion, apply by the mouse; then by the key with the mouse over the lesion."""
    walk.widget.bridge.show_modality("Tmax")
    seed = _middle_of(truth)
    walk.viewer.dims.set_current_step(0, seed[0])
    walk.click("edit_smart_fill")
    assert _edits(walk).controller.state is State.CLICK
    canvas = walk.viewer.window._qt_viewer.canvas.native
    place: QPoint = walk._on_canvas(canvas, walk.labels_layer.data_to_world(seed))
    QTest.mouseMove(canvas, place)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)
    _wait_for_preview(walk, "smart_fill")
    assert not np.count_nonzero(_labels(walk) != start), "a click is no stroke"
    walk.click("edit_apply")
    filled = _labels(walk)
    new = (filled == 1) & (start == 0)
    assert new.sum() > 100
    assert (truth[new] > 0).mean() > 0.8, "it fills the lesion"
    walk.click("edit_cancel")
    walk.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(_labels(walk), start)
    assert str(walk.labels_layer.mode) == "paint", "the brush is back"
    QTest.mouseMove(canvas, place + QPoint(1, 1))
    walk.settle()
    _press_key_of(walk, "smart_fill")
    _wait_for_preview(walk, "smart_fill by its key alone")
    walk.press(Qt.Key.Key_Escape)
    walk.settle()


def _escape_and_strokes_drop_a_preview(walk: Walkthrough, start: np.ndarray) -> None:
    _press_key_of(walk, "margin")
    _wait_for_preview(walk, "margin")
    walk.press(Qt.Key.Key_Escape)
    assert not _preview_shown(walk)
    np.testing.assert_array_equal(_labels(walk), start)
    _press_key_of(walk, "margin")
    _wait_for_preview(walk, "margin")
    walk.drag([(9, 40, 30), (9, 40, 34)], 2, size=3)
    assert not _preview_shown(walk)
    assert "changed meanwhile" in walk.find("edit_words").text()
    walk.press(Qt.Key.Key_Return)  # nothing to apply: it previews anew
    _wait_for_preview(walk, "margin again")
    walk.press(Qt.Key.Key_Escape)
    walk.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(_labels(walk), start)


def _save_and_read(walk: Walkthrough, study: Path, truth: np.ndarray) -> None:
    """Mismatch with another limit, made anew, written over everything; then the case is closed and read from disk."""
    _press_key_of(walk, "mismatch")
    _wait_for_preview(walk, "mismatch")
    ratio = walk.find("edit_figures").text()
    assert "ratio" in ratio
    walk.find("edit_option_tmax_s").setValue(5.0)
    walk.find("edit_option_anew").setChecked(True)
    over: QComboBox = walk.find("edit_option_over", QComboBox)
    over.setCurrentIndex(over.count() - 1)
    walk.wait("the new volumes", lambda: walk.find("edit_figures").text() not in ("", ratio), 20)
    _wait_for_preview(walk, "mismatch with other limits")
    walk.press(Qt.Key.Key_Return)
    labels = _labels(walk)
    assert 2 * np.count_nonzero((labels > 0) & (truth > 0)) / (np.count_nonzero(labels) + np.count_nonzero(truth)) > 0.8
    # Journalled at once: a crash now would lose nothing.
    with Study.open(study, write=False) as crashed:
        np.testing.assert_array_equal(crashed.read(CASE).labels, labels)
    walk.click("case_complete")
    opened = walk.widget.session.opened()
    annotation = opened.annotations(CASE)[-1]
    on_disk = read_labels(study / annotation.path).volume
    np.testing.assert_array_equal(on_disk.data, labels)
    assert on_disk.grid.same_place(opened.grid(CASE))
