from __future__ import annotations

import numpy as np
import pytest
from study_scans import SHAPE, ball, draft

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.regions import Box
from napari_penumbra.study.store import Study
from napari_penumbra.study.stroke_count import StrokeCount

HERE: Box = ((0, 0, 0), (1, 5, 5))
BESIDE: Box = ((0, 5, 0), (1, 8, 5))
AWAY: Box = ((3, 9, 0), (4, 10, 5))


@pytest.mark.parametrize(
    ("pieces", "strokes"),
    [
        ([(0.0, HERE)], 1),
        ([(0.0, HERE), (0.5, BESIDE), (1.0, HERE)], 1),
        ([(0.0, HERE), (0.9, HERE)], 2),
        ([(0.0, HERE), (0.1, AWAY), (0.2, HERE)], 3),
        ([], 0),
    ],
)
def test_pieces_of_one_stroke_count_once(pieces: list[tuple[float, Box]], strokes: int) -> None:
    times = iter([t for t, _ in pieces])
    count = StrokeCount(lambda: next(times))
    for _, box in pieces:
        count.add(box)
    assert count.count == strokes


def test_strokes_are_kept_with_the_revision_that_holds_them(study: Study) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    for z in (0, 3, 5):
        labels[z, 2:4, 2:4] = 1
        study.stroke("p0", ((z, 2, 2), (z + 1, 4, 4)), labels[z : z + 1, 2:4, 2:4])
        study.read("p0")  # looking at the regions reads the case anew: nothing is forgotten
    draft(study, "p0", labels)
    study.stroke("p0", ((0, 2, 2), (1, 4, 4)), np.zeros((1, 2, 2), np.uint8))
    draft(study, "p0", ball(), closing=Closing.COMPLETE)
    draft(study, "p1", ball(), closing=Closing.COMPLETE)
    assert [(f.case, f.strokes) for f in study.finished()] == [("p0", 4), ("p1", 0)]


def test_a_save_of_nothing_new_keeps_the_count(study: Study) -> None:
    draft(study, "p0", ball())
    study.stroke("p0", ((2, 4, 3), (3, 5, 4)), np.zeros((1, 1, 1), np.uint8))
    study.stroke("p0", ((2, 9, 3), (3, 10, 4)), np.zeros((1, 1, 1), np.uint8))
    assert draft(study, "p0", ball()) is None
    draft(study, "p0", ball(2), closing=Closing.COMPLETE)
    assert [f.strokes for f in study.finished()] == [2]
