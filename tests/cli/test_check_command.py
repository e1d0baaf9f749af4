"""``penumbra check`` and ``penumbra fix``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli

from napari_penumbra.imaging.files import read_image
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.samples import make_sample_study
from napari_penumbra.study.store import Study


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases; T2 of the first lies 15 mm away, that of the second is empty."""
    root = make_sample_study(tmp_path_factory.mktemp("check") / "study", 2, 0, modalities=("DWI", "T2"))
    with Study.open(root) as study:
        for name, spoil in (("stroke-001", lambda a: np.roll(a, 5, 2)), ("stroke-002", np.zeros_like)):
            path = study.layout.images(name) / "T2.nii.gz"
            write_nifti(path, spoil(np.array(read_image(path).volume.data)), study.grid(name))
    return root


def test_check_names_what_is_wrong_and_writes_a_page(cli: Cli, spoiled: Path, tmp_path: Path) -> None:
    page = tmp_path / "check <1>.html"
    ran = cli("check", spoiled, "--report", page, code=4)
    assert "stroke-002" in ran.out
    assert "2 cases checked: 1 wrong, 1 to look at." in ran.out
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=[\"']?(http|//|file)", html)
    assert str(spoiled) not in html


def test_json_and_one_case(cli: Cli, spoiled: Path) -> None:
    data = cli("check", spoiled, "--case", "stroke-001", "--json").data  # only wrong findings fail
    assert [(f["check"], f["case"], f["severity"]) for f in data["findings"]] == [("alignment", "stroke-001", "look")]
    assert data["findings"][0]["offers"][0] == {"kind": "register", "modality": "T2", "other": ""}
    assert cli("check", spoiled, "--headers", "--json").data["findings"] == []
    cli("check", spoiled, "--case", "nobody", code=2)


def test_fix_shows_first_then_counts_then_is_undone(cli: Cli, spoiled: Path, tmp_path: Path) -> None:
    picture = tmp_path / "before-after.png"
    shown = cli("fix", spoiled, "stroke-001", "register", "--modality", "T2", "--picture", picture)
    assert re.search(r"moved by 1\d\.\d mm", shown.out)
    assert "Nothing was changed" in shown.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "0 fixes" in cli("fix", spoiled, "stroke-001", "list").out
    cli("fix", spoiled, "stroke-001", "register", "--modality", "T2", "--accept")
    assert "1 fix of" in cli("fix", spoiled, "stroke-001", "list").out
    assert cli("check", spoiled, "--case", "stroke-001", "--json").data["findings"] == []
    assert "undone" in cli("fix", spoiled, "stroke-001", "undo").out
    assert len(cli("check", spoiled, "--case", "stroke-001", "--json").data["findings"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("stroke-001", "iron"), 2, "no way"),
        (("stroke-001", "missing", "--modality", "PET"), 2, "PET"),
        (("nobody", "aside"), 2, "nobody"),
        (("stroke-002", "undo"), 2, "Nothing of stroke-002"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    cli: Cli, spoiled: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in cli("fix", spoiled, *words, code=code).err
