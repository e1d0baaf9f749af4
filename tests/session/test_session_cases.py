"""Opening, annotating and closing cases through the session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from session_study import GRID, cube

from napari_penumbra.domain.case import CaseState, Closing, Origin
from napari_penumbra.domain.errors import GeometryError, StudyError, StudyLockedError, UsageError
from napari_penumbra.session import Session


def test_without_a_study_everything_is_empty_and_the_status_says_what_to_do() -> None:
    session = Session()
    assert session.cases() == []
    assert session.counts().cases == 0
    assert session.next_case() is None
    assert session.runs() == []
    assert session.active is None
    assert session.readonly
    assert "No study open" in session.status
    session.poll()
    session.close()
    with pytest.raises(StudyError, match="No study is open"):
        session.load("p0")


def test_a_new_study_tells_its_next_steps(session: Session) -> None:
    assert session.counts().cases == 6
    assert session.counts().labelled == 3
    assert "3 labelled, 3 not" in session.status


def test_a_second_session_opens_read_only_and_says_who_has_it(session: Session) -> None:
    second = Session()
    second.open(session.opened().root)
    assert second.readonly
    assert "read-only" in second.notice
    assert second.status == second.notice
    assert second.load("p0").labels.any()
    with pytest.raises(StudyLockedError, match="in use by"):
        second.save("p3", cube(), 1.0)
    with pytest.raises(StudyLockedError):
        second.train("mean-teacher", "laptop")
    second.close()


def test_opening_the_same_study_again_keeps_the_writers_role(session: Session) -> None:
    session.open(session.opened().root)
    assert not session.readonly


def test_walking_starts_at_the_first_open_case_and_ends_at_the_ends(session: Session) -> None:
    assert session.next_case() == "p3"
    assert session.next_case("p3") == "p4"
    assert session.next_case("p3", -1) == "p2"
    assert session.next_case("p5") is None
    assert session.next_case("p0", -1) is None


def test_a_stroke_survives_a_window_that_never_saved(session: Session) -> None:
    labels = cube()
    box = ((2, 2, 3), (5, 6, 7))
    session.stroke("p3", box, labels[2:5, 2:6, 3:7])
    root = session.opened().root
    session.close()  # nothing was saved
    again = Session()
    again.open(root)
    case = again.load("p3")
    assert case.restored == 1
    assert np.array_equal(case.labels, labels)
    assert again.save("p3", case.labels, 3.0)
    assert again.load("p3").restored == 0
    again.close()


def test_strokes_after_a_save_are_kept_too(session: Session) -> None:
    session.load("p3")
    session.stroke("p3", ((2, 2, 3), (5, 6, 7)), cube()[2:5, 2:6, 3:7])
    session.save("p3", cube(), 1.0)
    session.stroke("p3", ((0, 0, 0), (1, 1, 1)), np.full((1, 1, 1), 2, np.uint8))
    case = session.load("p3")
    assert case.restored == 1
    assert case.labels[0, 0, 0] == 2
    assert case.labels[3, 3, 4] == 1


def test_drafts_teach_nothing_until_closed_and_reopening_takes_them_back(session: Session) -> None:
    changed: list[str] = []
    session.case_changed.connect(changed.append)
    assert session.save("p3", cube(), 5.0)
    assert not session.save("p3", cube(), 5.0)
    assert session.counts().labelled == 3
    annotation = session.close_case("p3", cube(), Closing.COMPLETE, 2.0)
    assert annotation is not None
    assert annotation.origin is Origin.PAINTED
    assert annotation.author == session.reader
    assert session.counts().labelled == 4
    assert session.opened().case("p3").seconds == pytest.approx(12.0)
    session.reopen_case("p3")
    assert session.opened().case("p3").state is CaseState.IN_PROGRESS
    assert session.counts().labelled == 3
    assert set(changed) == {"p3"}


def test_a_partial_case_leaves_untouched_slices_unknown(session: Session) -> None:
    session.close_case("p3", cube(), Closing.PARTIAL, 1.0, touched_slices={2, 3})
    labels = session.load("p3").labels
    assert (labels[0] == 255).all()
    assert not (labels[2:4] == 255).any()


def test_a_label_on_another_grid_is_refused_and_nothing_is_half_added(session: Session, sources: Path) -> None:
    from napari_penumbra.domain.grid import Grid
    from napari_penumbra.imaging.nifti import write_nifti

    shifted = GRID.matrix
    shifted[0, 3] += 4
    write_nifti(sources / "off.nii.gz", cube(), Grid.of(GRID.shape, shifted))
    with pytest.raises(GeometryError):
        session.add_case("p9", {"T1": sources / "images" / "p0.nii.gz"}, sources / "off.nii.gz")
    assert session.counts().cases == 6


def test_an_unknown_case_is_told(session: Session) -> None:
    with pytest.raises(UsageError, match="p77"):
        session.load("p77")


def test_neither_session_nor_command_line_imports_torch_qt_or_napari() -> None:
    import subprocess
    import sys

    code = (
        "import sys, napari_penumbra.session, napari_penumbra.cli; "
        "print(sorted({'torch', 'monai', 'qtpy', 'PyQt6', 'magicgui', 'napari', 'vispy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
