"""Put a prediction into the study: labels, confidence, and last the sidecar that says both are whole."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.imaging.nifti import write as write_nifti
from napari_penumbra.inference.confidence import CONFIDENCE_STEPS, Answer


def predictions_folder(case: SpecCase) -> PurePosixPath:
    """Folder of a case's predictions, relative to the study: beside the folder of its images."""
    path = next((p for p in case.images if p is not None), None)
    if path is None:
        raise JobError(f"Case {case.name} has no image.", "Add one of its modalities to the study.")
    return PurePosixPath(path).parent.parent / "predictions"


def write_answer(
    root: Path, case: SpecCase, run: str, answer: Answer, means: str = "", summary: Mapping[str, Any] | None = None
) -> PurePosixPath:
    """Write a prediction's files; the study takes notice of the sidecar only, so a crash leaves no half prediction.

    Parameters
    ----------
    means
        What the confidence means, in words; kept beside the map, for desks on which the method is not installed.
    summary
        Plain data by which cases are put in order, see `summary.summarise`.

    Returns
    -------
    PurePosixPath
        The sidecar, relative to the study.

    Raises
    ------
    DiskError
        A file could not be written.
    """
    folder = predictions_folder(case)
    (root / folder).mkdir(parents=True, exist_ok=True)
    labels, confidence = folder / f"{run}.labels.nii.gz", folder / f"{run}.confidence.nii.gz"
    sidecar = folder / f"{run}.json"
    write_nifti(root / labels, answer.labels, case.grid, dtype=np.uint8)
    write_nifti(root / confidence, answer.confidence, case.grid, dtype=np.uint8, slope=1 / CONFIDENCE_STEPS)
    data: dict[str, Any] = {
        "case": case.name,
        "run": run,
        "labels": str(labels),
        "confidence": str(confidence),
        "confidence_means": means,
        "created": dt.datetime.now(dt.UTC).isoformat(),
    }
    if summary is not None:
        data["summary"] = dict(summary)
    # In one line: the summary's hundreds of numbers would otherwise be as many lines.
    write_text(root / sidecar, json.dumps(data, ensure_ascii=False, allow_nan=False))
    return sidecar
