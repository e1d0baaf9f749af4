"""What comes next and how it goes, in napari's real window: orders, reasons, wishes, takings back, minutes, CSV."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_cases import GRID
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_penumbra.domain.case import CaseState, Closing, Origin
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.nifti import write
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.session import switches
from napari_penumbra.session.switches import PREDICT_AHEAD, remembered
from napari_penumbra.study.store import Study

CASES = [f"p{n:03d}" for n in range(1, 13)]


def blob(size: int) -> np.ndarray:
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[3:8, 8 : 8 + size, 8:20] = 1
    labels[4:6, 9 : 9 + size // 2, 10:14] = 2
    return labels


def predict(study: Study, name: str, doubt: float, features: list[float]) -> None:
    """Leave a prediction with its summary as a worker does, the sidecar last."""
    folder = study.layout.predictions(name)
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: folder / f"run-1.{kind}.nii.gz" for kind in ("labels", "confidence")}
    write(files["labels"], blob(9), study.grid(name))
    write(files["confidence"], np.full(GRID.array_shape, 0.8, np.float32), study.grid(name))
    told = {kind: study.layout.relative(path) for kind, path in files.items()}
    summary = {
        "classes": [
            {"value": 0, "voxels": 20_000, "entropy": 50.0},
            {"value": 1, "voxels": 500, "entropy": 500 * doubt},
            {"value": 2, "voxels": 30, "entropy": 30 * (0.9 - doubt)},
        ],
        "in_question": {"voxels": 800, "entropy": 800 * doubt},
        "disagreement": {"voxels": 400, "distance": 400 * (1 - doubt)},
        "features": {"layer": "bottom", "values": features},
    }
    data = {"case": name, "run": "run-1", "created": dt.datetime.now(dt.UTC).isoformat(), "summary": summary, **told}
    (folder / "run-1.json").write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Twelve cases: two painted by hand, six corrected, four predicted."""
    root = tmp_path / "study"
    with Study.create(root, "Tiny", ["DWI"], LabelScheme.parse(["1=penumbra", "2=core"])) as made:
        for n, name in enumerate(CASES):
            file = tmp_path / f"{name}.nii.gz"
            write(file, np.random.default_rng(n).normal(100, 20, GRID.array_shape).astype(np.float32), GRID)
            made.add_case(name, {"DWI": file})
        for n in (0, 1):
            made.save(CASES[n], blob(10), Closing.COMPLETE, Origin.PAINTED, "reader", 200.0 + n, strokes=30)
        for n in range(2, 12):
            predict(made, CASES[n], doubt=n / 20, features=[float(n), float(n * n % 7)])
        made.register_predictions()
        for n in range(2, 8):
            prediction = made.prediction(CASES[n])
            assert prediction is not None
            changed = blob(9 if n > 4 else 12)
            changed[0, 0, n] = 1
            made.save(
                CASES[n], changed, Closing.COMPLETE, Origin.REVIEWED, "reader", 100.0 - 10 * n, prediction.id, strokes=n
            )
    return root


@pytest.fixture
def walk(
    make_napari_viewer: Callable[..., Any], study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Walkthrough]:
    monkeypatch.setattr(switches.platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "config"))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    pictures = os.environ.get("PENUMBRA_PICTURES")
    made = Walkthrough(viewer, Path(pictures) if pictures else None)
    made.open_study(study)
    yield made
    made.widget.shut()


def rows(walk: Walkthrough) -> list[Any]:
    return list(walk.find("case_table").cases.rows)


def choose(walk: Walkthrough, key: str) -> None:
    """Choose an order with the keyboard."""
    box: QComboBox = walk.find("case_order", QComboBox)
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Home)
    for _ in range(box.findData(key)):
        QTest.keyClick(box, Qt.Key.Key_Down)
    walk.settle()
    assert box.currentData() == key


def menu_of(walk: Walkthrough, name: str) -> Any:
    """Right-click a case in the list."""
    table = walk.find("case_table")
    table.select(name)
    walk.settle()
    table.customContextMenuRequested.emit(table.visualRect(table.currentIndex()).center())
    walk.settle()
    (menu,) = [m for m in table.children() if m.objectName() == "case_menu" and m.isVisible()]
    return menu


def press_entry(walk: Walkthrough, name: str, text: str) -> None:
    menu = menu_of(walk, name)
    (entry,) = [a for a in menu.actions() if a.text() == text]
    assert entry.isEnabled(), entry.toolTip()
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry).center())
    walk.settle()


def test_what_comes_next_and_how_it_goes(
    walk: Walkthrough, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    # The default says in words what it is now, and each waiting case why it stands there.
    words = walk.find("order_words")
    assert words.text() == "Now “most doubt, class by class”: 4 of 4 waiting cases are predicted."
    assert {row.name for row in rows(walk)[:4]} == {"p009", "p010", "p011", "p012"}
    assert all("doubt" in row.reason for row in rows(walk)[:4])
    walk.picture("order-auto", "The default order")

    # Every order by keyboard; the list follows.
    choose(walk, "entropy")
    assert [row.name for row in rows(walk)[:4]] == ["p012", "p011", "p010", "p009"]
    assert rows(walk)[0].reason == "doubt 55% where there may be foreground"
    choose(walk, "disagreement")
    assert [row.name for row in rows(walk)[:4]] == ["p009", "p010", "p011", "p012"]
    choose(walk, "coverage")
    assert "usual distances away" in rows(walk)[0].reason
    choose(walk, "file")
    assert [row.name for row in rows(walk)] == CASES
    choose(walk, "entropy")

    # The reader's wish comes first, is kept in the study, and is where Ctrl+Right goes.
    press_entry(walk, "p009", "Label this one next")
    walk.wait("the wish", lambda: rows(walk)[0].name == "p009", 10)
    assert rows(walk)[0].reason.startswith("you asked for it next; ")
    with Study.open(study, write=False) as other:
        assert other.case("p009").pinned
    walk.press(Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    walk.wait("p009 on the canvas", lambda: walk.widget.bridge.case == "p009", 20)
    walk.page("study")

    # An accepted case is taken back from the list: a draft again, and asked for like any begun case.
    press_entry(walk, "p004", "Take back")
    walk.wait("the taking back", lambda: {r.name: r.state for r in rows(walk)}["p004"] is CaseState.IN_REVIEW, 10)
    with Study.open(study, write=False) as other:
        assert other.annotations("p004")[-1].closing is Closing.DRAFT
    press_entry(walk, "p004", "Put back")
    walk.wait("the putting back", lambda: {r.name: r.state for r in rows(walk)}["p004"] is CaseState.ACCEPTED, 10)

    # The fold: whether to stop, time saved, a dot per case that opens it.
    fold = walk.find("progress_fold")
    QTest.mouseClick(fold.toggleButton(), Qt.MouseButton.LeftButton)
    walk.settle(200)
    box = walk.find("progress_box")
    assert len(box.done) == 8
    assert "The last 5 cases needed" in walk.find("stop_rule").text()
    assert "Time saved: about" in walk.find("time_saved").text()
    choose(walk, "auto")  # the order with the longest words
    assert walk.find("order_words").isVisible()
    walk.picture("progress", "The progress of the labelling")
    assert walk.viewer.window._qt_window.height() <= 768, "the fold makes the window higher than a small screen"
    plot = box.plot
    x, y, name = plot.points()[3]
    view = plot._plot.getPlotItem().vb
    place = plot._plot.mapFromScene(view.mapViewToScene(QPointF(x, y)))
    viewport = plot._plot.viewport()
    QTest.mouseMove(viewport, place)
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    walk.wait("the case of the dot", lambda: walk.widget.bridge.case == name, 20)
    walk.page("study")

    # The table as a file.
    target = tmp_path / "minutes.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    walk.click("save_effort")
    with target.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["case"] for row in table] == CASES[:8]
    assert table[0]["how"] == "by hand"
    assert [float(row["active_seconds"]) for row in table] == [200, 201, 80, 70, 60, 50, 40, 30]
    assert {row["reader"] for row in table} == {"reader"}

    # Predicting ahead can be switched off, and stays off.
    box = walk.find("predict_ahead")
    assert walk.widget.session.predict_ahead
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert not walk.widget.session.predict_ahead
    assert not remembered(PREDICT_AHEAD)
