"""What every export format shares: what may be asked for, a case on its way out, labels on their source's grid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import ImageError, PenumbraError, UsageError
from napari_penumbra.domain.grid import AnyArray, Grid
from napari_penumbra.domain.labels import UNKNOWN, UNKNOWN_COLOR, LabelArray, LabelClass, LabelScheme
from napari_penumbra.imaging.files import onto_source, read_image, read_labels
from napari_penumbra.study.predictions import read_confidence
from napari_penumbra.study.store import Study

KEEP, BACKGROUND_WORD, IGNORE = "keep", "background", "ignore"
NONE, TEST, UNUSED = "none", "imagesTs", "imagesUn"
UNLABELLED = (NONE, TEST, UNUSED)
"""Where the images of cases without labels go, in the formats that have a place for them."""

CONFIDENCE_STEP = 1 / 255
"""Confidence is kept in 8 bits: finer than its meaning, and a quarter of the size."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is asked of an export; every format knows the same words.

    Attributes
    ----------
    cases
        Only these; all by default.
    drafts
        Also cases with a draft that nobody has closed, as it was saved last.
    predictions
        Also cases that only a model has labelled.
    confidence
        A confidence map beside the labels, where there is a prediction.
    unknown
        What unknown voxels become: ``keep`` (255), ``background`` (0), ``ignore`` (one above the highest class) or a
        number; empty for the format's own habit.
    images
        Copy the images too; formats that demand them do so anyway.
    unlabelled
        One of `UNLABELLED`.
    dicom
        Folder with the DICOM series that the cases came from.
    overwrite
        Write into a folder that holds something; files of an earlier export that this one does not write are removed.
    """

    cases: tuple[str, ...] = ()
    drafts: bool = False
    predictions: bool = False
    confidence: bool = False
    unknown: str = ""
    images: bool = False
    unlabelled: str = NONE
    dicom: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One case that leaves.

    Attributes
    ----------
    stem
        Its file name, safe on every system and unique in the export.
    slug
        Its folder in the study.
    grid, source
        Canonical grid, and that of the file it came from.
    images
        Modality to file, in the study's order.
    labels
        Label file; None for a case without labels whose images are exported.
    kind
        ``accepted``, ``annotated``, ``draft``, ``predicted``, or empty.
    key
        ``r<revision>`` or ``p<prediction>``.
    model
        Run whose prediction the labels started from or are; empty when there is none.
    manual
        Whether a person painted them from nothing.
    confidence
        Confidence map of the newest prediction, or None.
    frozen
        Whether it is a validation case: nothing of the study ever trained on it.
    """

    name: str
    stem: str
    slug: str
    grid: Grid
    source: Grid
    images: Mapping[str, Path]
    labels: Path | None = None
    kind: str = ""
    key: str = ""
    model: str = ""
    manual: bool = False
    confidence: Path | None = None
    frozen: bool = False

    @property
    def picture(self) -> bool:
        """Whether it is a flat picture without millimetres."""
        return self.grid.is_picture


@dataclass(slots=True)
class Job:
    """One export: what leaves, whereto, and how.

    Attributes
    ----------
    values
        What each label value of the study becomes in the files; without 255.
    unknown
        What 255 becomes.
    met_unknown
        Set once a file with unknown voxels was written.
    """

    study: Study
    folder: Path
    options: ExportOptions
    items: Sequence[Item]
    values: dict[int, int] = field(default_factory=dict)
    unknown: int = UNKNOWN
    met_unknown: bool = False

    @property
    def scheme(self) -> LabelScheme:
        """The study's classes."""
        return self.study.labels

    def path(self, relative: str) -> Path:
        """Make an absolute path of one in the export, and its folder."""
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # ------------------------------------------------------------------ voxels

    def labels(self, item: Item, onto: Grid | None = None) -> LabelArray:
        """Read labels in the export's values, (z, y, x) on the grid of the case's source.

        Parameters
        ----------
        onto
            Another grid with the same voxels, in another order of axes, instead of the source's.
        """
        if item.labels is None:
            raise UsageError(f"{item.name} has no labels.", "Leave it out.")
        labels = read_labels(item.labels).volume.data.astype(np.uint8)
        if labels.shape != item.grid.array_shape:
            raise ImageError(
                f"A label file of {item.name} is no longer what the study wrote.", "Restore it from a backup."
            )
        table = np.zeros(256, dtype=np.uint8)
        for value, written in self.values.items():
            table[value] = written
        table[UNKNOWN] = self.unknown
        self.scheme.check(labels, f"A label file of {item.name}")
        self.met_unknown = self.met_unknown or bool((labels == UNKNOWN).any())
        return onto_source(table[labels], onto or item.source)

    def confidence(self, item: Item) -> npt.NDArray[np.uint8]:
        """Read the confidence map in steps of `CONFIDENCE_STEP`, (z, y, x) on the grid of the case's source."""
        if item.confidence is None:
            raise UsageError(f"{item.name} has no confidence map.", "Leave it out.")
        values = read_confidence(item.confidence, item.grid, item.name)
        return np.rint(onto_source(values, item.source) / CONFIDENCE_STEP).astype(np.uint8)

    def image(self, item: Item, modality: str) -> AnyArray:
        """Read a modality, (z, y, x) on the grid of the case's source; int16 where that changes no value."""
        data = read_image(item.images[modality]).volume.data
        if data.shape != item.grid.array_shape:
            raise ImageError(
                f"{modality} of {item.name} is no longer what the study wrote.", "Restore it from a backup."
            )
        whole = float(data.min()) >= -32768 and float(data.max()) <= 32767 and bool((data == np.rint(data)).all())
        return onto_source(data.astype(np.int16 if whole else np.float32), item.source)

    def segments(self) -> list[LabelClass]:
        """Classes in the export's values, unknown among them when it has a value of its own."""
        made = [LabelClass(self.values[c.value], c.name, c.color) for c in self.scheme.classes]
        if self.unknown and self.unknown not in {c.value for c in made}:
            made.append(LabelClass(self.unknown, self.unknown_name(), UNKNOWN_COLOR))
        return made

    def unknown_name(self) -> str:
        """What unknown voxels are called in the files."""
        return "unknown" if self.unknown == UNKNOWN else "ignore"


class Exporter(ABC):
    """One format. Holds nothing but the job; a new one is made for every export."""

    title: ClassVar[str]
    """For the window and the documentation."""
    readers: ClassVar[str]
    """Which tools read it."""
    habit: ClassVar[str] = KEEP
    """What unknown voxels become unless something else is asked for."""
    images_needed: ClassVar[bool] = False
    every_modality: ClassVar[bool] = False
    """Whether a case that lacks a modality must stay behind."""
    pictures: ClassVar[bool] = True
    """Whether flat pictures can leave in it."""
    places: ClassVar[tuple[str, ...]] = (NONE,)
    """Which of `UNLABELLED` it has."""
    takes_dicom: ClassVar[bool] = False
    confidence_beside: ClassVar[bool] = True

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def images_wanted(self) -> bool:
        """Whether images are written."""
        return self.images_needed or self.job.options.images

    @classmethod  # noqa: B027 - most formats can do all of it
    def check(cls, study: Study, options: ExportOptions) -> None:
        """Refuse in words what this format cannot do; called before anything is looked at."""

    def values(self) -> dict[int, int]:
        """What each label value becomes."""
        return {value: value for value in self.job.scheme.values}

    def why_not(self, item: Item) -> str:
        """Say why a case cannot leave in this format; empty when it can."""
        return ""

    def notes(self) -> list[str]:
        """Sentences that the reader should see before."""
        return []

    @abstractmethod
    def files(self, item: Item) -> list[str]:
        """Relative paths of what `write` will write for a case, ``/`` between folders."""

    @abstractmethod
    def write(self, item: Item) -> None:
        """Write a case's files, each whole or not at all."""

    def index(self) -> dict[str, str]:
        """Relative path and text of files about all cases, in the order in which they are written, after the cases."""
        return {}

    def index_names(self) -> list[str]:
        """Relative paths of what `index` will return."""
        return list(self.index())


@dataclass(frozen=True, slots=True)
class Written:
    """One step of an export: a case that was written, or why it was not."""

    name: str
    files: tuple[str, ...] = ()
    error: PenumbraError | None = None

    def plain(self) -> dict[str, Any]:
        """For a program to read."""
        return {"case": self.name, "files": list(self.files), "error": None if self.error is None else str(self.error)}
