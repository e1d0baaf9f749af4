"""A prediction in more pieces than any finished case: said first, and taken away with one key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_canvas import SCHEME, SHAPE, ArrayCanvas, fill

from napari_penumbra.domain.case import Closing, Origin, Verdict
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.session import Session
from napari_penumbra.study.piece_counts import FEWEST_CASES
from napari_penumbra.widgets.dock import Dock

RUN = "20261122-061200-mean-teacher-a1b2"
NEXT = f"p{FEWEST_CASES:03}"
WHOLE = (slice(1, 5), slice(4, 12), slice(4, 12))
ISLES = ((slice(1, 4), slice(15, 19), slice(16, 22)), (slice(2, 5), slice(1, 3), slice(17, 22)))


def in_one_piece() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[WHOLE] = 1
    return labels


def predict(session: Session, name: str) -> np.ndarray:
    """A prediction with two islands that the model is quite sure of."""
    study = session.opened()
    labels, grid = in_one_piece(), study.grid(name)
    for isle in ISLES:
        labels[isle] = 1
    folder = study.layout.predictions(name)
    folder.mkdir(exist_ok=True)
    told: dict[str, Any] = {"case": name, "run": RUN, "created": "2026-11-22T06:12:00+00:00"}
    for kind, data in (("labels", labels), ("confidence", np.full(SHAPE, 0.9, np.float32))):
        told[kind] = f"cases/{name}/predictions/{RUN}.{kind}.nii.gz"
        write_nifti(study.root / told[kind], data, grid)
    (folder / f"{RUN}.json").write_text(json.dumps(told))
    study.register_predictions()
    return labels


@pytest.fixture
def dock(session: Session, canvas: ArrayCanvas, tmp_path: Path, qtbot: Any) -> Iterator[Dock]:
    session.create(tmp_path / "study", "Atria", ["DWI", "T2"], SCHEME)
    (tmp_path / "scans").mkdir()
    fill(session, tmp_path / "scans", FEWEST_CASES + 1, labelled=0)
    study = session.opened()
    for n in range(FEWEST_CASES):
        study.save(f"p{n:03}", in_one_piece(), Closing.COMPLETE, Origin.PAINTED, "r", 1.0)
    study.add_run(RUN, "train", "mean-teacher", "laptop")
    study.set_champion(RUN)
    made = Dock(session, canvas)
    qtbot.addWidget(made)
    made.show()
    made.show_page("review")
    yield made
    made.close()


def test_extra_pieces_head_the_list_and_go_with_one_key(
    dock: Dock, session: Session, canvas: ArrayCanvas, qtbot: Any
) -> None:
    predicted = predict(session, NEXT)
    page, review = dock.review_page, dock.review
    qtbot.waitUntil(lambda: not page.trust.busy, timeout=10_000)  # has counted the finished cases
    assert dock.cases.open(NEXT)
    qtbot.waitUntil(lambda: not review.loading and bool(review.regions), timeout=5000)
    row = page.regions.topLevelItem(0)
    assert row.text(3) == "2 extra pieces"
    assert f"in all {FEWEST_CASES} finished cases that have it, it is in one piece" in row.toolTip(3)
    page.buttons["next_region"].click()
    assert page.current_line.text().startswith("1: 2 extra pieces of ")
    assert "in one piece, 90 % sure" in page.current_line.text()
    page.buttons["reject_region"].click()
    assert np.array_equal(canvas.labels(), in_one_piece())
    assert [d.verdict for d in session.opened().decisions(NEXT)] == [Verdict.REJECT]
    page.buttons["undo_decision"].click()
    assert np.array_equal(canvas.labels(), predicted)
    assert session.opened().decisions(NEXT) == []
    page.buttons["redo_decision"].click()
    dock.cases.accept()
    study = session.opened()
    assert np.array_equal(study.read(NEXT).labels, in_one_piece())
    qtbot.waitUntil(lambda: not page.trust.busy and len(study.usual_pieces()) == 1, timeout=10_000)
    qtbot.waitUntil(lambda: study.usual_pieces()[1].cases == FEWEST_CASES + 1, timeout=10_000)


def test_nothing_is_said_where_finished_cases_differ(
    dock: Dock, session: Session, canvas: ArrayCanvas, qtbot: Any
) -> None:
    predicted = predict(session, NEXT)
    session.opened().save("p000", predicted, Closing.COMPLETE, Origin.PAINTED, "r", 1.0)
    dock.review_page.trust.refresh()
    qtbot.waitUntil(lambda: not dock.review_page.trust.busy, timeout=10_000)
    assert dock.cases.open(NEXT)
    qtbot.waitUntil(lambda: not dock.review.loading and bool(dock.review.regions), timeout=5000)
    assert [region.against for region in dock.review.regions] == ["", "", ""]
