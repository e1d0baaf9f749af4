"""Every diagnosis is produced by a training on data (or with a method) that has the fault, and told in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_penumbra.domain.diagnosis import DIAGNOSES
from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.imaging.nifti import write
from napari_penumbra.inference.plan import Plan
from napari_penumbra.methods.mean_teacher import MeanTeacher
from napari_penumbra.methods.supervised import Supervised
from napari_penumbra.training.build import make_trainer
from napari_penumbra.training.watch import FLAT_VALIDATIONS, Watch, shift
from napari_penumbra.training.worker import work
from tiny_study import SHAPE, add_case, grid, make_arrays, make_spec, write_run


def told(root: Path, spec: RunSpec, name: str = "run") -> list[Progress]:
    events: list[Progress] = []
    make_trainer(write_run(root, name, spec), spec, events.append, lambda: False, resume=False).run()
    assert events[-1].kind is Kind.FINISHED
    return [event for event in events if event.kind is Kind.WARNING]


def paint(root: Path, name: str, labels: np.ndarray) -> None:
    write(root / f"cases/{name}/annotations/0001.nii.gz", labels.astype(np.uint8), grid())


def change(spec: RunSpec, name: str, **fields: object) -> RunSpec:
    cases = tuple(dataclasses.replace(c, **fields) if c.name == name else c for c in spec.cases)  # type: ignore[arg-type]
    return dataclasses.replace(spec, cases=cases)


def case_of(spec: RunSpec, name: str) -> SpecCase:
    return next(c for c in spec.cases if c.name == name)


def nothing_painted(root: Path) -> RunSpec:
    spec = make_spec(root, "supervised", steps=2)
    for name in ("anna", "bert"):
        paint(root, name, np.zeros(SHAPE))
    return spec


def one_not_painted(root: Path) -> RunSpec:
    spec = make_spec(root, "supervised", steps=2)
    paint(root, "bert", np.zeros(SHAPE))
    return dataclasses.replace(spec, cases=(*spec.cases, add_case(root, "emil", 9, "labelled")))


def two_classes(root: Path, painted: bool) -> RunSpec:
    spec = make_spec(root, "supervised", steps=2)
    if painted:
        labels = make_arrays(1)[1]
        labels[0, 0, :3] = 5
        paint(root, "anna", labels)
    return dataclasses.replace(spec, labels=LabelScheme.parse(["3=lesion", "5=core"]))


def without_t2(root: Path) -> RunSpec:
    spec = make_spec(root, steps=2)
    return change(spec, "cleo", images=(case_of(spec, "cleo").images[0], None))


def constant_t2(root: Path) -> RunSpec:
    spec = make_spec(root, steps=2)
    write(root / "cases/cleo/images/T2.nii.gz", np.full(SHAPE, 7, np.float32), grid())
    return spec


def same_scan_twice(root: Path) -> RunSpec:
    spec = make_spec(root, "supervised", steps=2)
    return change(spec, "anna", key=case_of(spec, "dora").key)


def swapped_modalities(root: Path) -> RunSpec:
    spec = make_spec(root, steps=20)
    more = [add_case(root, name, seed, "unlabelled") for name, seed in (("emil", 8), ("fred", 9))]
    swapped = [dataclasses.replace(c, images=c.images[::-1]) for c in (case_of(spec, "cleo"), *more)]
    kept = tuple(c for c in spec.cases if c.name != "cleo")
    return dataclasses.replace(spec, cases=(*kept, *swapped))


def labels_elsewhere(root: Path) -> RunSpec:
    spec = make_spec(root, "supervised", steps=40)
    labels = np.zeros(SHAPE)
    labels[:2, :2, :2] = 3  # in the air, where nothing can be found
    paint(root, "dora", labels)
    return spec


def hardly_learning(root: Path) -> RunSpec:
    first = make_spec(root, "supervised", steps=20)
    told(root, first, "first")
    start = "runs/first/checkpoints"
    return dataclasses.replace(first, checkpoint=start, config={**first.config, "learning_rate": 1e-9}, steps=20)


FAULTS: list[tuple[str, Callable[[Path], RunSpec], str, str]] = [
    ("empty-labels", nothing_painted, "", "No labelled case has any foreground."),
    ("empty-label", one_not_painted, "bert", "bert is labelled, but nothing is painted there."),
    ("class-absent", lambda r: two_classes(r, False), "", '"core" is painted in no labelled case'),
    ("class-rare", lambda r: two_classes(r, True), "anna", '"core" appears in one labelled case only.'),
    ("modality-missing", without_t2, "cleo", "cleo lacks T2: it counts as empty there."),
    ("modality-constant", constant_t2, "cleo", "T2 of case cleo has the same value everywhere"),
    ("leak", same_scan_twice, "anna", "anna is the same scan as the frozen case dora"),
    ("pool-unlike", swapped_modalities, "", "The unlabelled cases look unlike the labelled ones in"),
    ("flat-low", labels_elsewhere, "", "Dice on the frozen cases is still 0.00 after 10 of 40 steps."),
    ("flat-dice", hardly_learning, "", "Dice on the frozen cases has not risen since step 1: its best is 0."),
]


@pytest.mark.parametrize(("code", "fault", "case", "words"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_fault_is_told_once_with_its_remedy(
    root: Path, code: str, fault: Callable[[Path], RunSpec], case: str, words: str
) -> None:
    found = [event for event in told(root, fault(root)) if event.about == code]
    assert len(found) == 1
    assert found[0].message.startswith(words)
    assert found[0].remedy == DIAGNOSES[code].remedy
    assert found[0].case == case


def test_when_all_labelled_cases_leak_the_reason_is_told_before_the_end(root: Path) -> None:
    spec = same_scan_twice(root)
    spec = change(spec, "bert", key=case_of(spec, "dora").key)
    events: list[Progress] = []
    with pytest.raises(JobError, match="See the warnings before"):
        make_trainer(write_run(root, "run", spec), spec, events.append, lambda: False, resume=False)
    assert [event.about for event in events] == ["leak"]


@pytest.mark.parametrize(("code", "bias"), [("all-background", -50.0), ("all-foreground", 50.0)])
def test_pseudo_labels_that_collapse_are_told(
    root: Path, code: str, bias: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_step = MeanTeacher.after_step

    def collapse(self: MeanTeacher, step: int) -> None:
        after_step(self, step)
        head = [m for m in self.predictor().modules() if isinstance(m, nn.Conv3d)][-1]
        with torch.no_grad():
            head.bias.copy_(torch.tensor([0.0, bias]))

    monkeypatch.setattr(MeanTeacher, "after_step", collapse)
    spec = make_spec(root, steps=48, reference=False)
    spec = dataclasses.replace(spec, config={**spec.config, "unlabelled_batch": 4})
    found = [e for e in told(root, spec) if e.about.startswith("all-")]
    assert [e.about for e in found] == [code]
    share = "0.0 %" if bias < 0 else "100.0 %"
    assert f"{share} of the unlabelled voxels are foreground" in found[0].message
    assert found[0].remedy == DIAGNOSES[code].remedy


def test_a_healthy_training_is_left_in_peace(root: Path) -> None:
    spec = make_spec(root, steps=48)
    more = [add_case(root, name, seed, "unlabelled") for name, seed in (("emil", 8), ("fred", 9))]
    spec = dataclasses.replace(spec, cases=(*spec.cases, *more), config={**spec.config, "unlabelled_batch": 4})
    assert [e.about for e in told(root, spec) if e.about != "flat-dice"] == []


def test_a_loss_that_is_no_number_ends_the_run_with_step_and_cases(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = Supervised._losses

    def broken(self: Supervised, batch: object) -> object:
        said = losses(self, batch)  # type: ignore[arg-type]
        return dataclasses.replace(said, total=said.total * float("nan")) if batch.step == 5 else said  # type: ignore

    monkeypatch.setattr(Supervised, "_losses", broken)
    run = write_run(root, "run", make_spec(root, "supervised", steps=60))
    assert work(run, "train") == 7
    last = Progress.from_line((run / "events.jsonl").read_text().splitlines()[-1])
    assert (last.kind, last.about) == (Kind.FAILED, "not-a-number")
    known = DIAGNOSES["not-a-number"]
    assert last.message in {known.words.format(step=5, cases=c) for c in ("anna, bert", "bert, anna")}
    assert last.remedy == known.remedy


def test_a_dice_that_rises_again_is_no_longer_flat() -> None:
    heard: list[str] = []
    plan = Plan(("DWI",), (1,), (3.0, 1.5, 1.5), (16, 24, 24))
    watch = Watch(100, 5, plan, lambda finding: heard.append(finding.code))
    for step, dice in enumerate([0.1, 0.4] + [0.4] * FLAT_VALIDATIONS + [0.5] + [0.5] * FLAT_VALIDATIONS):
        watch.validated(step, dice)
    assert heard == ["flat-dice", "flat-dice"]
    again = Watch(100, 5, plan, lambda finding: heard.append(finding.code))
    again.restore(watch.to_json())
    again.validated(30, 0.5)
    assert heard == ["flat-dice", "flat-dice"]


@pytest.mark.parametrize(("offset", "spread", "expected"), [(0.0, 0.05, False), (0.5, 0.05, True), (0.5, 0.4, False)])
def test_pools_differ_only_when_they_differ_more_than_their_cases(offset: float, spread: float, expected: bool) -> None:
    random = np.random.default_rng(0)
    pools = [place + random.normal(0, spread, (6, 1, 1)) + np.zeros((6, 1, 5)) for place in (0.0, offset)]
    assert bool(shift(pools[0], pools[1])) is expected


def test_pools_are_compared_once_enough_of_them_has_been_met(root: Path) -> None:
    """After a resume only what is met anew counts: two cases of many are no pool."""
    spec = make_spec(root)
    heard: list[str] = []
    plan = Plan(("DWI", "T2"), (3,), (3.0, 1.5, 1.5), (16, 24, 24))
    watch = Watch(100, 5, plan, lambda finding: heard.append(finding.code))
    dim, bright = np.zeros((2, 8, 8, 8), np.float16), np.ones((2, 8, 8, 8), np.float16)
    for n in range(4):
        for labelled, base in ((True, dim), (False, bright)):
            if labelled and n > 1:
                continue
            image = base + np.linspace(0.1, 0.2, 512, dtype=np.float16).reshape(8, 8, 8)
            watch.met(dataclasses.replace(spec.cases[0], name=f"{labelled} {n}"), image, labelled)
        watch.compare_pools(2, 9)
        assert heard == (["pool-unlike"] if n == 3 else []), "both labelled ones, four of nine others"
