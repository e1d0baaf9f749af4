"""Opening a case: images, labels, prediction, and the strokes that were not saved."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import ImageArray, OpenCase
from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging.files import load_readers, read_image
from napari_penumbra.study import predictions, queries
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.journal import Journal
from napari_penumbra.study.revisions import live_of, newest_prediction, read_label_file
from napari_penumbra.study.schema import ImageTable, PredictionTable

_READERS = 4
"""Files read at once: unpacking lets go of Python's lock, and the reader waits."""


@dataclass(frozen=True, slots=True)
class _Start:
    """What labels a case opens with: a file (None: nothing painted) and its name in the journal."""

    token: str
    path: str | None


def read(core: Core, name: str, *, strokes: bool = True) -> tuple[OpenCase, str]:
    """Read a case; see `store.Study.read`.

    Parameters
    ----------
    strokes
        Whether to paint unsaved strokes again; False where another reader works on the case.

    Returns
    -------
    OpenCase
        What the canvas shows.
    str
        What its labels are painted on, for `Journal`.
    """
    state = queries.facts(core, name)[0].row.state
    with core.db.read() as session:
        case = case_of(session, name)
        images = {r.modality: r.path for r in session.scalars(select(ImageTable).where(ImageTable.case_id == case.id))}
        newest = newest_prediction(session, case.id)
        journal = Journal(core.journal(case.slug))
        start = _start(session, case.id, newest, journal.base if strokes else None)
    grid = Grid.from_json(case.grid)
    prediction = None if newest is None else predictions.to_prediction(newest, name)
    order = [m for m in core.manifest.modalities if m in images]
    load_readers()
    with ThreadPoolExecutor(_READERS) as readers:
        volumes = {m: readers.submit(_image, core, images[m], grid, f"{m} of {name}") for m in order}
        said = None if prediction is None else readers.submit(predictions.read_prediction, core, prediction, grid, name)
        labels = _labels(core, start.path, grid, name)
        loaded = {m: future.result() for m, future in volumes.items()}
        predicted, confidence = (None, None) if said is None else said.result()
    core.ahead.end(name)
    restored = journal.replay(labels) if strokes else 0
    opened = OpenCase(name, grid, loaded, labels, state, prediction, predicted, confidence, restored)
    return opened, start.token


def read_ahead(core: Core, name: str) -> None:
    """Read the files of a case that never change into memory, for `read` to find; in another thread than the window's.

    Raises what `read` raises when a file is missing or damaged.
    """
    with core.db.read() as session:
        case = case_of(session, name)
        images = {r.modality: r.path for r in session.scalars(select(ImageTable).where(ImageTable.case_id == case.id))}
        newest = newest_prediction(session, case.id)
    grid = Grid.from_json(case.grid)
    load_readers()
    core.ahead.begin(name)
    if newest is not None:
        predictions.read_ahead(core, predictions.to_prediction(newest, name), grid, name)
    for modality, relative in images.items():
        path = core.layout.absolute(relative)
        core.ahead.prepare(name, path, partial(_read_image, path, grid, f"{modality} of {name}"))


def base_of(core: Core, name: str) -> str:
    """Say what a case's labels are painted on when it is opened now, for `Journal`."""
    with core.db.read() as session:
        case = case_of(session, name)
        return _start(session, case.id, newest_prediction(session, case.id), None).token


def _start(session: Session, case_id: int, newest: PredictionTable | None, strokes_on: str | None) -> _Start:
    """Choose what the labels start from.

    ``strokes_on`` is what the unsaved strokes were painted on. It matters only without an annotation: strokes painted
    on an empty case must not come back on top of a prediction that arrived after the crash.
    """
    live = live_of(session, case_id)
    if live is not None:
        # Also when the strokes are older than it (a crash between saving and clearing the journal): each stroke holds
        # final values, so painting them again changes nothing.
        return _Start(f"r{live.revision}", live.path)
    if strokes_on == "empty" or newest is None:
        return _Start("empty", None)
    if strokes_on is not None and strokes_on[:1] == "p" and strokes_on[1:].isdigit():
        painted_on = session.get(PredictionTable, int(strokes_on[1:]))
        if painted_on is not None and painted_on.case_id == case_id:
            newest = painted_on
    return _Start(f"p{newest.id}", newest.labels)


def _image(core: Core, relative: str, grid: Grid, what: str) -> ImageArray:
    path = core.layout.absolute(relative)
    return core.ahead.take(path, lambda: _read_image(path, grid, what))


def _read_image(path: Path, grid: Grid, what: str) -> ImageArray:
    volume = read_image(path).volume
    if volume.data.shape != grid.array_shape or not volume.grid.same_place(grid, 0.1 * min(grid.spacing)):
        # Shown on the case's grid it would be a wrong picture.
        raise ImageError(
            f"{what} is no longer what the study wrote: it lies on another grid.",
            "Put the file back from a backup, or resample it with Check on the Study page.",
        )
    return np.asarray(volume.data, dtype=np.float32)


def _labels(core: Core, path: str | None, grid: Grid, name: str) -> LabelArray:
    if path is None:
        return np.zeros(grid.array_shape, dtype=np.uint8)
    return read_label_file(core, path, grid, f"A label file of {name}").copy()
