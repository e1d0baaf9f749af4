"""Drafts written by another thread: nothing drawn meanwhile is lost, whatever comes in between."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from session_study import cube

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import DiskError, PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.study import revisions
from napari_penumbra.study.store import Study

BOX = ((0, 0, 0), (1, 1, 3))
FIRST, SECOND = np.full((1, 1, 3), 1, np.uint8), np.zeros((1, 1, 3), np.uint8)


class SlowDisk:
    """Holds every write of a label file back until it is let go, or fails it."""

    def __init__(self, write) -> None:
        self._write = write
        self.asked, self.go = threading.Event(), threading.Event()
        self.error: PenumbraError | None = None

    def __call__(self, *arguments, **options) -> None:
        self.asked.set()
        assert self.go.wait(20)
        if self.error is not None:
            raise self.error
        self._write(*arguments, **options)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    slow = SlowDisk(revisions.write_nifti)
    monkeypatch.setattr(revisions, "write_nifti", slow)
    yield slow
    slow.go.set()


@pytest.fixture
def drawing(session: Session, disk: SlowDisk) -> np.ndarray:
    """The labels of p3, painted on; their draft hangs at the disk, and one more stroke has come since."""
    labels = session.load("p3").labels
    labels[0, 0, :3] = 1
    session.stroke("p3", BOX, FIRST)
    session.save_soon("p3", labels, 4.0)
    labels[5, 0, :3] = 1
    session.stroke("p3", ((5, 0, 0), (6, 1, 3)), FIRST)
    assert disk.asked.wait(20)
    return labels


def saved(session: Session) -> list[np.ndarray]:
    """Voxels of p3's revisions, oldest first."""
    study = session.opened()
    grid = study.grid("p3")
    found = study.annotations("p3", withdrawn=True)
    return [revisions.read_label_file(study._core, str(a.path), grid, "it") for a in found]


def test_what_is_drawn_while_a_draft_is_written_is_in_the_next(session, disk, drawing) -> None:
    told: list[str] = []
    session.draft_written.connect(told.append)
    assert session.saving == "p3"
    session.collect_draft()
    assert told == []
    disk.go.set()
    session.finish_draft()
    assert told == ["p3"]
    assert session.saving is None
    (draft,) = saved(session)
    assert np.count_nonzero(draft) == 3, "the copy of the moment, not what was painted since"
    study = session.opened()
    assert len(study.journal("p3")) == 1
    assert study.strokes_made("p3") == 1
    np.testing.assert_array_equal(study.read("p3").labels, drawing)
    assert session.save("p3", drawing)
    np.testing.assert_array_equal(saved(session)[-1], drawing)
    assert len(study.journal("p3")) == 0
    assert study.finished() == []


def test_a_program_killed_meanwhile_comes_back_with_every_stroke(session, disk, drawing, tmp_path: Path) -> None:
    copy = tmp_path / "killed"
    shutil.copytree(session.opened().root, copy, ignore=shutil.ignore_patterns("writer*", "*.lock", "owner*"))
    with Study.open(copy) as study:
        found = study.read("p3")
        np.testing.assert_array_equal(found.labels, drawing)
        assert found.restored == 2
        assert study.annotations("p3") == []


def test_a_draft_that_fails_is_told_and_keeps_everything(session, disk, drawing) -> None:
    failed: list[tuple[str, float]] = []
    errors: list[PenumbraError] = []
    session.draft_failed.connect(lambda name, seconds: failed.append((name, seconds)))
    session.failed.connect(errors.append)
    disk.error = DiskError("The disk is full.", "Make room.")
    disk.go.set()
    session.finish_draft()
    assert failed == [("p3", 4.0)]
    assert [error.message for error in errors] == ["The disk is full."]
    study = session.opened()
    assert study.annotations("p3") == []
    assert len(study.journal("p3")) == 2
    disk.error = None
    assert session.save("p3", drawing, 4.0)
    np.testing.assert_array_equal(saved(session)[-1], drawing)


def test_any_other_fault_is_told_in_words(session, disk, drawing) -> None:
    errors: list[PenumbraError] = []
    session.failed.connect(errors.append)
    disk.error = ZeroDivisionError("a fault")  # type: ignore[assignment]
    disk.go.set()
    session.finish_draft()
    assert "p3 was not written" in errors[0].message
    assert "a fault" in errors[0].details
    disk.error = None


@pytest.mark.parametrize("act", ["close_case", "save", "close", "open", "save_soon"])
def test_whatever_else_saves_waits_for_it(session, disk, drawing, act: str) -> None:
    threading.Timer(0.1, disk.go.set).start()
    root = session.opened().root
    if act == "close_case":
        session.close_case("p3", drawing, Closing.COMPLETE)
        assert [a.closing for a in session.opened().annotations("p3")] == [Closing.DRAFT, Closing.COMPLETE]
    elif act == "save":
        session.save("p3", drawing)
        assert len(saved(session)) == 2
    elif act == "save_soon":
        session.save_soon("p3", drawing)
        session.finish_draft()
        np.testing.assert_array_equal(saved(session)[-1], drawing)
    elif act == "close":
        session.close()
    else:
        session.open(root)
    if act in ("close", "open"):
        session.open(root)
        assert len(saved(session)) == 1
        np.testing.assert_array_equal(session.opened().read("p3").labels, drawing)


def test_an_older_copy_never_replaces_a_newer_revision(session: Session) -> None:
    study = session.opened()
    moment = study.moment("p3")
    session.save("p3", cube(2))
    with pytest.raises(PenumbraError, match="another revision"):
        session._write(study, "p3", cube(4), Closing.DRAFT, 0.0, moment=moment)
    assert len(saved(session)) == 1


def test_the_draft_of_a_second_reading_goes_to_the_reading(session: Session) -> None:
    session.start_reading("p0", "reader 2")
    labels = session.load("p0").labels
    labels[0, 0, :3] = 1
    session.stroke("p0", BOX, FIRST)
    before = session.opened().annotations("p0")
    session.save_soon("p0", labels, 2.0)
    session.stroke("p0", BOX, SECOND)
    session.finish_draft()
    assert session.opened().annotations("p0") == before
    (reading,) = session.readings("p0")
    assert reading.seconds == 2.0
    assert session.blind is not None
    assert len(session.blind.journal) == 1
    assert not session.load("p0").labels.any(), "the stroke that came meanwhile is painted again"


def test_looking_and_not_painting_books_the_time_and_writes_nothing(session: Session) -> None:
    session.save_soon("p3", session.load("p3").labels, 7.0)
    session.finish_draft()
    assert session.opened().annotations("p3") == []
    assert session.opened().case("p3").seconds == pytest.approx(7.0)
