"""The product from end to end: real window, real worker, real files, and a power cut in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from qtpy.QtCore import Qt

from loop_steps import CASES, LABELLED, MODALITIES, PAINTED, STARTED_WITH, TINY, truth_of
from napari_penumbra.domain.case import CaseState, Closing, Origin
from napari_penumbra.domain.progress import RunState
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import make_sample_study

pytestmark = [pytest.mark.gui, pytest.mark.timeout(900)]
BEFORE = Path(__file__).with_name("loop_before_the_crash.py")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_sample_study(tmp_path / "study", cases=CASES, labelled=LABELLED, modalities=MODALITIES)


def _crash(study: Path) -> str:
    """Run the first half, then SIGKILL the worker and the window; returns the run's id."""
    environment = {**os.environ, "PYTHONPATH": str(BEFORE.parent)}
    with subprocess.Popen(
        [sys.executable, str(BEFORE), str(study)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as window:
        assert window.stdout is not None
        said = window.stdout.readline().split()
        if said[:1] != ["ready"]:
            window.kill()
            pytest.fail(f"the window did not come so far: {said} {window.communicate()[1][-3000:]}")
        run = said[1]
        worker = psutil.Process(json.loads((study / "runs" / run / "worker.json").read_text())["pid"])
        os.kill(worker.pid, signal.SIGKILL)
        window.kill()
        _, alive = psutil.wait_procs([worker], timeout=30)
    assert not alive
    return run


def test_the_whole_loop_survives_a_crash(study: Path, make_napari_viewer: Callable[..., Any]) -> None:
    run = _crash(study)

    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    try:
        _nothing_lost(walk, study, run)
        _resumed(walk, run)
        reviewed = _reviewed(walk)
        _trained_on(walk, reviewed)
    finally:
        walk.widget.shut()


def _nothing_lost(walk: Walkthrough, study: Path, run: str) -> None:
    walk.open_study(study)
    opened = walk.widget.session.opened()
    # The closed case is on disk, on its own grid, as it was painted.
    assert opened.case(PAINTED).state is CaseState.ANNOTATED
    annotation = opened.annotations(PAINTED)[-1]
    assert (annotation.closing, annotation.origin) == (Closing.COMPLETE, Origin.PAINTED)
    on_disk = read_labels(study / annotation.path)
    assert np.array_equal(on_disk.volume.data, truth_of(study, PAINTED))
    assert on_disk.volume.grid.same_place(opened.grid(PAINTED))
    # The stroke that was never saved comes back from the journal.
    walk.open_case(STARTED_WITH)
    labels = walk.widget.bridge.labels()
    assert labels[8, 31, 24] == 1
    assert 3 <= np.count_nonzero(labels) < 100
    # The run is told as lost, and its checkpoint is whole.
    info = next(r for r in walk.widget.session.runs() if r.id == run)
    assert info.state is RunState.LOST
    assert 0 < info.step < info.steps
    latest = (study / "runs" / run / "checkpoints" / "latest").read_text().strip()
    assert (study / "runs" / run / "checkpoints" / latest / "weights.safetensors").stat().st_size > 0


def _resumed(walk: Walkthrough, run: str) -> None:
    session = walk.widget.session
    walk.page("train")
    before = next(r for r in session.runs() if r.id == run).step
    walk.find("run_list").setCurrentRow([r.id for r in session.runs()].index(run))
    walk.click("resume")

    def info() -> Any:
        return next(r for r in session.runs() if r.id == run)

    walk.wait("the run to go on", lambda: info().state is RunState.RUNNING and info().step > before, 120)
    # Stop at a step boundary, with a checkpoint, from the window.
    walk.click("stop")
    walk.wait("the run to stop", lambda: info().state is RunState.STOPPED, 60)
    assert before < info().step < 2000
    walk.wait("the background to be done", lambda: session.active is None, 60)
    assert session.opened().champion() == run


def _reviewed(walk: Walkthrough) -> str:
    session = walk.widget.session
    opened = session.opened()
    rest = [row.name for row in session.cases() if not row.state.labelled]
    assert len(rest) == CASES - LABELLED - 1
    walk.page("review")
    predict = walk.find("review_empty_button")
    walk.wait("the offer to predict", lambda: "Predict" in predict.text(), 30)
    walk.click("review_empty_button")
    walk.wait_for_predictions(rest)
    name = next(n for n in rest if n != STARTED_WITH)
    prediction = opened.prediction(name)
    assert prediction is not None
    for file in (prediction.labels, prediction.confidence):
        assert (opened.root / file).is_file()

    walk.open_case(name)
    walk.page("review")
    walk.wait("regions", lambda: walk.find("region_list").model().rowCount() >= 2, 30)
    # By the keys that the buttons show.
    for key in (Qt.Key.Key_N, Qt.Key.Key_A, Qt.Key.Key_U):
        walk.press(key)
    decided = opened.decisions(name)
    assert sorted(d.verdict.value for d in decided) == ["accept", "unknown"]
    unknown = next(d for d in decided if d.verdict.value == "unknown")
    labels = walk.widget.bridge.labels()
    (z0, y0, x0), (z1, y1, x1) = unknown.box
    assert (labels[z0:z1, y0:y1, x0:x1] == 255).any()

    counts = session.counts()
    walk.click("accept_case")
    assert opened.case(name).state is CaseState.ACCEPTED
    accepted = opened.annotations(name)[-1]
    assert (accepted.origin, accepted.prediction_id) == (Origin.REVIEWED, prediction.id)
    assert np.array_equal(read_labels(opened.root / accepted.path).volume.data, labels)
    assert session.counts().labelled == counts.labelled + 1
    return str(name)


def _trained_on(walk: Walkthrough, reviewed: str) -> None:
    session = walk.widget.session
    run = walk.train(12, method="mean-teacher", changes=TINY)
    job = json.loads((session.opened().root / "runs" / run / "job.json").read_text())
    roles = {case["name"]: case["role"] for case in job["cases"]}
    assert roles[reviewed] == "labelled"
    assert sum(role == "validation" for role in roles.values()) == 1
    assert next(r for r in session.runs() if r.id == run).state is RunState.FINISHED
    walk.wait("the background to be done", lambda: session.active is None, 300)
