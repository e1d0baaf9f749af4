"""Where a training runs, chosen in napari's real window: what is closed says why, what is chosen stands in job.json."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_cases import GRID
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QSpinBox

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.launch import Launch
from napari_penumbra.imaging.nifti import write
from napari_penumbra.jobs import launchers
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.store import Study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    root = tmp_path / "study"
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[3:8, 8:18, 8:20] = 1
    with Study.create(root, "Tiny", ["DWI"], LabelScheme.parse(["1=penumbra"])) as made:
        for n in range(6):
            file = tmp_path / f"p{n}.nii.gz"
            write(file, np.random.default_rng(n).normal(100, 20, GRID.array_shape).astype(np.float32), GRID)
            made.add_case(f"p{n}", {"DWI": file})
            if n < 3:
                made.save(f"p{n}", labels, Closing.COMPLETE, Origin.PAINTED, "reader", 100.0, strokes=9)
    return root


def test_where_it_runs_is_chosen_with_the_keyboard_and_ordered(
    make_napari_viewer: Callable[..., Any], study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    started: list[Path] = []
    monkeypatch.setattr("napari_penumbra.session.steering.launch", lambda folder, **_: started.append(folder) or 1)
    monkeypatch.setattr(launchers, "cores", lambda: 8)
    monkeypatch.setattr(launchers, "processes_here", lambda: 2)
    monkeypatch.setenv("PATH", str(tmp_path))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer, None)
    walk.open_study(study)
    page = walk.widget.dock.train_page
    walk.widget.dock.show_page("train")
    qtbot.waitUntil(lambda: bool(page.form.infos), timeout=60_000)
    page.preflight.stop()
    fold = walk.find("where")
    fold.expand(animate=False)
    walk.settle()
    how, processes = walk.find("where_how", QComboBox), walk.find("where_processes", QSpinBox)
    assert walk.find("where_closed").text() == (
        "Slurm cluster: This computer does not belong to a Slurm cluster: it has no sbatch."
    )
    how.setFocus()
    QTest.keyClick(how, Qt.Key.Key_Down)
    QTest.keyClick(how, Qt.Key.Key_Down)  # Slurm is closed: the choice stays where it is
    assert how.currentData() == "torchrun"
    processes.setValue(3)
    walk.settle()
    if pictures := os.environ.get("PENUMBRA_PICTURES"):
        page.scroll.ensureWidgetVisible(walk.find("where_closed"))
        walk.settle()
        viewer.window.screenshot(str(Path(pictures) / "scaling-where.png"), canvas_only=False, flash=False)
    assert page.preflight.way == Launch("torchrun", 3), "what it costs is measured as it will run"
    page.preflight.stop()
    assert page.start.isEnabled(), page.start.toolTip()
    page.start_training()
    (folder,) = started
    assert json.loads((folder / "job.json").read_text())["launch"] == {"how": "torchrun", "processes": 3}
    walk.widget.shut()
