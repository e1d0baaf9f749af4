"""Predictions or annotations of a study against reference files, in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import GeometryError, ImageError, UsageError
from napari_penumbra.evaluation.metrics import score
from napari_penumbra.evaluation.report import CaseScores, Table
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.study.store import Study

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
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
    rows, skipped = [], []
    for name in names:
        file = reference_file(reference, name)
        result = _result_file(study, name, source)
        if file is None or result is None:
            if cases:
                lacks = f"a reference in {reference}" if file is None else f"a {source}"
                raise UsageError(f"{name} has no {lacks.removeprefix('a ')}.", "Leave it out, or make one.")
            skipped.append(name)
            continue
        rows.append(_score(study, name, result, file))
    if not rows:
        raise UsageError(
            f"No case has both a {source} and a reference in {reference}.",
            f"Name the files like the cases, for example {names[0] if names else 'p001'}.nii.gz, and predict first.",
        )
    return Table(tuple(rows), {c.value: c.name for c in study.labels.classes}, source, tuple(skipped))


def _result_file(study: Study, name: str, source: str) -> Path | None:
    if source == "prediction":
        prediction = study.prediction(name)
        return study.root / prediction.labels if prediction else None
    revisions = study.annotations(name)
    return study.root / revisions[-1].path if revisions and revisions[-1].closing is not Closing.DRAFT else None


def _score(study: Study, name: str, result: Path, file: Path) -> CaseScores:
    truth, said = read_labels(file), read_labels(result)
    grid = study.grid(name)
    # Both were turned to the canonical orientation, which moves voxels but never computes one: equal scores either way.
    if not truth.volume.grid.same_place(grid, tolerance_mm=0.01):
        raise GeometryError(
            f"The reference {file.name} lies on another grid than the images of {name}.",
            "Give a reference drawn on the case's own images.",
            details=f"{truth.volume.grid} against {grid}",
        )
    if said.volume.data.shape != truth.volume.data.shape:
        raise ImageError(f"The stored result of {name} has another shape than its images.", "Predict it again.")
    labels = study.labels.check(truth.volume.data, file.name)
    return CaseScores(name, score(said.volume.data, labels, grid.scale, study.labels.values))
