"""What an order is given and what it answers."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from napari_penumbra.domain.case import CaseRow
from napari_penumbra.study.summaries import Summary, Vector

SEED = 2026
"""Of every draw, unless another is asked for: the same for every reader of a study."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A case as an order sees it.

    Attributes
    ----------
    id
        Its number in the study; draws depend on it, not on the position, so that finishing one case leaves the rest in
        their order.
    row
        Its line of the table, without a reason.
    volume_ml
        Volume that its images cover.
    predicted
        Whether it has a prediction.
    current
        Whether that is the champion's.
    confidence
        Mean confidence over the predicted foreground; None where nothing was predicted.
    summary
        Of the newest prediction; None when there is none or an older version of the program made it.
    run
        The prediction's run; vectors of different runs cannot be compared.
    """

    id: int
    row: CaseRow
    volume_ml: float
    predicted: bool = False
    current: bool = True
    confidence: float | None = None
    summary: Summary | None = None
    run: str = ""

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.row.name


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What there is to choose from.

    Attributes
    ----------
    waiting
        Cases that nobody has begun, in the order in which they were added.
    labelled
        Finished ones.
    names
        Label values and what they are called.
    class_voxels
        Voxels of each value in the finished cases.
    vectors
        Features of all predictions that have some, newest run first: one mapping per run (and layer) from case id to
        vector. A function, because few orders want it.
    seed
        Of draws.
    """

    waiting: Sequence[Candidate]
    labelled: Sequence[Candidate] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    class_voxels: Mapping[int, int] = field(default_factory=dict)
    vectors: Callable[[], Sequence[Mapping[int, Vector]]] = tuple
    seed: int = SEED

    @property
    def labelled_share(self) -> float:
        """Share of all cases here that are finished."""
        every = len(self.waiting) + len(self.labelled)
        return len(self.labelled) / every if every else 0.0

    def draw(self, candidate: Candidate, what: str = "") -> float:
        """Uniform number in (0, 1) that belongs to a case, a purpose and the seed."""
        # 1 - u: random() may return 0, whose logarithm does not exist, but never 1.
        key = f"{self.seed}/{what}/{candidate.id}" if what else f"{self.seed}/{candidate.id}"
        return 1 - random.Random(key).random()

    def exponential(self, candidate: Candidate, weight: float, what: str = "") -> float:
        """Key of a weighted draw without replacement: the smallest of several has won in proportion to its weight."""
        return -math.log(self.draw(candidate, what)) / weight


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """A case in its place, and why, in a few words."""

    candidate: Candidate
    reason: str


class Order(ABC):
    """A way to choose what to label next. Holds nothing; knows no files, no network.

    Class attributes
    ----------------
    title
        A few words, as they stand in the list of orders.
    summary
        One plain sentence: what it does and when to take it.
    needs_predictions
        Whether it looks at predictions of all waiting cases.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    needs_predictions: ClassVar[bool] = False

    @abstractmethod
    def arrange(self, pool: Pool) -> list[Ranked]:
        """Put all waiting cases of the pool in order, each with its reason. Milliseconds: it runs at every look."""

    def explain(self, pool: Pool) -> str:
        """Say in one sentence what the order goes by at this moment."""
        return self.summary


def percent(value: float) -> str:
    """Say a share: ``43%``."""
    return f"{100 * value:.0f}%" if value >= 0.01 or value == 0 else "under 1%"


def aged(candidate: Candidate, reason: str) -> str:
    """Add that a prediction is not the present model's."""
    return reason if candidate.current else f"{reason} (an older model's)"
