"""What must be true of a study and of a run after any kill: asked of the files, not of the program that wrote them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from napari_penumbra.domain.progress import Progress
from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.study.schema import AnnotationTable, CaseTable, ImageTable, PredictionTable, ReadingTable
from napari_penumbra.study.store import Study
from torture_desk import digest


def broken_rows(study: Study) -> Iterator[str]:
    """Rows that point at a file which is not there or not whole: each is read to its last voxel."""
    core = study._core
    with core.db.read() as session:
        shapes = {case.id: study.grid(case.name).array_shape for case in session.scalars(select(CaseTable))}
        named = [(row.case_id, row.path, False) for row in session.scalars(select(ImageTable))]
        for table in (AnnotationTable, ReadingTable):
            for row in session.scalars(select(table)):
                named += [(row.case_id, path, True) for path in (row.path, row.drawn) if path]
        for row in session.scalars(select(PredictionTable)):
            named += [(row.case_id, row.labels, True), (row.case_id, row.confidence, False)]
    for case_id, path, labels in dict.fromkeys(named):
        try:
            read = read_labels if labels else read_image
            shape = read(core.layout.absolute(path)).volume.data.shape
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it is what is looked for
            yield f"{path}: {error}"
        else:
            if shape != shapes[case_id]:
                yield f"{path}: {shape} instead of {shapes[case_id]}"


def damaged_database(study: Study) -> list[str]:
    """What SQLite itself finds wrong with its file."""
    if study.shared:
        return []
    with study._core.db.engine.connect() as connection:
        found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        lost = [str(tuple(row)) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    return [text for text in found if text != "ok"] + lost


def closed_revisions(study: Study) -> dict[tuple[str, str], list[Path]]:
    """Files of every revision that was ever closed or accepted, by case and digest of its voxels."""
    found: dict[tuple[str, str], list[Path]] = {}
    for row in study.cases():
        for a in study.annotations(row.name, withdrawn=True):
            if a.closing.value != "draft":
                path = study.root / a.path
                found.setdefault((row.name, digest(read_labels(path).volume.data)), []).append(path)
    return found


def broken_run(run: Path) -> Iterator[str]:
    """What is wrong with a run that was killed: its latest checkpoint must be whole, its story readable."""
    folder = run / "checkpoints"
    latest = folder / "latest"
    if latest.exists():
        checkpoint = folder / latest.read_text(encoding="utf-8").strip()
        try:
            state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
            for file, wanted in state["digests"].items():
                if hashlib.sha256((checkpoint / file).read_bytes()).hexdigest() != wanted:
                    yield f"{checkpoint.name}/{file} is not what was written"
        except (OSError, ValueError, KeyError) as error:
            yield f"{checkpoint.name}: {error!r}"
    lines = (run / "events.jsonl").read_text(encoding="utf-8").split("\n")
    for n, line in enumerate(lines[:-1]):  # the last one may have been cut short by the kill
        try:
            Progress.from_line(line)
        except Exception as error:  # noqa: BLE001 - as above
            yield f"events.jsonl, line {n + 1}: {error!r} in {line[:80]!r}"
