from __future__ import annotations

import dataclasses
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference.machine import Machine
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor
from napari_penumbra.inference.run import PredictionRun
from napari_penumbra.methods import get
from napari_penumbra.methods._base import Problem
from tiny_study import MODALITIES, make_spec


def run_of(
    root: Path, spec: RunSpec, events: list[Progress], stopping: Callable[[], bool] = lambda: False
) -> PredictionRun:
    kind = get("supervised")
    torch.manual_seed(0)
    plan = Plan(MODALITIES, (3,), (3.0, 1.5, 1.5), (16, 24, 24))
    method = kind(kind.configure("laptop", {"width": 2}), Problem(2, 2, plan.spacing))
    machine = Machine.choose("cpu", method)
    predictor = Predictor(method.predictor(), (16, 16, 16), machine)
    return PredictionRun(root, "p1", spec, method, plan, predictor, events.append, stopping)


def test_cases_are_predicted_in_the_order_given(root: Path) -> None:
    spec = make_spec(root)
    spec = dataclasses.replace(spec, kind="predict", cases=spec.cases[::-1])
    events: list[Progress] = []
    assert run_of(root, spec, events).run()
    assert [e.case for e in events[:-1]] == ["dora", "cleo", "bert", "anna"]
    assert [e.step for e in events[:-1]] == [1, 2, 3, 4]
    assert events[-1].kind is Kind.FINISHED
    assert events[-1].message == "4 of 4 cases predicted."
    for event in events[:-1]:
        assert (root / event.message).exists()


def test_an_unreadable_case_is_told_and_passed_over(root: Path) -> None:
    spec = dataclasses.replace(make_spec(root), kind="predict")
    (root / "cases/bert/images/T2.nii.gz").write_bytes(b"\x1f\x8bnonsense")
    empty = dataclasses.replace(spec.cases[2], images=(None, None))
    spec = dataclasses.replace(spec, cases=(*spec.cases[:2], empty, spec.cases[3]))
    events: list[Progress] = []
    assert run_of(root, spec, events).run()
    assert [(e.kind, e.case) for e in events[:-1]] == [
        (Kind.CASE_DONE, "anna"),
        (Kind.WARNING, "bert"),
        (Kind.WARNING, "cleo"),
        (Kind.CASE_DONE, "dora"),
    ]
    assert events[-1].message == "2 of 4 cases predicted, 2 could not be."
    assert not (root / "cases/bert/predictions").exists()


def test_a_stop_comes_between_cases(root: Path) -> None:
    events: list[Progress] = []
    spec = dataclasses.replace(make_spec(root), kind="predict")
    run = run_of(root, spec, events, stopping=lambda: len(events) == 2)
    assert not run.run()
    assert [e.kind for e in events] == [Kind.CASE_DONE, Kind.CASE_DONE, Kind.STOPPED]
    assert events[-1].message == "Stopped after 2 of 4 cases."


def test_a_full_disk_ends_it_and_leaves_no_half_prediction(root: Path) -> None:
    spec = dataclasses.replace(make_spec(root), kind="predict")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(DiskError, match="was not saved"):
            run_of(root, spec, []).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((root / "cases/anna/predictions").iterdir()) == []
