from __future__ import annotations

import numpy as np
import pytest
from study_scans import ball, draft, predict

from napari_penumbra.domain.case import CaseState, Closing, Origin
from napari_penumbra.domain.errors import ImageError, LabelError, UsageError
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.study.label_files import fill_unknown
from napari_penumbra.study.store import Study


def test_revisions_are_immutable_and_numbered(study: Study) -> None:
    first = draft(study, "p0", ball(), seconds=4.0)
    second = draft(study, "p0", ball(2), seconds=3.0)
    assert first is not None
    assert second is not None
    assert (first.revision, second.revision) == (1, 2)
    assert (first.voxels_changed, second.voxels_changed) == (32, 32)
    assert first.created.tzinfo is not None
    np.testing.assert_array_equal(read_labels(study.root / first.path).volume.data, ball())
    np.testing.assert_array_equal(study.read("p0").labels, ball(2))
    assert study.annotations("p0") == [first, second]
    assert study.case("p0").seconds == 7.0
    assert study.case("p0").state is CaseState.IN_PROGRESS


def test_nothing_new_is_not_saved(study: Study) -> None:
    assert draft(study, "p0", np.zeros_like(ball())) is None
    assert study.case("p0").state is CaseState.NEW
    draft(study, "p0", ball())
    assert draft(study, "p0", ball()) is None
    closed = draft(study, "p0", ball(), closing=Closing.COMPLETE)
    assert closed is not None
    assert closed.voxels_changed == 0
    assert draft(study, "p0", ball(), closing=Closing.COMPLETE) is None
    # Looking at a closed case and going on does not open it again.
    assert draft(study, "p0", ball()) is None
    assert study.case("p0").state is CaseState.ANNOTATED
    assert len(list(study.layout.annotations("p0").iterdir())) == 2


def test_an_empty_case_may_be_closed(study: Study) -> None:
    assert draft(study, "p0", np.zeros_like(ball()), closing=Closing.COMPLETE) is not None
    assert study.case("p0").state is CaseState.ANNOTATED


def test_editing_a_closed_case_opens_it(study: Study) -> None:
    draft(study, "p0", ball(), closing=Closing.COMPLETE)
    draft(study, "p0", ball(2))
    assert study.case("p0").state is CaseState.IN_PROGRESS
    assert [a.closing for a in study.annotations("p0")] == [Closing.DRAFT]
    assert len(study.annotations("p0", withdrawn=True)) == 2
    assert study.counts().labelled == 0


def test_withdraw(study: Study) -> None:
    assert study.withdraw("p0") is None
    closed = draft(study, "p0", ball(), closing=Closing.COMPLETE)
    assert study.withdraw("p0") == closed
    assert study.withdraw("p0") is None
    assert study.case("p0").state is CaseState.IN_PROGRESS
    np.testing.assert_array_equal(study.read("p0").labels, ball())
    assert closed is not None
    assert (study.root / closed.path).exists()
    again = draft(study, "p0", ball(), closing=Closing.COMPLETE)
    assert again is not None
    assert again.revision == 3


def test_partial_closing_and_back(study: Study) -> None:
    draft(study, "p0", ball(), touched_slices=[2])
    partial = draft(study, "p0", ball(), closing=Closing.PARTIAL, touched_slices={3})
    assert partial is not None
    stored = study.read("p0").labels
    assert (stored[[0, 1, 4, 5]] == 255).all()
    np.testing.assert_array_equal(stored[2:4], ball()[2:4])  # slice 2 was touched before the last save
    # The reader now works on what the screen shows, and closes completely: filled-in unknown does not stay.
    stored[5, 0, 0] = 2
    stored[2, 0, 0] = 255  # but unknown that was painted does
    draft(study, "p0", stored, closing=Closing.COMPLETE, touched_slices=[2, 5])
    expected = ball()
    expected[5, 0, 0], expected[2, 0, 0] = 2, 255
    np.testing.assert_array_equal(study.read("p0").labels, expected)


def test_withdrawing_a_partial_closing_takes_the_filling_out(study: Study) -> None:
    drawn = ball()
    drawn[0, 0, 0] = 255
    draft(study, "p0", drawn, closing=Closing.PARTIAL, touched_slices=[2])
    assert (study.read("p0").labels == 255).sum() > 100
    study.withdraw("p0")
    np.testing.assert_array_equal(study.read("p0").labels, drawn)


@pytest.mark.parametrize("touched", [[], [2, 3], [99, -1, 2, 3]])
def test_fill_unknown(touched: list[int]) -> None:
    filled = fill_unknown(ball(), touched)
    assert (filled[[0, 1, 4, 5]] == 255).all()
    np.testing.assert_array_equal(filled[2:4], ball()[2:4])


def test_review_and_acceptance(study: Study) -> None:
    predict(study, "p0")
    (prediction,) = study.register_predictions()
    assert study.case("p0").state is CaseState.PREDICTED
    opened = study.read("p0")
    np.testing.assert_array_equal(opened.labels, ball())
    assert draft(study, "p0", opened.labels, origin=Origin.REVIEWED, prediction_id=prediction.id) is None
    opened.labels[0, 0, 0] = 1
    saved = draft(study, "p0", opened.labels, origin=Origin.REVIEWED, prediction_id=prediction.id)
    assert saved is not None
    assert saved.voxels_changed == 1
    assert study.case("p0").state is CaseState.IN_REVIEW
    accepted = draft(
        study, "p0", opened.labels, closing=Closing.COMPLETE, origin=Origin.REVIEWED, prediction_id=prediction.id
    )
    assert accepted is not None
    assert (accepted.voxels_changed, accepted.prediction_id) == (1, prediction.id)  # counted against the prediction
    assert study.case("p0").state is CaseState.ACCEPTED
    study.withdraw("p0")
    assert study.case("p0").state is CaseState.IN_REVIEW


def test_accepting_a_prediction_as_it_is(study: Study) -> None:
    predict(study, "p0")
    (prediction,) = study.register_predictions()
    saved = draft(
        study,
        "p0",
        study.read("p0").labels,
        closing=Closing.COMPLETE,
        origin=Origin.REVIEWED,
        prediction_id=prediction.id,
    )
    assert saved is not None
    assert saved.voxels_changed == 0
    assert study.pool()[0].label == saved.path.as_posix()


def test_wrong_input(study: Study) -> None:
    with pytest.raises(UsageError, match="shape"):
        draft(study, "p0", ball(shape=(6, 12, 11)))
    with pytest.raises(LabelError, match="outside the study's scheme: 7"):
        draft(study, "p0", ball(7))
    with pytest.raises(UsageError, match="no prediction number 5"):
        draft(study, "p0", ball(), prediction_id=5)
    with pytest.raises(UsageError, match="seconds"):
        draft(study, "p0", ball(), seconds=float("nan"))
    assert study.annotations("p0") == []


def test_labels_of_wider_types(study: Study) -> None:
    draft(study, "p0", ball().astype(np.int64))
    assert study.read("p0").labels.dtype == np.uint8


def test_exchanged_file_is_refused(study: Study) -> None:
    saved = draft(study, "p0", ball())
    assert saved is not None
    (study.root / saved.path).write_bytes(b"nonsense")
    with pytest.raises(ImageError) as caught:
        study.read("p0")
    assert "r0001" in str(caught.value)


def test_read_gives_a_private_copy(study: Study) -> None:
    draft(study, "p0", ball())
    study.read("p0").labels[:] = 0
    assert study.read("p0").labels.any()


def test_journal_is_replayed_and_cleared(study: Study) -> None:
    study.read("p0")
    study.journal("p0").append(((2, 4, 3), (4, 8, 7)), np.ones((2, 4, 4), dtype=np.uint8))
    root = study.root
    study.close()
    with Study.open(root) as again:
        opened = again.read("p0")
        assert opened.restored == 1
        np.testing.assert_array_equal(opened.labels, ball())
        draft(again, "p0", opened.labels)
        assert again.read("p0").restored == 0


def test_strokes_on_an_empty_case_do_not_come_back_on_a_later_prediction(study: Study) -> None:
    study.read("p0")
    study.journal("p0").append(((0, 0, 0), (1, 1, 1)), np.full((1, 1, 1), 2, dtype=np.uint8))
    predict(study, "p0")
    study.register_predictions()
    opened = study.read("p0")
    assert (opened.restored, int((opened.labels > 0).sum())) == (1, 1)
    assert opened.predicted is not None
    study.read("p1")
    predict(study, "p1")
    study.register_predictions()
    study.read("p1")  # now the reader sees the prediction and paints on it
    study.journal("p1").append(((0, 0, 0), (1, 1, 1)), np.full((1, 1, 1), 2, dtype=np.uint8))
    predict(study, "p1", "run-2", labels=np.zeros_like(ball()), minute=5)
    study.register_predictions()
    assert int((study.read("p1").labels > 0).sum()) == 33


def test_strokes_during_a_save_are_kept(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_penumbra.study import revisions

    journal = study.journal("p0")
    journal.append(((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), dtype=np.uint8))
    real = revisions.save

    def painting(*args: object) -> object:
        result = real(*args)  # type: ignore[arg-type]
        study.journal("p0").append(((1, 0, 0), (2, 1, 1)), np.full((1, 1, 1), 2, dtype=np.uint8))
        return result

    monkeypatch.setattr(revisions, "save", painting)
    labels = np.zeros_like(ball())
    labels[0, 0, 0] = 1
    draft(study, "p0", labels)
    opened = study.read("p0")
    assert (opened.restored, opened.labels[0, 0, 0], opened.labels[1, 0, 0]) == (1, 1, 2)


def test_class_counts(study: Study) -> None:
    labels = ball()
    labels[5, 0, :3] = 2
    draft(study, "p0", labels, closing=Closing.COMPLETE)
    draft(study, "p1", ball())
    assert study.class_counts() == {"p0": {1: 32, 2: 3}}
