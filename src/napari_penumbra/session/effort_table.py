"""What cases took, as a table for other programs and in words for the reader."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path

from napari_penumbra.domain.case import Verdict
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.session.reader_name import NEUTRAL
from napari_penumbra.session.words import duration
from napari_penumbra.study.minutes import Finished, stop_rule, time_saved

COLUMNS = (
    "number",
    "case",
    "finished_utc",
    "how",
    "closing",
    "active_seconds",
    "strokes",
    "voxels_changed",
    "voxels_foreground",
    "changed_share",
    *(f"regions_{verdict.value}" for verdict in Verdict),
    "prediction_dice",
    "model",
    "reader",
)


def effort_rows(done: Sequence[Finished], own_name: str = "") -> list[dict[str, str | int | float | None]]:
    """One row of plain values per finished case, under `COLUMNS`; None where something is not known.

    Parameters
    ----------
    own_name
        Name that the reader of this machine has set. Other readers are numbered in the order in which they appear: a
        table is passed on, and they were not asked.
    """
    names = {NEUTRAL: NEUTRAL, own_name: own_name or NEUTRAL}
    rows: list[dict[str, str | int | float | None]] = []
    for number, f in enumerate(done, start=1):
        reader = names.setdefault(f.author, f"reader {len(names)}")
        share = f.share
        rows.append(
            {
                "number": number,
                "case": f.case,
                "finished_utc": f.closed.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "how": "corrected" if f.reviewed else "by hand",
                "closing": f.closing.value,
                "active_seconds": round(f.seconds, 1),
                "strokes": f.strokes,
                "voxels_changed": f.changed,
                "voxels_foreground": f.foreground,
                "changed_share": None if share is None else round(share, 5),
                **{f"regions_{v.value}": int(f.decided.get(v.value, 0)) for v in Verdict},
                "prediction_dice": None if f.dice is None else round(f.dice, 5),
                "model": f.model,
                "reader": reader,
            }
        )
    return rows


def effort_csv(done: Sequence[Finished], own_name: str = "") -> str:
    """The table as CSV text (RFC 4180: comma, a head line, CRLF); unknown values are empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(effort_rows(done, own_name))
    return text.getvalue()


def write_effort(path: Path, done: Sequence[Finished], own_name: str = "") -> Path:
    """Write the table, whole or not at all; raises `DiskError` in words."""
    write_text(path, effort_csv(done, own_name))
    return path


def saved_words(done: Sequence[Finished]) -> str:
    """Say the estimated time saved, or why it is not known."""
    saved = time_saved(done)
    if saved is None:
        by_hand = sum(not f.reviewed and f.seconds > 0 for f in done)
        if by_hand < 2:
            return "Time saved: not known without two cases painted by hand and timed."
        return "Time saved: not known before a corrected case was timed."
    usual = f"{duration(saved.by_hand)} a case by hand (median of the first {saved.of})"
    cases = "1 corrected case" if saved.cases == 1 else f"{saved.cases} corrected cases"
    if saved.seconds < 0:
        return f"{cases} took {duration(-saved.seconds)} more than by hand: {usual}."
    return f"Time saved: about {duration(saved.seconds)} over {cases}, against {usual}."


def advice_words(done: Sequence[Finished]) -> str:
    """Say whether to go on, in one sentence."""
    return stop_rule(done).words
