"""Models on the command line: the table, out and in, champion, back, keep, compare, a training that starts from one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli

pytest.importorskip("torch")
from model_study import make_model
from napari_penumbra.domain.case import Role
from napari_penumbra.session import Session

pytestmark = pytest.mark.timeout(240)
ONE, TWO = "20261119-080000-supervised-aaaa", "20261120-080000-mean-teacher-bbbb"
TINY = ["--steps", "2", "--threads", "1", "--no-reference"]


@pytest.fixture
def models(study: Path) -> Path:
    session = Session()
    session.open(study)
    session.opened().set_role("p0", Role.VALIDATION)
    make_model(session, ONE, dice=0.7)
    session.opened().set_champion(ONE)
    make_model(session, TWO, "mean-teacher", dice=0.6)
    session.close()
    return study


def test_the_reader_lists_overrules_exports_and_imports(
    cli: Cli, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_penumbra.training.service.checking import check_model

    monkeypatch.setattr("napari_penumbra.session.model_exchange.check_model", check_model)
    cli("status", models)
    cli("model", "keep", models)
    said = cli("models", models)
    assert ONE in said.out
    assert "Dice 0.600 on the frozen case, against the champion's 0.700: worse." in said.out
    assert "A new model becomes champion only if its mean Dice on the frozen cases is higher" in said.out
    assert "kept whatever comes" in said.out
    data = cli("models", models, "--json").data
    assert data["kept"] == ONE
    assert [(m["id"], m["champion"], m["dice"]) for m in data["models"]] == [(TWO, False, 0.6), (ONE, True, 0.7)]
    assert "stays champion" not in cli("model", "keep", models, "--off").out
    assert f"★ {TWO} predicts from now on, instead of {ONE}." in cli("model", "champion", models, "bbbb").out
    assert "is the champion already" in cli("model", "champion", models, TWO).out
    assert f"★ {ONE} predicts" in cli("model", "back", models).out
    assert "No other model has been champion" in cli("model", "back", models, code=2).err
    file = tmp_path / "ball.penumbra-model"
    assert "Wrote" in cli("model", "export", models, "champion", file).out
    name = cli("model", "import", models, file, "--json").data["id"]
    assert "Imported" in cli("model", "import", models, file).out
    assert len(cli("models", models, "--json").data["models"]) == 3
    assert cli("model", "export", models, "nobody", file, code=2).err.startswith("There is no model nobody")
    file.write_text("no zip")
    assert "is damaged" in cli("model", "import", models, file, code=8).err
    assert cli("runs", models, "--json").data[0]["id"] == name


@pytest.mark.slow
def test_all_are_compared_and_a_training_starts_from_another_study(cli: Cli, models: Path, tmp_path: Path) -> None:
    found = cli("model", "compare", models, "--json").data
    assert {m["dice_words"] for m in found} == {"measured on the frozen case"}
    other = tmp_path / "other"
    cli("new", other, "--modality", "t1", "--label", "4=Ball")
    cli("add", other, "--images", tmp_path / "images")
    cli("add", other, "--case", "x", "--image", f"t1={tmp_path / 'images' / 'p0.nii.gz'}")
    session = Session()
    session.open(other)
    labels = session.opened().grid("x").array_shape
    painted = np.zeros(labels, np.uint8)
    painted[5:9, 8:14, 8:14] = 4
    session.close_case("x", painted)
    session.close()
    run = cli("train", other, "--start-from", models, *TINY, "--json").data
    assert run["method"] == "supervised"
    order = json.loads((other / "runs" / run["id"] / "job.json").read_text())
    assert "-import-" in order["checkpoint"]
    assert order["config"]["width"] == 4
    said = [
        json.loads(line)["message"] for line in (other / "runs" / run["id"] / "events.jsonl").read_text().splitlines()
    ]
    assert any("network, average taken over" in text for text in said)
    parent = next(m for m in cli("models", other, "--json").data["models"] if m["id"] == run["id"])["parent"]
    assert parent == order["checkpoint"].split("/")[1]
    wrong = tmp_path / "wrong"
    cli("new", wrong, "--modality", "FLAIR", "--label", "1=ball")
    assert (
        "modality T1, which this study does not have" in cli("train", wrong, "--start-from", models, *TINY, code=8).err
    )
