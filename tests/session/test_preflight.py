"""What is known of the data, the machine and the disk before a training starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from session_study import GRID, Played, cube, image

from napari_penumbra.domain.diagnosis import DIAGNOSES
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.jobs.launch import Measured
from napari_penumbra.session import Preflight, Session


def look(session: Session) -> Preflight:
    return session.preflight("mean-teacher", "laptop")


def codes(session: Session) -> dict[str, str]:
    ahead = look(session)
    assert {finding.text for finding in ahead.findings} <= set(ahead.warnings)
    for finding in ahead.findings:
        assert finding.remedy == DIAGNOSES[finding.code].remedy
    return {finding.code: finding.message for finding in ahead.findings}


def test_a_labelled_case_without_a_painted_voxel(session: Session) -> None:
    assert "empty-label" not in codes(session)
    session.close_case("p3", np.zeros(GRID.array_shape, np.uint8))
    assert codes(session)["empty-label"] == "p3 is labelled, but nothing is painted there."


def test_nothing_painted_anywhere(session: Session) -> None:
    for name in ("p0", "p1", "p2"):
        session.close_case(name, np.zeros(GRID.array_shape, np.uint8))
    assert codes(session) == {"empty-labels": "No labelled case has any foreground."}


def test_a_training_case_that_is_the_same_scan_as_a_frozen_one(session: Session) -> None:
    session.close_case("p3", cube())
    frozen = session.opened().freeze_validation()[0]
    assert "leak" not in codes(session)
    session.add_case("again", {"T1": session.opened().root.parent / "images" / f"{frozen}.nii.gz"})
    assert codes(session)["leak"] == f"again is the same scan as the frozen case {frozen}: left out of the training."


def test_a_missing_modality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    root = session.opened().root
    session.create(root.parent / "two", "Two", ["T1", "T2"], LabelScheme.parse(["1=lesion"]))
    for name in ("a", "b", "c"):
        write_nifti(tmp_path / f"{name}.nii.gz", image(ord(name)), GRID)
        session.add_case(name, {"T1": tmp_path / f"{name}.nii.gz"})
        session.close_case(name, cube())
    assert codes(session) == {"modality-missing": "a and 2 more lack T2: it counts as empty there."}


def measured(**facts: int) -> Measured:
    return Measured(0.5, 2_000_000_000, "cpu", 1000, 100, **facts)


def test_time_counts_validations_and_disk_is_told(session: Session) -> None:
    costs = Measured(0.5, 2_000_000_000, "cpu", 1000, 100, seconds_per_validation=2.0, disk_bytes=600_000_000)
    ahead = look(session).with_measured(costs, free_disk=10**12)
    assert costs.seconds == 100 * 0.5 + 20 * 2.0
    assert ahead.cost_words == "about 2 min, 2.0 GB, 0.6 GB on disk"


@pytest.mark.parametrize(
    ("costs", "free_disk", "words"),
    [
        (measured(free_bytes=2_200_000_000), None, "A step takes 2.0 GB of the 2.2 GB of memory that are free"),
        (measured(free_bytes=9_000_000_000), None, ""),
        (measured(disk_bytes=600_000_000), 1_000_000_000, "The run may take 0.6 GB on disk and leaves 0.5 GB free"),
        (measured(disk_bytes=600_000_000), 1_200_000_000, ""),
    ],
)
def test_a_tight_machine_is_told_before(session: Session, costs: Measured, free_disk: int | None, words: str) -> None:
    before = look(session)
    after = before.with_measured(costs, free_disk)
    new = [text for text in after.warnings if text not in before.warnings and "graphics card" not in text]
    assert [text.startswith(words) for text in new] == ([True] if words else [])


def test_warnings_of_a_worker_stand_in_the_status_line_and_in_the_run_list(
    session: Session, play: type[Played]
) -> None:
    run = play("r1")
    found = DIAGNOSES["flat-low"].found(dice="0.00", step="25", steps="100")
    warning = Progress(Kind.WARNING, 25, 100, message=found.message, remedy=found.remedy, about=found.code)
    run.tell(Progress(Kind.STARTED), warning, Progress(Kind.STEP, 26, 100), warning, Progress(Kind.STEP, 27, 100))
    root = session.opened().root
    session.close()
    session.open(root)
    assert session.status.endswith(f"⚠ {found.message}")
    assert session.runs()[0].warnings == (found.text,)
    full = Progress(Kind.STOPPED, 27, 100, message="The disk is nearly full.", remedy="Free some.", about="disk")
    run.tell(full)
    session.poll()
    assert "Mean teacher stopped at step 27 of 100: The disk is nearly full. Free some." in session.status
