"""Small cases and a remembering session for the tests of the plugin."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from psygnal import Signal

from napari_penumbra.domain.case import CaseState, OpenCase
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.regions import Region
from napari_penumbra.imaging.files import write_nifti
from napari_penumbra.study.store import Study

# Grows towards L, P, S: 1 mm along x, 1.5 mm along y, 4 mm along z; its first voxel lies right, front and below.
GRID = Grid.of((48, 40, 12), [[-1, 0, 0, 30], [0, -1.5, 0, 20], [0, 0, 4, -10], [0, 0, 0, 1]])


@dataclass
class StudyStub:
    """What the bridge asks of a study."""

    labels: LabelScheme = field(default_factory=lambda: LabelScheme.parse(["1=penumbra", "2=core"]))
    grids: dict[str, Grid] = field(default_factory=dict)
    root: Path = Path("study")

    def source_grid(self, name: str) -> Grid:
        return self.grids.get(name, GRID)


class SessionStub:
    """A session that remembers strokes instead of writing them."""

    failed = Signal(PenumbraError)
    models_changed = Signal()
    star = "★"

    def __init__(self) -> None:
        self.study: StudyStub | None = StudyStub()
        self.readonly = False
        self.strokes: list[tuple[str, Any, Any]] = []
        self.journal_error: PenumbraError | None = None

    def opened(self) -> StudyStub:
        if self.study is None:
            raise UsageError("No study is open.")
        return self.study

    def may_write(self, name: str) -> bool:
        return not self.readonly

    def predicted_by(self, run: str) -> str:
        return f"{self.star}{run}"

    def stroke(self, name: str, box: Any, after: Any) -> None:
        if self.journal_error is not None:
            raise self.journal_error
        self.strokes.append((name, box, after.copy()))

    def replay(self, name: str, shape: tuple[int, ...]) -> Any:
        """What the journal of a case would bring back."""
        array = np.zeros(shape, np.uint8)
        for case, box, after in self.strokes:
            if case == name:
                array[tuple(slice(a, b) for a, b in zip(*box, strict=True))] = after
        return array


def open_case(name: str = "p007", grid: Grid = GRID, **changes: Any) -> OpenCase:
    """A small case of two modalities; the arrays differ from name to name."""
    rng = np.random.default_rng(sum(map(ord, name)))
    shape = grid.array_shape
    values: dict[str, Any] = {
        "images": {m: rng.normal(100, 20, shape).astype(np.float32) for m in ("DWI", "T2")},
        "labels": np.zeros(shape, np.uint8),
        "state": CaseState.NEW,
    }
    return OpenCase(name=name, grid=grid, **(values | changes))


def predicted_case(name: str = "p007") -> OpenCase:
    """A case with a block predicted and a confidence that is low at one of its sides."""
    shape = GRID.array_shape
    predicted = np.zeros(shape, np.uint8)
    predicted[4:8, 10:20, 10:24] = 1
    confidence = np.ones(shape, np.float32)
    confidence[4:8, 10:20, 10:14] = 0.2
    return open_case(
        name, predicted=predicted, confidence=confidence, labels=predicted.copy(), state=CaseState.PREDICTED
    )


def a_region(low: tuple[int, int, int] = (6, 12, 30), size: tuple[int, int, int] = (2, 4, 5)) -> Region:
    """A solid block as a region."""
    z, y, x = low
    high = (z + size[0], y + size[1], x + size[2])
    return Region((low, high), np.ones(size, bool), 1, 0.3, 0.1, 5.0, "weak at the border")


def leave_prediction(study: Study, name: str, labels: Any, confidence: Any, run: str = "run-1") -> None:
    """Leave a prediction in a study's folder as a worker does, the sidecar last, and register it."""
    grid = study.read(name).grid
    folder = study.layout.predictions(name)
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: folder / f"{run}.{kind}.nii.gz" for kind in ("labels", "confidence")}
    write_nifti(files["labels"], labels, grid)
    write_nifti(files["confidence"], confidence, grid)
    paths = {kind: study.layout.relative(path) for kind, path in files.items()}
    told = {"case": name, "run": run, "created": dt.datetime.now(dt.UTC).isoformat(), **paths}
    (folder / f"{run}.json").write_text(json.dumps(told), encoding="utf-8")
    assert study.register_predictions(), "the prediction was not believed"
