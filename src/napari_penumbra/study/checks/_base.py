"""What a check is: what it may look at, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.alignment import Coarse

Figures = dict[str, Any]
"""Plain figures as JSON keeps them: what a check has measured, cached by content."""


class Severity(StrEnum):
    """How much a finding matters. Listed from the worst on."""

    WRONG = "wrong"
    """The case cannot be used as it is."""
    LOOK = "look"
    """Probably wrong: somebody should look."""
    NOTE = "note"
    """Worth knowing; nothing has to be done."""


class Picture(StrEnum):
    """What a finding is shown with."""

    PAIR = "pair"
    """Both outlines on the first modality, and a chequerboard of the two."""
    IMAGE = "image"
    """A slice of one modality."""
    BESIDE = "beside"
    """A slice of one modality beside the same of another case."""
    LABELS = "labels"
    """A slice of the first modality with the outline of the labels."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Offer:
    """A way to put a finding right, by one click: the kind of `study.fixes` and the modalities it is about."""

    kind: str
    modality: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has found in a case.

    Attributes
    ----------
    check
        Code of the check.
    case
        Name of the case.
    message, remedy
        A sentence each.
    modality, other
        The modalities it is about, empty where it is about the case.
    beside
        Another case that it is about.
    offers
        Ways to put it right, the likeliest first.
    """

    check: str
    case: str
    severity: Severity
    message: str
    remedy: str = ""
    modality: str = ""
    other: str = ""
    beside: str = ""
    picture: Picture = Picture.NONE
    offers: tuple[Offer, ...] = ()

    @property
    def text(self) -> str:
        """Sentence and remedy in one line."""
        return f"{self.message} {self.remedy}".strip()


@dataclass(frozen=True, slots=True)
class SeenImage:
    """One modality of a case, seen from its header.

    ``relative`` is the path inside the study. ``grid`` is None, and ``problem`` says why, where the file cannot be
    read. ``moved_mm`` is by how much it was resampled when the case was added.
    """

    modality: str
    relative: str
    moved_mm: float = 0.0
    grid: Grid | None = None
    content: str = ""
    problem: str = ""
    remedy: str = ""


@dataclass(slots=True)
class SeenCase:
    """A case as checks see it.

    Attributes
    ----------
    grid, source_grid
        Where its files in the study lie, and where the file lay that it came from.
    images
        Modality to what its header says, in the study's order.
    missing
        Modalities of the study that the case lacks.
    label
        Newest annotation, relative to the study; None without one.
    figures
        What was measured in the voxels: check to part (a modality, or ``label``) to figures. Empty while only headers
        were looked at.
    """

    name: str
    slug: str
    role: Role
    grid: Grid
    source_grid: Grid
    images: dict[str, SeenImage]
    missing: tuple[str, ...] = ()
    label: str | None = None
    label_content: str = ""
    scheme: LabelScheme | None = None
    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)

    @property
    def readable(self) -> list[SeenImage]:
        """Images whose header can be read."""
        return [image for image in self.images.values() if image.grid is not None]

    @property
    def first(self) -> str:
        """The modality that gives the grid: the first that the case has; empty without one."""
        return next(iter(self.images), "")

    def of(self, check: str) -> dict[str, Figures]:
        """What a check has measured, by part; empty when nothing was."""
        return self.figures.get(check, {})


@dataclass(slots=True)
class Scan:
    """The voxels of one modality, for measuring; they are let go of afterwards.

    ``data`` is (z, y, x) as stored: NaN and infinity are 0 in it, and counted in ``not_finite``. ``sample`` holds at
    most 100,000 or so of its values, evenly spread. ``small`` is the averaged copy.
    """

    data: npt.NDArray[np.float32]
    grid: Grid
    not_finite: int
    sample: npt.NDArray[np.float32]
    small: Coarse


class Check:
    """One question about every case. A new one is a file and a line in `checks.REGISTRY`.

    What costs time is measured once per content by the ``measure_`` methods and kept as plain figures; ``judge`` and
    ``judge_cohort`` turn figures into findings, every time anew, so that another threshold measures nothing again.

    Attributes
    ----------
    code
        Short name that never changes.
    title
        A few words.
    about
        What is looked at, and from where on it is told: for the manual.
    version
        Of what is measured; a higher number makes kept figures worthless.
    voxels
        Whether it measures anything.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    version: ClassVar[int] = 1
    voxels: ClassVar[bool] = True

    def measure_scan(self, scan: Scan) -> Figures | None:
        """Measure one modality."""
        return None

    def measure_pair(self, first: Coarse, other: Coarse) -> Figures | None:
        """Measure how a modality lies on the case's first."""
        return None

    def measure_labels(self, labels: npt.NDArray[Any], reference: Coarse | None) -> Figures | None:
        """Measure the newest annotation as its file has it; ``reference`` is the first modality, if it can be read."""
        return None

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Look at one case."""
        return ()

    def judge_cohort(self, cases: Sequence[SeenCase]) -> Iterable[Finding]:
        """Look at all cases together."""
        return ()

    def found(self, case: SeenCase, severity: Severity, message: str, remedy: str = "", **more: Any) -> Finding:
        """Make a finding of this check."""
        return Finding(self.code, case.name, severity, message, remedy, **more)


def parts(cases: Sequence[SeenCase], check: str) -> Mapping[str, list[tuple[SeenCase, Figures]]]:
    """What a check has measured in all cases, by modality."""
    found: dict[str, list[tuple[SeenCase, Figures]]] = {}
    for case in cases:
        for part, figures in case.of(check).items():
            found.setdefault(part, []).append((case, figures))
    return found
