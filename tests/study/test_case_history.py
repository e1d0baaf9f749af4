"""The history of a case in order: who, what, from which model, at what cost."""

from __future__ import annotations

import datetime as dt

import pytest
from study_scans import ball, draft, predict

from napari_penumbra.domain.case import Closing, Origin, Verdict
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study import revisions
from napari_penumbra.study.history import What
from napari_penumbra.study.schema import ProvenanceTable
from napari_penumbra.study.store import Study

BOXES = [((z, 4, 3), (z + 1, 8, 7)) for z in range(4)]


@pytest.fixture
def lived(study: Study) -> Study:
    """Predicted, decided, accepted, taken back, put back, edited, closed by hand, restored."""
    predict(study, "p0", "run-1", minute=1)
    study.register_predictions()
    prediction = study.prediction("p0")
    assert prediction is not None
    for box, verdict in zip(BOXES, (Verdict.ACCEPT, Verdict.ACCEPT, Verdict.REJECT, Verdict.UNKNOWN), strict=True):
        made = study.decide("p0", prediction.id, box, verdict, 16, "ann")
    study.undo_decision(made.id)
    values = {"origin": Origin.REVIEWED, "prediction_id": prediction.id}
    draft(study, "p0", ball(2), closing=Closing.COMPLETE, seconds=40.0, **values)
    study.withdraw("p0", "bob")
    study.put_back("p0", "bob")
    draft(study, "p0", ball(1), seconds=3.0, author="cleo")
    draft(study, "p0", ball(1), closing=Closing.PARTIAL, touched_slices=[2, 3], author="cleo")
    study.save_reading("p0", "reader 2", ball(1), Closing.COMPLETE, 12.0)
    study.restore("p0", "r1", "ann")
    return study


def test_everything_in_order(lived: Study) -> None:
    events = lived.history("p0")
    assert [e.when for e in events] == sorted(e.when for e in events)
    by_key = {e.key: e for e in events if e.key}
    told = [(e.what, e.key, e.who) for e in events if e.what not in (What.ADDED, What.PREDICTED)]
    assert told == [
        (What.DECIDED, "", "ann"),
        (What.ACCEPTED, "r1", "ann"),
        (What.TAKEN_BACK, "r2", "bob"),
        (What.PUT_BACK, "r3", "bob"),
        (What.DRAFT, "r4", "cleo"),
        (What.PARTIAL, "r5", "cleo"),
        (What.SECOND_READING, "s1", "reader 2"),
        (What.RESTORED, "r6", "ann"),
    ]
    assert (by_key["r1"].run, by_key["r1"].seconds) == ("run-1", 40.0)
    assert by_key["r1"].voxels_changed == 32
    assert by_key["p1"].run == "run-1"
    assert "80%" in by_key["p1"].words
    assert by_key["r3"].words == "r1 back in the pool, complete"
    assert "r3 left the pool" in by_key["r4"].words
    assert by_key["r6"].words.startswith("r1 as a new draft")
    assert (by_key["s1"].seconds, by_key["s1"].words) == (12.0, "complete")


def test_decisions_are_summed_up(lived: Study) -> None:
    (decided,) = [e for e in lived.history("p0") if e.what is What.DECIDED]
    assert decided.words == "2 accepted, 1 rejected, 1 taken back"
    assert decided.run == "run-1"


def test_one_is_current_and_only_a_closed_one_teaches(lived: Study) -> None:
    def now() -> tuple[list[str], list[str]]:
        events = lived.history("p0")
        return [e.key for e in events if e.current], [e.key for e in events if e.in_pool]

    assert now() == (["r6"], [])
    draft(lived, "p0", ball(2), closing=Closing.COMPLETE)
    assert now() == (["r7"], ["r7"])


def test_decisions_of_two_sittings_are_two_events(study: Study) -> None:
    predict(study, "p0")
    study.register_predictions()
    prediction = study.prediction("p0")
    assert prediction is not None
    study.decide("p0", prediction.id, BOXES[0], Verdict.ACCEPT, 16, "ann")
    draft(study, "p0", ball(2), prediction_id=prediction.id)
    study.decide("p0", prediction.id, BOXES[1], Verdict.FIXED, 16, "ann")
    assert [e.words for e in study.history("p0") if e.what is What.DECIDED] == ["1 accepted", "1 fixed"]


def test_a_taking_back_from_before_it_was_noted(study: Study) -> None:
    """The first version of the tables kept no provenance: the same file at the same moment tells."""
    draft(study, "p0", ball(), closing=Closing.COMPLETE)
    study.withdraw("p0")
    with study._core.db.write() as session:
        session.query(ProvenanceTable).delete()
    assert [e.what for e in study.history("p0")][1:] == [What.COMPLETE, What.TAKEN_BACK]


def test_a_case_nobody_has_touched(study: Study) -> None:
    (only,) = study.history("p1")
    assert only.what is What.ADDED
    assert only.when.tzinfo is not None
    assert abs(dt.datetime.now(dt.UTC) - only.when) < dt.timedelta(hours=12)
    with pytest.raises(UsageError, match="no case"):
        study.history("nobody")


def test_import_is_told(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.save("p0", ball(), Closing.COMPLETE, Origin.IMPORTED, "ann", 0.0)
    assert [e.what for e in study.history("p0")][1:] == [What.IMPORTED]


def test_a_crash_between_row_and_note_leaves_neither(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    draft(study, "p0", ball())
    draft(study, "p0", ball(2))

    def broken(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(revisions, "note", broken)
    with pytest.raises(RuntimeError):
        study.restore("p0", "r1", "ann")
    assert [e.key for e in study.history("p0") if e.key] == ["r1", "r2"]
