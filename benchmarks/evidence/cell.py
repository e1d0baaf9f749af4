"""One cell: a fresh study, one training, then the unseen cases, their prediction and their scores.

Everything goes through the ``penumbra`` command, as a user's work would. The unseen cases are added after the last
checkpoint is written, so nothing can have looked at them, and the last checkpoint is scored: no selection of any kind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np
import psutil

import napari_penumbra
from evidence.cohorts import COHORTS, Roles, Store, draw, split_of, store_of, work_folder
from evidence.plan import Cell
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.methods import REGISTRY

CURVE_POINTS = 60
_TRAINED_BY = ("training", "inference", "networks")
_NOT_OF_A_CELL = {
    *("distributed", "less", "ranks", "sharding", "shared_layers", "shared_learner", "shared_run", "together"),
    "turn",
}
"""Modules that do not touch a cell's figures: those of several processes (a cell is trained by one), and the queue."""


class CellError(Exception):
    """A command of a cell failed; the text holds what it said."""


def run(cell: Cell) -> dict[str, Any]:
    """Train and score one cell; its folder is gone afterwards, whatever happens."""
    parent = work_folder() / "running"
    parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{cell.cohort}-", dir=parent))
    try:
        return _run(cell, work)
    finally:
        stop_workers(work)
        shutil.rmtree(work, ignore_errors=True)


def _run(cell: Cell, work: Path) -> dict[str, Any]:
    cohort = COHORTS[cell.cohort]
    store, roles = store_of(cohort), draw(split_of(cohort, cell.tuning), cell.labelled, cell.seed)
    seconds: dict[str, float] = {}
    code = code_version(cell.method)  # now: somebody may edit it while the cell runs
    study = str(work / "study")
    with _timed(seconds, "add"):
        _new_study(cell, store, roles, work, study)
    with _timed(seconds, "train"):
        changes = [word for key, value in cell.settings for word in ("--set", f"{key}={value}")]
        words = ["--method", cell.method, "--preset", cell.preset, "--steps", str(cell.steps), "--seed", str(cell.seed)]
        penumbra("train", study, *words, *changes, "--validation", "0", "--no-reference", "--threads", "1")
    losses = loss_curve(work / "study" / "runs")
    with _timed(seconds, "predict"):
        images = linked(work / "unseen", [file for name in roles.evaluated for file in store.images(name)])
        penumbra("add", study, "--images", str(images))
        chosen = [word for name in roles.evaluated for word in ("--case", name)]
        penumbra("predict", study, "--threads", "1", *chosen)
    with _timed(seconds, "score"):
        reference = linked(work / "reference", [store.label(name) for name in roles.evaluated])
        table = json.loads(penumbra("evaluate", study, "--reference", str(reference), "--json"))
    if sorted(table["cases"]) != sorted(roles.evaluated):
        raise CellError(f"{len(table['cases'])} of {len(roles.evaluated)} unseen cases were scored")
    return {
        "cell": cell.to_json(),
        "roles": {"labelled": roles.labelled, "unlabelled": roles.unlabelled, "evaluated": roles.evaluated},
        "seconds": seconds,
        "code": code,
        "losses": losses,
        "table": table,
        "machine": machine.describe(),
    }


# ------------------------------------------------------------------ the study


def _new_study(cell: Cell, store: Store, roles: Roles, work: Path, study: str) -> None:
    cohort = store.cohort
    words = [word for modality in cohort.modalities for word in ("--modality", modality)]
    words += [word for label in cohort.labels for word in ("--label", label)]
    penumbra("new", study, *words, *(["--simulated"] if cohort.generator else []))
    prepared = Path(study) / "cache"
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.symlink_to(store.cache, target_is_directory=True)
    images = linked(work / "labelled", [file for name in roles.labelled for file in store.images(name)])
    labels = linked(work / "labels", [store.label(name) for name in roles.labelled])
    penumbra("add", study, "--images", str(images), "--labels", str(labels))
    pool = unlabelled_folder(cell, store, roles, work / "unlabelled")
    if pool is not None:
        penumbra("add", study, "--images", str(pool))


def unlabelled_folder(cell: Cell, store: Store, roles: Roles, folder: Path) -> Path | None:
    """Folder with the images of the unlabelled pool, as the cell wants it; None when there are none."""
    if cell.unlabelled == "copies":
        files = [file for name in roles.labelled for file in store.images(name)]
        return linked(folder, files, prefix="copy-")
    files = [file for name in roles.unlabelled for file in store.images(name)]
    if not files:
        return None
    if cell.unlabelled == "pool":
        return linked(folder, files)
    folder.mkdir()
    random = np.random.default_rng([cell.seed, 1])
    for file in files:
        _write_noise(file, folder / f"noise-{file.name}", random)
    return folder


def _write_noise(source: Path, target: Path, random: np.random.Generator) -> None:
    """Replace every voxel of a scan by noise of the same mean and spread."""
    from napari_penumbra.imaging.files import read_image
    from napari_penumbra.imaging.nifti import write_nifti

    if source.suffix == ".png":
        from PIL import Image

        pixels = np.asarray(Image.open(source))
        noise = random.normal(pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1)), pixels.shape)
        Image.fromarray(np.clip(np.rint(noise), 0, 255).astype(np.uint8)).save(target)
        return
    volume = read_image(source).volume
    data = np.asarray(volume.data, np.float32)
    write_nifti(target, random.normal(data.mean(), data.std(), data.shape), volume.grid, np.float32)


def linked(folder: Path, files: list[Path], prefix: str = "") -> Path:
    """Make a folder of links to files."""
    folder.mkdir(parents=True)
    for file in files:
        (folder / f"{prefix}{file.name}").symlink_to(file.resolve())
    return folder


# ------------------------------------------------------------------ processes


def penumbra(*words: str) -> str:
    """Run the command line; raises `CellError` with its own words when it fails."""
    command = [sys.executable, "-m", "napari_penumbra.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread(), check=False)
    if done.returncode:
        raise CellError(f"penumbra {' '.join(words[:2])} failed ({done.returncode})\n{done.stdout}{done.stderr}")
    return done.stdout


def one_thread() -> dict[str, str]:
    """Environment in which every library uses one thread: cells side by side must not get in each other's way."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    return {**os.environ, **dict.fromkeys(names, "1")}


def stop_workers(work: Path, patience: float = 10.0) -> None:
    """End workers that outlived an interrupted command: those, and only those, whose run lies in this cell's folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(word.startswith(f"{work.resolve()}/") for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.Error):
                process.terminate()
                found.append(process)
    _, alive = psutil.wait_procs(found, timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


@contextlib.contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 1)


# ------------------------------------------------------------------ records


def loss_curve(runs: Path) -> list[dict[str, float]]:
    """Losses of the only training in a study, thinned to `CURVE_POINTS`."""
    events = [json.loads(line) for file in runs.glob("*/events.jsonl") for line in file.read_text().splitlines()]
    points = [{"step": e["step"], **e["losses"]} for e in events if e.get("kind") == "step" and e.get("losses")]
    every = max(1, -(-len(points) // CURVE_POINTS))
    return points[::every]


def code_version(method: str) -> str:
    """Changes whenever code that a cell's figures depend on does: method, networks, training, scores, simulated cases.

    What a method shares with others lies in ``methods/_*.py``; any change there counts for all of them.
    """
    home = Path(napari_penumbra.__file__).parent
    files = {file for folder in _TRAINED_BY for file in (home / folder).glob("*.py") if file.stem not in _NOT_OF_A_CELL}
    files |= {*home.glob("methods/_*.py"), *home.glob("imaging/*phantom*.py"), home / "evaluation" / "metrics.py"}
    target = REGISTRY.get(method, "").partition(":")[0].rpartition(".")[2]
    if target:
        files.add(home / "methods" / f"{target}.py")
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.exists():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def stale(planned: Cell, result: dict[str, Any]) -> bool:
    """Whether a result was made by other code, or with other parameters, than the cell would have today."""
    return result["code"] != code_version(planned.method) or Cell.from_json(result["cell"]).settings != planned.settings


def write_result(folder: Path, cell: Cell, result: dict[str, Any]) -> Path:
    """Write a cell's file: whole under its name, or not at all."""
    path = result_file(folder, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(result, indent=1) + "\n")
    return path


def result_file(folder: Path, cell: Cell) -> Path:
    """``<folder>/<cohort>/<cell>.json``."""
    return folder / cell.cohort / f"{cell.id}.json"
