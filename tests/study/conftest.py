"""A study with one modality and three cases, and a place for files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from study_scans import SCHEME, scan

from napari_penumbra.study.store import Study


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Study]:
    study = Study.create(tmp_path / "study", "Cohort", ["DWI", "T2"], SCHEME)
    yield study
    study.close()


@pytest.fixture
def study(empty: Study, files: Path) -> Study:
    for n in range(3):
        empty.add_case(f"p{n}", {"DWI": scan(files / f"p{n}.nii.gz", seed=n)})
    return empty
