"""A cohort of pictures from the command line: make, add, look, export, evaluate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli
from PIL import Image

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.session import Session


def picture(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def truth(n: int) -> np.ndarray:
    y, x = np.mgrid[:40, :50]
    return (y - 18) ** 2 + (x - 20 - n) ** 2 < 100


def test_pictures_all_the_way(cli: Cli, tmp_path: Path) -> None:
    study = tmp_path / "study"
    for n in range(3):
        colours = np.where(truth(n)[..., None], (190, 70, 60), (150, 110, 90)) + n
        picture(tmp_path / "images" / f"p{n}.jpg", colours)
        picture(tmp_path / "truth" / f"p{n}.png", truth(n) * 255)
    picture(tmp_path / "masks" / "p0.png", truth(0) * 255)
    cli("new", study, "--modality", "RGB", "--label", "1=polyp")
    said = cli("add", study, "--images", tmp_path / "images", "--labels", tmp_path / "masks")
    assert said.err.count("one pixel counts as 1 mm") + said.out.count("one pixel counts as 1 mm") == 1
    data = cli("status", study, "--json").data
    assert data["modalities"] == ["Red", "Green", "Blue"]
    assert data["counts"]["labelled"] == 1
    cli("add", study, "--case", "p9", "--image", f"RGB={tmp_path / 'images' / 'p1.jpg'}")
    said = cli("add", study, "--case", "p8", "--image", f"T1={tmp_path / 'images' / 'p1.jpg'}", code=2)
    assert "T1" in said.err

    session = Session()
    session.open(study)
    session.opened().save("p1", truth(1)[None].astype(np.uint8), Closing.COMPLETE, Origin.PAINTED, "ann", 1.0)
    session.close()
    scores = cli(
        *("evaluate", study, "--reference", tmp_path / "truth", "--source", "annotation", "--json"),
    ).data
    assert "p0" in str(scores)
    out = tmp_path / "out"
    files = cli("export", study, out, "--json").data["files"]
    assert [Path(file).name for file in files] == ["p0.png", "p1.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(out / "p0.png")), truth(0))


@pytest.mark.parametrize("cohort", ["lesions-2d", "pelvis"])
def test_demo_of_another_cohort(cli: Cli, tmp_path: Path, cohort: str) -> None:
    study = tmp_path / "demo"
    cli("demo", study, "--cases", 2, "--cohort", cohort, "--no-window")
    data = cli("status", study, "--json").data
    assert data["simulated"]
    assert data["counts"]["labelled"] == 1
    cli("demo", tmp_path / "x", "--cohort", "heart", code=2)


def test_grey_picture_and_scan_do_not_mix(cli: Cli, tmp_path: Path) -> None:
    from napari_penumbra.domain.grid import Grid

    study = tmp_path / "study"
    cli("new", study, "--modality", "US", "--label", "1=cyst")
    grey = picture(tmp_path / "a.png", truth(0) * 80 + 40)
    cli("add", study, "--case", "a", "--image", f"US={grey}", "--label", picture(tmp_path / "m.png", truth(0)))
    scan = tmp_path / "m.nii.gz"
    write_nifti(scan, truth(0)[None].astype(np.uint8), Grid.of((50, 40, 1), np.diag([0.5, 0.5, 3, 1])))
    said = cli("add", study, "--case", "b", "--image", f"US={grey}", "--label", scan, code=4)
    assert "picture" in said.err
