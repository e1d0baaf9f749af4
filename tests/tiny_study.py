"""A study folder of tiny cases as a worker sees it: images, labels, and the order that names them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.imaging.nifti import write

SHAPE = (16, 24, 24)
SCHEME = LabelScheme.parse(["3=lesion"])
MODALITIES = ("DWI", "T2")
CONFIG: dict[str, Any] = {
    "patch": (16, 16, 16),
    "width": 4,
    "labelled_batch": 2,
    "unlabelled_batch": 1,
    "learning_rate": 5e-3,
}
"""Parameters that differ from the laptop preset: small enough for a step in 20 ms."""


def grid(shape: Sequence[int] = SHAPE, spacing: Sequence[float] = (3.0, 1.5, 1.5)) -> Grid:
    """Canonical (LPS) grid of a (z, y, x) shape and spacing."""
    z, y, x = spacing
    return Grid.of(tuple(shape)[::-1], np.diag([-x, -y, z, 1.0]))


def make_arrays(seed: int, shape: Sequence[int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball in a dim head, and its mask (value 3)."""
    random = np.random.default_rng(seed)
    zyx = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    centre = np.array([random.uniform(n * 0.35, n * 0.65) for n in shape])[:, None, None, None]
    ball = (((zyx - centre) / np.array([3, 5, 5])[:, None, None, None]) ** 2).sum(axis=0) < 1
    middle = (np.array(shape) / 2)[:, None, None, None]
    head = (((zyx - middle) / (np.array(shape)[:, None, None, None] * 0.52)) ** 2).sum(axis=0) < 1
    image = np.where(head, 100 + 60 * ball + random.normal(0, 8, shape), 0).astype(np.float32)
    return image, (3 * ball).astype(np.uint8)


def add_case(root: Path, name: str, seed: int, role: str, where: Grid | None = None, label: bool = True) -> SpecCase:
    """Write one case into the study's folder."""
    where = where or grid()
    image, mask = make_arrays(seed, where.array_shape)
    folder = root / "cases" / name
    for sub in ("images", "annotations"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    paths = []
    for number, modality in enumerate(MODALITIES):
        paths.append(f"cases/{name}/images/{modality}.nii.gz")
        write(root / paths[-1], image if number == 0 else 300 - image, where)
    label_path = f"cases/{name}/annotations/0001.nii.gz"
    write(root / label_path, mask, where)
    keep = label and role in ("labelled", "validation")
    return SpecCase(name, tuple(paths), where, label_path if keep else None, role, f"key-{name}-{seed}")  # type: ignore[arg-type]


def make_spec(root: Path, method: str = "mean-teacher", steps: int = 20, **changes: Any) -> RunSpec:
    """Two labelled cases, one without labels, one frozen; write them and give the order."""
    cases = (
        add_case(root, "anna", 1, "labelled"),
        add_case(root, "bert", 2, "labelled"),
        add_case(root, "cleo", 3, "unlabelled"),
        add_case(root, "dora", 4, "validation"),
    )
    config = {**CONFIG, "pretrain_steps": steps // 4, "ramp_steps": 5, "refresh_steps": 7}
    if method == "supervised":
        config = {k: v for k, v in CONFIG.items() if k != "unlabelled_batch"}
    spec = RunSpec("train", MODALITIES, SCHEME, cases, method, "laptop", config, steps, seed=5, threads=1, device="cpu")
    return dataclasses.replace(spec, **changes)


def write_run(root: Path, run: str, spec: RunSpec) -> Path:
    """Make a run's folder with its order."""
    folder = root / "runs" / run
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(spec.to_json()), encoding="utf-8")
    return folder
