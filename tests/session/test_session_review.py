"""Reviewing a prediction, scoring it, taking it out of the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from session_study import GRID, Played, cube, predict_by_hand

from napari_penumbra.domain.case import CaseState, Origin, Verdict
from napari_penumbra.domain.errors import GeometryError, LabelError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.session import Session
from napari_penumbra.study.exporters import ExportOptions


@pytest.fixture
def predicted(session: Session, play: Callable[..., Played]) -> Session:
    """p4 has a prediction whose far corner is doubtful."""
    run = play("r1")
    run.tell(Progress(Kind.FINISHED, step=100, steps=100))
    labels, confidence = cube(), np.full(cube().shape, 0.95)
    labels[7:, 7:, 7:] = 1
    confidence[6:, 6:, 6:] = 0.2
    predict_by_hand(session, "r1", "p4", labels, confidence)
    session.opened().register_predictions()
    return session


def test_regions_come_weakest_first_and_remember_verdicts(predicted: Session) -> None:
    regions = predicted.regions("p4")
    assert regions
    assert regions[0].confidence < 0.5
    assert [r.benefit for r in regions] == sorted((r.benefit for r in regions), reverse=True)
    decision = predicted.decide("p4", regions[0], Verdict.REJECT)
    assert decision.voxels == int(regions[0].mask.sum())
    assert predicted.opened().case("p4").state is CaseState.IN_REVIEW
    verdicts = [r.verdict for r in predicted.regions("p4") if r.box == regions[0].box]
    assert Verdict.REJECT in verdicts
    undone = predicted.undo_decision("p4")
    assert undone is not None
    assert undone.id == decision.id
    assert predicted.undo_decision("p4") is None
    assert all(r.verdict is None for r in predicted.regions("p4"))


def test_a_case_without_a_prediction_has_no_regions_and_refuses_verdicts(predicted: Session) -> None:
    assert predicted.regions("p3") == []
    with pytest.raises(UsageError, match="no prediction to review"):
        predicted.decide("p3", predicted.regions("p4")[0], Verdict.ACCEPT)
    with pytest.raises(UsageError, match="no prediction to accept"):
        predicted.accept("p3", cube())


def test_accepting_puts_the_case_into_the_pool_with_its_history(predicted: Session) -> None:
    case = predicted.load("p4")
    assert case.predicted is not None
    annotation = predicted.accept("p4", case.labels, seconds=4.0)
    assert annotation.origin is Origin.REVIEWED
    assert annotation.prediction_id == predicted.opened().prediction("p4").id  # type: ignore[union-attr]
    assert annotation.voxels_changed == 0
    assert predicted.opened().case("p4").state is CaseState.ACCEPTED
    assert predicted.counts().labelled == 4
    with pytest.raises(UsageError, match="just like this before"):
        predicted.accept("p4", case.labels)
    predicted.reopen_case("p4")
    assert predicted.counts().labelled == 3


def test_corrections_saved_during_a_review_count_as_reviewed(predicted: Session) -> None:
    predicted.save("p4", cube(), 2.0)
    revisions = predicted.opened().annotations("p4")
    assert revisions[-1].origin is Origin.REVIEWED
    assert revisions[-1].voxels_changed == 27 or revisions[-1].voxels_changed > 0
    assert predicted.opened().case("p4").state is CaseState.IN_REVIEW


# ------------------------------------------------------------------ scores


def test_scores_in_mm_against_references_in_any_orientation(predicted: Session, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    turned = GRID.reorientation("RAS")  # the same voxels in another order on disk
    truth = predicted.load("p4").predicted
    assert truth is not None
    grid = predicted.opened().grid("p4")
    back = grid.reorientation("PIR")
    nib.save(nib.Nifti1Image(back.apply(truth.transpose(2, 1, 0)), back.target.matrix), reference / "p4.nii.gz")
    table = predicted.evaluate(reference)
    assert [row.case for row in table.rows] == ["p4"]
    assert table.rows[0].classes[1].dice == 1.0
    assert table.rows[0].classes[2].hd is None
    assert len(table.skipped) == 5
    assert turned.target.shape


def test_annotations_can_be_scored_too(session: Session, tmp_path: Path) -> None:
    table = session.evaluate(tmp_path / "labels", "annotation", ["p0", "p1"])
    assert [row.classes[1].dice for row in table.rows] == [1.0, 1.0]
    with pytest.raises(UsageError, match="p4 has no"):
        session.evaluate(tmp_path / "labels", "annotation", ["p4"])


def test_references_that_do_not_fit_are_refused(predicted: Session, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    with pytest.raises(UsageError, match="does not exist"):
        predicted.evaluate(reference)
    reference.mkdir()
    with pytest.raises(UsageError, match="No case has both"):
        predicted.evaluate(reference)
    strange = cube()
    strange[0, 0, 0] = 9
    write_nifti(reference / "p4.nii.gz", strange, GRID)
    with pytest.raises(LabelError, match="9"):
        predicted.evaluate(reference)
    moved = GRID.matrix
    moved[2, 3] += 2
    write_nifti(reference / "p4.nii.gz", cube(), Grid.of(GRID.shape, moved))
    with pytest.raises(GeometryError, match="another grid"):
        predicted.evaluate(reference)


def test_export_lies_on_the_millimetres_of_the_source(predicted: Session, sources: Path, tmp_path: Path) -> None:
    files = predicted.export(tmp_path / "out", "nifti", ExportOptions(predictions=True, confidence=True))
    labels = {f.name: f for f in files}
    assert {"p0.nii.gz", "p1.nii.gz", "p2.nii.gz", "p4.nii.gz"} <= set(labels)
    written, source = nib.load(labels["p1.nii.gz"]), nib.load(sources / "labels" / "p1.nii.gz")
    assert np.allclose(written.affine, source.affine)
    assert np.array_equal(np.asarray(written.dataobj), np.asarray(source.dataobj))
