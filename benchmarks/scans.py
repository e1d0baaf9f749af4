"""Scans of a stated size for the timings: smooth noise, not zeros, so that compression costs what it costs."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import write_nifti
from napari_penumbra.study.store import Study

SHAPE = (21, 240, 240)
MODALITIES = ("DWI", "ADC", "T2", "Tmax", "CBF", "CBV")
SCHEME = LabelScheme.parse(["1=penumbra", "2=core"])
GRID = Grid.of(SHAPE[::-1], np.diag([-0.96, -0.96, 6.5, 1.0]))


def study_with_one_case(root: Path) -> Study:
    """A study with one case of 240x240x21 and six modalities, open for writing."""
    files = {}
    random = np.random.default_rng(0)
    for name in MODALITIES:
        files[name] = root.with_name(f"{root.name}-{name}.nii.gz")
        write_nifti(files[name], random.integers(0, 4000, SHAPE).astype(np.int16), GRID)
    study = Study.create(root, "timing", MODALITIES, SCHEME)
    study.add_case("case", files)
    return study


def predict(study: Study) -> None:
    """Leave a prediction of the case as a worker does, and register it."""
    folder = study.layout.predictions("case")
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: folder / f"timing.{kind}.nii.gz" for kind in ("labels", "confidence")}
    write_nifti(files["labels"], lesion(), GRID)
    write_nifti(files["confidence"], np.full(SHAPE, 0.8, np.float32), GRID)
    paths = {kind: study.layout.relative(path) for kind, path in files.items()}
    data = {"case": "case", "run": "timing", "created": dt.datetime.now(dt.UTC).isoformat(), **paths}
    (folder / "timing.json").write_text(json.dumps(data))
    assert study.register_predictions(), "the prediction was not believed"


def lesion(radius: float = 20.0) -> np.ndarray:
    """A ball of class 1 in the middle, (z, y, x) uint8."""
    z, y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij")
    return ((z * 6.5 / 0.96) ** 2 + y**2 + x**2 < radius**2).astype(np.uint8)
