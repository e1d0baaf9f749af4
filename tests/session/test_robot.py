"""The robot reader: what it counts, what it leaves in the study, and that doing it twice changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from session_study import GRID, Played, cube, predict_by_hand

from napari_penumbra.domain.case import CaseState, Role, Verdict
from napari_penumbra.domain.errors import GeometryError, UsageError
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.session import Session
from napari_penumbra.session.robot import Robot, copy_cases, references, set_roles
from napari_penumbra.study.store import Study


@pytest.fixture
def truth(session: Session, tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "truth"
    folder.mkdir()
    for n in range(3, 6):
        labels = cube(1)
        labels[7, 8, 9] = 255  # nobody knows
        write_nifti(folder / f"p{n}.nii.gz", labels, GRID)
    return references(session.opened(), folder)


def predict(session: Session, play: object, labels: np.ndarray, confidence: np.ndarray) -> None:
    run: Played = play("r1")  # type: ignore[operator]
    predict_by_hand(session, run.id, "p3", labels, confidence)
    session.opened().register_predictions()


def test_painting_from_nothing_costs_the_foreground(session: Session, truth: dict[str, Path]) -> None:
    work = Robot(session, truth).paint("p3")
    assert (work.corrected, work.painted, work.touched, work.offered) == (48, 48, 1, 0)
    assert session.opened().case("p3").state is CaseState.ANNOTATED
    labels = session.load("p3").labels
    assert labels[7, 8, 9] == 255
    assert (labels == 1).sum() == 48
    assert Robot(session, truth).paint("p3") == work, "a second time it is only counted"
    assert len(session.opened().annotations("p3")) == 1


def test_correcting_counts_voxels_and_regions(session: Session, truth: dict[str, Path], play: object) -> None:
    predicted = cube(1)
    predicted[1, 2:6, 3:7] = 0  # a missed slice: 16 voxels
    predicted[6, 0, 0] = 1  # a false one, sure of itself and apart
    predicted[7, 8, 9] = 1  # unknown: neither right nor wrong
    confidence = np.full(GRID.array_shape, 0.9, np.float32)
    confidence[1, 2:6, 3:7] = 0.2
    predict(session, play, predicted, confidence)
    robot = Robot(session, truth)
    regions = session.regions("p3")
    work = robot.correct("p3")
    assert (work.corrected, work.painted, work.offered) == (17, 48, len(regions))
    assert work.touched == 2, "the weak slice, and the false voxel among the sure pieces"
    assert work.outside == 0
    study = session.opened()
    assert study.case("p3").state is CaseState.ACCEPTED
    assert (session.load("p3").labels == 1).sum() == 48
    verdicts = [d.verdict for d in study.decisions("p3")]
    assert verdicts.count(Verdict.FIXED) == 2
    assert verdicts.count(Verdict.ACCEPT) == len(regions) - 2
    assert robot.correct("p3") == work, "after an interruption it is only counted"
    assert len(study.annotations("p3")) == 1


def test_wrong_voxels_that_no_region_shows_are_told(session: Session, truth: dict[str, Path], play: object) -> None:
    predict(session, play, np.zeros(GRID.array_shape, np.uint8), np.ones(GRID.array_shape, np.float32))
    work = Robot(session, truth).correct("p3")
    assert (work.corrected, work.offered, work.touched, work.outside) == (48, 0, 0, 48)


def test_without_a_prediction_there_is_nothing_to_correct(session: Session, truth: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="p4 has no prediction"):
        Robot(session, truth).correct("p4")


def test_a_reference_on_another_grid_is_refused(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "p3.nii.gz"
    write_nifti(file, cube(1), type(GRID).of(GRID.shape, np.diag([3.0, 3, 3, 1])))
    with pytest.raises(GeometryError, match="another grid"):
        Robot(session, {"p3": file}).paint("p3")


def test_references_of_a_folder_or_of_the_study_itself(session: Session, tmp_path: Path) -> None:
    assert set(references(session.opened(), None)) == {"p0", "p1", "p2"}
    session.reopen_case("p1")
    assert set(references(session.opened(), None)) == {"p0", "p2"}, "a draft is no reference"
    with pytest.raises(UsageError, match="does not exist"):
        references(session.opened(), tmp_path / "nowhere")


def test_a_copy_has_the_images_and_no_labels(session: Session, tmp_path: Path) -> None:
    source = session.opened()
    source.set_role("p0", Role.VALIDATION)
    session.reopen_case("p0")
    with Study.open(source.root, write=False) as reading:
        other = Session()
        other.create(tmp_path / "copy", "Copy", reading.modalities, reading.labels)
        problems = copy_cases(reading, other)
        assert len(problems) == 1
        assert "p0 was left out" in problems[0]
        assert [row.name for row in other.cases()] == ["p1", "p2", "p3", "p4", "p5"]
        assert {row.state for row in other.cases()} == {CaseState.NEW}
        assert copy_cases(reading, other) == problems, "a second time adds nothing"
        for name in ("p1", "p5"):
            ours, theirs = reading.read(name), other.load(name)
            assert np.array_equal(ours.images["T1"], theirs.images["T1"])
            assert ours.grid.same_place(theirs.grid)
        set_roles(other.opened(), ["p1", "p2"], Role.VALIDATION)
        assert other.counts().validation == 2
        other.close()
