"""A case is taken back: the pool, the models that learnt from it, the champion before, and the way back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from session_study import Played, cube

from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.errors import StudyLockedError, UsageError
from napari_penumbra.domain.pool import Change
from napari_penumbra.session import Session


@pytest.fixture
def trained(session: Session, play: Callable[..., Played]) -> Session:
    """Champion one knew p0 to p2; then p3 was closed; champion two knew p3 as well; a third run has no checkpoint."""
    study = session.opened()
    first = play("train-1")
    first.checkpoint()
    first.end()
    study.set_champion("train-1")
    session.close_case("p3", cube(1), Closing.COMPLETE)
    second = play("train-2")
    second.checkpoint()
    second.end()
    study.set_champion("train-2")
    play("train-3").end()
    return session


def test_which_models_have_learnt(trained: Session) -> None:
    assert [(x.run, x.role, x.revision, x.champion) for x in trained.learnt_from("p3")] == [
        ("train-2", "labelled", "r1", True)
    ]
    assert [x.run for x in trained.learnt_from("p0")] == ["train-2", "train-1"]
    assert trained.learnt_from("p5") == []
    with pytest.raises(UsageError, match="no case"):
        trained.learnt_from("nobody")


def test_a_case_that_joined_a_running_training_counts(trained: Session) -> None:
    """The order does not name it; the run's own record does, also after the case has left."""
    path = trained.opened().annotations("p3")[-1].path.as_posix()
    record = trained.opened().layout.run("train-1") / "pool.jsonl"
    lines = [Change(50, "p3", "joined", "labelled", path), Change(80, "p3", "left", "labelled", path)]
    record.write_text("".join(line.to_line() + "\n" for line in lines))
    assert [(x.run, x.revision) for x in trained.learnt_from("p3")] == [("train-2", "r1"), ("train-1", "r1")]
    assert trained.champion_before("p3") is None  # both have it in them now


def test_a_frozen_case_only_measures(session: Session, play: Callable[..., Played]) -> None:
    session.opened().freeze_validation(count=1)
    (frozen,) = [row.name for row in session.cases() if row.role == "validation"]
    run = play("train-1")
    run.checkpoint()
    run.end()
    assert [x.role for x in session.learnt_from(frozen)] == ["validation"]
    session.opened().set_champion("train-1")
    assert session.champion_before(frozen) is None


def test_the_champion_before(trained: Session) -> None:
    assert trained.champion_before("p3") == "train-1"
    assert trained.champion_before("p0") is None  # both have learnt from it
    assert trained.champion_before("p5") is None  # nobody has
    assert trained.recall_champion("train-1") == "train-2"
    assert trained.opened().champion() == "train-1"
    assert trained.champion_before("p3") is None
    assert trained.recall_champion("train-2") == "train-1"  # and back


def test_what_cannot_be_done(trained: Session) -> None:
    for run in ("train-3", "never"):
        with pytest.raises(UsageError, match="cannot predict"):
            trained.recall_champion(run)
    assert trained.opened().champion() == "train-2"
    with pytest.raises(UsageError, match="not in the labelled pool"):
        trained.take_back("p5")


def test_take_back_and_put_back(trained: Session) -> None:
    study = trained.opened()
    labelled = trained.counts().labelled
    told: list[str] = []
    trained.case_changed.connect(told.append)
    trained.order = "auto"
    assert trained.next_case() != "p3"
    taken = trained.take_back("p3")
    assert (taken.revision, trained.counts().labelled) == (1, labelled - 1)
    assert study.case("p3").state is CaseState.IN_PROGRESS
    # The queue knows: a case that was begun comes first.
    assert trained.next_case() == "p3"
    assert "p3" not in [c.name for c in study.pool() if c.role == "labelled"]
    # What has learnt from it is still known.
    assert [x.run for x in trained.learnt_from("p3")] == ["train-2"]
    assert trained.why_not_put_back("p3") == ""
    back = trained.put_back("p3")
    assert (back.closing, back.path) == (Closing.COMPLETE, taken.path)
    assert trained.counts().labelled == labelled
    assert told == ["p3", "p3"]
    assert "taken back" in trained.why_not_put_back("p3")


def test_restore(trained: Session) -> None:
    trained.save("p3", cube(4))
    assert trained.restore("p3", "r1") is not None
    np.testing.assert_array_equal(trained.load("p3").labels, cube(1))
    assert trained.restore("p3", "r3") is None
    assert [e.what for e in trained.case_history("p3") if e.key] == ["complete", "draft", "restored"]


def test_readonly_refuses(trained: Session) -> None:
    root = trained.opened().root
    trained.close()
    trained.open(root, write=False)
    for change in (
        lambda: trained.take_back("p3"),
        lambda: trained.put_back("p3"),
        lambda: trained.restore("p3", "r1"),
        lambda: trained.recall_champion("train-1"),
        lambda: trained.start_reading("p3", "reader 2"),
    ):
        with pytest.raises(StudyLockedError):
            change()
    assert trained.champion_before("p3") == "train-1"
