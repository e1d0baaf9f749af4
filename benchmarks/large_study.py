"""Open a study of 2,000 cases and list them. Target: under 2 s."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import machine
import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import write_nifti
from napari_penumbra.study.store import Study

CASES = 2000


def main() -> None:
    """Make the study through the product's own door, then time opening it."""
    folder = Path(tempfile.mkdtemp())
    image = folder / "image.nii.gz"
    write_nifti(
        image, np.random.default_rng(0).integers(0, 99, (4, 8, 8)).astype(np.int16), Grid.of((8, 8, 4), np.eye(4))
    )
    with Study.create(folder / "study", "large", ["T2"], LabelScheme.parse(["1=lesion"])) as study:
        start = time.perf_counter()
        for n in range(CASES):
            study.add_case(f"case-{n:04d}", {"T2": image})
        adding = time.perf_counter() - start
    times = []
    for _ in range(5):
        start = time.perf_counter()
        with Study.open(folder / "study") as study:
            assert len(study.cases()) == CASES
            study.counts()
            times.append(time.perf_counter() - start)
    machine.save(
        "large_study",
        {"cases": CASES, "target_s": 2.0, "median_s": statistics.median(times), "all_s": times, "adding_s": adding},
    )


if __name__ == "__main__":
    main()
