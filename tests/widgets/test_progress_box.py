"""The fold that tells how the labelling goes."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pytest

from napari_penumbra.domain.case import Closing
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.minutes import moving_median
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.progress_box import ProgressBox
from napari_penumbra.widgets.progress_plot import FIGURES, figure_of


@pytest.fixture
def box(study, qtbot):
    bar = MessageBar()
    qtbot.addWidget(bar)
    made = ProgressBox(study, bar)
    qtbot.addWidget(made)
    made.resize(400, 400)
    made.show()
    return made


def finish(study: Any, seconds: dict[str, float]) -> None:
    for n, (name, active) in enumerate(seconds.items()):
        labels = np.zeros_like(study.load(name).labels)
        labels[1, 2 : 5 + n, 2:6] = 1
        study.close_case(name, labels, Closing.COMPLETE, active)


def predict(session: Any, name: str) -> None:
    """Leave a prediction as a worker does, the sidecar last."""
    study = session.opened()
    folder = study.layout.predictions(name)
    folder.mkdir(parents=True, exist_ok=True)
    grid = study.grid(name)
    labels = np.zeros(grid.array_shape, np.uint8)
    labels[1:4, 3:8, 3:8] = 1
    files = {kind: folder / f"run-1.{kind}.nii.gz" for kind in ("labels", "confidence")}
    write_nifti(files["labels"], labels, grid)
    write_nifti(files["confidence"], np.full(grid.array_shape, 0.7, np.float32), grid)
    paths = {kind: study.layout.relative(path) for kind, path in files.items()}
    told = {"case": name, "run": "run-1", "created": dt.datetime.now(dt.UTC).isoformat(), **paths}
    (folder / "run-1.json").write_text(json.dumps(told), encoding="utf-8")
    study.register_predictions([name])


def test_with_nothing_finished_it_says_so(box):
    assert box.advice.text() == "Not yet known whether to stop: 0 of 5 corrected cases."
    assert not box.plot.isVisible()
    assert not box.save.isEnabled()
    assert "No case was finished" in box.save.toolTip()


def test_one_dot_per_finished_case_and_a_click_opens_it(box, study, qtbot):
    finish(study, {"p002": 120.0, "p001": 60.0, "p003": 0.0})
    box.refresh()
    assert box.plot.isVisible()
    # p003 was finished without any time being measured: it has its place, but no dot.
    assert box.plot.points() == [(1.0, 120.0, "p002"), (2.0, 60.0, "p001")]
    dots = box.plot._dots
    with qtbot.waitSignal(box.opened) as heard:
        dots.sigClicked.emit(dots, [dots.points()[1]], None)
    assert heard.args == ["p001"]
    tip = dots.opts["tip"](2.0, 60.0, "p001")
    assert tip == "p001, painted by hand: 60 s. A click opens it."


@pytest.mark.parametrize("key", list(FIGURES))
def test_every_figure_can_be_drawn(box, study, key):
    finish(study, {"p001": 10.0, "p002": 20.0})
    box.refresh()
    box.what.setCurrentIndex(box.what.findData(key))
    values = [figure_of(case, key) for case in box.done]
    assert len(box.plot.points()) == sum(math.isfinite(v) for v in values)
    assert box.plot._plot.accessibleName() == FIGURES[key][0]


def test_corrected_cases_have_all_figures_and_a_line(box, study):
    for name in ("p001", "p002"):
        predict(study, name)
    for name, active in (("p001", 30.0), ("p002", 10.0)):
        labels = study.load(name).labels.copy()
        labels[2, 4, 3:6] = 2
        study.accept(name, labels, Closing.COMPLETE, active)
    box.refresh()
    assert [c.reviewed for c in box.done] == [True, True]
    for key in FIGURES:
        box.what.setCurrentIndex(box.what.findData(key))
        values = [figure_of(case, key) for case in box.done]
        assert [y for _, y, _ in box.plot.points()] == pytest.approx(values)
        assert list(box.plot._line.yData) == pytest.approx(moving_median(values))


def test_the_table_is_saved(box, study, tmp_path):
    finish(study, {"p001": 10.0})
    box.refresh()
    assert box.save.isEnabled()
    box.save_to(tmp_path / "mine")
    with (tmp_path / "mine.csv").open(encoding="utf-8", newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == ["p001"]
    assert "mine.csv" in box.messages.words.text()
    box.save_to(tmp_path / "nowhere" / "x.csv")
    assert "x.csv" in box.messages.words.text()


def test_a_hidden_box_reads_nothing(box, study, monkeypatch):
    box.hide()
    monkeypatch.setattr(type(study.study), "finished", lambda self: pytest.fail("read while hidden"))
    box.refresh()
