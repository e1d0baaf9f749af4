"""A job.json that was edited by hand: every wrong kind of value is named by its key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.jobs.job import Job

GRID = Grid.of((4, 5, 6), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
SPEC = RunSpec(
    kind="train",
    modalities=("DWI", "T2"),
    labels=LabelScheme.parse(["1=core"]),
    cases=(SpecCase("p1", ("cases/p1/images/DWI.nii.gz", None), GRID, None, "unlabelled", "abc"),),
    method="mean-teacher",
    steps=10,
)
WRONG: dict[str, list[Any]] = {
    "version": ["1", None, 1.5, True, []],
    "kind": ["teach", None, 3, {}, []],
    "modalities": ["DWI", [], [1, 2], None, {"DWI": 1}],
    "labels": ["core", [], None, {"1": "core"}],
    "cases": ["p1", None, {"p1": {}}],
    "steps": ["10", 1.5, True, []],
    "method": [3, None, ["x"]],
    "preset": [3, None],
    "device": [0, None],
    "config": ["lr=1", None, [1]],
    "launch": ["slurm", None, 7],
    "seed": ["0", None, 1.5, True],
    "threads": ["4", -1, None, 10**9],
    "disk_reserve": ["5", -1, float("nan"), float("inf")],
    "reference": ["yes", 1, None],
    "tensorboard": ["no", 0],
    "checkpoint": [3, ["x"]],
    "labels[0].value": ["1", 0, 255, True, None],
    "labels[0].name": [1, None],
    "labels[0].color": [1, None],
    "cases[0].name": [1, None],
    "cases[0].images": ["a.nii", None, [1, 2], ["a.nii"]],
    "cases[0].grid": [None, [], "x"],
    "cases[0].label": [1, []],
    "cases[0].role": ["boss", None, 3],
    "cases[0].key": [1, None],
    "cases[0].grid.shape": [[4, 5], [4, 5, 0], [4, 5, "6"], None, [10**9, 10**9, 10**9]],
    "cases[0].grid.affine": [[], [[1, 0], [0, 1]], [[float("nan")] * 4] * 4, "unit", None],
}


def edited(tmp_path: Path, key: str, value: Any, *, remove: bool = False) -> Job:
    data = json.loads(json.dumps(SPEC.to_json()))
    at: Any = data
    *path, last = key.replace("[0]", ".0").split(".")
    for step in path:
        at = at[int(step)] if step.isdigit() else at[step]
    if remove:
        del at[last]
    else:
        at[last] = value
    (tmp_path / "job.json").write_text(json.dumps(data))
    return Job(tmp_path)


def test_the_order_itself_is_read(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps(SPEC.to_json()))
    assert Job(tmp_path).spec() == SPEC


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_is_named_by_its_key(tmp_path: Path, key: str) -> None:
    for value in WRONG[key]:
        with pytest.raises(JobError, match=r"job\.json") as caught:
            edited(tmp_path, key, value).spec()
        assert f'"{key}"' in caught.value.message, (value, caught.value.message)
        assert caught.value.remedy.startswith("Write ")


@pytest.mark.parametrize("key", [k for k in WRONG if "[" in k or k in ("kind", "modalities", "cases", "steps")])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(JobError, match="missing") as caught:
        edited(tmp_path, key, None, remove=True).spec()
    assert f'"{key}"' in caught.value.message


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "null", "{", "", "\x00\xff", "[" * 3000])
def test_what_is_no_order_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.json").write_text(text, encoding="latin-1")
    with pytest.raises(JobError):
        Job(tmp_path).spec()


@pytest.mark.parametrize("path", ["/etc/passwd", "../../x.nii.gz", "cases/../../x"])
def test_files_outside_the_study_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(JobError, match="outside the study"):
        edited(tmp_path, "cases[0].images", [path, None]).spec()
    with pytest.raises(JobError, match="outside the study"):
        edited(tmp_path, "cases[0].label", path).spec()


def test_classes_that_share_a_value_and_absurd_steps(tmp_path: Path) -> None:
    two = [{"value": 1, "name": n, "color": "#000000"} for n in ("a", "b")]
    with pytest.raises(JobError, match="share a value"):
        edited(tmp_path, "labels", two).spec()
    with pytest.raises(JobError, match="steps"):
        edited(tmp_path, "steps", 10**12).spec()
    with pytest.raises(JobError, match="newer version"):
        edited(tmp_path, "version", 99).spec()
