"""Labels out of the study, each on the grid of the file its case came from: NIfTI for scans, PNG for pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.errors import DiskError, ImageError, UsageError
from napari_penumbra.domain.labels import UNKNOWN, LabelScheme
from napari_penumbra.imaging import atomic
from napari_penumbra.imaging.files import onto_source, read_labels
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.imaging.pictures import encode_png
from napari_penumbra.study.layout import slug_of
from napari_penumbra.study.predictions import read_confidence
from napari_penumbra.study.store import Study

CONFIDENCE_STEP = 1 / 255
"""Confidence is kept in 8 bits: finer than its meaning, and a quarter of the size."""


def export_nifti(
    study: Study,
    folder: Path,
    confidence: bool = False,
    unknown: int | None = None,
    *,
    predictions: bool = False,
) -> list[Path]:
    """Write one label file per case: ``<case>.nii.gz``, or ``<case>.png`` on the pixels of a case that is a picture.

    Parameters
    ----------
    folder
        Made when missing; files of the same name in it are replaced, nothing else is touched.
    confidence
        Also ``<case>_confidence.nii.gz`` (0 to 1) or ``.png`` (0 to 255) where the case has a prediction.
    unknown
        Value to write for unknown voxels; None keeps 255.
    predictions
        Also cases that a person has not closed yet but a model has predicted.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UsageError
        There is nothing to export, the folder is the study's own, or ``unknown`` does not fit into a label file.
    DiskError
        A file could not be written.
    """
    if unknown is not None and not 0 <= unknown <= 255:
        raise UsageError(f"{unknown} cannot stand for unknown.", "Give a value from 0 to 255.")
    if folder.absolute().is_relative_to(study.layout.cases):
        raise UsageError(f"{folder} lies among the study's own files.", "Choose a folder of its own.")
    chosen = list(_chosen(study, predictions))
    if not chosen:
        raise UsageError(
            "There is nothing to export: no case is closed" + (" or predicted." if predictions else "."),
            "Close a case with Case complete, or export predictions too.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be made.", "Choose another place.", repr(error)) from error
    written: list[Path] = []
    taken: set[str] = set()
    for name, labels in chosen:
        stem = slug_of(name, taken)
        taken.add(stem)
        suffix = ".png" if study.grid(name).is_picture else ".nii.gz"
        written.append(_labels(study, name, labels, folder / f"{stem}{suffix}", unknown))
        prediction = study.prediction(name) if confidence else None
        if prediction is not None:
            path = study.layout.absolute(prediction.confidence)
            written.append(_confidence(study, name, path, folder / f"{stem}_confidence{suffix}"))
    return written


def _chosen(study: Study, predictions: bool) -> Iterator[tuple[str, Path]]:
    """Name and label file of every case that is to leave the study."""
    for row in study.cases():
        closed = [a for a in study.annotations(row.name) if a.closing is not Closing.DRAFT]
        if row.state.labelled and closed:
            yield row.name, study.layout.absolute(closed[-1].path)
        elif predictions and row.state in (CaseState.PREDICTED, CaseState.IN_REVIEW, CaseState.IN_PROGRESS):
            prediction = study.prediction(row.name)
            if prediction is not None:
                yield row.name, study.layout.absolute(prediction.labels)


def _labels(study: Study, name: str, path: Path, target: Path, unknown: int | None) -> Path:
    source = study.source_grid(name)
    labels = read_labels(path).volume.data.astype(np.uint8)
    if labels.shape != study.grid(name).array_shape:
        raise ImageError(f"A label file of {name} is no longer what the study wrote.", "Restore it from a backup.")
    if unknown is not None:
        labels[labels == UNKNOWN] = unknown
    stored = onto_source(labels, source)
    if target.suffix == ".png":
        atomic.write_bytes(target, encode_png(stored, source, _values(study.labels, unknown)))
    else:
        write_nifti(target, stored, source, np.uint8)
    return target


def _values(scheme: LabelScheme, unknown: int | None) -> str:
    """Say what the values of an exported picture mean, in ASCII for a PNG's text field."""
    parts = ["0 background", *(f"{c.value} {c.name}" for c in scheme.classes)]
    parts.append(f"{UNKNOWN if unknown is None else unknown} unknown")
    return "labels: " + ", ".join(parts).encode("ascii", "replace").decode("ascii")


def _confidence(study: Study, name: str, path: Path, target: Path) -> Path:
    source = study.source_grid(name)
    values = read_confidence(path, study.grid(name), name)
    stored = onto_source(values, source)
    if target.suffix == ".png":
        eight_bit = np.rint(stored / CONFIDENCE_STEP).astype(np.uint8)
        atomic.write_bytes(target, encode_png(eight_bit, source, "confidence: 0 none to 255 full"))
    else:
        write_nifti(target, stored, source, np.uint8, slope=CONFIDENCE_STEP)
    return target
