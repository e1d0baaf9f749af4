"""Older labels, restored; acceptances taken back and put back; nothing overwritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from study_scans import ball, draft, predict

from napari_penumbra.domain.case import CaseState, Closing, Origin
from napari_penumbra.domain.errors import StudyLockedError, UsageError
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.study.sources import SourceKind
from napari_penumbra.study.store import Study


def files(study: Study, name: str) -> dict[str, str]:
    """Every label file of a case by its content."""
    folder = study.layout.case(name)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.nii.gz")}


def kept(study: Study, name: str, before: dict[str, str]) -> bool:
    """Whether all files from before are there and unchanged."""
    return before.items() <= files(study, name).items()


@pytest.fixture
def lived(study: Study) -> Study:
    """p0: a draft (r1), completed as another thing (r2); a prediction; a reading by somebody else."""
    draft(study, "p0", ball())
    predict(study, "p0", "run-1", ball(z=slice(1, 5)))
    study.register_predictions()
    draft(study, "p0", ball(2), closing=Closing.COMPLETE)
    study.save_reading("p0", "reader 2", ball(1), Closing.COMPLETE, 30.0)
    return study


def test_sources_name_everything(lived: Study) -> None:
    found = {s.key: s for s in lived.sources("p0")}
    assert set(found) == {"r1", "r2", "s1", "p1"}
    assert found["r2"].current
    assert not found["r1"].current
    assert found["s1"].kind is SourceKind.READING
    assert found["p1"].who == "run-1"
    for key, value, slices in (("r1", 1, 2), ("r2", 2, 2), ("s1", 1, 2), ("p1", 1, 4)):
        labels = lived.read_source("p0", key)
        assert np.unique(labels).tolist() == [0, value]
        assert np.flatnonzero(labels.any(axis=(1, 2))).size == slices


@pytest.mark.parametrize("key", ["r9", "s7", "p0", "", "../r1", "x"])
def test_unknown_sources_are_refused(lived: Study, key: str) -> None:
    with pytest.raises(UsageError, match="no labels"):
        lived.read_source("p0", key)
    with pytest.raises(UsageError, match="no labels"):
        lived.restore("p0", key, "ann")


@pytest.mark.parametrize(
    ("key", "origin", "prediction"),
    [("r1", Origin.PAINTED, None), ("s1", Origin.PAINTED, None), ("p1", Origin.REVIEWED, 1)],
)
def test_restore_makes_a_new_draft(lived: Study, key: str, origin: Origin, prediction: int | None) -> None:
    before = files(lived, "p0")
    wanted = lived.read_source("p0", key)
    made = lived.restore("p0", key, "bob")
    assert made is not None
    assert (made.revision, made.closing, made.author) == (3, Closing.DRAFT, "bob")
    assert (made.origin, made.prediction_id) == (origin, prediction)
    np.testing.assert_array_equal(lived.read("p0").labels, wanted)
    assert not lived.case("p0").state.labelled
    assert kept(lived, "p0", before)
    assert made.voxels_changed == (0 if key == "p1" else np.count_nonzero(wanted != ball(2)))


def test_restoring_what_is_there_makes_nothing(study: Study) -> None:
    draft(study, "p0", ball())
    assert study.restore("p0", "r1", "ann") is None
    assert len(study.annotations("p0")) == 1


def test_restoring_a_partial_one_does_not_bring_its_filling(study: Study) -> None:
    draft(study, "p0", ball(), closing=Closing.PARTIAL, touched_slices=[2, 3])
    draft(study, "p0", np.zeros_like(ball()), closing=Closing.COMPLETE, touched_slices=range(6))
    study.restore("p0", "r1", "ann")
    labels = study.read("p0").labels
    np.testing.assert_array_equal(labels, ball())
    assert UNKNOWN not in labels


def test_unsaved_strokes_are_not_restored_over(study: Study) -> None:
    draft(study, "p0", ball())
    draft(study, "p0", ball(2))
    study.journal("p0").append(((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), np.uint8))
    with pytest.raises(UsageError, match="not saved"):
        study.restore("p0", "r1", "ann")
    assert len(study.journal("p0")) == 1


def test_take_back_and_put_back(study: Study) -> None:
    draft(study, "p0", ball(), closing=Closing.PARTIAL, touched_slices=[2, 3])
    closed = study.read("p0").labels
    before = files(study, "p0")
    assert study.withdrawn_last("p0") is None
    taken = study.withdraw("p0", "bob")
    assert taken is not None
    assert study.case("p0").state is CaseState.IN_PROGRESS
    np.testing.assert_array_equal(study.read("p0").labels, ball())
    assert study.annotations("p0")[-1].author == "bob"
    assert study.withdrawn_last("p0") == taken

    back = study.put_back("p0", "bob")
    assert (back.closing, back.path, back.author) == (Closing.PARTIAL, taken.path, "bob")
    np.testing.assert_array_equal(study.read("p0").labels, closed)
    assert study.pool()[0].label == taken.path.as_posix()
    assert study.withdrawn_last("p0") is None
    assert files(study, "p0") == before

    # And round again: a chain of takings back and puttings back never loses its way.
    assert study.withdraw("p0") is not None
    np.testing.assert_array_equal(study.read("p0").labels, ball())
    study.put_back("p0")
    np.testing.assert_array_equal(study.read("p0").labels, closed)


@pytest.mark.parametrize("state", ["never closed", "closed", "edited since"])
def test_put_back_says_why_not(study: Study, state: str) -> None:
    draft(study, "p0", ball())
    if state != "never closed":
        draft(study, "p0", ball(2), closing=Closing.COMPLETE)
    if state == "edited since":
        study.withdraw("p0")
        draft(study, "p0", ball(1))
    count = len(study.annotations("p0", withdrawn=True))
    with pytest.raises(UsageError, match="taken back"):
        study.put_back("p0")
    assert len(study.annotations("p0", withdrawn=True)) == count


def test_consensus_keeps_its_parents(lived: Study) -> None:
    labels = ball(1)
    labels[2] = UNKNOWN
    made = lived.save_consensus("p0", labels, "ann", ["r2", "s1"], "agree")
    assert made is not None
    assert (made.closing, made.voxels_changed) == (Closing.DRAFT, np.count_nonzero(labels != ball(2)))
    np.testing.assert_array_equal(lived.read("p0").labels, labels)
    event = next(e for e in lived.history("p0") if e.key == "r3")
    assert event.words.startswith("of r2, s1 by agree")
    assert "r2 left the pool" in event.words


def test_readonly(lived: Study, tmp_path: Path) -> None:
    lived.withdraw("p0")
    lived.close()
    with Study.open(lived.root, write=False) as study:
        assert len(study.sources("p0")) == 5
        for change in (
            lambda: study.restore("p0", "r1", "ann"),
            lambda: study.put_back("p0"),
            lambda: study.save_reading("p0", "reader 2", ball(2), Closing.DRAFT, 0.0),
            lambda: study.save_consensus("p0", ball(), "ann", ["r1"], "agree"),
        ):
            with pytest.raises(StudyLockedError):
                change()
