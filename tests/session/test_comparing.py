"""What can be compared, what it is called, and a consensus with its parents."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from session_study import GRID, Played, cube

from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.session import Session
from napari_penumbra.session.comparing import moment


def predicted(session: Session, name: str, run: str, labels: np.ndarray, minute: int = 0) -> None:
    """Leave a prediction as a worker does."""
    study = session.opened()
    folder = study.layout.predictions(name)
    write_nifti(folder / f"{run}.labels.nii.gz", labels, GRID)
    write_nifti(folder / f"{run}.confidence.nii.gz", np.full(labels.shape, 0.5, np.float32), GRID)
    data = {
        "case": name,
        "run": run,
        "labels": study.layout.relative(folder / f"{run}.labels.nii.gz"),
        "confidence": study.layout.relative(folder / f"{run}.confidence.nii.gz"),
        "created": dt.datetime(2026, 11, 21, 8, minute, tzinfo=dt.UTC).isoformat(),
    }
    (folder / f"{run}.json").write_text(json.dumps(data))
    study.register_predictions()


@pytest.fixture
def rich(session: Session, play: Callable[..., Played]) -> Session:
    """p0: annotated, edited, read again, predicted by two champions (the newer one twice)."""
    study = session.opened()
    for train in ("train-1", "train-2"):
        play(train).end()
        study.set_champion(train)
    spec = RunSpec("predict", tuple(study.modalities), study.labels, study.pool(["p0"]), "mean-teacher", "laptop")
    for n, (run, train) in enumerate((("pred-1", "train-1"), ("pred-2", "train-2"), ("pred-3", "train-2"))):
        order = replace(spec, checkpoint=f"runs/{train}/checkpoints/step-000010")
        play(run, "predict", order).end()
        predicted(session, "p0", run, cube(n), n)
    session.save("p0", cube(3))
    session.start_reading("p0", "reader 2")
    session.save("p0", cube(1))
    session.close_case("p0", cube(2), Closing.COMPLETE)
    session.stop_reading()
    return session


def test_choices_in_words(rich: Session) -> None:
    titles = {c.key: c.title for c in rich.compare_choices("p0")}
    assert list(titles) == ["r2", "s2", "p3", "p1", "r1"]  # one per reader, one per model
    assert titles["r2"].startswith("Annotation now r2 · draft · reader")
    assert titles["s2"].startswith("Read again by reader 2 · ")
    assert titles["p3"].startswith("★ Mean teacher (champion, ")
    assert titles["p1"].startswith("Mean teacher (the champion before, ")
    assert "out of the pool" in titles["r1"]


def test_the_model_behind_a_prediction_has_the_number_of_the_list_of_runs(rich: Session) -> None:
    numbers = {info.id: n for n, info in enumerate(reversed(rich.runs()), 1)}
    assert rich.predicted_by("pred-3") == f"★{numbers['train-2']}"
    assert rich.predicted_by("pred-1") == f"#{numbers['train-1']}"
    rich.opened().set_champion("train-1")
    assert rich.predicted_by("pred-1") == f"★{numbers['train-1']}"
    assert rich.predicted_by("gone") == ""


TYPED = {
    "r1": "r1",
    "current": "r2",
    "prediction": "p3",
    "champion": "p3",
    "train-1": "p1",
    "pred-2": "p2",
    "reader 2": "s2",
    "s1": "s1",
}


def test_what_a_person_types(rich: Session) -> None:
    assert {text: rich.find_choice("p0", text) for text in TYPED} == TYPED
    for text in ("", "r9", "nobody", "train-9"):
        with pytest.raises(UsageError, match="nothing called") as caught:
            rich.find_choice("p0", text)
        assert "r2" in caught.value.remedy


def test_nothing_to_compare(session: Session) -> None:
    assert session.compare_choices("p5") == []
    with pytest.raises(UsageError, match="nothing called"):
        session.find_choice("p5", "champion")


def test_models_whose_orders_go_in_circles(session: Session, play: Callable[..., Played]) -> None:
    study = session.opened()
    spec = RunSpec("predict", tuple(study.modalities), study.labels, study.pool(["p0"]), "mean-teacher", "laptop")
    for run, other in (("a", "b"), ("b", "a")):
        play(run, "predict", replace(spec, checkpoint=f"runs/{other}/checkpoints/x")).end()
    assert session.model_of("a") in ("a", "b")
    assert session.model_of("never") == "never"


def test_compare_by_key_and_by_array(rich: Session) -> None:
    by_key = rich.compare("p0", "r2", "p3")
    by_array = rich.compare("p0", cube(3), cube(2))
    assert by_key.classes == by_array.classes
    assert 0 < by_key.classes[0].scores.dice < 1
    assert by_key.classes[1].scores.dice == 1.0


def test_consensus(rich: Session) -> None:
    told: list[str] = []
    rich.case_changed.connect(told.append)
    made = rich.make_consensus("p0", ["r2", "s2"], "agree")
    assert made is not None
    assert told == ["p0"]
    assert rich.opened().case("p0").state is CaseState.IN_PROGRESS
    labels = rich.load("p0").labels
    both = (cube(3) == 1) & (cube(2) == 1)
    np.testing.assert_array_equal(labels == 1, both)
    np.testing.assert_array_equal(labels == 255, (cube(3) == 1) ^ (cube(2) == 1))
    event = rich.case_history("p0")[-1]
    assert (event.what, event.words) == ("consensus", "of r2, s2 by agree")
    assert rich.make_consensus("p0", ["r2", "s2"], "agree") is None


REFUSED = ((["r2"], "agree", "needs 2"), (["r2", "r2"], "agree", "different"), (["r2", "s2"], "staple", "needs 3"))


def test_consensus_refusals(rich: Session) -> None:
    for keys, rule, match in REFUSED:
        with pytest.raises(UsageError, match=match):
            rich.make_consensus("p0", keys, rule)
    rich.stroke("p0", ((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), np.uint8))
    with pytest.raises(UsageError, match="not saved"):
        rich.make_consensus("p0", ["r2", "s2"], "agree")


def test_moments_have_a_year_when_it_is_another() -> None:
    now = dt.datetime.now(dt.UTC)
    assert str(now.year) not in moment(now)
    assert "1999" in moment(now.replace(year=1999))
