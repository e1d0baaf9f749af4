"""The dock in napari's real window, with a real study on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_cases import GRID
from qtpy.QtGui import QCloseEvent, QHideEvent

from napari_penumbra.domain.case import CaseState
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.nifti import write
from napari_penumbra.plugin.main_widget import STUDY_VARIABLE, PenumbraWidget
from napari_penumbra.study.store import Study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two cases of two modalities, nothing labelled."""
    root = tmp_path / "study"
    with Study.create(root, "Tiny", ["DWI", "T2"], LabelScheme.parse(["1=penumbra", "2=core"])) as made:
        for n, name in enumerate(("p001", "p002")):
            files = {}
            for m in ("DWI", "T2"):
                files[m] = tmp_path / f"{name}_{m}.nii.gz"
                rng = np.random.default_rng(n)
                write(files[m], rng.normal(100, 20, GRID.array_shape).astype(np.float32), GRID)
            made.add_case(name, files)
    return root


@pytest.fixture
def widget(viewer: Any, study: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PenumbraWidget]:
    monkeypatch.setenv(STUDY_VARIABLE, str(study))
    _, made = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
    yield made
    made.shut()


def in_a_process(script: str, study: Path) -> str:
    """Run a script in a napari of its own and return what it printed, its errors included; it must end in order."""
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, STUDY_VARIABLE: str(study)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout  # -6 is what a thread that outlives Python makes of it
    return run.stdout


def test_opens_the_named_study_and_a_case(viewer: Any, widget: PenumbraWidget) -> None:
    assert widget.session.study is not None
    assert widget.session.study.name == "Tiny"
    assert widget.dock.cases.open("p002")
    widget.bridge.finish_showing()
    assert [layer.name for layer in viewer.layers] == ["p002 · DWI", "p002 · T2", "p002 · labels"]


def test_a_study_that_is_not_there_is_told(viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STUDY_VARIABLE, str(tmp_path / "nowhere"))
    _, made = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
    assert made.session.study is None
    made.shut()


def test_strokes_come_back_after_a_crash(viewer: Any, widget: PenumbraWidget, study: Path) -> None:
    widget.dock.cases.open("p001")
    assert widget.bridge.layers is not None
    layer = widget.bridge.layers.labels
    layer.brush_size = 6
    layer.paint((5, 20, 20), 1)
    layer.paint((6, 20, 20), 2)
    layer.undo()
    painted = widget.bridge.labels().copy()
    with Study.open(study, write=False) as crashed:  # nothing was saved: only the journal knows
        case = crashed.read("p001")
    np.testing.assert_array_equal(case.labels, painted)
    assert case.restored == 3


def test_switching_saves_first_and_keeps_cases_apart(viewer: Any, widget: PenumbraWidget, study: Path) -> None:
    widget.dock.cases.open("p001")
    assert widget.bridge.layers is not None
    widget.bridge.layers.labels.paint((5, 20, 20), 1)
    painted = widget.bridge.labels().copy()
    widget.dock.cases.open("p002")
    widget.bridge.undo()
    assert not widget.bridge.labels().any()
    assert widget.session.study is not None
    saved = widget.session.study.read("p001")
    np.testing.assert_array_equal(saved.labels, painted)
    assert saved.state is CaseState.IN_PROGRESS
    assert saved.restored == 0


@pytest.mark.parametrize("how", ["viewer", "close event", "dock hidden"])
def test_closing_anything_saves(viewer: Any, widget: PenumbraWidget, study: Path, how: str, qtbot: Any) -> None:
    widget.dock.cases.open("p001")
    assert widget.bridge.layers is not None
    widget.bridge.layers.labels.paint((5, 20, 20), 1)
    painted = widget.bridge.labels().copy()
    if how == "viewer":
        viewer.close()
    elif how == "close event":
        widget.eventFilter(viewer.window._qt_window, QCloseEvent())
    else:
        widget.hideEvent(QHideEvent())
    qtbot.wait(20)
    with Study.open(study, write=False) as after:
        case = after.read("p001")
    np.testing.assert_array_equal(case.labels, painted)
    assert case.restored == 0


CLOSE_THE_WINDOW = """
import sys
import napari
from qtpy.QtCore import QTimer
from napari_penumbra.plugin.main_widget import PenumbraWidget
from napari_penumbra.study.store import Study
viewer = napari.Viewer()
_, widget = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
root = widget.session.study.root

def paint():
    assert widget.dock.cases.open("p001")
    widget.bridge.layers.labels.paint((5, 20, 20), 1)
    QTimer.singleShot(100, viewer.window._qt_window.close)

QTimer.singleShot(100, paint)
napari.run()
with Study.open(root) as after:
    case = after.read("p001")
    print("writable:", not after.readonly, "painted:", bool(case.labels.any()), "from journal:", case.restored)
"""


@pytest.mark.gui
def test_closing_the_window_saves_and_hands_the_study_back(study: Path) -> None:
    assert "writable: True painted: True from journal: 0" in in_a_process(CLOSE_THE_WINDOW, study)


def test_export_of_a_case_layer_lands_on_its_own_grid(viewer: Any, widget: PenumbraWidget, tmp_path: Path) -> None:
    import nibabel as nib

    widget.dock.cases.open("p001")
    assert widget.bridge.layers is not None
    layer = widget.bridge.layers.labels
    layer.paint((5, 20, 20), 1)
    layer.save(str(tmp_path / "saved.nii.gz"), plugin="napari-penumbra")
    saved = nib.load(tmp_path / "saved.nii.gz")
    np.testing.assert_allclose(saved.affine, GRID.matrix, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(saved.dataobj).transpose(2, 1, 0), layer.data)


OPEN_A_CASE = """
import sys
import napari
from napari_penumbra.plugin.main_widget import PenumbraWidget
viewer = napari.Viewer(show=False)
widget = PenumbraWidget(viewer)
assert widget.dock.cases.open("p001")
heavy = {"torch", "monai"} & set(sys.modules)
widget.shut()
viewer.close()
print("heavy:", sorted(heavy))
"""


@pytest.mark.gui
def test_the_window_never_imports_torch(study: Path) -> None:
    assert "heavy: []" in in_a_process(OPEN_A_CASE, study)


IMPORT = """
import sys, time
import napari, qtpy.QtWidgets
before = set(sys.modules)
start = time.process_time()
import napari_penumbra.plugin.main_widget, napari_penumbra.plugin.readers
import napari_penumbra.plugin.writers, napari_penumbra.plugin.sample_data
print(time.process_time() - start)
heavy = {"torch", "monai", "SimpleITK", "sqlalchemy", "pyqtgraph", "nibabel", "alembic"}
print(sorted(heavy & (set(sys.modules) - before)))
"""


def test_importing_the_plugin_costs_next_to_nothing() -> None:
    run = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, timeout=120, check=True)
    seconds, heavy = run.stdout.split("\n")[:2]
    assert float(seconds) < 0.3
    assert heavy == "[]"
