"""A small study for the tests of comparing and looking back in the real window: two champions, their predictions."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from plugin_cases import GRID

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.imaging.nifti import write, write_nifti
from napari_penumbra.jobs.launch import prepare
from napari_penumbra.study.store import Study

SHAPE = GRID.array_shape
OLD, NEW = "20261119-080000-mean-teacher-aaaa", "20261120-080000-mean-teacher-bbbb"


def lesion(shift: int = 0) -> np.ndarray:
    """A penumbra with a core, moved along x."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:8, 12:24, 14 + shift : 30 + shift] = 1
    labels[5:7, 15:20, 18 + shift : 24 + shift] = 2
    return labels


def make(root: Path) -> Path:
    """p001: annotated by hand, then learnt from by the champion NEW (not by OLD before it); p002: only predicted."""
    with Study.create(root / "study", "Desk", ["DWI"], LabelScheme.parse(["1=penumbra", "2=core"])) as study:
        for n, name in enumerate(("p001", "p002", "p003")):
            file = root / f"{name}.nii.gz"
            noise = np.random.default_rng(n).normal(100, 8, SHAPE) + 60 * (lesion() > 0)
            write(file, noise.astype(np.float32), GRID)
            study.add_case(name, {"DWI": file})
        save(study, "p003", lesion())
        train(study, OLD)
        save(study, "p001", lesion())
        train(study, NEW)
        for n, (run, shift) in enumerate(((OLD, 3), (NEW, 1))):
            for name in ("p001", "p002"):
                predict(study, name, run, lesion(shift), n)
        study.register_predictions()
        return study.root


def save(study: Study, name: str, labels: np.ndarray) -> None:
    study.save(name, labels, Closing.COMPLETE, Origin.PAINTED, "reader", 60.0, touched_slices=range(SHAPE[0]))


def train(study: Study, run: str) -> None:
    """Leave what a training leaves: its order and a checkpoint; it becomes champion."""
    spec = RunSpec("train", tuple(study.modalities), study.labels, study.pool(), "mean-teacher", "laptop", steps=100)
    folder = prepare(study.layout.runs, run, spec)
    study.add_run(run, "train", "mean-teacher", "laptop")
    checkpoint = folder / "checkpoints" / "step-000100"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights.safetensors").write_bytes(b"weights")
    (checkpoint / "state.json").write_text('{"step": 100}')
    (folder / "checkpoints" / "latest").write_text(checkpoint.name)
    study.set_champion(run)


def predict(study: Study, name: str, run: str, labels: np.ndarray, minute: int) -> None:
    folder = study.layout.predictions(name)
    data = {"case": name, "run": run, "created": dt.datetime(2026, 11, 20, 9, minute, tzinfo=dt.UTC).isoformat()}
    for kind, values in (("labels", labels), ("confidence", np.full(SHAPE, 0.8, np.float32))):
        file = folder / f"{run}.{kind}.nii.gz"
        write_nifti(file, values, study.grid(name))
        data[kind] = study.layout.relative(file)
    (folder / f"{run}.json").write_text(json.dumps(data))


def ask(root: Path, query: str) -> list[tuple[Any, ...]]:
    """Look into the database itself."""
    with closing(sqlite3.connect(root / "study.sqlite")) as db:
        return list(db.execute(query))


def digests(root: Path, case: str) -> dict[str, str]:
    """Label files of a case by content: nothing of them may ever change or go."""
    files = (*(root / "cases" / case).rglob("r*.nii.gz"), *(root / "cases" / case).rglob("*.labels.nii.gz"))
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def on_disk(root: Path, path: str) -> np.ndarray:
    """Voxels of a label file of the study, (z, y, x)."""
    return read_labels(root / path).volume.data
