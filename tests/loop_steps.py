"""What both halves of the end-to-end test agree on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.imaging.files import read_labels
from napari_penumbra.study.samples import REFERENCE

LABELLED = 4
CASES = 7
PAINTED = "stroke-005"
STARTED_WITH = "stroke-006"
MODALITIES = ("DWI", "ADC", "Tmax")
STROKE: tuple[list[tuple[int, int, int]], int, int] = ([(8, 30, 20), (8, 31, 24), (8, 32, 28)], 1, 4)
"""Voxels (z, y, x) that the brush passes, the class, and the brush's size."""
TINY: dict[str, Any] = {"width": 4, "patch": (16, 32, 32), "pretrain_steps": 4, "ramp_steps": 4}
"""The method's parameters for a step of some 50 ms on one core."""


def truth_of(study: Path, case: str) -> np.ndarray:
    """The simulation's labels, (z, y, x) uint8."""
    return read_labels(study / REFERENCE / f"{case}.nii.gz").volume.data.astype(np.uint8)
