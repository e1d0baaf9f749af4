from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.study.journal import Journal

BOX = ((1, 2, 3), (2, 4, 6))


def stroke(value: int) -> np.ndarray:
    return np.full((1, 2, 3), value, dtype=np.uint8)


def blank() -> np.ndarray:
    return np.zeros((4, 8, 8), dtype=np.uint8)


def test_strokes_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "r3")
    journal.append(BOX, stroke(1))
    journal.append(BOX, stroke(2))
    journal.append(((0, 0, 0), (1, 1, 1)), np.full((1, 1, 1), 9, dtype=np.uint8))
    labels = blank()
    again = Journal(tmp_path / "journal")
    assert (again.replay(labels), len(again), again.base) == (3, 3, "r3")
    expected = blank()
    expected[1:2, 2:4, 3:6] = 2
    expected[0, 0, 0] = 9
    np.testing.assert_array_equal(labels, expected)


def test_nothing_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "none")
    assert (journal.replay(blank()), journal.base, journal.mark(), len(journal)) == (0, None, 0, 0)
    journal.clear()


@pytest.mark.parametrize("cut", range(1, 45))
def test_a_torn_last_record_costs_only_itself(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path)
    journal.append(BOX, stroke(1))
    whole = journal.mark()
    journal.append(BOX, stroke(2))
    data = journal.path.read_bytes()
    journal.path.write_bytes(data[: max(whole, len(data) - cut)])
    labels = blank()
    assert journal.replay(labels) == 1
    assert labels[1, 2, 3] == 1
    journal.append(BOX, stroke(5))  # what is appended behind the torn record is found all the same
    assert journal.replay(labels) == 2
    assert labels[1, 2, 3] == 5


def test_damage_in_the_middle_costs_one_stroke(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(BOX, stroke(1))
    first = journal.mark()
    journal.append(BOX, stroke(2))
    journal.append(((0, 0, 0), (1, 1, 1)), np.full((1, 1, 1), 9, dtype=np.uint8))
    data = bytearray(journal.path.read_bytes())
    data[first + 20] ^= 0xFF
    journal.path.write_bytes(bytes(data))
    labels = blank()
    assert journal.replay(labels) == 2
    assert (labels[1, 2, 3], labels[0, 0, 0]) == (1, 9)


def test_a_stroke_of_another_shape_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(((0, 0, 0), (9, 9, 9)), np.ones((9, 9, 9), dtype=np.uint8))
    labels = blank()
    assert journal.replay(labels) == 0
    assert not labels.any()
    with pytest.raises(ValueError, match="does not fit"):
        journal.append(BOX, np.ones((1, 1, 1), dtype=np.uint8))


def test_clear_keeps_strokes_that_came_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "empty")
    journal.append(BOX, stroke(1))
    mark = journal.mark()
    journal.append(BOX, stroke(2))
    journal.clear(mark, base="r1")
    assert (len(journal), journal.base) == (1, "r1")
    journal.clear()
    assert not journal.path.exists()
    journal.append(BOX, stroke(3))
    assert Journal(tmp_path).base == "r1"


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    journal = Journal(tmp_path)
    journal.append(BOX, stroke(1))
    before = journal.path.read_bytes()
    real = os.write

    def full(handle: int, data: bytes = b"") -> int:
        if fails == "write" and data:
            real(handle, bytes(data)[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, fails, full)
        with pytest.raises(DiskError, match="could not be kept safe"):
            journal.append(BOX, stroke(2))
    assert journal.path.read_bytes() == before
    labels = blank()
    assert journal.replay(labels) == 1


def test_marks_outlive_a_clearing_that_came_between(tmp_path: Path) -> None:
    """Two saves may have taken their marks before either clears: the later one takes no newer stroke along."""
    journal = Journal(tmp_path / "journal", "empty")
    journal.append(BOX, stroke(1))
    first = journal.mark()
    journal.append(BOX, stroke(2))
    second = journal.mark()
    journal.append(BOX, stroke(3))
    journal.clear(first, base="r1")
    assert len(journal) == 2
    journal.clear(second, base="r2")
    labels = blank()
    assert (journal.replay(labels), journal.base, labels[1, 2, 3]) == (1, "r2", 3)
    journal.clear(first, base="r2")
    assert len(journal) == 1, "an old mark clears nothing"


def test_strokes_of_one_thread_survive_clearings_of_another(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "empty")
    over = threading.Event()
    cleared = []

    def save() -> None:
        while not over.is_set():
            mark = journal.mark()
            labels = blank()
            journal.replay(labels)
            journal.clear(mark, base="r1")
            cleared.append(labels)

    saving = threading.Thread(target=save)
    saving.start()
    for n in range(200):
        z, y, x = n // 64 % 4, n // 8 % 8, n % 8
        journal.append(((z, y, x), (z + 1, y + 1, x + 1)), np.full((1, 1, 1), 1 + n % 9, dtype=np.uint8))
    over.set()
    saving.join()
    kept = blank()
    journal.replay(kept)
    seen = np.maximum.reduce([*cleared, kept])
    assert np.count_nonzero(seen) == 200, "each stroke was in what was cleared, or is still there"
