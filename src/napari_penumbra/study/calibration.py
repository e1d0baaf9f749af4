"""The study's own record of what a confidence was worth: predictions against what readers made of them, case by case.

One JSON file per champion under ``calibration/``. It holds the counts of every case that went into it, so that a case
is read once, and the figures drawn from them, so that a person can read them. It may be deleted: it is made again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.evaluation.calibration import STEPS, Reliability, Tally, near_foreground
from napari_penumbra.evaluation.track_record import FEWEST_CASES, TrackRecord
from napari_penumbra.imaging.atomic import disk_error, write_text
from napari_penumbra.study.core import Core
from napari_penumbra.study.predictions import read_confidence
from napari_penumbra.study.revisions import is_closed, newest_by_case, read_label_file
from napari_penumbra.study.schema import CaseTable, PredictionTable

VERSION = 1
Key = tuple[int, int, str]
"""Annotation, prediction and the stamp of its sidecar: while these are the same, so are the counts."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction and what a reader stands for on the same case.

    Attributes
    ----------
    case
        Name of the case.
    run
        The run that predicted.
    key
        What the counts depend on.
    truth, said, confidence
        Files, relative to the study.
    grid
        Where they lie.
    held_out
        A frozen validation case: no model has learnt from it.
    """

    case: str
    run: str
    key: Key
    truth: str
    said: str
    confidence: str
    grid: Grid
    held_out: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known about the confidence of one champion.

    Attributes
    ----------
    champion
        Run of the model that predicts now.
    method
        Its method: what a confidence means differs from method to method.
    own
        Whether all cases were predicted by this very model; otherwise earlier models of the method helped out, because
        this one has too few corrected cases.
    keys
        Case to what its counts depend on.
    record
        The counts.
    """

    champion: str
    method: str
    own: bool
    keys: Mapping[str, Key]
    record: TrackRecord


def pairs(core: Core) -> list[Pair]:
    """Find every prediction that can be held against a reader's label: newest predictions first.

    Of a closed case that was reviewed, the prediction that the reader started from: a later one may come from a model
    that has learnt from that label. Of a frozen case, every prediction.
    """
    found: list[Pair] = []
    with core.db.read() as session:
        cases = {case.id: case for case in session.scalars(select(CaseTable))}
        live = {number: row for number, row in newest_by_case(session).items() if is_closed(row)}
        for row in session.scalars(select(PredictionTable).order_by(PredictionTable.id.desc())):
            label, case = live.get(row.case_id), cases[row.case_id]
            held_out = case.role == Role.VALIDATION.value
            if label is None or not (held_out or row.id == label.prediction_id):
                continue
            key = (label.id, row.id, row.stamp)
            files = (label.path, row.labels, row.confidence)
            found.append(Pair(case.name, row.run, key, *files, Grid.from_json(case.grid), held_out))
    return found


def count(core: Core, pair: Pair) -> Tally:
    """Count right and wrong voxels by confidence: those near foreground, never unknown ones (255) of either side.

    Raises
    ------
    ImageError, StudyError
        A file is missing or damaged.
    """
    what = f"A label file of {pair.case}"
    truth = read_label_file(core, pair.truth, pair.grid, what)
    said = read_label_file(core, pair.said, pair.grid, what)
    sure = read_confidence(core.layout.absolute(pair.confidence), pair.grid, pair.case)
    near = near_foreground(said, truth, pair.grid.scale)
    near &= (truth != UNKNOWN) & (said != UNKNOWN)
    return Tally.of(sure[near], (said == truth)[near])


def choose(found: Sequence[Pair], champion: str, models: Mapping[str, str]) -> tuple[list[Pair], bool]:
    """Choose one pair per case: the champion's own where there are enough, else all that are given.

    Parameters
    ----------
    found
        Newest predictions first; only those whose model has the champion's method.
    models
        Run that predicted to the model that it used.

    Returns
    -------
    list of Pair
        At most one per case.
    bool
        Whether all of them are the champion's own.
    """
    own: dict[str, Pair] = {}
    all_: dict[str, Pair] = {}
    for pair in found:
        all_.setdefault(pair.case, pair)
        if models.get(pair.run) == champion:
            own.setdefault(pair.case, pair)
    if len(own) >= FEWEST_CASES or len(own) == len(all_):
        return list(own.values()), True
    return list({**all_, **own}.values()), False


def to_json(calibration: Calibration) -> dict[str, Any]:
    """Plain data: figures first, then the counts that they were drawn from."""
    record = calibration.record
    errors = record.errors
    return {
        "version": VERSION,
        "champion": calibration.champion,
        "method": calibration.method,
        "only_this_model": calibration.own,
        "corrected_cases": len(record.cases),
        "voxels": record.total.n,
        "ece": errors.ece,
        "ece_isotonic": errors.ece_isotonic,
        "ece_temperature": errors.ece_scaled,
        "temperature": record.temperature,
        "reliability": _bins(record.before),
        "isotonic": [round(float(value), 6) for value in record.isotonic],
        "cases": {
            name: {
                "annotation": calibration.keys[name][0],
                "prediction": calibration.keys[name][1],
                "stamp": calibration.keys[name][2],
                "right": tally.right.tolist(),
                "wrong": tally.wrong.tolist(),
            }
            for name, tally in record.cases.items()
        },
    }


def _bins(found: Reliability) -> list[dict[str, float | int]]:
    return [
        {"from": float(a), "to": float(b), "voxels": int(n), "confidence": float(c), "right": float(r)}
        for a, b, n, c, r in zip(found.edges, found.edges[1:], found.count, found.confidence, found.right, strict=False)
        if n
    ]


def from_json(data: Mapping[str, Any]) -> Calibration:
    """Inverse of `to_json`; figures are drawn from the counts again.

    Raises
    ------
    ValueError, KeyError, TypeError
        This is not such data.
    """
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']}")
    tallies, keys = {}, {}
    for name, entry in dict(data["cases"]).items():
        right, wrong = np.asarray(entry["right"], np.int64), np.asarray(entry["wrong"], np.int64)
        if right.shape != (STEPS + 1,) or wrong.shape != right.shape or min(right.min(), wrong.min()) < 0:
            raise ValueError(f"the counts of {name} are damaged")
        tallies[str(name)] = Tally(right, wrong)
        keys[str(name)] = (int(entry["annotation"]), int(entry["prediction"]), str(entry["stamp"]))
    own = bool(data["only_this_model"])
    return Calibration(str(data["champion"]), str(data["method"]), own, keys, TrackRecord(tallies))


class Calibrations:
    """The part of `store.Study` that keeps calibrations."""

    _core: Core

    def calibration(self, champion: str) -> Calibration | None:
        """What is on the disk about a champion's confidence; None when there is nothing that can be read."""
        return _read(self._core.layout.calibration(champion))

    def calibration_pairs(self) -> list[Pair]:
        """Predictions that can be held against a reader's label; see `pairs`."""
        return pairs(self._core)

    def calibrate(self, champion: str, method: str, found: Sequence[Pair], models: Mapping[str, str]) -> Calibration:
        """Count what has not been counted yet and write the champion's file, if anything in it has changed.

        Reads label files of new cases: seconds for large ones. A case whose files cannot be read is left out. Nothing
        is written when the study was opened for reading only.

        Parameters
        ----------
        found, models
            See `choose`.

        Raises
        ------
        DiskError
            The file cannot be written.
        """
        chosen, own = choose(found, champion, models)
        before = self.calibration(champion)
        counted = _counts([before] if before is not None else [])
        if any((pair.case, pair.key) not in counted for pair in chosen):
            # A new champion starts with what was counted for the ones before.
            others = (_read(path) for path in sorted(self._core.layout.calibrations.glob("*.json")))
            counted |= _counts([other for other in others if other is not None])
        tallies: dict[str, Tally] = {}
        keys: dict[str, Key] = {}
        for pair in sorted(chosen, key=lambda pair: pair.case):
            tally = counted.get((pair.case, pair.key))
            if tally is None:
                # A case that cannot be read is told where it is opened; a figure can do without it.
                with contextlib.suppress(PenumbraError):
                    tally = count(self._core, pair)
            if tally is not None and tally.n:
                tallies[pair.case], keys[pair.case] = tally, pair.key
        made = Calibration(champion, method, own, keys, TrackRecord(tallies))
        same = before is not None and (before.keys, before.own) == (made.keys, made.own)
        if not same and self._core.db.write_allowed:
            _write(self._core.layout.calibration(champion), made)
        return made


def _counts(kept: Sequence[Calibration]) -> dict[tuple[str, Key], Tally]:
    return {(name, made.keys[name]): tally for made in kept for name, tally in made.record.cases.items()}


def _write(path: Path, calibration: Calibration) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(path.parent, error) from error
    # One line per entry: the counts of a case are 512 numbers.
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in to_json(calibration).items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def _read(path: Path) -> Calibration | None:
    # A damaged file is made again: everything in it is drawn from files that are still there.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    return None
