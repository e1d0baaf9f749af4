"""Models in napari's real window: which one predicts, out as a file and in again, a training that starts from one."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk_study import ask
from plugin_cases import GRID

pytest.importorskip("torch")
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QLabel, QListWidget

from model_study import make_model
from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.nifti import write
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.session import Session, warm

OLD, NEW = "20261119-080000-supervised-aaaa", "20261120-080000-mean-teacher-bbbb"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[3:8, 8:18, 8:20] = 1
    session = Session()
    session.create(tmp_path / "study", "Stroke", ["DWI"], LabelScheme.parse(["1=penumbra"]))
    for n in range(6):
        file = tmp_path / f"p{n}.nii.gz"
        write(file, np.random.default_rng(n).normal(100, 20, GRID.array_shape).astype(np.float32), GRID)
        session.add_case(f"p{n}", {"DWI": file})
        if n < 4:
            session.close_case(f"p{n}", labels, Closing.COMPLETE)
    session.opened().freeze_validation()
    make_model(session, OLD, dice=0.61)
    session.opened().set_champion(OLD)
    make_model(session, NEW, "mean-teacher", dice=0.74)
    session.close()
    return tmp_path / "study"


def champions(root: Path) -> list[str]:
    return [row[0] for row in ask(root, "SELECT run_id FROM champion ORDER BY id")]


def test_models_are_judged_overruled_exported_imported_and_started_from(
    make_napari_viewer: Callable[..., Any], study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    started: list[Path] = []
    monkeypatch.setattr("napari_penumbra.session.steering.launch", lambda folder, **_: started.append(folder) or 1)
    monkeypatch.setattr(warm, "remember", lambda seconds: None)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer, None)
    walk.open_study(study)
    page = walk.widget.dock.train_page
    walk.widget.dock.show_page("train")
    qtbot.waitUntil(lambda: bool(page.form.infos), timeout=60_000)
    page.preflight.stop()
    # Opening the study has judged the newer one: same frozen case, same voxels, a higher Dice.
    assert champions(study) == [OLD, NEW]
    walk.find("models").expand(animate=False)
    walk.settle()
    models, says = walk.find("model_list", QListWidget), walk.find("model_says", QLabel)
    assert [models.item(n).text()[:14] for n in range(2)] == ["★ Mean teacher", "Supervised onl"]
    assert "Dice 0.740 on the frozen case, against the champion's 0.610: better." in says.text()
    if pictures := os.environ.get("PENUMBRA_PICTURES"):
        page.runs.setMaximumHeight(150)
        page.scroll.ensureWidgetVisible(walk.find("model_memory"))
        walk.settle(300)
        viewer.window.screenshot(str(Path(pictures) / "models.png"), canvas_only=False, flash=False)

    # The next cases are predicted ahead by a process of its own that holds the champion.
    qtbot.waitUntil(lambda: walk.widget.session.warm_state.served > 0, timeout=60_000)
    assert walk.widget.session.warm_state.model == NEW
    assert walk.find("model_crown").toolTip() == "This model predicts already."
    walk.click("model_back")
    assert champions(study)[-1] == OLD
    assert not walk.find("model_back").isEnabled()
    models.setCurrentRow(0)
    walk.click("model_crown")
    assert champions(study) == [OLD, NEW, OLD, NEW]
    keep = walk.find("model_keep", QCheckBox)
    keep.click()
    assert (study / "runs" / ".kept").read_text() == NEW
    keep.click()
    assert not (study / "runs" / ".kept").exists()

    file = tmp_path / "stroke.penumbra-model"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(file), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: (str(file), ""))
    walk.click("model_export")
    qtbot.waitUntil(file.exists, timeout=20_000)
    qtbot.waitUntil(lambda: page.models._task is None, timeout=20_000)
    with zipfile.ZipFile(file) as opened:
        assert sorted(opened.namelist()) == ["model.json", "weights.safetensors"]
    walk.click("model_import")
    qtbot.waitUntil(lambda: models.count() == 3, timeout=60_000)
    (imported,) = (study / "runs").glob("*-import-*")
    assert (imported / "origin.json").is_file()
    assert "(imported)" in models.currentItem().text()
    assert "It predicts when you make it champion" in says.text().replace("Imported: it", "It")
    assert champions(study)[-1] == NEW

    walk.click("model_start")
    words = walk.find("start_from_words", QLabel)
    assert words.isVisible()
    qtbot.waitUntil(lambda: not page.start.visibleRegion().isEmpty(), timeout=5_000)
    assert words.text().startswith("Starts from Mean teacher")
    assert page.form.choice().method == "mean-teacher"
    assert page.form.choice().config["width"] == 4
    if pictures:
        walk.settle(300)
        viewer.window.screenshot(str(Path(pictures) / "models-start.png"), canvas_only=False, flash=False)
    page.preflight.stop()
    assert page.start.isEnabled(), page.start.toolTip()
    page.start_training()
    (folder,) = started
    order = json.loads((folder / "job.json").read_text())
    assert order["checkpoint"] == f"runs/{imported.name}/checkpoints/step-000010"
    assert not words.isVisible(), "said once: the next training starts afresh"

    memory = walk.find("model_memory", QComboBox)
    memory.setCurrentIndex(memory.findData(0.0))
    assert walk.widget.session.keep_warm == 0
    assert "napari_penumbra.training.service.serving" not in sys.modules
    walk.widget.shut()
