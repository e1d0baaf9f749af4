"""How many pieces a class usually has: counted in finished cases, kept, and never guessed from a few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from study_scans import grid, scan

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.study.piece_counts import FEWEST_CASES, Usual, count_pieces, usual
from napari_penumbra.study.store import Study

SHAPE = (12, 60, 60)
GRID = grid(SHAPE, (3.0, 1.0, 1.0))


def test_specks_are_no_pieces_and_unknown_is_no_class() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 20:40, 20:40] = 1
    labels[3:9, 30:34, 30:34] = 2
    labels[3:5, 50:56, 50:56] = 1
    labels[0, 2, 2] = 1
    labels[10:, 40:, :20] = 255
    assert count_pieces(labels, GRID) == {1: 2, 2: 1}
    assert count_pieces(np.zeros(SHAPE, np.uint8), GRID) == {}


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([{1: 1}] * FEWEST_CASES, {1: Usual(1, FEWEST_CASES)}),
        ([{1: 1}] * (FEWEST_CASES - 1), {}),
        ([{1: 1}] * FEWEST_CASES + [{1: 2}], {}),
        ([{1: 1}, {}] * FEWEST_CASES, {1: Usual(1, FEWEST_CASES)}),
        ([{1: 1, 2: 2}] * 5 + [{2: 2}], {1: Usual(1, 5), 2: Usual(2, 6)}),
        ([], {}),
    ],
)
def test_only_what_never_changes_is_usual(counts: list[dict[int, int]], found: dict[int, Usual]) -> None:
    assert usual(counts) == found


@pytest.fixture
def cases(empty: Study, tmp_path: Path) -> Study:
    for n in range(FEWEST_CASES + 1):
        empty.add_case(f"p{n}", {"DWI": scan(tmp_path / f"p{n}.nii.gz", seed=n)})
    return empty


def finish(study: Study, n: int, *corners: int, closing: Closing = Closing.COMPLETE) -> None:
    """Close a case with a block at each corner."""
    labels = np.zeros(study.grid(f"p{n}").array_shape, np.uint8)
    for at in corners:
        labels[at : at + 3, at : at + 4, at : at + 4] = 1
    study.save(f"p{n}", labels, closing, Origin.PAINTED, "r", 1.0, touched_slices=range(labels.shape[0]))


def test_finished_cases_are_counted_once_and_a_withdrawn_one_no_longer(
    cases: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(FEWEST_CASES):
        finish(cases, n, 1)
    assert cases.usual_pieces() == {}, "nothing is counted in the window's thread"
    assert cases.count_pieces() == {1: Usual(1, FEWEST_CASES)} == cases.usual_pieces()
    monkeypatch.setattr("napari_penumbra.study.piece_counts.read_label_file", None)  # a second look would fail
    assert cases.count_pieces() == {1: Usual(1, FEWEST_CASES)}
    cases.withdraw("p0")
    assert cases.usual_pieces() == {}


def test_one_finished_case_with_two_pieces_ends_it(cases: Study) -> None:
    for n in range(FEWEST_CASES):
        finish(cases, n, 1)
    cases.count_pieces()
    finish(cases, FEWEST_CASES, 0, 5)
    assert cases.count_pieces() == {} == cases.usual_pieces()


def test_drafts_and_partial_cases_say_nothing(cases: Study) -> None:
    for n in range(FEWEST_CASES - 1):
        finish(cases, n, 1)
    finish(cases, FEWEST_CASES - 1, 1, closing=Closing.PARTIAL)
    finish(cases, FEWEST_CASES, 1, closing=Closing.DRAFT)
    assert cases.count_pieces() == {}


def test_a_damaged_record_or_label_file_is_done_without(cases: Study) -> None:
    for n in range(FEWEST_CASES + 1):
        finish(cases, n, 1)
    cases.layout.pieces.parent.mkdir(exist_ok=True)
    cases.layout.pieces.write_text("{")
    cases.layout.absolute(cases.annotations("p0")[-1].path).write_bytes(b"")
    assert cases.count_pieces() == {1: Usual(1, FEWEST_CASES)} == cases.usual_pieces()
