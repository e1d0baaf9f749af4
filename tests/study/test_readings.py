"""A second reader's own annotation: beside the case's, blind, journalled, never in the pool."""

from __future__ import annotations

import numpy as np
import pytest
from study_scans import ball, draft, predict

from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.errors import LabelError, UsageError
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.study.store import Study


@pytest.fixture
def first(study: Study) -> Study:
    """p0 annotated by the first reader and predicted."""
    predict(study, "p0", "run-1")
    study.register_predictions()
    draft(study, "p0", ball(2), closing=Closing.COMPLETE, seconds=20.0)
    return study


def test_blind(first: Study) -> None:
    case = first.open_reading("p0", "reader 2")
    assert not case.labels.any()
    assert (case.prediction, case.predicted, case.confidence) == (None, None, None)
    assert case.state is CaseState.NEW
    assert list(case.images) == ["DWI"]


def test_side_by_side(first: Study) -> None:
    pool, counts, seconds = first.pool(), first.counts(), first.case("p0").seconds
    saved = first.save_reading("p0", "reader 2", ball(1), Closing.COMPLETE, 30.0, [2, 3])
    assert saved is not None
    assert (saved.reader, saved.revision, saved.closing, saved.voxels_changed) == ("reader 2", 1, Closing.COMPLETE, 32)
    assert (first.pool(), first.counts(), first.case("p0").seconds) == (pool, counts, seconds)
    np.testing.assert_array_equal(first.read("p0").labels, ball(2))
    again = first.open_reading("p0", "reader 2")
    assert again.state is CaseState.ANNOTATED
    np.testing.assert_array_equal(again.labels, ball(1))
    other = first.open_reading("p0", "reader 3")
    assert not other.labels.any()


def test_revisions_of_each_reader(first: Study) -> None:
    for reader, value in (("reader 2", 1), ("reader 3", 2), ("reader 2", 2)):
        first.save_reading("p0", reader, ball(value), Closing.DRAFT, 5.0)
    two, three = first.readings("p0")
    assert (two.reader, two.revision, three.reader, three.revision) == ("reader 2", 2, "reader 3", 1)
    files = sorted(first.layout.readings("p0").rglob("*.nii.gz"))
    assert [f.name for f in files] == ["r0001.nii.gz", "r0002.nii.gz", "r0001.nii.gz"]
    assert first.save_reading("p0", "reader 2", ball(2), Closing.DRAFT, 5.0) is None
    assert first.save_reading("p0", "reader 2", ball(2), Closing.COMPLETE, 5.0) is not None


@pytest.mark.parametrize(("one", "other"), [("Ä B", "A B"), ("a/b", "a b"), ("Reader", "reader")])
def test_names_that_look_alike_get_folders_of_their_own(first: Study, one: str, other: str) -> None:
    first.save_reading("p0", one, ball(1), Closing.DRAFT, 0.0)
    first.save_reading("p0", other, ball(2), Closing.DRAFT, 0.0)
    np.testing.assert_array_equal(first.open_reading("p0", one).labels, ball(1))
    np.testing.assert_array_equal(first.open_reading("p0", other).labels, ball(2))
    folders = [f.name.lower() for f in first.layout.readings("p0").iterdir()]
    assert len(set(folders)) == 2


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\x00b"])
def test_names_that_are_none(first: Study, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        first.save_reading("p0", name, ball(1), Closing.DRAFT, 0.0)
    with pytest.raises(UsageError, match="name"):
        first.open_reading("p0", name)


def test_strokes_come_back_after_a_crash(first: Study) -> None:
    box = ((0, 0, 0), (1, 2, 2))
    first.reading_journal("p0", "reader 2").append(box, np.ones((1, 2, 2), np.uint8))
    case = first.open_reading("p0", "reader 2")
    assert case.restored == 1
    assert (case.state, np.count_nonzero(case.labels)) == (CaseState.IN_PROGRESS, 4)
    # They are this reader's and nobody else's.
    assert first.read("p0").restored == 0
    assert first.open_reading("p0", "reader 3").restored == 0
    assert first.save_reading("p0", "reader 2", case.labels, Closing.DRAFT, 0.0) is not None
    assert first.open_reading("p0", "reader 2").restored == 0


def test_partial_leaves_untouched_slices_unknown(first: Study) -> None:
    first.save_reading("p0", "reader 2", ball(1), Closing.PARTIAL, 0.0, [2, 3])
    labels = first.open_reading("p0", "reader 2").labels
    assert (labels[[0, 1, 4, 5]] == UNKNOWN).all()
    np.testing.assert_array_equal(labels[2:4], ball(1)[2:4])
    # Completed later: what was filled in never passes for painted.
    first.save_reading("p0", "reader 2", labels, Closing.COMPLETE, 0.0, range(6))
    np.testing.assert_array_equal(first.open_reading("p0", "reader 2").labels, ball(1))


def test_a_file_that_a_crash_left_without_its_row_is_kept(first: Study) -> None:
    saved = first.save_reading("p0", "reader 2", ball(1), Closing.COMPLETE, 30.0)
    assert saved is not None
    file = first.layout.absolute(saved.path)
    orphan = file.with_name("r0002.nii.gz")
    orphan.write_bytes(file.read_bytes())
    first._core.unclean = True
    first.close()
    with Study.open(first.root) as again:
        (notice,) = again.notices
        assert "r0002.nii.gz was written but not entered" in notice
        assert file.exists()
        assert not orphan.exists()
        assert (again.layout.case_orphans("p0") / "r0002.nii.gz").exists()
        assert [r.key for r in again.readings("p0")] == [saved.key]


@pytest.mark.parametrize(("labels", "error"), [(ball(7), LabelError), (np.zeros((2, 2, 2), np.uint8), UsageError)])
def test_labels_that_cannot_be(first: Study, labels: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        first.save_reading("p0", "reader 2", labels, Closing.DRAFT, 0.0)
    assert first.readings("p0") == []
