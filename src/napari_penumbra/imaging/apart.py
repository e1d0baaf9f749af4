"""Long computations in a process of their own: when one is stopped it really ends, and its core and memory are free.

A solver inside SciPy or scikit-image cannot be interrupted: as a thread it would compute to its end, with nobody
waiting for the answer. The process gets its arrays as ``.npy`` files in a folder of its own, and its result comes back
as one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.grid import AnyArray
from napari_penumbra.imaging.gentle import give_way

POLL_SECONDS = 0.05
_JOB, _RESULT = "job.json", "result.npy"
_NICENESS = 5
"""The window comes first."""


def random_walker(image: AnyArray, markers: AnyArray, *, beta: float, spacing: list[float]) -> AnyArray:
    """Label of each voxel by scikit-image's random walker; see there for the arguments."""
    from skimage.segmentation import random_walker as walk

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on solvers that are not installed, and on rounding
        return np.asarray(walk(image, markers, beta=beta, mode="cg_j", tol=1e-2, spacing=np.asarray(spacing)))


def watershed(heights: AnyArray, markers: AnyArray) -> AnyArray:
    """Label of each voxel by scikit-image's watershed; see there for the arguments."""
    from skimage.segmentation import watershed as flood

    return np.asarray(flood(heights, markers))


WORKS: dict[str, Callable[..., AnyArray]] = {"random_walker": random_walker, "watershed": watershed}


def compute(
    work: str,
    arrays: Mapping[str, AnyArray],
    settings: Mapping[str, Any] | None = None,
    *,
    apart: bool,
    check: Callable[[], None] = lambda: None,
) -> AnyArray:
    """Do one of `WORKS`, here or in a process of its own.

    Parameters
    ----------
    arrays, settings
        Its arguments by name: arrays, and what JSON can hold.
    apart
        Whether to start a process, which takes about a second: for what takes longer than that.
    check
        Called some twenty times a second while the process computes; what it raises kills the process and goes on to
        the caller.

    Raises
    ------
    PenumbraError
        The process has ended without a result.
    """
    settings = settings or {}
    if not apart:
        check()
        return WORKS[work](**arrays, **settings)
    with tempfile.TemporaryDirectory(prefix="penumbra-apart-") as name:
        folder = Path(name)
        for key, array in arrays.items():
            np.save(folder / f"{key}.npy", array, allow_pickle=False)
        (folder / _JOB).write_text(json.dumps({"work": work, "arrays": list(arrays), "settings": dict(settings)}))
        _run(folder, check)
        return np.asarray(np.load(folder / _RESULT, allow_pickle=False))


def _run(folder: Path, check: Callable[[], None]) -> None:
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_penumbra.imaging.apart", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            while process.poll() is None:
                check()
                time.sleep(POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    if process.returncode != 0 or not (folder / _RESULT).is_file():
        raise PenumbraError(
            "The computation has ended without a result.",
            "The machine may be out of memory: choose a shorter reach, or close other programs.",
            (folder / "log.txt").read_text(errors="replace")[-4000:],
        )


def main(folder: Path) -> None:
    """Compute what a folder asks for; the result appears whole."""
    give_way(os.getpid(), _NICENESS)
    job = json.loads((folder / _JOB).read_text())
    arrays = {key: np.load(folder / f"{key}.npy", allow_pickle=False) for key in job["arrays"]}
    found = WORKS[job["work"]](**arrays, **job["settings"])
    np.save(folder / f"new-{_RESULT}", found, allow_pickle=False)
    os.replace(folder / f"new-{_RESULT}", folder / _RESULT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
