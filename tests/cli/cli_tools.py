"""Running ``penumbra`` inside the test's own process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from napari_penumbra.cli import main
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.nifti import write_nifti

GRID = Grid.of((24, 24, 16), [[-1.5, 0, 0, 5], [0, -1, 0, 7], [0, 0, 2, -3], [0, 0, 0, 1]])


Background = Callable[..., "subprocess.Popen[str]"]


@dataclass
class Outcome:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Cli:
    """``penumbra`` as a function."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> Outcome:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        said = self._capsys.readouterr()
        outcome = Outcome(int(end.value.code or 0), said.out, said.err)
        assert outcome.code == code, f"{words}: {outcome}"
        return outcome


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Six scans of a bright ball in noise with their labels; ``labels`` has those of the first three."""
    for name in ("images", "labels", "truth"):
        (tmp_path / name).mkdir()
    zyx = np.indices(GRID.array_shape)
    for n in range(6):
        center = np.array([8, 11 + n % 3, 12 - n % 2])[:, None, None, None]
        ball = (((zyx - center) * np.array([2, 1, 1.5])[:, None, None, None]) ** 2).sum(0) < 6.5**2
        noise = np.random.default_rng(n).normal(0, 10, GRID.array_shape)
        write_nifti(tmp_path / "images" / f"p{n}.nii.gz", (100 + 80 * ball + noise).astype(np.float32), GRID)
        for folder in ["truth"] + ["labels"] * (n < 3):
            write_nifti(tmp_path / folder / f"p{n}.nii.gz", ball.astype(np.uint8), GRID)
    return tmp_path


@pytest.fixture
def study(cohort: Path, cli: Cli) -> Path:
    folder = cohort / "study"
    cli("new", folder, "--modality", "T1", "--label", "1=ball", "--name", "Balls")
    cli("add", folder, "--images", cohort / "images", "--labels", cohort / "labels")
    return folder


@pytest.fixture
def background() -> Iterator[Background]:
    """Start the command line as a process of its own; whatever is left of it is killed with its worker at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from napari_penumbra.cli import main; main()", *map(str, words)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()
