from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from study_scans import SHAPE, ball, grid, predict

from napari_penumbra.domain.case import CaseState, Verdict
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.store import Study

BOX = ((1, 2, 3), (4, 5, 6))


def test_register_once(study: Study) -> None:
    predict(study, "p0")
    (found,) = study.register_predictions()
    assert (found.case, found.run, found.labels.name) == ("p0", "run-1", "run-1.labels.nii.gz")
    assert study.register_predictions() == []
    assert study.prediction("p0") == found
    assert study.prediction("p1") is None
    assert study.counts().predicted == 1
    opened = study.read("p0")
    assert opened.predicted is not None
    assert opened.confidence is not None
    np.testing.assert_array_equal(opened.predicted, ball())
    np.testing.assert_allclose(opened.confidence, 0.8, atol=1 / 255)


def test_newest_by_time_whatever_the_order_of_files(study: Study) -> None:
    predict(study, "p0", "a-late", minute=30)
    predict(study, "p0", "b-early", minute=10)
    assert [p.run for p in study.register_predictions()] == ["b-early", "a-late"]
    newest = study.prediction("p0")
    assert newest is not None
    assert newest.run == "a-late"
    assert [p.run for p in study.predictions("p0")] == ["b-early", "a-late"]


def test_a_case_predicted_again_by_a_resumed_run(study: Study) -> None:
    predict(study, "p0")
    (first,) = study.register_predictions()
    predict(study, "p0", labels=ball(2), minute=9)
    (again,) = study.register_predictions()
    assert again.id == first.id
    assert again.created > first.created
    assert study.read("p0").labels.max() == 2


def test_two_threads_register_each_prediction_once(study: Study) -> None:
    for name in ("p0", "p1", "p2"):
        predict(study, name)
    with ThreadPoolExecutor(4) as threads:
        found = [f.result() for f in [threads.submit(study.register_predictions) for _ in range(8)]]
    assert sorted(p.case for part in found for p in part) == ["p0", "p1", "p2"]


def test_only_the_named(study: Study) -> None:
    predict(study, "p0")
    predict(study, "p1")
    assert [p.case for p in study.register_predictions(["p1"])] == ["p1"]
    assert [p.case for p in study.register_predictions()] == ["p0"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": "../../../etc/passwd"}, "outside"),
        ({"labels": "/etc/passwd"}, "outside"),
        ({"confidence": "cases/p1/predictions/run-1.confidence.nii.gz"}, "outside"),
        ({"labels": "cases/p0/predictions/none.nii.gz"}, "does not exist"),
        ({"case": "p1"}, "another case"),
        ({"run": "run-2"}, "another case or run"),
        ({"created": "yesterday"}, "cannot be read"),
    ],
)
def test_a_sidecar_is_not_believed(study: Study, changes: dict[str, Any], words: str) -> None:
    predict(study, "p0", claims=changes)
    assert study.register_predictions() == []
    assert study.case("p0").state is CaseState.NEW
    (notice,) = study.notices
    assert words in notice
    assert "p0" in notice
    study.register_predictions()
    assert len(study.notices) == 1  # said once


def test_files_that_are_not_whole(study: Study) -> None:
    predict(study, "p0")
    file = study.layout.predictions("p0") / "run-1.labels.nii.gz"
    file.write_bytes(file.read_bytes()[:-30])
    predict(study, "p1", labels=ball(9))
    predict(study, "p2")
    write_nifti(study.layout.predictions("p2") / "run-1.confidence.nii.gz", np.full(SHAPE, 3.0, np.float32), grid())
    (study.layout.predictions("p2") / "torn.json").write_text('{"case": "p2", ')
    (study.layout.predictions("p2") / "long.json").write_text(json.dumps("x" * 100_000))
    assert study.register_predictions() == []
    assert len(study.notices) == 5
    assert all(row.state is CaseState.NEW for row in study.cases())


def test_mean_confidence_over_what_was_predicted(study: Study) -> None:
    sure = np.ones(SHAPE, dtype=np.float32)
    sure[ball() > 0] = 0.4
    predict(study, "p0", confidence=sure)
    predict(study, "p1", labels=np.zeros(SHAPE, dtype=np.uint8))
    study.register_predictions()
    with study._core.db.read() as session:
        rows = dict(session.execute(text("SELECT case_id, mean_confidence FROM prediction")).all())
    assert rows[1] == pytest.approx(0.4, abs=1e-3)
    assert rows[2] is None


def test_decisions(study: Study) -> None:
    predict(study, "p0")
    (prediction,) = study.register_predictions()
    first = study.decide("p0", prediction.id, BOX, Verdict.ACCEPT, 10, author="ann")
    assert study.case("p0").state is CaseState.IN_REVIEW
    changed = study.decide("p0", prediction.id, BOX, Verdict.REJECT, 10)
    other = study.decide("p0", prediction.id, ((0, 0, 0), (1, 1, 1)), Verdict.UNKNOWN, 1)
    assert study.decisions("p0") == [changed, other]
    assert first.box == BOX
    study.undo_decision(changed.id)
    study.undo_decision(other.id)
    assert study.decisions("p0") == []
    assert study.case("p0").state is CaseState.PREDICTED
    with pytest.raises(UsageError):
        study.undo_decision(999)
    with pytest.raises(UsageError):
        study.decide("p1", prediction.id, BOX, Verdict.ACCEPT, 1)


def test_decisions_belong_to_their_prediction(study: Study) -> None:
    predict(study, "p0")
    (old,) = study.register_predictions()
    made = study.decide("p0", old.id, BOX, Verdict.ACCEPT, 10)
    predict(study, "p0", "run-2", minute=5)
    study.register_predictions()
    assert study.decisions("p0") == []
    assert study.decisions("p0", old.id) == [made]
    assert study.case("p0").state is CaseState.PREDICTED


def test_a_reader_sees_but_does_not_register(study: Study) -> None:
    sidecar = predict(study, "p0")
    study.register_predictions()
    assert Path(sidecar).exists()
    with Study.open(study.root, write=False) as reader:
        assert reader.read("p0").prediction is not None
