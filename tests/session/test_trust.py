"""Which corrected cases speak for the model that predicts now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from session_study import Played, cube, predict_by_hand

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.session import Session

Play = Callable[..., Played]


def spec(session: Session, **changes: object) -> RunSpec:
    study = session.opened()
    made = RunSpec("train", tuple(study.modalities), study.labels, study.pool(), "mean-teacher", "laptop", steps=100)
    return replace(made, **changes)


def correct(session: Session, name: str, run: str) -> None:
    predict_by_hand(session, run, name, cube(3), np.full(cube().shape, 0.7))
    session.opened().register_predictions([name])
    session.accept(name, cube(4))


def cases(session: Session) -> set[str]:
    found = session.refresh_calibration()
    assert found is not None
    return set(found.record.cases)


@pytest.fixture
def trained(session: Session, play: Play) -> Session:
    run = play("r1")
    run.tell(Progress(Kind.FINISHED, step=100, steps=100))
    session.opened().set_champion("r1")
    return session


def test_without_a_champion_there_is_nothing(session: Session) -> None:
    assert session.calibration() is None
    assert session.refresh_calibration() is None


def test_accepted_cases_speak_and_the_file_is_found_again(trained: Session) -> None:
    assert cases(trained) == set()
    correct(trained, "p3", "r1")
    correct(trained, "p4", "r1")
    assert cases(trained) == {"p3", "p4"}
    again = trained.calibration()
    assert again is not None
    assert (again.champion, again.method, again.own) == ("r1", "mean-teacher", True)
    trained.reopen_case("p3")
    assert cases(trained) == {"p4"}


def test_predictions_of_another_run_are_those_of_the_model_it_used(trained: Session, play: Play) -> None:
    order = spec(trained, kind="predict", checkpoint="runs/r1/checkpoints/step-000100")
    play("predict-1", "predict", order)
    correct(trained, "p3", "predict-1")
    found = trained.refresh_calibration()
    assert found is not None
    assert set(found.record.cases) == {"p3"}
    assert found.own


def test_a_model_is_not_judged_by_what_it_has_learnt(trained: Session, play: Play) -> None:
    play("r2")  # it was given p0 to p2 with their labels
    study = trained.opened()
    trained.reopen_case("p0")
    correct(trained, "p0", "r2")
    assert cases(trained) == set()
    study.set_role("p0", Role.VALIDATION)
    assert cases(trained) == {"p0"}


def test_another_method_means_something_else_by_its_confidence(trained: Session, play: Play) -> None:
    play("r2", spec=spec(trained, method="asdnet"))
    correct(trained, "p3", "r2")
    correct(trained, "p4", "r1")
    assert cases(trained) == {"p4"}
    trained.opened().set_champion("r2")
    assert cases(trained) == {"p3"}
    assert trained.calibration().method == "asdnet"  # type: ignore[union-attr]


def test_a_new_champion_of_the_same_method_borrows(trained: Session, play: Play) -> None:
    correct(trained, "p3", "r1")
    correct(trained, "p4", "r1")
    play("r2")
    correct(trained, "p5", "r2")
    trained.opened().set_champion("r2")
    found = trained.refresh_calibration()
    assert found is not None
    assert not found.own
    assert set(found.record.cases) == {"p3", "p4", "p5"}


def test_a_run_whose_folder_is_gone_is_known_by_its_row(trained: Session) -> None:
    trained.opened().add_run("old", "train", "mean-teacher", "laptop")
    correct(trained, "p3", "old")
    assert cases(trained) == {"p3"}
    trained.opened().add_run("gone", "predict", "mean-teacher", "laptop")
    correct(trained, "p4", "gone")
    assert cases(trained) == {"p3"}, "nobody knows which model that was"
