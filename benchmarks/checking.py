"""Time the check of a study: headers of 1,000 cases, a second check, a whole check, and its memory.

``python benchmarks/checking.py --cases 1000 --whole 8`` writes ``benchmarks/results/checking.json``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import save
from scipy import ndimage

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.store import Study

MODALITIES = ("DWI", "T2")
SMALL, LARGE = (8, 24, 24), (60, 256, 256)


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Time a call: on the clock, and of the processor (what a busy machine does not spoil)."""
    began, worked = time.perf_counter(), time.process_time()
    call()
    return round(time.perf_counter() - began, 2), round(time.process_time() - worked, 2)


def grid(shape: tuple[int, ...]) -> Grid:
    """A grid 240 mm wide."""
    edge = 240 / shape[2]
    return Grid.of(shape[::-1], np.diag([-edge, -edge, 5.0, 1.0]))


def fill(root: Path, cases: int, shape: tuple[int, ...]) -> Study:
    """Make a study of noisy heads."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    head = 400 * ((z / 0.9) ** 2 + (y / 0.8) ** 2 + (x / 0.65) ** 2 < 1)
    study = Study.create(root / "study", "Check", MODALITIES, LabelScheme.parse(["1=lesion"]))
    files = root / "files"
    files.mkdir()
    for n in range(cases):
        images = {}
        for m in MODALITIES:
            noise = ndimage.gaussian_filter(rng.normal(0, 40, shape), 1)
            images[m] = files / f"{m}.nii"
            write_nifti(images[m], np.rint(head + noise).astype(np.int16), grid(shape))
        study.add_case(f"p{n:04d}", images)
    return study


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1000, help="for the headers")
    parser.add_argument("--whole", type=int, default=8, help="of 256x256x60 with two modalities")
    wanted = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    os.fsync = lambda *_: None  # filling is not measured, and checking syncs nothing of worth
    try:
        with fill(place, wanted.cases, SMALL) as study:
            headers = [seconds(lambda: list(study.check(voxels=False))) for _ in range(3)]
        shutil.rmtree(place)
        place.mkdir()
        with fill(place, wanted.whole, LARGE) as study:
            whole = seconds(lambda: list(study.check()))
            again = seconds(lambda: list(study.check()))
            shutil.rmtree(study.layout.checks)
            tracemalloc.start()
            list(study.check())
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        shutil.rmtree(place, ignore_errors=True)
    volume = 4 * int(np.prod(LARGE))
    result = {
        "headers": {"cases": wanted.cases, "modalities": len(MODALITIES), "seconds": headers},
        "whole": {"cases": wanted.whole, "shape": LARGE, "seconds": whole, "again": again},
        "seconds_are": "on the clock, of the processor",
        "load": round(os.getloadavg()[0], 1),
        "memory": {"peak_mb": round(peak / 1e6, 1), "volumes": round(peak / volume, 2)},
    }
    save("checking", result)


if __name__ == "__main__":
    main()
