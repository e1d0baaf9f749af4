"""What a reader installs: the wheel builds, holds every file of the package, and napari finds the plugin in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_penumbra"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_every_file_of_the_package_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    ours = {p.relative_to(ROOT / "src").as_posix() for p in PACKAGE.rglob("*") if p.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}
    samples = {f"napari_penumbra/sample_files/{p.name}" for p in (ROOT / "sample_data" / "files").glob("*.*z")}
    assert len(ours) > 300
    assert samples
    assert ours | samples <= set(wheel.namelist())


def test_napari_finds_the_plugin_in_it(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    manifest = wheel.extract("napari_penumbra/napari.yaml", tmp_path)
    found = PluginManifest.from_file(manifest)
    assert found.name == "napari-penumbra"
    assert found.contributions.widgets
    (points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "napari-penumbra = napari_penumbra:napari.yaml" in wheel.read(points).decode()


def test_nothing_but_the_package_comes_along(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0].removesuffix(".dist-info") for name in wheel.namelist()} == {
        "napari_penumbra",
        "napari_penumbra-0.1.0",
    }
