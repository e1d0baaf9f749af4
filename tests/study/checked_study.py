"""A study of simulated heads, and ways to spoil its cases one at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.files import read_image
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.samples import make_sample_study
from napari_penumbra.study.store import Study

MODALITIES = ("DWI", "T2", "Tmax")
CASES = 7


def make(root: Path) -> Path:
    """Seven cases of three modalities, three labelled."""
    return make_sample_study(root, CASES, 3, modalities=MODALITIES)


def name_of(n: int) -> str:
    """Name of a case, from 0."""
    return f"stroke-{n + 1:03d}"


def file_of(study: Study, n: int, modality: str) -> Path:
    """Where an image lies."""
    return study.layout.images(name_of(n)) / f"{modality}.nii.gz"


def values(study: Study, n: int, modality: str) -> np.ndarray:
    """Voxels as stored."""
    return np.array(read_image(file_of(study, n, modality)).volume.data)


def write(study: Study, n: int, modality: str, data: np.ndarray, grid: Grid | None = None) -> None:
    """Exchange the voxels of an image behind the study's back."""
    write_nifti(file_of(study, n, modality), np.ascontiguousarray(data), grid or study.grid(name_of(n)))


def shifted_grid(study: Study, n: int, mm: float = 9.0) -> Grid:
    """The case's grid, moved to the side."""
    grid = study.grid(name_of(n))
    matrix = grid.matrix
    matrix[0, 3] += mm
    return Grid.of(grid.shape, matrix)


def astray(study: Study, n: int) -> None:
    """Move and turn T2."""
    moved = np.roll(values(study, n, "T2"), 4, 2)
    write(study, n, "T2", ndimage.rotate(moved, 9, axes=(1, 2), reshape=False, order=1))


def swapped(study: Study, n: int) -> None:
    """Exchange DWI and Tmax."""
    one, other = values(study, n, "DWI"), values(study, n, "Tmax")
    write(study, n, "DWI", other)
    write(study, n, "Tmax", one)


def copied(study: Study, n: int) -> None:
    """Take all scans of the case before."""
    for modality in MODALITIES:
        write(study, n, modality, values(study, n - 1, modality))


def copied_mirrored(study: Study, n: int) -> None:
    """Take all scans of the case before, and the labels away, with left and right exchanged."""
    for modality in MODALITIES:
        write(study, n, modality, values(study, n - 1, modality)[:, :, ::-1])


def nan(study: Study, n: int) -> None:
    """Put NaN into a few slices."""
    data = values(study, n, "DWI").astype(np.float32)
    data[2:5, 10:20] = np.nan
    write(study, n, "DWI", data)


def cut(study: Study, n: int) -> None:
    """Cut a file off."""
    path = file_of(study, n, "T2")
    path.write_bytes(path.read_bytes()[:-4000])


def strange_label(study: Study, n: int) -> None:
    """Write a value that the scheme does not have into a label file."""
    name = name_of(n)
    path = study.root / study.annotations(name)[-1].path
    labels = np.array(read_image(path).volume.data).astype(np.uint8)
    labels[3, 3, 3] = 77
    write_nifti(path, labels, study.grid(name), np.uint8)


def label_outside(study: Study, n: int) -> None:
    """Move the labels into the air."""
    name = name_of(n)
    path = study.root / study.annotations(name)[-1].path
    labels = np.zeros(study.grid(name).array_shape, dtype=np.uint8)
    labels[2:6, 1:8, 1:8] = 1
    write_nifti(path, labels, study.grid(name), np.uint8)


Spoil = Callable[[Study, int], object]
SPOILED: dict[str, tuple[Spoil, str, str, str]] = {
    # what is done, check, severity, the first way offered to put it right
    "astray": (astray, "alignment", "look", "register"),
    "swapped": (swapped, "intensities", "wrong", "swap"),
    "constant": (lambda s, n: write(s, n, "Tmax", values(s, n, "Tmax") * 0), "constant", "wrong", "missing"),
    "units": (lambda s, n: write(s, n, "Tmax", values(s, n, "Tmax") * 1000), "intensities", "look", "missing"),
    "mirrored": (lambda s, n: write(s, n, "T2", values(s, n, "T2")[:, :, ::-1]), "mirrored", "wrong", "mirror"),
    "nan": (nan, "numbers", "note", ""),
    "grid": (
        lambda s, n: write(s, n, "T2", np.roll(values(s, n, "T2"), 3, 2), shifted_grid(s, n)),
        "grids",
        "wrong",
        "resample",
    ),
    "cut off": (cut, "files", "wrong", "missing"),
    "gone": (lambda s, n: file_of(s, n, "T2").unlink(), "files", "wrong", "missing"),
    "copied": (copied, "duplicates", "look", "aside"),
    "twice": (lambda s, n: write(s, n, "T2", values(s, n, "DWI")), "duplicates", "wrong", "missing"),
    "copied mirrored": (copied_mirrored, "duplicates", "wrong", "aside"),
    "strange label": (strange_label, "labels", "wrong", ""),
    "label outside": (label_outside, "labels", "look", ""),
}
