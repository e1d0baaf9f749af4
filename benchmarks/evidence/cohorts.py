"""The cohorts, and which of their cases play which role. No case ever plays two.

Half of a cohort is the *pool*: each seed draws the labelled cases from it, and the rest of it is unlabelled. The other
half is never seen in training; all cells of a cohort are scored on the same unseen cases.

Seeds from `TUNING` on are for choosing step counts and parameters. They use cases of their own: simulated cases with
numbers from 1000 on, and for real cohorts the two halves of the pool. The unseen cases stay unseen.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TUNING = 1000
SPLIT_SEED = 18
"""Of the shuffle that halves a real cohort; fixed for good."""
POOL, UNSEEN = 64, 40
"""Simulated cases."""
FIRST_UNSEEN = 100
"""Simulated pool cases are drawn from the generator's seeds 0 to 63, unseen ones from 100 to 139; for tuning, 1000
more. The sample study uses seeds from 2026 on."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """One cohort.

    Attributes
    ----------
    labels
        Classes as ``penumbra new`` takes them.
    methods
        Those that claim the cohort, in the order of the table; ``extra`` ones are run beside them by ``--all``.
    leader
        The method of the headline pair: it gets five seeds there, as all that claim the cohort get by ``--all``.
    steps
        Of every cell.
    generator
        Module that draws simulated cases by ``make_case(seed)``; empty for real scans.
    """

    name: str
    title: str
    modalities: tuple[str, ...]
    labels: tuple[str, ...]
    methods: tuple[str, ...]
    leader: str
    steps: int
    extra: tuple[str, ...] = ()
    generator: str = ""

    @property
    def classes(self) -> dict[str, str]:
        """Label value, as text, to name."""
        return {value: name for value, _, name in (text.partition("=") for text in self.labels)}


COHORTS: dict[str, Cohort] = {
    cohort.name: cohort
    for cohort in (
        Cohort(
            "la",
            "Left atrium (real MRI)",
            ("LGE",),
            ("1=left atrium",),
            ("co-learning", "mean-teacher", "asdnet"),
            "co-learning",
            2000,
        ),
        Cohort(
            "stroke",
            "Stroke (simulated)",
            ("DWI", "ADC", "T2", "Tmax", "TTP", "CBF", "CBV"),
            ("1=penumbra", "2=core"),
            ("mean-teacher", "col-net"),
            "mean-teacher",
            1000,
            extra=("co-learning",),
            generator="napari_penumbra.imaging.phantom",
        ),
        Cohort(
            "acdc",
            "Heart, ACDC (real MRI)",
            ("cine",),
            ("1=right ventricle", "2=myocardium", "3=left ventricle"),
            ("asdnet", "co-learning", "mean-teacher"),
            "asdnet",
            1500,
        ),
        Cohort(
            "lesions2d",
            "Lesions in 2D pictures (simulated)",
            ("RGB",),
            ("1=lesion",),
            ("self-correction", "mean-teacher"),
            "self-correction",
            1500,
            generator="napari_penumbra.imaging.phantom_lesions2d",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Split:
    """Names of a cohort's cases: those that training may draw from, and those that only score it."""

    pool: tuple[str, ...]
    unseen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Roles:
    """Who does what in one cell; disjoint."""

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    evaluated: tuple[str, ...]


# ------------------------------------------------------------------ roles


def halves(names: list[str]) -> Split:
    """Halve real cases by the fixed shuffle."""
    shuffled = sorted(names)
    random.Random(SPLIT_SEED).shuffle(shuffled)
    half = len(shuffled) // 2
    return Split(tuple(shuffled[:half]), tuple(shuffled[half:]))


def split_of(cohort: Cohort, tuning: bool = False) -> Split:
    """Pool and unseen cases; for tuning, others that overlap with no unseen case."""
    if cohort.generator:
        first = TUNING if tuning else 0
        pool = tuple(simulated_name(cohort, first + n) for n in range(POOL))
        return Split(pool, tuple(simulated_name(cohort, first + FIRST_UNSEEN + n) for n in range(UNSEEN)))
    found = [p.name.removesuffix(".nii.gz") for p in (real_folder(cohort) / "images").glob("*.nii.gz")]
    split = halves(found)
    return halves(list(split.pool)) if tuning else split


def draw(split: Split, labelled: int, seed: int) -> Roles:
    """Draw the labelled cases of a seed from the pool.

    With the same seed fewer labels are a part of more labels.

    Parameters
    ----------
    labelled
        How many; 0 for the whole pool.
    """
    if labelled > len(split.pool):
        raise ValueError(f"{labelled} labelled cases were asked for, the pool has {len(split.pool)}")
    pool = list(split.pool)
    random.Random(seed).shuffle(pool)
    count = labelled or len(pool)
    return Roles(tuple(pool[:count]), tuple(pool[count:]), split.unseen)


def simulated_name(cohort: Cohort, number: int) -> str:
    """Name of a simulated case; `simulated_number` is the inverse."""
    return f"{cohort.name}-{number:04d}"


def simulated_number(name: str) -> int:
    """The generator's seed of a simulated case."""
    return int(name.rpartition("-")[2])


# ------------------------------------------------------------------ files


def real_folder(cohort: Cohort) -> Path:
    """Where a real cohort's ``images`` and ``labels`` lie."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("PENUMBRA_BENCH_DATA", default)) / cohort.name


def work_folder() -> Path:
    """Where simulated scans, prepared cases and the studies of running cells lie: outside the project."""
    return Path(os.environ.get("PENUMBRA_BENCH_WORK", Path(tempfile.gettempdir()) / "penumbra-evidence"))


def absent(cohort: Cohort) -> str:
    """Why a cohort cannot be used here; empty if it can."""
    if cohort.generator:
        there = importlib.util.find_spec(cohort.generator) is not None
        return "" if there else f"this version has no generator {cohort.generator.rpartition('.')[2]}"
    folder = real_folder(cohort)
    return "" if (folder / "images").is_dir() else f"no scans in {folder}: set PENUMBRA_BENCH_DATA"


@dataclass(frozen=True, slots=True)
class Store:
    """Files of a cohort's cases: images to link into a study, label files, and a folder for prepared cases."""

    cohort: Cohort
    root: Path

    def images(self, name: str) -> list[Path]:
        """Image files of a case, named so that ``penumbra add --images`` finds them."""
        folder = self.root / "images"
        if not self.cohort.generator:
            return [folder / f"{name}.nii.gz"]
        if self.cohort.modalities == ("RGB",):
            return [folder / f"{name}.png"]
        return [folder / f"{name}_{modality}.nii" for modality in self.cohort.modalities]

    def label(self, name: str) -> Path:
        """Label file of a case."""
        ending = "png" if self.cohort.modalities == ("RGB",) else "nii.gz"
        return self.root / "labels" / f"{name}.{ending}"

    @property
    def cache(self) -> Path:
        """Prepared cases, shared by the studies of all cells: their names are made of their content."""
        folder = work_folder() / "cache" / self.cohort.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def store_of(cohort: Cohort) -> Store:
    """Where the files are or, for simulated cases, will be (a folder per version of the generator)."""
    if not cohort.generator:
        return Store(cohort, real_folder(cohort))
    version = getattr(importlib.import_module(cohort.generator), "VERSION", 0)
    return Store(cohort, work_folder() / "scans" / f"{cohort.name}-v{version}")


def simulate(cohort: Cohort, names: tuple[str, ...]) -> None:
    """Write the simulated cases that are not there yet. One process at a time: cells only read."""
    if not cohort.generator:
        return
    store = store_of(cohort)
    module = importlib.import_module(cohort.generator)
    for folder in (store.root / "images", store.root / "labels"):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if store.label(name).exists():
            continue
        case = module.make_case(simulated_number(name))
        # The label comes last and by a rename: a case that has one is whole.
        draft = store.label(name).with_name(f".{store.label(name).name}")
        if cohort.modalities == ("RGB",):
            _write_picture(store, name, case, draft)
        else:
            _write_volume(store, name, case, draft)
        os.replace(draft, store.label(name))


def _write_volume(store: Store, name: str, case: Any, label: Path) -> None:
    from napari_penumbra.imaging.nifti import write_nifti

    for modality, file in zip(store.cohort.modalities, store.images(name), strict=True):
        write_nifti(file, case.images[modality], case.grid, np.float32)
    write_nifti(label, case.labels, case.grid, np.uint8)


def _write_picture(store: Store, name: str, case: Any, label: Path) -> None:
    from PIL import Image

    (file,) = store.images(name)
    colours = [case.images[modality][0] for modality in ("Red", "Green", "Blue")]
    Image.fromarray(np.stack(colours, axis=-1).astype(np.uint8)).save(file)
    Image.fromarray(case.labels[0]).save(label, format="png")
