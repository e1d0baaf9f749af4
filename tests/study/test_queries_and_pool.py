from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event
from study_scans import SHAPE, ball, draft, grid, predict, scan

from napari_penumbra.domain.case import CaseState, Closing, Origin, Role, Verdict
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.queries import state_of
from napari_penumbra.study.schema import AnnotationTable, CaseTable, EffortTable, ImageTable, now
from napari_penumbra.study.store import Study

STATES = [
    (None, None, False, 0, CaseState.NEW),
    (None, None, True, 0, CaseState.PREDICTED),
    (None, None, True, 2, CaseState.IN_REVIEW),
    (Closing.DRAFT, Origin.PAINTED, False, 0, CaseState.IN_PROGRESS),
    (Closing.DRAFT, Origin.PAINTED, True, 0, CaseState.IN_PROGRESS),
    (Closing.DRAFT, Origin.REVIEWED, True, 0, CaseState.IN_REVIEW),
    (Closing.COMPLETE, Origin.PAINTED, True, 0, CaseState.ANNOTATED),
    (Closing.PARTIAL, Origin.IMPORTED, False, 0, CaseState.ANNOTATED),
    (Closing.COMPLETE, Origin.REVIEWED, True, 3, CaseState.ACCEPTED),
]


@pytest.mark.parametrize(("closing", "origin", "predicted", "decisions", "state"), STATES)
def test_state(closing: Closing, origin: Origin, predicted: bool, decisions: int, state: CaseState) -> None:
    assert state_of(closing, origin, predicted, decisions) is state


@pytest.fixture
def cohort(empty: Study, files: Path) -> Study:
    file = scan(files / "a.nii.gz")
    for n in range(10):
        empty.add_case(f"p{n}", {"DWI": file})
    return empty


def test_order_auto_with_reasons(cohort: Study) -> None:
    draft(cohort, "p7", ball())
    draft(cohort, "p0", ball(), closing=Closing.COMPLETE)
    predict(cohort, "p2", confidence=0.9)
    predict(cohort, "p3", confidence=0.3)
    predict(cohort, "p4", confidence=0.6)
    predict(cohort, "p5", labels=np.zeros(SHAPE, dtype=np.uint8))
    cohort.register_predictions()
    prediction = cohort.prediction("p2")
    assert prediction is not None
    cohort.decide("p2", prediction.id, ((0, 0, 0), (1, 1, 1)), Verdict.ACCEPT, 1)
    order = cohort.order("auto")
    assert order[:5] == ["p2", "p7", "p5", "p3", "p4"]
    assert order[-1] == "p0"
    assert set(order[5:9]) == {"p1", "p6", "p8", "p9"}
    assert cohort.order("auto") == order
    reasons = {row.name: row.reason for row in cohort.cases("auto")}
    assert reasons["p2"] == "review begun: 1 region decided"
    assert reasons["p7"] == "annotation begun"
    assert reasons["p5"] == "the model found nothing here"
    assert reasons["p3"] == "confidence 30% on average in what was predicted"
    assert reasons["p1"] == "not begun, drawn at random"
    assert reasons["p0"] == ""
    # Finishing one case leaves the others in their order.
    draft(cohort, order[5], ball(), closing=Closing.COMPLETE)
    assert cohort.order("auto")[5:8] == order[6:9]


def test_other_orders(cohort: Study) -> None:
    assert cohort.order() == [f"p{n}" for n in range(10)]
    assert sorted(cohort.order("random")) == cohort.order("file")
    assert cohort.order("random") != cohort.order("file")
    with pytest.raises(UsageError, match="auto"):
        cohort.order("alphabetical")


def test_counts_and_pool(cohort: Study) -> None:
    for name in ("p0", "p1", "p2", "p3", "p4"):
        draft(cohort, name, ball(), closing=Closing.COMPLETE)
    draft(cohort, "p5", ball(), closing=Closing.PARTIAL)
    draft(cohort, "p6", ball())
    frozen = cohort.freeze_validation()
    assert len(frozen) == 1
    assert cohort.freeze_validation(seed=5, count=3) == frozen
    counts = cohort.counts()
    assert (counts.cases, counts.labelled, counts.unlabelled, counts.validation) == (10, 5, 4, 1)
    roles = {case.name: case.role for case in cohort.pool()}
    assert roles[frozen[0]] == "validation"
    assert roles["p5"] == "labelled"
    assert roles["p6"] == roles["p9"] == "unlabelled"
    labelled = {case.name: case.label for case in cohort.pool()}
    assert labelled["p6"] is None
    assert labelled["p5"] == "cases/p5/annotations/r0001.nii.gz"
    assert cohort.pool()[0].images == ("cases/p0/images/DWI.nii.gz", None)
    assert {c.name for c in cohort.pool(only=["p6", "p9"])} == {"p6", "p9"}
    with pytest.raises(UsageError, match="nobody"):
        cohort.pool(only=["nobody"])
    # A frozen case whose label is taken back neither measures nor teaches.
    cohort.withdraw(frozen[0])
    assert frozen[0] not in {c.name for c in cohort.pool()}
    cohort.set_role(frozen[0], Role.TRAINING)
    assert frozen[0] in {c.name for c in cohort.pool()}


@pytest.mark.parametrize(
    ("complete", "count", "expected"), [(3, None, 0), (4, None, 1), (8, None, 2), (3, 2, 2), (5, 0, 0)]
)
def test_freezing(cohort: Study, complete: int, count: int | None, expected: int) -> None:
    for n in range(complete):
        draft(cohort, f"p{n}", ball(), closing=Closing.COMPLETE)
    assert len(cohort.freeze_validation(count=count)) == expected


def test_freezing_leaves_something_to_learn_from(cohort: Study) -> None:
    draft(cohort, "p0", ball(), closing=Closing.COMPLETE)
    for count in (1, 5, -1):
        with pytest.raises(UsageError, match="1 are completely labelled"):
            cohort.freeze_validation(count=count)


def test_freezing_is_seeded(cohort: Study) -> None:
    for n in range(10):
        draft(cohort, f"p{n}", ball(), closing=Closing.COMPLETE)
    chosen = cohort.freeze_validation(seed=3, count=4)
    for name in chosen:
        cohort.set_role(name, Role.TRAINING)
    assert cohort.freeze_validation(seed=3, count=4) == chosen


def test_what_is_frozen_stays_frozen_while_the_pool_grows(cohort: Study) -> None:
    for n in range(5):
        draft(cohort, f"p{n}", ball(), closing=Closing.COMPLETE)
    frozen = set(cohort.freeze_validation(count=1))
    for n in range(5, 10):
        draft(cohort, f"p{n}", ball(), closing=Closing.COMPLETE)
    cohort.freeze_validation(count=4)  # as the next training asks
    assert {row.name for row in cohort.cases() if row.role is Role.VALIDATION} == frozen


def test_runs_and_champion(study: Study) -> None:
    assert study.champion() is None
    study.add_run("r1", "train", "mean-teacher", "laptop")
    study.add_run("r2", "train", "supervised", "laptop")
    for run in ("r1", "r2", "r2", "r1"):
        study.set_champion(run)
    assert study.champion() == "r1"
    assert study.champions() == ["r1", "r2", "r1"]
    assert [(r.id, r.kind, r.method) for r in study.runs()] == [
        ("r1", "train", "mean-teacher"),
        ("r2", "train", "supervised"),
    ]
    with pytest.raises(UsageError):
        study.set_champion("r9")
    with pytest.raises(UsageError):
        study.add_run("r1", "train", "x", "y")


def test_effort(study: Study) -> None:
    study.add_seconds("p0", 12.5, "annotate")
    study.add_seconds("p0", 0, "annotate")
    draft(study, "p0", ball(), seconds=2.5)
    assert study.case("p0").seconds == 15.0
    with pytest.raises(UsageError):
        study.add_seconds("p0", -1, "annotate")


def test_two_thousand_cases_open_in_one_query(tmp_path: Path) -> None:
    root = _large_study(tmp_path / "s", 2000)
    with Study.open(root) as study:
        rows = study.cases()
        assert len(rows) == 2000
        assert rows[1].seconds == 6.0
        statements: list[str] = []
        event.listen(study._core.db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
        study.cases("auto")
        assert len([s for s in statements if s.lstrip().startswith("SELECT")]) == 1
        assert study.register_predictions() == []


def _large_study(root: Path, count: int) -> Path:
    from study_scans import SCHEME

    plain = grid().to_json()
    with Study.create(root, "Large", ["DWI", "T2"], SCHEME) as study, study._core.db.write() as session:
        for n in range(1, count + 1):
            session.add(
                CaseTable(
                    id=n, name=f"c{n}", slug=f"c{n}", role="training", grid=plain, source_grid=plain,
                    content_key="k", thumbnail=None, added=now(),
                )
            )  # fmt: skip
        session.flush()
        for n in range(1, count + 1):
            study.layout.annotations(f"c{n}").mkdir(parents=True)
            session.add(ImageTable(case_id=n, modality="DWI", path="x", resampled_mm=0.0))
            for revision in (1, 2):
                session.add(
                    AnnotationTable(
                        case_id=n, revision=revision, path="x", closing="complete", origin="painted", author="a",
                        created=now(), seconds=3.0, voxels_changed=1, touched=[], class_voxels={"1": 5},
                    )
                )  # fmt: skip
                session.add(EffortTable(case_id=n, seconds=3.0, activity="annotate", created=now()))
    return root
