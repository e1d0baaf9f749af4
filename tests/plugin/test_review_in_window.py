"""A case reviewed by the keyboard in napari's real window, a fix drawn with the mouse, database and files checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_cases import GRID, leave_prediction
from qtpy.QtCore import Qt

from napari_penumbra.domain.case import CaseState, Origin, Verdict
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.regions import Region
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.imaging.nifti import write
from napari_penumbra.plugin import strokes
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.store import Study
from napari_penumbra.widgets.case_folds import FOLDED_MS

SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
WEAK = {
    0.10: (slice(3, 6), slice(8, 14), slice(8, 14)),
    0.15: (slice(3, 6), slice(8, 14), slice(22, 28)),
    0.20: (slice(6, 9), slice(18, 24), slice(8, 14)),
    0.25: (slice(6, 9), slice(18, 24), slice(22, 28)),
}
"""Confidence of four weak places, each of 108 voxels, the most rewarding first."""


def prediction() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[3:9, 8:24, 8:30] = 1
    labels[1:3, 30:36, 2:10] = 2  # sure, and apart
    sure = np.full(GRID.array_shape, 0.95, np.float32)
    for confidence, place in WEAK.items():
        sure[place] = confidence
    sure[11, 38, 46] = 0.4  # too small to be listed
    return labels, sure


@pytest.fixture
def walk(shown_viewer: Any, tmp_path: Path) -> Iterator[Walkthrough]:
    root = tmp_path / "study"
    with Study.create(root, "Tiny", ["DWI"], LabelScheme.parse(["1=penumbra", "2=core"])) as made:
        for n, name in enumerate(("p001", "p002")):
            scan = tmp_path / f"{name}.nii.gz"
            write(scan, np.random.default_rng(n).normal(100, 20, GRID.array_shape).astype(np.float32), GRID)
            made.add_case(name, {"DWI": scan})
            leave_prediction(made, name, *prediction())
    walk = Walkthrough(shown_viewer)
    walk.widget.session.auto_predict = False
    walk.open_study(root)
    yield walk
    walk.widget.shut()


def regions(walk: Walkthrough) -> list[Region]:
    return walk.widget.dock.review.regions


def verdicts(walk: Walkthrough) -> list[Verdict | None]:
    return [region.verdict for region in regions(walk)]


def stored(walk: Walkthrough, name: str = "p001") -> list[str]:
    return sorted(decision.verdict.value for decision in walk.widget.session.opened().decisions(name))


def found(walk: Walkthrough) -> None:
    review = walk.widget.dock.review
    walk.wait("the regions", lambda: not review.loading and len(review.regions) >= 5, 30)


def inside(walk: Walkthrough, region: Region) -> np.ndarray:
    return walk.widget.bridge.labels()[region.slices][region.mask]


@contextmanager
def counted(walk: Walkthrough, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count what a key costs: how often each layer is drawn anew, and what is asked of the canvas and of the study."""
    seen: Counter[str] = Counter()

    def count(owner: Any, method: str) -> None:
        asked = getattr(owner, method)

        def ask(*arguments: Any) -> Any:
            seen[f"asked {method}"] += 1
            return asked(*arguments)

        monkeypatch.setattr(owner, method, ask)

    def drawn(event: Any) -> None:
        seen[event.source.name.split(" · ")[1].split(" (")[0]] += 1

    count(strokes, "_whole")
    count(walk.widget.session, "compare_choices")
    layers = list(walk.viewer.layers)
    for layer in layers:
        layer.events.set_data.connect(drawn)
    yield seen
    monkeypatch.undo()
    for layer in layers:
        layer.events.set_data.disconnect(drawn)


def test_a_case_is_reviewed_by_keys_and_mouse(walk: Walkthrough, monkeypatch: pytest.MonkeyPatch) -> None:
    dock, study = walk.widget.dock, walk.widget.session.opened()
    walk.open_case("p001")
    assert dock.page() == "review"
    found(walk)
    said, _ = prediction()
    assert [round(r.confidence, 2) for r in regions(walk)] == [0.1, 0.15, 0.2, 0.25, 0.95]
    assert dock.review_page.hidden_line.text().startswith("1 more place is not listed: 1 voxel, ")

    # N, A, X, U: each goes on to the next region, the slice with it.
    walk.press(Qt.Key.Key_N)
    walk.settle(600)
    assert dock.review.current == 0
    assert walk.viewer.dims.current_step[0] == regions(walk)[0].center[0]
    with counted(walk, monkeypatch) as seen:
        walk.press(Qt.Key.Key_A)
    once = ("DWI", "prediction", "labels", "region", "asked _whole")
    assert [seen[what] for what in once] == [1] * 5, seen
    with counted(walk, monkeypatch) as seen:
        walk.press(Qt.Key.Key_X)
    assert [seen[what] for what in once] == [1, 1, 2, 1, 1], "the labels are written to, then sliced anew"
    walk.settle(600)
    with counted(walk, monkeypatch) as seen:
        walk.press(Qt.Key.Key_U)
        walk.settle(FOLDED_MS + 400)
    assert seen["asked compare_choices"] == 1, "asked once, when the keys pause"
    assert verdicts(walk)[:3] == [Verdict.ACCEPT, Verdict.REJECT, Verdict.UNKNOWN]
    accepted, rejected, unknown, fixed, _ = regions(walk)
    assert (inside(walk, accepted) == 1).all()
    assert (inside(walk, rejected) == 0).all()
    assert (inside(walk, unknown) == 255).all()
    assert stored(walk) == ["accept", "reject", "unknown"]
    assert walk.viewer.dims.current_step[0] == fixed.center[0]

    # Painting in the region that is looked at fixes it; undo takes the paint and the verdict back.
    before = walk.widget.bridge.labels().copy()
    z, y, x = fixed.center
    for _ in range(2):
        walk.drag([(z, y, x - 2), (z, y, x), (z, y, x + 2)], 2, size=2)
        painted = walk.widget.bridge.labels() != before
        assert painted[z, y, x]
        assert verdicts(walk)[3] is Verdict.FIXED
        assert stored(walk) == ["accept", "fixed", "reject", "unknown"]
        drawn = walk.widget.bridge.labels().copy()
        walk.press(Qt.Key.Key_Z, CONTROL)
        np.testing.assert_array_equal(walk.widget.bridge.labels(), before)
        assert verdicts(walk)[3] is None
        assert stored(walk) == ["accept", "reject", "unknown"]
    walk.drag([(z, y, x - 2), (z, y, x), (z, y, x + 2)], 2, size=2)
    np.testing.assert_array_equal(walk.widget.bridge.labels(), drawn)

    # The rest, above a confidence; one undo for all of it.
    dock.review_page.rest.slider.setValue(0.97)
    walk.settle()
    walk.press(Qt.Key.Key_A, SHIFT)
    assert verdicts(walk)[4] is None, "nothing is that sure"
    dock.review_page.rest.slider.setValue(0.9)
    walk.settle()
    walk.press(Qt.Key.Key_A, SHIFT)
    assert verdicts(walk) == [Verdict.ACCEPT, Verdict.REJECT, Verdict.UNKNOWN, Verdict.FIXED, Verdict.ACCEPT]
    walk.press(Qt.Key.Key_Z, CONTROL)
    assert verdicts(walk)[4] is None
    walk.press(Qt.Key.Key_A, SHIFT)
    assert stored(walk) == ["accept", "accept", "fixed", "reject", "unknown"]

    # Leaving the case and coming back loses nothing.
    labels = walk.widget.bridge.labels().copy()
    walk.open_case("p002")
    walk.open_case("p001")
    walk.page("review")
    found(walk)
    np.testing.assert_array_equal(walk.widget.bridge.labels(), labels)
    assert sorted(v.value for v in verdicts(walk) if v is not None) == stored(walk)
    assert study.case("p001").state is CaseState.IN_REVIEW

    # Accepted: what is on the screen is in the file, unknown voxels as 255, and the row counts them.
    walk.press(Qt.Key.Key_Return, CONTROL)
    row, annotation = study.case("p001"), study.annotations("p001")[-1]
    shown = study.prediction("p001")
    assert shown is not None
    assert (row.state, row.unknown_voxels) == (CaseState.ACCEPTED, 108)
    assert (annotation.origin, annotation.prediction_id) == (Origin.REVIEWED, shown.id)
    on_disk = read_labels(study.root / annotation.path).volume.data
    np.testing.assert_array_equal(on_disk, labels)
    assert annotation.voxels_changed == int((labels != said).sum())


def test_a_newer_prediction_in_the_middle_stops_verdicts_and_keeps_what_was_done(walk: Walkthrough) -> None:
    dock, study = walk.widget.dock, walk.widget.session.opened()
    walk.open_case("p001")
    found(walk)
    walk.press(Qt.Key.Key_N)
    walk.press(Qt.Key.Key_X)
    rejected = regions(walk)[0]
    labels = walk.widget.bridge.labels().copy()
    old = study.prediction("p001")
    newer, sure = prediction()
    newer[1:3, 30:36, 2:10] = 1
    leave_prediction(study, "p001", newer, sure, run="run-2")
    walk.press(Qt.Key.Key_A)  # before the window knows
    assert verdicts(walk)[1] is None
    assert stored(walk) == [], "none stands on the newer prediction"
    assert old is not None
    assert [d.verdict for d in study.decisions("p001", old.id)] == [Verdict.REJECT]
    walk.widget.session.case_changed.emit("p001")
    reload = dock.review_page.buttons["reload_case"]
    walk.wait("the offer", reload.isVisible, 5)
    assert "newer prediction" in dock.review_page.buttons["accept_case"].toolTip()
    walk.click("reload_case")
    found(walk)
    np.testing.assert_array_equal(walk.widget.bridge.labels(), labels, "the draft of before, not the new prediction")
    assert set(verdicts(walk)) == {None}
    assert (inside(walk, rejected) == 0).all()
    walk.press(Qt.Key.Key_A, SHIFT)
    assert (inside(walk, rejected) == 0).all(), "what a reader has decided is not overwritten by a newer model"
    walk.press(Qt.Key.Key_Return, CONTROL)
    annotation = study.annotations("p001")[-1]
    newest = study.prediction("p001")
    assert newest is not None
    assert annotation.prediction_id == newest.id != old.id
