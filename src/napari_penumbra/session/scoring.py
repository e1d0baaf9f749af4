"""Predictions or annotations of a study against reference files, in millimetres."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from napari_penumbra.domain.case import Closing, Role
from napari_penumbra.domain.errors import GeometryError, ImageError, UsageError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.evaluation.calibration import Tally, near_foreground
from napari_penumbra.evaluation.confidence import ConfidenceTable
from napari_penumbra.evaluation.metrics import score
from napari_penumbra.evaluation.report import CaseScores, Table
from napari_penumbra.imaging.files import read_labels, read_volume
from napari_penumbra.study.masks import read_meaning
from napari_penumbra.study.store import Study

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
_ENDINGS = ("", "_label", "_labels", "_seg", "_gt", "_mask")


def reference_file(folder: Path, case: str) -> Path | None:
    """Find a case's reference: ``NAME.nii.gz`` and the like, ``NAME_label.nii.gz`` and the like, or None."""
    for ending in _ENDINGS:
        for suffix in SUFFIXES:
            file = folder / f"{case}{ending}{suffix}"
            if file.is_file():
                return file
    return None


def evaluate(
    study: Study,
    reference: Path,
    source: Literal["prediction", "annotation"] = "prediction",
    cases: Sequence[str] | None = None,
) -> Table:
    """Score every case that has both a result and a reference.

    Parameters
    ----------
    cases
        Only these, each of which must have both; by default all that have.

    Raises
    ------
    UsageError
        No such folder or case, or nothing to compare.
    GeometryError
        A reference lies on another grid than its case.
    """
    if not reference.is_dir():
        raise UsageError(f"The reference folder {reference} does not exist.", "Name a folder of label files.")
    names = list(cases) if cases else [row.name for row in study.cases()]
    rows: list[CaseScores] = []
    skipped: list[str] = []
    tallies: dict[str, Tally] = {}
    for name in names:
        file = reference_file(reference, name)
        result = _result_file(study, name, source)
        if file is None or result is None:
            if cases:
                lacks = f"a reference in {reference}" if file is None else f"a {source}"
                raise UsageError(f"{name} has no {lacks.removeprefix('a ')}.", "Leave it out, or make one.")
            skipped.append(name)
            continue
        said, truth = _read(study, name, result, file)
        rows.append(CaseScores(name, score(said, truth, study.grid(name).scale, study.labels.values)))
        if source == "prediction" and (tally := tally_of(study, name, said, truth)) is not None:
            tallies[name] = tally
    if not rows:
        raise UsageError(
            f"No case has both a {source} and a reference in {reference}.",
            f"Name the files like the cases, for example {names[0] if names else 'p001'}.nii.gz, and predict first.",
        )
    confidence = ConfidenceTable(tallies, _validation(study, tallies)) if tallies else None
    return Table(tuple(rows), {c.value: c.name for c in study.labels.classes}, source, tuple(skipped), confidence)


def tally_of(study: Study, name: str, said: LabelArray, truth: LabelArray) -> Tally | None:
    """Count right and wrong voxels of a case's newest prediction by their confidence, near foreground.

    Returns
    -------
    Tally or None
        None when the confidence map cannot be used: it is missing, damaged or of another shape.
    """
    prediction = study.prediction(name)
    if prediction is None:
        return None
    try:
        confidence = read_volume(study.layout.absolute(prediction.confidence)).data
        near = near_foreground(said, truth, study.grid(name).scale)
        return Tally.of(np.clip(confidence[near].astype(np.float64), 0, 1), (said == truth)[near])
    except (ImageError, IndexError):
        return None


def _validation(study: Study, evaluated: Collection[str]) -> Tally | None:
    """Voxels of the frozen cases that are not evaluated themselves, against what was painted; None without any."""
    tallies = []
    for row in study.cases():
        if row.role is not Role.VALIDATION or row.name in evaluated:
            continue
        said, truth = _result_file(study, row.name, "prediction"), _result_file(study, row.name, "annotation")
        if said is not None and truth is not None:
            tallies.append(tally_of(study, row.name, *_read(study, row.name, said, truth)))
    known = [tally for tally in tallies if tally is not None and tally.n]
    return Tally.total(known) if known else None


def _result_file(study: Study, name: str, source: str) -> Path | None:
    if source == "prediction":
        prediction = study.prediction(name)
        return study.root / prediction.labels if prediction else None
    revisions = study.annotations(name)
    return study.root / revisions[-1].path if revisions and revisions[-1].closing is not Closing.DRAFT else None


def read_truth(study: Study, name: str, file: Path) -> LabelArray:
    """Read the reference of a case, (z, y, x) on its canonical grid.

    Raises
    ------
    GeometryError
        It lies on another grid than the case.
    ImageError, LabelError
        It cannot be read, or holds other values than the study's.
    """
    truth = read_labels(file)
    grid = study.grid(name)
    # Both were turned to the canonical orientation, which moves voxels but never computes one: equal scores either way.
    if not truth.volume.grid.same_place(grid, tolerance_mm=0.01):
        raise GeometryError(
            f"The reference {file.name} lies on another grid than the images of {name}.",
            "Give a reference drawn on the case's own images.",
            details=f"{truth.volume.grid} against {grid}",
        )
    return read_meaning(truth, study.labels, file.name)[0]


def _read(study: Study, name: str, result: Path, file: Path) -> tuple[LabelArray, LabelArray]:
    """Result and reference of a case, on its grid."""
    truth, said = read_truth(study, name, file), read_labels(result).volume.data
    if said.shape != truth.shape:
        raise ImageError(f"The stored result of {name} has another shape than its images.", "Predict it again.")
    return study.labels.check(said, result.name), truth
