"""Predictions: registered from the sidecars that a worker writes last, and the decisions made about them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from napari_penumbra.domain.case import Decision, Prediction, Verdict
from napari_penumbra.domain.errors import PenumbraError, StudyError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.imaging.files import read_image
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.revisions import newest_prediction, read_label_file
from napari_penumbra.study.schema import CaseTable, DecisionTable, PredictionTable, now
from napari_penumbra.study.summaries import read_summary

MAX_SIDECAR = 65536
"""Bytes; a sidecar has a few thousand."""


def to_prediction(row: PredictionTable, case: str) -> Prediction:
    """Turn a row into a value."""
    return Prediction(row.id, case, row.run, Path(row.labels), Path(row.confidence), row.created)


def register(core: Core, refused: set[tuple[str, str]], names: Collection[str] | None = None) -> list[Prediction]:
    """Take new sidecars into the database; see `store.Study.register_predictions`.

    Parameters
    ----------
    refused
        Sidecars (path, modification time) found wrong before: said once, not at every look. Added to.
    """
    with core.db.read() as session:
        cases = list(session.scalars(select(CaseTable)))
        known = {
            (case_id, run): stamp
            for case_id, run, stamp in session.execute(
                select(PredictionTable.case_id, PredictionTable.run, PredictionTable.stamp)
            )
        }
    fresh: list[tuple[CaseTable, PredictionTable]] = []
    for case in cases:
        if names is not None and case.name not in names:
            continue
        for sidecar, stamp in _sidecars(core.layout.predictions(case.slug)):
            if known.get((case.id, sidecar.stem)) == stamp or (str(sidecar), stamp) in refused:
                continue
            try:
                fresh.append((case, _read_sidecar(core, case, sidecar, stamp)))
            except PenumbraError as error:
                refused.add((str(sidecar), stamp))
                core.notices.append(f"A prediction of {case.name} was left out: {error}")
    # Ids grow with the time of prediction, so that the newest is the one with the highest id.
    fresh.sort(key=lambda pair: pair[1].created)
    return _store(core, fresh) if fresh else []


def _sidecars(folder: Path) -> Iterator[tuple[Path, str]]:
    try:
        names = sorted(p for p in folder.iterdir() if p.suffix == ".json" and not p.name.startswith("."))
    except OSError:
        return
    for path in names:
        try:
            yield path, str(path.stat().st_mtime_ns)
        except OSError:  # taken away while we looked
            continue


def _read_sidecar(core: Core, case: CaseTable, sidecar: Path, stamp: str) -> PredictionTable:
    """Check everything a sidecar claims before a row believes it."""
    what = f"the sidecar {sidecar.name}"
    remedy = "Predict the case again."
    try:
        if sidecar.stat().st_size > MAX_SIDECAR:
            raise ValueError("too long")
        data = json.loads(sidecar.read_text(encoding="utf-8"))
        run, created = str(data["run"]), dt.datetime.fromisoformat(str(data["created"]))
        claimed, labels, confidence = str(data["case"]), str(data["labels"]), str(data["confidence"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{what} cannot be read.", remedy, details=repr(error)) from error
    if claimed != case.name or run != sidecar.stem:
        raise StudyError(f"{what} speaks of another case or run.", remedy)
    folder = core.layout.predictions(case.slug)
    summary = data.get("summary")
    paths = [core.layout.inside(path, folder) for path in (labels, confidence)]
    if paths[0] is None or paths[1] is None:
        raise StudyError(f"{what} names a file outside the case's folder.", remedy)
    mean = _mean_confidence(core, case, labels, paths[1])
    if created.tzinfo is None:
        created = created.replace(tzinfo=dt.UTC)
    return PredictionTable(
        case_id=case.id,
        run=run,
        labels=labels,
        confidence=confidence,
        created=created,
        mean_confidence=mean,
        stamp=stamp,
        model=model_of(core, run),
        summary=summary if read_summary(summary) is not None else None,
    )


def model_of(core: Core, run: str) -> str | None:
    """Name the training whose checkpoint a run predicted with; None when its order cannot be read."""
    try:
        order = json.loads((core.layout.run(run) / "job.json").read_text(encoding="utf-8"))
        folder, training, *_ = PurePosixPath(order["checkpoint"]).parts
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return training[:120] if folder == core.layout.runs.name else None


def _mean_confidence(core: Core, case: CaseTable, labels: str, confidence: Path) -> float | None:
    """Read both files whole (which is the proof that they are) and average confidence over the predicted foreground."""
    grid = Grid.from_json(case.grid)
    predicted = read_label_file(core, labels, grid, f"The prediction of {case.name}")
    core.manifest.labels.check(predicted, f"The prediction of {case.name}")
    sure = read_confidence(confidence, grid, case.name)
    inside = (predicted > 0) & (predicted != UNKNOWN)
    return float(sure[inside].mean()) if inside.any() else None


def read_confidence(path: Path, grid: Grid, case: str) -> npt.NDArray[np.float32]:
    """Read a confidence map, (z, y, x) in [0, 1]; raises `StudyError` when it is not one."""
    data = read_image(path).volume.data
    if data.shape != grid.array_shape or float(data.min()) < -1e-3 or float(data.max()) > 1 + 1e-3:
        raise StudyError(f"The confidence map of {case} ({path.name}) is damaged.", "Predict the case again.")
    return np.clip(data, 0, 1).astype(np.float32, copy=False)


def read_prediction(
    core: Core, prediction: Prediction, grid: Grid, case: str
) -> tuple[LabelArray, npt.NDArray[np.float32]]:
    """Read a prediction's labels and confidence."""
    (labels, read_labels), (confidence, read_map) = _readers(core, prediction, grid, case)
    return core.ahead.take(labels, read_labels), core.ahead.take(confidence, read_map)


def read_ahead(core: Core, prediction: Prediction, grid: Grid, case: str) -> None:
    """Read a prediction's labels and confidence into memory; see `reading.read_ahead`."""
    for path, read in _readers(core, prediction, grid, case):
        core.ahead.prepare(case, path, read)


def _readers(
    core: Core, prediction: Prediction, grid: Grid, case: str
) -> tuple[tuple[Path, Callable[[], LabelArray]], tuple[Path, Callable[[], npt.NDArray[np.float32]]]]:
    """Files of a prediction, each with what reads it."""
    labels, confidence = core.layout.absolute(prediction.labels), core.layout.absolute(prediction.confidence)
    what = f"The prediction of {case}"
    return (
        (labels, lambda: read_label_file(core, prediction.labels.as_posix(), grid, what)),
        (confidence, lambda: read_confidence(confidence, grid, case)),
    )


def _store(core: Core, fresh: list[tuple[CaseTable, PredictionTable]]) -> list[Prediction]:
    done: list[tuple[CaseTable, PredictionTable]] = []
    with core.db.write() as session:
        for case, row in fresh:
            old = session.scalars(
                select(PredictionTable).where(PredictionTable.case_id == row.case_id, PredictionTable.run == row.run)
            ).one_or_none()
            if old is None:
                session.add(row)
                done.append((case, row))
                continue
            # A resumed run wrote the case once more: the same prediction in the database, with the new figures.
            old.labels, old.confidence, old.created = row.labels, row.confidence, row.created
            old.mean_confidence, old.stamp = row.mean_confidence, row.stamp
            old.model, old.summary = row.model, row.summary
            done.append((case, old))
    for _, row in done:
        # Parsed here, in the thread that registers, one by one as they come: the table would wait for a thousand.
        core.summaries[row.id] = (row.stamp, read_summary(row.summary))
    return [to_prediction(row, case.name) for case, row in done]


def predictions(core: Core, name: str) -> list[Prediction]:
    """All predictions of a case, oldest first."""
    with core.db.read() as session:
        case = case_of(session, name)
        query = select(PredictionTable).where(PredictionTable.case_id == case.id).order_by(PredictionTable.id)
        return [to_prediction(row, name) for row in session.scalars(query)]


def newest(core: Core, name: str) -> Prediction | None:
    """The prediction of a case that was made last, or None."""
    with core.db.read() as session:
        row = newest_prediction(session, case_of(session, name).id)
        return None if row is None else to_prediction(row, name)


def decide(core: Core, name: str, prediction_id: int, box: Box, verdict: Verdict, voxels: int, author: str) -> Decision:
    """Record a verdict; an earlier one on the same box stays in the history, undone."""
    return decide_all(core, name, prediction_id, [(box, verdict, voxels)], author)[0]


def decide_all(
    core: Core, name: str, prediction_id: int, verdicts: Sequence[tuple[Box, Verdict, int]], author: str
) -> list[Decision]:
    """Record verdicts (box, verdict, voxels) in one transaction: all of them, or none."""
    with core.db.write() as session:
        case = case_of(session, name)
        prediction = session.get(PredictionTable, prediction_id)
        if prediction is None or prediction.case_id != case.id:
            raise UsageError(f"{name} has no prediction number {prediction_id}.", "Open the case again.")
        core.check_free(session, case.id, name)
        standing = select(DecisionTable).where(
            DecisionTable.case_id == case.id,
            DecisionTable.prediction_id == prediction_id,
            DecisionTable.undone.is_(None),
        )
        earlier = {str(row.box): row for row in session.scalars(standing)}
        rows = []
        for box, verdict, voxels in verdicts:
            wanted = [list(map(int, corner)) for corner in box]
            if str(wanted) in earlier:
                earlier[str(wanted)].undone = now()
            rows.append(
                DecisionTable(
                    case_id=case.id,
                    prediction_id=prediction_id,
                    box=wanted,
                    verdict=verdict.value,
                    voxels=int(voxels),
                    author=author,
                    created=now(),
                )
            )
            earlier[str(wanted)] = rows[-1]
        session.add_all(rows)
        session.flush()
        return [_to_decision(row, name) for row in rows]


def undo_decision(core: Core, decision_id: int) -> None:
    """Take a verdict back; it stays in the history."""
    undo_decisions(core, [decision_id])


def undo_decisions(core: Core, decision_ids: Sequence[int]) -> None:
    """Take verdicts back in one transaction; they stay in the history."""
    with core.db.write() as session:
        for decision_id in decision_ids:
            row = session.get(DecisionTable, decision_id)
            if row is None:
                raise UsageError(f"There is no decision number {decision_id}.", "Open the case again.")
            core.check_free(session, row.case_id, "The case")
            row.undone = row.undone or now()


def decisions(core: Core, name: str, prediction_id: int | None) -> list[Decision]:
    """Verdicts that stand on a prediction of a case (the newest by default), oldest first."""
    with core.db.read() as session:
        case = case_of(session, name)
        if prediction_id is None:
            row = newest_prediction(session, case.id)
            if row is None:
                return []
            prediction_id = row.id
        query = select(DecisionTable).where(
            DecisionTable.case_id == case.id,
            DecisionTable.prediction_id == prediction_id,
            DecisionTable.undone.is_(None),
        )
        return [_to_decision(r, name) for r in session.scalars(query.order_by(DecisionTable.id))]


def _to_decision(row: DecisionTable, case: str) -> Decision:
    (z0, y0, x0), (z1, y1, x1) = row.box
    return Decision(
        id=row.id,
        case=case,
        prediction_id=row.prediction_id,
        box=((z0, y0, x0), (z1, y1, x1)),
        verdict=Verdict(row.verdict),
        voxels=row.voxels,
        created=row.created,
    )
