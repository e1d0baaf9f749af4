"""A study with two modalities and three cases, and a place for files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checked_study import make
from study_scans import SCHEME, scan

from napari_penumbra.study.store import Study


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the studies once: copying one takes a fraction of the time."""
    root = tmp_path_factory.mktemp("made")
    (root / "files").mkdir()
    Study.create(root / "empty", "Cohort", ["DWI", "T2"], SCHEME).close()
    shutil.copytree(root / "empty", root / "study")
    with Study.open(root / "study") as study:
        for n in range(3):
            study.add_case(f"p{n}", {"DWI": scan(root / "files" / f"p{n}.nii.gz", seed=n)})
    return root


@pytest.fixture
def files(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "files", tmp_path / "files"))


@pytest.fixture
def empty(made: Path, tmp_path: Path) -> Iterator[Study]:
    with Study.open(Path(shutil.copytree(made / "empty", tmp_path / "study"))) as study:
        yield study


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Iterator[Study]:
    with Study.open(Path(shutil.copytree(made / "study", tmp_path / "study"))) as study:
        yield study


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated heads, checked once: what a test does not spoil is not measured again."""
    root = make(tmp_path_factory.mktemp("sound") / "study")
    with Study.open(root) as study:
        list(study.check())
    return root


@pytest.fixture
def heads(sound: Path, tmp_path: Path) -> Iterator[Study]:
    with Study.open(Path(shutil.copytree(sound, tmp_path / "heads"))) as study:
        yield study
