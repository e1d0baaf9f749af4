"""Small real files and studies for the tests of this folder."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.case import Annotation, Closing, Origin
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.store import Study

SHAPE = (6, 12, 10)
SCHEME = LabelScheme.parse(["1=penumbra", "2=core"])


def grid(shape: Sequence[int] = SHAPE, scale: Sequence[float] = (5.0, 1.0, 2.0), shift: float = 0.0) -> Grid:
    """LPS grid of a (z, y, x) shape."""
    z, y, x = scale
    affine = np.diag([-x, -y, z, 1.0])
    affine[:3, 3] = shift
    return Grid.of(tuple(shape)[::-1], affine)


def scan(path: Path, where: Grid | None = None, seed: int = 0) -> Path:
    """Write a noisy scan."""
    where = where or grid()
    values = np.random.default_rng(seed).normal(100, 20, where.array_shape).astype(np.float32)
    write_nifti(path, values, where)
    return path


def ball(value: int = 1, shape: Sequence[int] = SHAPE, z: slice = slice(2, 4)) -> np.ndarray:
    """Labels with one block."""
    labels = np.zeros(shape, dtype=np.uint8)
    labels[z, 4:8, 3:7] = value
    return labels


def mask(path: Path, labels: np.ndarray | None = None, where: Grid | None = None) -> Path:
    """Write a label file."""
    labels = ball() if labels is None else labels
    write_nifti(path, labels, where or grid(labels.shape))
    return path


def draft(study: Study, name: str, labels: np.ndarray, **changes: Any) -> Annotation | None:
    """Save with the usual answers."""
    values = {"closing": Closing.DRAFT, "origin": Origin.PAINTED, "author": "ann", "seconds": 1.0, **changes}
    return study.save(name, labels, **values)


def predict(
    study: Study,
    name: str,
    run: str = "run-1",
    labels: np.ndarray | None = None,
    confidence: float | np.ndarray = 0.8,
    minute: int = 0,
    claims: dict[str, Any] | None = None,
) -> Path:
    """Do what a worker does: labels, confidence, and the sidecar last."""
    slug = name  # the tests use names that are their own folder names
    folder = study.layout.predictions(slug)
    where = study.grid(name)
    labels = ball(shape=where.array_shape) if labels is None else labels
    sure = np.broadcast_to(np.asarray(confidence, dtype=np.float32), labels.shape)
    write_nifti(folder / f"{run}.labels.nii.gz", labels, where)
    write_nifti(folder / f"{run}.confidence.nii.gz", sure, where, np.uint8, slope=1 / 255)
    data = {
        "case": name,
        "run": run,
        "labels": study.layout.relative(folder / f"{run}.labels.nii.gz"),
        "confidence": study.layout.relative(folder / f"{run}.confidence.nii.gz"),
        "created": dt.datetime(2026, 11, 21, 8, minute, tzinfo=dt.UTC).isoformat(),
        **(claims or {}),
    }
    sidecar = folder / f"{run}.json"
    sidecar.write_text(json.dumps(data), encoding="utf-8")
    return sidecar
