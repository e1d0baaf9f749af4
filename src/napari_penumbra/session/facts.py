"""What a study looks like, as far as it matters for the choice of a method. Label files are read, scans are not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.jobs.machine import Machine
from napari_penumbra.study.store import Study

MOST_READ = 5
"""Label files that are read at most: the median of five does not move much with the sixth."""
SMALLEST_PIECE = 0.01
"""Share of a case's foreground below which a connected piece counts as a speck."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choice of a method depends on.

    Attributes
    ----------
    slices
        Slices of a case along its coarsest axis, median; 1 for pictures.
    thickness, in_plane
        Distance of two slices and edge of a voxel within them in mm, medians.
    modalities, classes
        How many images a case has, and how many label classes there are.
    share
        Foreground's share of the known voxels of a labelled case, median; None without any foreground.
    pieces
        Connected pieces of foreground (26 neighbours, specks left out) in a labelled case, median; None likewise.
    labelled, unlabelled
        Cases that can teach with and without labels.
    machine
        What it would run on.
    """

    slices: int
    thickness: float
    in_plane: float
    modalities: int
    classes: int
    share: float | None
    pieces: float | None
    labelled: int
    unlabelled: int
    machine: Machine

    @property
    def thick(self) -> bool:
        """Whether slices are at least three times as far apart as voxels are wide."""
        return self.thickness >= 3 * self.in_plane


def facts_of(study: Study, machine: Machine) -> Facts:
    """Look at a study; reads at most `MOST_READ` label files, each once."""
    pool = [case for case in study.pool() if case.role != "validation"]
    labelled = [case for case in pool if case.label is not None]
    slices, thickness, in_plane = _grid(pool)
    pieces = [n for case in _spread(labelled) if (n := _pieces(study, case))]
    shares = _shares(study, labelled)
    rows = [row for row in study.cases() if row.role is Role.TRAINING]
    return Facts(
        slices=slices,
        thickness=thickness,
        in_plane=in_plane,
        # What most cases really have: a study may name modalities that hardly anybody brings.
        modalities=int(median(len(row.modalities) for row in rows)) if rows else len(study.modalities),
        classes=len(study.labels.classes),
        share=median(shares) if shares else None,
        pieces=median(pieces) if pieces else None,
        labelled=len(labelled),
        unlabelled=len(pool) - len(labelled),
        machine=machine,
    )


def _grid(pool: Sequence[SpecCase]) -> tuple[int, float, float]:
    """Slices, their distance and the width of a voxel (mm); an empty study counts as isotropic."""
    if not pool:
        return 0, 1.0, 1.0
    size = [median(case.grid.array_shape[axis] for case in pool) for axis in range(3)]
    scale = [median(case.grid.scale[axis] for case in pool) for axis in range(3)]
    axis = size.index(1) if 1 in size else int(np.argmax(scale))
    rest = [scale[n] for n in range(3) if n != axis]
    return int(size[axis]), float(scale[axis]), float(max(rest))


def _shares(study: Study, labelled: Sequence[SpecCase]) -> list[float]:
    counts = study.class_counts()
    shares = []
    for case in labelled:
        voxels = counts.get(case.name, {})
        known = int(np.prod(case.grid.array_shape)) - voxels.get(UNKNOWN, 0)
        foreground = sum(n for value, n in voxels.items() if value not in (BACKGROUND, UNKNOWN))
        if foreground and known > 0:
            shares.append(foreground / known)
    return shares


def _spread(cases: Sequence[SpecCase]) -> list[SpecCase]:
    """Cases from all over the list, not its beginning: cohorts are often sorted by something."""
    if len(cases) <= MOST_READ:
        return list(cases)
    return [cases[n * (len(cases) - 1) // (MOST_READ - 1)] for n in range(MOST_READ)]


def _pieces(study: Study, case: SpecCase) -> int:
    return count_pieces(study.layout.absolute(case.label)) if case.label is not None else 0


@functools.lru_cache(maxsize=256)
def count_pieces(file: Path) -> int:
    """Count connected pieces of foreground in a label file; revisions never change, so each is read once.

    Raises
    ------
    ImageError
        The file is missing or damaged.
    """
    from scipy import ndimage  # takes a while to import; not needed to open a study

    labels = read_labels(file).volume.data
    foreground = (labels != BACKGROUND) & (labels != UNKNOWN)
    numbered, count = ndimage.label(foreground, structure=np.ones((3, 3, 3), dtype=bool))
    if not count:
        return 0
    sizes = np.bincount(numbered.ravel())[1:]
    return int((sizes >= SMALLEST_PIECE * sizes.sum()).sum())
