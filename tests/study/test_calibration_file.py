"""The calibration file: what goes in, what stays out, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from study_scans import grid

from napari_penumbra.domain.case import Closing, Origin, Role
from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.evaluation.calibration import NEAR_MM, STEPS
from napari_penumbra.imaging import atomic
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.calibration import Pair, choose
from napari_penumbra.study.store import Study

SHAPE = (5, 30, 28)
GRID = grid(SHAPE, (4.0, 2.0, 2.0))
MODELS = {"r1": "r1", "r2": "r2"}


@pytest.fixture
def made(tmp_path: Path) -> Study:
    study = Study.create(tmp_path / "study", "S", ["T1"], LabelScheme.parse(["1=lesion", "2=core"]))
    for n in range(5):
        file = tmp_path / f"p{n}.nii.gz"
        write_nifti(file, np.random.default_rng(n).normal(size=SHAPE).astype(np.float32), GRID)
        study.add_case(f"p{n}", {"T1": file})
    for run in MODELS:
        study.add_run(run, "train", "mean-teacher", "laptop")
    yield study
    study.close()


def predict(study: Study, name: str, run: str = "r1", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A lesion with a noisy border, sure inside and unsure outside."""
    rng = np.random.default_rng(seed)
    said = np.zeros(SHAPE, np.uint8)
    said[1:4, 8:18, 8:18] = 1
    said[2, 10:14, 10:14] = 2
    sure = np.rint(rng.uniform(0.1, 1, SHAPE) * STEPS) / STEPS
    folder = study.layout.predictions(name)
    folder.mkdir(exist_ok=True)
    write_nifti(folder / f"{run}.labels.nii.gz", said, GRID)
    write_nifti(folder / f"{run}.confidence.nii.gz", sure.astype(np.float32), GRID)
    sidecar = {kind: f"cases/{name}/predictions/{run}.{kind}.nii.gz" for kind in ("labels", "confidence")}
    (folder / f"{run}.json").write_text(
        json.dumps({**sidecar, "case": name, "run": run, "created": f"2026-11-21T0{run[1]}:00:00+00:00"})
    )
    study.register_predictions([name])
    return said, sure


def accept(study: Study, name: str, labels: np.ndarray) -> None:
    study.save(name, labels, Closing.COMPLETE, Origin.REVIEWED, "r", 1.0, study.prediction(name).id)


def reviewed(study: Study, name: str, run: str = "r1", seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    said, sure = predict(study, name, run, seed)
    truth = said.copy()
    truth[1:4, 16:18, 8:18] = 0
    truth[3, 8:10, 8:12] = 255
    accept(study, name, truth)
    return said, sure, truth


def calibrate(study: Study, champion: str = "r1"):
    return study.calibrate(champion, "mean-teacher", study.calibration_pairs(), MODELS)


def test_counts_are_those_of_a_plain_loop_and_unknown_voxels_are_never_counted(made: Study) -> None:
    said, sure, truth = reviewed(made, "p0")
    found = calibrate(made)
    right, wrong = [0] * (STEPS + 1), [0] * (STEPS + 1)
    reach = [int(NEAR_MM / step) for step in (4.0, 2.0, 2.0)]
    foreground = ((said > 0) & (said != 255) | (truth > 0)) & (truth != 255)
    for z in range(SHAPE[0]):
        for y in range(SHAPE[1]):
            for x in range(SHAPE[2]):
                around = foreground[
                    max(0, z - reach[0]) : z + reach[0] + 1,
                    max(0, y - reach[1]) : y + reach[1] + 1,
                    max(0, x - reach[2]) : x + reach[2] + 1,
                ]
                if truth[z, y, x] == 255 or not around.any():
                    continue
                into = right if said[z, y, x] == truth[z, y, x] else wrong
                into[round(float(sure[z, y, x]) * STEPS)] += 1
    assert found.record.total.right.tolist() == right
    assert found.record.total.wrong.tolist() == wrong
    assert sum(wrong) == 3 * 2 * 10, "the corrected voxels, and not the eight unknown ones"


def test_the_file_holds_the_figures_and_gives_the_same_record_back(made: Study) -> None:
    for n in range(3):
        reviewed(made, f"p{n}", seed=n)
    found = calibrate(made)
    data = json.loads(made.layout.calibration("r1").read_text())
    assert data["corrected_cases"] == 3
    assert data["voxels"] == found.record.total.n == sum(b["voxels"] for b in data["reliability"])
    assert data["ece"] == pytest.approx(found.record.errors.ece)
    assert data["ece_isotonic"] < data["ece"]
    assert len(data["isotonic"]) == STEPS + 1
    again = made.calibration("r1")
    assert again is not None
    assert again.keys == found.keys
    assert again.record.total.right.tolist() == found.record.total.right.tolist()
    assert again.record.at(0.5) == found.record.at(0.5)
    assert str(made.root) not in made.layout.calibration("r1").read_text()


def test_a_case_is_read_once_and_leaves_when_it_is_taken_back(made: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    reviewed(made, "p0")
    calibrate(made)
    read: list[str] = []
    from napari_penumbra.study import calibration

    count = calibration.count
    monkeypatch.setattr(calibration, "count", lambda core, pair: read.append(pair.case) or count(core, pair))
    reviewed(made, "p1", seed=1)
    assert set(calibrate(made).record.cases) == {"p0", "p1"}
    assert read == ["p1"]
    stamp = made.layout.calibration("r1").stat().st_mtime_ns
    calibrate(made)
    assert made.layout.calibration("r1").stat().st_mtime_ns == stamp, "nothing new, nothing written"
    made.withdraw("p0")
    assert set(calibrate(made).record.cases) == {"p1"}
    assert set(made.calibration("r1").keys) == {"p1"}


def test_only_the_prediction_that_was_reviewed_counts_but_any_of_a_frozen_case(made: Study) -> None:
    reviewed(made, "p0")
    predict(made, "p0", "r2", seed=5)  # by a model that may have learnt from p0
    said, _ = predict(made, "p1")
    made.save("p1", said, Closing.COMPLETE, Origin.PAINTED, "r", 1.0)
    predict(made, "p2")  # not closed
    pairs = {(pair.case, pair.run) for pair in made.calibration_pairs()}
    assert pairs == {("p0", "r1")}, "p1 was painted by hand: nobody looked at its prediction"
    made.set_role("p1", Role.VALIDATION)
    predict(made, "p1", "r2")
    assert [(p.case, p.run, p.held_out) for p in made.calibration_pairs()] == [
        ("p1", "r2", True),
        ("p1", "r1", True),
        ("p0", "r1", False),
    ]


def pair(case: str, run: str) -> Pair:
    return Pair(case, run, (1, 1, ""), "", "", "", GRID, False)


def test_a_new_champion_borrows_from_the_ones_before_until_it_has_cases_of_its_own() -> None:
    found = [pair("a", "r2"), *(pair(name, "r1") for name in "abcd")]
    chosen, own = choose(found, "r2", MODELS)
    assert not own
    assert [(p.case, p.run) for p in chosen] == [("a", "r2"), ("b", "r1"), ("c", "r1"), ("d", "r1")]
    found = [*(pair(name, "r2") for name in "abc"), *(pair(name, "r1") for name in "abcd")]
    chosen, own = choose(found, "r2", MODELS)
    assert own
    assert {(p.case, p.run) for p in chosen} == {("a", "r2"), ("b", "r2"), ("c", "r2")}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 2}', '{"version": 1, "cases": {"p0": {}}}'])
def test_a_damaged_file_is_made_again(made: Study, text: str) -> None:
    reviewed(made, "p0")
    found = calibrate(made)
    made.layout.calibration("r1").write_text(text)
    assert made.calibration("r1") is None
    assert calibrate(made).record.total.n == found.record.total.n
    assert made.calibration("r1") is not None


def test_it_is_written_whole_or_not_at_all(made: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    reviewed(made, "p0")
    calibrate(made)
    before = made.layout.calibration("r1").read_bytes()
    reviewed(made, "p1", seed=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "_replace", full)
    with pytest.raises(DiskError):
        calibrate(made)
    assert made.layout.calibration("r1").read_bytes() == before
    monkeypatch.undo()
    assert set(calibrate(made).record.cases) == {"p0", "p1"}


def test_a_study_opened_for_reading_is_left_as_it_is(made: Study) -> None:
    reviewed(made, "p0")
    with Study.open(made.root, write=False) as looking:
        assert set(calibrate(looking).record.cases) == {"p0"}
        assert not looking.layout.calibration("r1").exists()


def test_a_case_that_cannot_be_read_is_left_out(made: Study) -> None:
    reviewed(made, "p0")
    reviewed(made, "p1", seed=1)
    (made.layout.predictions("p0") / "r1.confidence.nii.gz").write_bytes(b"broken")
    assert set(calibrate(made).record.cases) == {"p1"}
