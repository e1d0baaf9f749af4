"""Cases, annotations, predictions and their states: values only, no files."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray

ImageArray = npt.NDArray[np.float32]


class CaseState(StrEnum):
    """What a reader sees of a case's progress. Derived from what exists, never stored."""

    NEW = "new"
    IN_PROGRESS = "in progress"
    ANNOTATED = "annotated"
    PREDICTED = "predicted"
    IN_REVIEW = "in review"
    ACCEPTED = "accepted"

    @property
    def labelled(self) -> bool:
        """Whether a case in this state belongs to the labelled pool."""
        return self in (CaseState.ANNOTATED, CaseState.ACCEPTED)


class Role(StrEnum):
    """What a case may be used for. A validation case is frozen when drawn and never trains again."""

    TRAINING = "training"
    VALIDATION = "validation"
    ASIDE = "set aside"
    """Kept in the study, but nothing learns from it, is measured on it or predicts it."""


class Closing(StrEnum):
    """How a reader left an annotation."""

    DRAFT = "draft"
    """Still being worked on: not in the labelled pool."""
    COMPLETE = "complete"
    """Unpainted means background."""
    PARTIAL = "partial"
    """Slices that nobody touched are unknown (255)."""


class Origin(StrEnum):
    """Where an annotation came from."""

    PAINTED = "painted"
    IMPORTED = "imported"
    REVIEWED = "reviewed"


class Verdict(StrEnum):
    """A reader's decision about a region of a prediction."""

    ACCEPT = "accept"
    REJECT = "reject"
    FIXED = "fixed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxels and where they lie. ``data`` is (z, y, x) and ``data.shape == grid.array_shape``."""

    data: npt.NDArray[np.generic]
    grid: Grid


@dataclass(frozen=True, slots=True)
class Annotation:
    """One immutable revision of what a person stands for.

    ``path`` is relative to the study's folder. ``prediction_id`` names the prediction that was reviewed, if any.
    """

    id: int
    case: str
    revision: int
    path: Path
    closing: Closing
    origin: Origin
    author: str
    created: dt.datetime
    seconds: float
    voxels_changed: int
    prediction_id: int | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a checkpoint says of a case: labels and a confidence map, both as files of the study."""

    id: int
    case: str
    run: str
    labels: Path
    confidence: Path
    created: dt.datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on a region: ``box`` is ((z0, y0, x0), (z1, y1, x1)), end exclusive."""

    id: int
    case: str
    prediction_id: int
    box: tuple[tuple[int, int, int], tuple[int, int, int]]
    verdict: Verdict
    voxels: int
    created: dt.datetime


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One line of the case table.

    ``reason`` says in a few words why the case stands where it does. ``pinned`` cases were asked for by the reader.
    ``current`` tells whether the newest prediction is the champion's. ``unknown_voxels`` counts the voxels of 255 in
    the newest annotation, ``unknown_ml`` is their volume in millilitres, None in a picture. ``held`` names another
    reader of a team who has the case, and since when; empty when nobody has.
    """

    name: str
    modalities: tuple[str, ...]
    missing: tuple[str, ...]
    state: CaseState
    role: Role
    closing: Closing | None
    seconds: float
    thumbnail: Path | None
    reason: str = ""
    simulated: bool = False
    pinned: bool = False
    current: bool = False
    unknown_voxels: int = 0
    unknown_ml: float | None = 0.0
    held: str = ""


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """How many cases can teach what."""

    cases: int
    labelled: int
    unlabelled: int
    validation: int
    predicted: int


@dataclass(frozen=True, slots=True)
class OpenCase:
    """Everything the canvas needs to show one case. Arrays are (z, y, x) on ``grid``.

    ``images`` maps modality to intensities; a missing modality is absent. ``labels`` is a private, writable copy.
    ``restored`` counts the strokes that were brought back from the journal after a crash.
    """

    name: str
    grid: Grid
    images: dict[str, ImageArray]
    labels: LabelArray
    state: CaseState
    prediction: Prediction | None = None
    predicted: LabelArray | None = None
    confidence: npt.NDArray[np.float32] | None = None
    restored: int = 0
