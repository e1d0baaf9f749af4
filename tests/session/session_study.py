"""A small real study on disk, and runs whose workers are played by the test."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.jobs.launch import prepare
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.session import Session

GRID = Grid.of((10, 9, 8), [[-1.5, 0, 0, 5], [0, -1, 0, 7], [0, 0, 2, -3], [0, 0, 0, 1]])
INFOS = [
    MethodInfo(
        "mean-teacher",
        "Mean teacher",
        "A student follows its own average.",
        "Somebody 2018",
        True,
        {"laptop": {"steps": 500}, "paper": {}},
        {"properties": {"steps": {"default": 3000}, "learning_rate": {"default": 0.001}}},
    ),
    MethodInfo("supervised", "Supervised", "Labels only.", "", False, {"laptop": {}}, {"properties": {"steps": {}}}),
]


def cube(at: int = 2) -> np.ndarray:
    """A label volume with one small cube of class 1."""
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[at : at + 3, 2:6, 3:7] = 1
    return labels


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 10, GRID.array_shape).astype(np.float32)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Six scans and the labels of three."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for n in range(6):
        write_nifti(tmp_path / "images" / f"p{n}.nii.gz", image(n), GRID)
    for n in range(3):
        write_nifti(tmp_path / "labels" / f"p{n}.nii.gz", cube(n), GRID)
    return tmp_path


@pytest.fixture
def session(sources: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Six cases, p0 to p2 labelled, the list of methods known without asking a worker."""
    monkeypatch.setattr("napari_penumbra.session.runs.method_infos", lambda: INFOS)
    made = Session()
    made.auto_predict = False
    made.create(sources / "study", "Test study", ["T1"], LabelScheme.parse(["1=lesion", "2=core"]))
    for name, outcome in made.add_folder(sources / "images", sources / "labels"):
        assert isinstance(outcome, list), f"{name}: {outcome}"
    yield made
    made.close()


@pytest.fixture
def real(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The session with the installed methods instead of the stand-ins."""
    from napari_penumbra.jobs.methods_info import method_infos

    monkeypatch.setattr("napari_penumbra.session.runs.method_infos", method_infos)
    return session


def follow(session: Session, until: Callable[[], bool], seconds: float = 120) -> None:
    """Poll, as the window does, until something has come about."""
    end = time.monotonic() + seconds
    while not until():
        session.poll()
        assert time.monotonic() < end, session.status
        time.sleep(0.02)


class Played:
    """A run whose worker is played by the test: its folder is real, its process sleeps."""

    def __init__(self, session: Session, name: str, kind: str = "train", spec: RunSpec | None = None) -> None:
        study = session.opened()
        order = spec or RunSpec(
            kind, tuple(study.modalities), study.labels, study.pool(), "mean-teacher", "laptop", steps=100
        )
        self.id = name
        self.folder = prepare(study.layout.runs, name, order)
        study.add_run(name, kind, "mean-teacher", "laptop")
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
        WorkerProcess.of(self.process.pid).write(self.folder)

    def tell(self, *events: Progress) -> None:
        with (self.folder / "events.jsonl").open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(event.to_line() + "\n" for event in events)

    def checkpoint(self, step: int = 10) -> None:
        folder = self.folder / "checkpoints" / f"step-{step:06d}"
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"weights")
        (folder / "state.json").write_text(json.dumps({"step": step}))
        (folder.parent / "latest").write_text(folder.name)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def play(session: Session) -> Iterator[Callable[..., Played]]:
    played: list[Played] = []

    def start(name: str, kind: str = "train", spec: RunSpec | None = None) -> Played:
        played.append(Played(session, name, kind, spec))
        return played[-1]

    yield start
    for run in played:
        run.end()


def predict_by_hand(session: Session, run: str, case: str, labels: np.ndarray, confidence: np.ndarray) -> None:
    """Write what a prediction worker writes, sidecar last."""
    study = session.opened()
    spec = next(c for c in study.pool(only=[case]))
    folder = study.root / Path(str(spec.images[0])).parent.parent / "predictions"
    files = {kind: folder / f"{run}.{kind}.nii.gz" for kind in ("labels", "confidence")}
    write_nifti(files["labels"], labels, study.grid(case))
    write_nifti(files["confidence"], confidence.astype(np.float32), study.grid(case))
    sidecar = {kind: file.relative_to(study.root).as_posix() for kind, file in files.items()}
    sidecar |= {"case": case, "run": run, "created": dt.datetime.now(dt.UTC).isoformat()}
    (folder / f"{run}.json").write_text(json.dumps(sidecar))
