from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import DiskError
from napari_penumbra.session.effort_table import COLUMNS, advice_words, effort_csv, saved_words, write_effort
from napari_penumbra.study.minutes import Finished


def one(n: int, seconds: float, **changes: Any) -> Finished:
    values: dict[str, Any] = {
        "case": f"p{n}",
        "closed": dt.datetime(2026, 11, 21, 8, n, tzinfo=dt.UTC),
        "reviewed": False,
        "closing": Closing.COMPLETE,
        "seconds": seconds,
        "strokes": 12,
        "changed": 400,
        "foreground": 400,
        "decided": {},
        "dice": None,
        "author": "reader",
    }
    return Finished(**{**values, **changes})


CORRECTED = {
    "reviewed": True,
    "changed": 10,
    "dice": 0.98765432,
    "decided": {"accept": 3, "fixed": 1},
    "model": "run-1",
}


def test_the_table_can_be_read_by_another_program() -> None:
    done = [one(1, 200.04), one(2, 31, strokes=None, **CORRECTED), one(3, 5, foreground=0, changed=7, reviewed=True)]
    rows = list(csv.DictReader(io.StringIO(effort_csv(done))))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0] | {"number": "1", "how": "by hand", "active_seconds": "200.0", "changed_share": "1.0"} == rows[0]
    assert rows[1]["finished_utc"] == "2026-11-21T08:02:00Z"
    assert (rows[1]["how"], rows[1]["strokes"], rows[1]["prediction_dice"]) == ("corrected", "", "0.98765")
    assert (rows[1]["regions_accept"], rows[1]["regions_fixed"], rows[1]["regions_reject"]) == ("3", "1", "0")
    assert (rows[1]["changed_share"], rows[1]["model"]) == ("0.025", "run-1")
    assert rows[2]["changed_share"] == ""


def test_no_names_but_the_one_that_was_set_here() -> None:
    done = [one(n, 1, author=a) for n, a in enumerate(["anna", "reader", "Bert Example", "anna", "carl"])]
    readers = [row["reader"] for row in csv.DictReader(io.StringIO(effort_csv(done, "anna")))]
    assert readers == ["anna", "reader", "reader 2", "anna", "reader 3"]
    text = effort_csv(done)
    assert "anna" not in text
    assert "Bert" not in text


def test_a_name_with_a_comma_does_not_break_the_table(tmp_path: Path) -> None:
    path = write_effort(tmp_path / "effort.csv", [one(1, 1, case='odd, "name"')])
    with path.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["case"] == 'odd, "name"'
    with pytest.raises(DiskError):
        write_effort(tmp_path / "nowhere" / "effort.csv", [])


@pytest.mark.parametrize(
    ("done", "words"),
    [
        ([], "not known without two cases painted by hand"),
        ([one(1, 100), one(2, 300)], "not known before a corrected case"),
        (
            [one(1, 100), one(2, 300), one(3, 20, **CORRECTED), one(4, 60, **CORRECTED)],
            "Time saved: about 5 min over 2 corrected cases, against 3 min a case by hand (median of the first 2).",
        ),
        ([one(1, 100), one(2, 100), one(3, 160, **CORRECTED)], "1 corrected case took 60 s more than by hand"),
    ],
)
def test_time_saved_in_words(done: list[Finished], words: str) -> None:
    assert words in saved_words(done)
    assert advice_words(done).startswith("Not yet known")
