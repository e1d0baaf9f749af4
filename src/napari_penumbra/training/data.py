"""Two streams of patches: one from labelled cases, one from cases without labels.

Each stream has its own random generator, so that what one draws never depends on the other, and its whole state can
be saved and put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import DiskError, JobError, PenumbraError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.spec import SpecCase, case_from_json, case_to_json
from napari_penumbra.inference.plan import Shape
from napari_penumbra.methods._base import IGNORE
from napari_penumbra.training.cache import CaseCache

Places = npt.NDArray[np.int64]
"""Flat voxel indices (C order) into a case's (z, y, x) volume."""

MAX_PLACES = 5000
"""Voxels remembered per class and case: a patch centred on every n-th voxel of a large lesion covers it as well."""


class NoCaseLeftError(JobError):
    """Every case of a stream has turned out to be unreadable."""


@dataclass(frozen=True, slots=True)
class Patches:
    """What a stream gives: ``image`` (B, C, z, y, x) float32, ``label`` (B, z, y, x) uint8 or None, case names."""

    image: npt.NDArray[np.float32]
    label: LabelArray | None
    cases: tuple[str, ...]


@dataclass(slots=True)
class Landmarks:
    """Where patches of a case may be centred.

    ``foreground`` has one array per class that is present. ``known`` is set for partially labelled cases only: voxels
    that are not unknown, as a patch of nothing but unknown voxels teaches nothing. ``counts`` has the voxels of each
    class index that is present.
    """

    foreground: list[Places] = field(default_factory=list)
    known: Places | None = None
    counts: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, classes: LabelArray) -> Landmarks:
        """Look through a label volume of class indices."""
        present, voxels = (values.tolist() for values in np.unique(classes, return_counts=True))
        foreground = [thin(np.flatnonzero(classes == c)) for c in present if c not in (0, IGNORE)]
        known = thin(np.flatnonzero(classes != IGNORE)) if IGNORE in present else None
        return cls(foreground, known, dict(zip(present, voxels, strict=True)))


def thin(places: Places, most: int = MAX_PLACES) -> Places:
    """Keep at most ``most`` of the places, evenly spread."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.intp)]


class PatchStream:
    """Draws patches from cases, each case as often as the others.

    Parameters
    ----------
    cases
        Where patches come from; others may join and any may leave while the training runs.
    seed
        Of this stream's generator.
    margin
        Voxels (z, y, x) of context in a patch that the network's output lacks: patches may reach so far beyond the
        volume's edge, or voxels near the edge would never be learnt from.
    labelled
        Whether labels are given as well.
    dropped
        Told when a case turns out to be unreadable; the stream goes on without it.
    """

    def __init__(
        self,
        cache: CaseCache,
        cases: Sequence[SpecCase],
        seed: Sequence[int],
        margin: Shape,
        labelled: bool,
        dropped: Callable[[SpecCase, PenumbraError], None],
    ) -> None:
        self.cache = cache
        self.cases = list(cases)
        self.margin = margin
        self.labelled = labelled
        self._dropped = dropped
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(seed))))
        self._queue: list[int] = []
        self._bad: set[int] = set()
        self._landmarks: dict[int, Landmarks] = {}
        self._ordered = len(self.cases)
        # A case keeps its number for good, also when it has left: the queue of a checkpoint then still fits.
        self._gone: set[int] = set()
        self._joined: set[int] = set()
        self.met: Callable[[SpecCase, npt.NDArray[np.float16]], None] = lambda case, image: None
        """Told of each case, with its images, when it is first drawn from."""
        self._met: set[int] = set()

    def survey(self) -> None:
        """Read the labels of all cases once and remember where foreground lies."""
        for index in range(len(self.cases)):
            self._survey(index)

    def _survey(self, index: int) -> None:
        case = self.cases[index]
        self._guard(index, lambda: self.cache.image(case))
        marks = self._guard(index, lambda: Landmarks.of(self.cache.label(case)))
        if marks is not None:
            self._landmarks[index] = marks

    # ------------------------------------------------------------- members

    def members(self) -> dict[str, SpecCase]:
        """Cases that have not left, by name; unreadable ones among them."""
        return {case.name: case for i, case in enumerate(self.cases) if i not in self._gone}

    def join(self, case: SpecCase) -> None:
        """Take in a case, or the new labels of one that is here; it comes next."""
        numbers = {known.name: i for i, known in enumerate(self.cases)}
        index = numbers.get(case.name, len(self.cases))
        if index == len(self.cases):
            self.cases.append(case)
        else:
            self.cases[index] = case
        for forgotten in (self._bad, self._gone):
            forgotten.discard(index)
        self._landmarks.pop(index, None)
        self._met.discard(index)
        self._joined.add(index)
        self._queue = [index, *(i for i in self._queue if i != index)]
        if self.labelled:
            self._survey(index)

    def leave(self, name: str) -> None:
        """Draw from a case no more."""
        for index, case in enumerate(self.cases):
            if case.name == name:
                self._gone.add(index)
                self._landmarks.pop(index, None)

    def class_voxels(self) -> dict[str, dict[int, int]]:
        """Case name to voxels per class index, of the labelled cases that can be read."""
        return {self.cases[i].name: m.counts for i, m in sorted(self._landmarks.items())}

    def partial_cases(self) -> list[SpecCase]:
        """Labelled cases with unknown voxels: those voxels can still teach without a label."""
        return [self.cases[i] for i, m in sorted(self._landmarks.items()) if m.known is not None]

    @property
    def empty(self) -> bool:
        """Whether no case is left to draw from."""
        return len(self._out) == len(self.cases)

    @property
    def _out(self) -> set[int]:
        return self._bad | self._gone

    @property
    def foreground_voxels(self) -> int:
        """How many foreground places are known, over all cases."""
        return sum(len(p) for m in self._landmarks.values() for p in m.foreground)

    def look_for_foreground(self, index: int, look: Callable[[SpecCase], Places]) -> None:
        """Let a prediction say where foreground lies in one case, and remember it; an unreadable case is dropped."""
        places = self._guard(index, lambda: look(self.cases[index]))
        if places is not None:
            self._landmarks[index] = Landmarks([thin(places)] if len(places) else [])

    # ------------------------------------------------------------- drawing

    def draw(self, count: int, patch: Shape, foreground_share: float, mine: range | None = None) -> Patches:
        """Draw a batch.

        Parameters
        ----------
        count
            Patches.
        patch
            Size (z, y, x). Where the volume is smaller, images are padded with 0 and labels with `IGNORE`.
        foreground_share
            Expected share of patches that are centred on foreground, as far as any is known.
        mine
            Which of them are wanted here; None for all. The others are drawn as well, by processes that train along,
            and not read.

        Returns
        -------
        Patches
            Those wanted; the names are of all that were drawn.
        """
        mine = mine if mine is not None else range(count)
        images = np.zeros((len(mine), len(self.cache.plan.modalities), *patch), np.float32)
        labels = np.full((len(mine), *patch), IGNORE, np.uint8) if self.labelled else None
        names = []
        for n in range(count):
            wants = bool(self._random.random() < foreground_share)
            index, image = self._next_case(wants)
            start = self._start(index, (image.shape[1], image.shape[2], image.shape[3]), patch, wants)
            if n in mine:
                copy_patch(image, start, images[n - mine.start])
                if labels is not None:
                    copy_patch(self.cache.label(self.cases[index]), start, labels[n - mine.start])
            names.append(self.cases[index].name)
        return Patches(images, labels, tuple(names))

    def _next_case(self, wants_foreground: bool) -> tuple[int, npt.NDArray[np.float16]]:
        while True:
            index = self._take(wants_foreground)
            image = self._guard(index, lambda index=index: self.cache.image(self.cases[index]))  # type: ignore[misc]
            if image is not None:
                if index not in self._met:
                    self._met.add(index)
                    self.met(self.cases[index], image)
                return index, image

    def _take(self, wants_foreground: bool) -> int:
        """Next case in line; one with foreground if that is wanted and any has some."""
        if self.empty:
            raise NoCaseLeftError(
                "None of the cases to learn from can be read.",
                "See the warnings before; check that the files are there.",
            )
        able = {i for i, m in self._landmarks.items() if m.foreground} - self._out
        suits = able if wants_foreground and able else set(range(len(self.cases))) - self._out
        for _ in range(2):
            for position, index in enumerate(self._queue):
                if index in suits:
                    return self._queue.pop(position)
            self._queue = [int(i) for i in self._random.permutation(len(self.cases))]
        raise AssertionError("a full round holds every case")

    def _start(self, index: int, shape: Shape, patch: Shape, wants_foreground: bool) -> Shape:
        centre = self._centre(index, shape, wants_foreground)
        starts = []
        for axis in range(3):
            low = -self.margin[axis]
            high = shape[axis] + self.margin[axis] - patch[axis]
            if high <= low:
                starts.append((low + high) // 2)
            elif centre is None:
                starts.append(int(self._random.integers(low, high, endpoint=True)))
            else:
                starts.append(int(np.clip(centre[axis] - patch[axis] // 2, low, high)))
        z, y, x = starts
        return z, y, x

    def _centre(self, index: int, shape: Shape, wants_foreground: bool) -> Shape | None:
        marks = self._landmarks.get(index)
        if marks is None:
            return None
        places = marks.known
        if wants_foreground and marks.foreground:
            # Classes in equal shares: a small structure is learnt as often as a large one.
            places = marks.foreground[int(self._random.integers(len(marks.foreground)))]
        if places is None or len(places) == 0:
            return None
        z, y, x = np.unravel_index(int(places[int(self._random.integers(len(places)))]), shape)
        return int(z), int(y), int(x)

    def _guard(self, index: int, read: Callable[[], Any]) -> Any:
        """Read something of a case; None, and the case is out, when that fails."""
        if index in self._out:
            return None
        try:
            return read()
        except DiskError:
            raise  # not the case's fault, and the next one would fail as well
        except PenumbraError as error:
            self._bad.add(index)
            self._landmarks.pop(index, None)
            self._dropped(self.cases[index], error)
            return None

    # ------------------------------------------------------------- state

    def state(self) -> dict[str, Any]:
        """Everything that decides what is drawn next, as plain data (landmarks apart)."""
        return {
            "random": self._random.bit_generator.state,
            "queue": list(self._queue),
            "bad": sorted(self._bad),
            "cases": self._ordered,
            "joined": [[i, case_to_json(self.cases[i])] for i in sorted(self._joined)],
            "gone": sorted(self._gone),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`; nothing happens when the order's cases are not those of then."""
        if int(state["cases"]) != self._ordered:
            return
        # Checkpoints of before cases could join have neither.
        for index, data in state.get("joined", ()):
            self.cases[int(index) : int(index) + 1] = [case_from_json(data)]
            self._joined.add(int(index))
            self._landmarks.pop(int(index), None)
            if self.labelled:
                self._survey(int(index))
        self._gone = {int(i) for i in state.get("gone", ())}
        for index in self._gone:
            self._landmarks.pop(index, None)
        self._random.bit_generator.state = state["random"]
        self._queue = [int(i) for i in state["queue"]]
        self._bad = {int(i) for i in state["bad"]}

    def pool_places(self) -> dict[str, Places]:
        """Predicted foreground by case number, for a checkpoint."""
        empty = np.zeros(0, np.int64)
        return {str(i): m.foreground[0] if m.foreground else empty for i, m in sorted(self._landmarks.items())}

    def restore_pool_places(self, places: dict[str, Places]) -> None:
        """Inverse of `pool_places`."""
        known = {int(i): p for i, p in places.items() if int(i) < len(self.cases)}
        self._landmarks = {i: Landmarks([p] if len(p) else []) for i, p in known.items()}


def copy_patch(volume: npt.NDArray[Any], start: Shape, target: npt.NDArray[Any]) -> None:
    """Copy the part of a volume that a patch covers; what lies outside keeps what ``target`` holds.

    Parameters
    ----------
    volume, target
        Last three axes (z, y, x); leading axes agree.
    start
        Of the patch in the volume; may be negative.
    """
    source: list[slice] = []
    goal: list[slice] = []
    for begin, size, length in zip(start, target.shape[-3:], volume.shape[-3:], strict=True):
        first, last = max(begin, 0), min(begin + size, length)
        if first >= last:
            return
        source.append(slice(first, last))
        goal.append(slice(first - begin, last - begin))
    target[..., goal[0], goal[1], goal[2]] = volume[..., source[0], source[1], source[2]]
