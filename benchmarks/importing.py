"""How fast cases come in, beside a plain nibabel loop over the same files, in one run and turn by turn.

    python benchmarks/importing.py [--cases 100] [--rounds 5]

The loop loads each scan, turns its axes to the same orientation as the import does, and saves it again: what a script
would do. The import does that and checks, hashes, writes a thumbnail, syncs to disk and registers. Both run alternately
on the same blocks of cases, because other work on a machine comes and goes; the quoted figure is the ratio of the two.
On a busy machine two helpers get more of the processor than one loop does: the ratio in one process stands beside it.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import machine
import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from scipy.ndimage import gaussian_filter

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging import gz
from napari_penumbra.imaging.nifti_writing import encode
from napari_penumbra.study.crew import cores
from napari_penumbra.study.newcase import NewCase
from napari_penumbra.study.staging import Order, stage
from napari_penumbra.study.store import Study

SHAPE = (60, 256, 256)
MODALITIES = ("DWI", "ADC")
SCHEME = LabelScheme.parse(["1=lesion"])


def make(folder: Path, cases: int) -> None:
    """Files of smooth noise in a head-like box, RAS, gzipped as Python does; eight differ, then they repeat."""
    folder.mkdir()
    grid = Grid.of(SHAPE[::-1], np.diag([0.9, 0.9, 2.5, 1.0]))
    made: list[bytes] = []
    for n in range(8):
        values = gaussian_filter(np.random.default_rng(n).normal(size=SHAPE), 1.5) * 4000 + 800
        for side in (np.s_[:, :40], np.s_[:, -40:], np.s_[:, :, :50], np.s_[:, :, -50:]):
            values[side] = 0
        made.append(gzip.compress(encode(np.rint(values).astype(np.int16), grid, gzipped=False), 6))
    for n in range(cases):
        for m, modality in enumerate(MODALITIES):
            (folder / f"p{n:03d}_{modality}.nii.gz").write_bytes(made[(2 * n + m) % len(made)])


def by_nibabel(files: list[Path], out: Path) -> float:
    """Load, turn to LPS, save."""
    out.mkdir()
    start = time.perf_counter()
    for path in files:
        image = nib.load(path)
        turn = ornt_transform(io_orientation(image.affine), axcodes2ornt("LPS"))
        nib.save(image.as_reoriented(turn), out / path.name)
    return time.perf_counter() - start


def by_import(files: Path, root: Path, names: set[str], jobs: int) -> float:
    """Add the same cases to a new study."""
    with Study.create(root, "timing", MODALITIES, SCHEME) as study:
        plan = study.plan_folder(files)
        cases = tuple(case for case in plan.cases if case.name in names)
        start = time.perf_counter()
        for name, outcome in study.add_planned(type(plan)(cases, ()), jobs=jobs):
            assert isinstance(outcome, list), f"{name}: {outcome}"
        seconds = time.perf_counter() - start
        assert len(study.cases()) == len(cases)
    return seconds


def peak_volumes(files: Path, folder: Path) -> float:
    """Most memory of staging one case with two modalities, in float32 volumes."""
    images = {m: files / f"p000_{m}.nii.gz" for m in MODALITIES}
    order = Order(NewCase("p000", images), MODALITIES, SCHEME, "p000", folder / "staged")
    stage(order)  # imports
    shutil.rmtree(order.folder)
    tracemalloc.start()
    stage(order)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (4 * np.prod(SHAPE))


def gzip_gain(file: Path) -> dict[str, float]:
    """Seconds to unpack and to pack one scan, by Python's gzip and by the library in use."""
    plain = gzip.decompress(file.read_bytes())

    def best(call) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return round(min(times), 4)

    def read() -> None:
        with gz.reading(file) as opened:
            opened.read()

    def write() -> None:
        with tempfile.TemporaryFile() as out, gz.writing(out) as packed:
            packed.write(plain)

    return {
        "unpack_python": best(lambda: gzip.decompress(file.read_bytes())),
        "unpack_used": best(read),
        "pack_python": best(lambda: gzip.compress(plain, 1)),
        "pack_used": best(write),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=min(2, cores()))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        make(root / "files", asked.cases)
        everything = sorted({p.name.rsplit("_", 1)[0] for p in (root / "files").iterdir()})
        blocks = np.array_split(everything, asked.rounds)
        loop, ours = [], []
        for n, block in enumerate(blocks):
            names = set(map(str, block))
            chosen = [root / "files" / f"{name}_{m}.nii.gz" for name in sorted(names) for m in MODALITIES]
            loop.append(by_nibabel(chosen, root / f"out{n}") / len(names))
            ours.append(by_import(root / "files", root / f"study{n}", names, asked.jobs) / len(names))
            print(f"round {n + 1}: nibabel loop {loop[-1]:.3f} s a case, import {ours[-1]:.3f} s a case")
            shutil.rmtree(root / f"out{n}")
        few = set(everything[:15])
        files = [root / "files" / f"{name}_{m}.nii.gz" for name in sorted(few) for m in MODALITIES]
        plain = by_nibabel(files, root / "out-one")
        alone = by_import(root / "files", root / "study-one", few, 1)
        ratios = [a / b for a, b in zip(loop, ours, strict=True)]
        with Study.open(root / "study0") as study:
            start = time.perf_counter()
            study.read(study.cases()[0].name)
            opening = time.perf_counter() - start
        result = {
            "cases": asked.cases,
            "grid": list(SHAPE[::-1]),
            "modalities": len(MODALITIES),
            "jobs": asked.jobs,
            "nibabel_loop_s_per_case": round(statistics.median(loop), 4),
            "import_s_per_case": round(statistics.median(ours), 4),
            "times_as_fast": round(statistics.median(ratios), 2),
            "times_as_fast_in_one_process": round(plain / alone, 2),
            "times_as_fast_per_round": [round(ratio, 2) for ratio in ratios],
            "peak_volumes_per_helper": round(peak_volumes(root / "files", root), 2),
            "open_a_case_s": round(opening, 3),
            "gzip_s": gzip_gain(root / "files" / "p000_DWI.nii.gz"),
        }
    print(machine.save("importing", result))
    for name, value in result.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
