"""A case accepted with an unknown region, from the verdict to the gradients: nothing supervised ever sees the region,
and the unsupervised part does.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from napari_penumbra import methods
from napari_penumbra.domain.case import CaseState, Verdict
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.methods._base import IGNORE, Problem, StepBatch
from napari_penumbra.session import Session
from napari_penumbra.study.review import apply_verdict
from napari_penumbra.training.cache import CaseCache
from napari_penumbra.training.data import PatchStream
from napari_penumbra.training.plan import make_plan
from napari_penumbra.widgets.case_model import second_line

SHAPE = (8, 16, 16)
GRID = Grid.of(SHAPE[::-1], np.diag([-1.0, -1.0, 1.0, 1.0]))


def lesion() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 4:12, 4:12] = 1
    return labels


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session()
    session.auto_predict = False
    session.create(tmp_path / "study", "S", ["T1"], LabelScheme.parse(["1=lesion"]))
    for name in ("anna", "bert"):
        rng = np.random.default_rng(len(name))
        write_nifti(tmp_path / f"{name}.nii.gz", (rng.normal(100, 5, SHAPE) + 60 * lesion()).astype(np.float32), GRID)
        write_nifti(tmp_path / f"{name}_label.nii.gz", lesion(), GRID)
        label = tmp_path / f"{name}_label.nii.gz" if name == "anna" else None
        session.add_case(name, {"T1": tmp_path / f"{name}.nii.gz"}, label)
    confidence = np.full(SHAPE, 0.9, np.float32)
    confidence[2:6, 4:7, 4:12] = 0.2
    folder = session.opened().layout.predictions("bert")
    folder.mkdir(exist_ok=True)
    files = {kind: f"cases/bert/predictions/r1.{kind}.nii.gz" for kind in ("labels", "confidence")}
    write_nifti(folder / "r1.labels.nii.gz", lesion(), GRID)
    write_nifti(folder / "r1.confidence.nii.gz", confidence, GRID)
    said = {**files, "case": "bert", "run": "r1", "created": dt.datetime.now(dt.UTC).isoformat()}
    (folder / "r1.json").write_text(json.dumps(said))
    session.opened().register_predictions()
    yield session
    session.close()


def accept_with_an_unknown_region(session: Session) -> np.ndarray:
    """Leave the weak region unknown and accept the rest; returns which voxels are unknown."""
    case = session.load("bert")
    region = session.found("bert").regions[0]
    assert region.confidence == pytest.approx(0.2, abs=0.01)
    session.decide("bert", region, Verdict.UNKNOWN)
    labels = apply_verdict(case.labels, region, Verdict.UNKNOWN, case.predicted)
    session.accept("bert", labels)
    unknown = np.zeros(SHAPE, bool)
    unknown[region.slices] = region.mask
    return unknown


def refuse(case: SpecCase, error: PenumbraError) -> None:
    raise AssertionError(f"{case.name}: {error}")


def test_the_file_the_row_and_the_pool_know_what_is_unknown(session: Session) -> None:
    unknown = accept_with_an_unknown_region(session)
    study = session.opened()
    accepted = study.annotations("bert")[-1]
    on_disk = np.asarray(nibabel.load(study.root / accepted.path).dataobj)
    assert int((on_disk == 255).sum()) == int(unknown.sum()) == 4 * 3 * 8
    labels = study.read("bert").labels
    np.testing.assert_array_equal(labels == 255, unknown)
    np.testing.assert_array_equal(labels[~unknown], lesion()[~unknown])
    row = study.case("bert")
    assert (row.state, row.unknown_voxels) == (CaseState.ACCEPTED, 96)
    assert row.unknown_ml == pytest.approx(0.096)
    assert "0.10 ml unknown" in second_line(row)
    assert study.case("anna").unknown_voxels == 0
    assert "unknown" not in second_line(study.case("anna"))
    assert session.counts().labelled == 2


def test_supervised_losses_pass_it_by_and_the_unsupervised_one_sees_it(session: Session) -> None:
    unknown = accept_with_an_unknown_region(session)
    study = session.opened()
    spec = RunSpec("train", ("T1",), study.labels, study.pool(), "mean-teacher", "laptop", steps=10)
    cache = CaseCache(study.root, spec, make_plan(spec))
    labelled = PatchStream(cache, spec.of_role("labelled"), (1,), (0, 0, 0), True, refuse)
    labelled.survey()
    (partial,) = labelled.partial_cases()
    assert partial.name == "bert"
    taught = PatchStream(cache, [partial], (2,), (0, 0, 0), True, refuse)
    taught.survey()
    without = PatchStream(cache, [partial], (3,), (0, 0, 0), False, refuse)
    with_labels, no_labels = taught.draw(1, SHAPE, 0.0), without.draw(1, SHAPE, 0.0)
    assert with_labels.label is not None
    np.testing.assert_array_equal(with_labels.label[0] == IGNORE, unknown)
    assert no_labels.label is None
    np.testing.assert_array_equal(no_labels.image[0], with_labels.image[0], "the unknown voxels' intensities, too")

    torch.manual_seed(0)
    kind = methods.get("mean-teacher")
    method = kind(
        kind.configure("laptop", {"width": 2, "patch": SHAPE, "pretrain_steps": 0}, 10), Problem(1, 2)
    ).train()
    answers: list[torch.Tensor] = []
    method.student.register_forward_hook(lambda module, inputs, answer: answers.append(answer))
    batch = StepBatch(
        9,
        torch.from_numpy(with_labels.image),
        torch.from_numpy(with_labels.label).long(),
        torch.from_numpy(no_labels.image),
    )
    losses = method.phases()[0].losses(batch)
    assert losses is not None
    assert float(losses.parts["consistency"]) > 0
    (logits,) = [answer for answer in answers if answer.requires_grad]
    (gradient,) = torch.autograd.grad(losses.total, [logits])
    size = gradient.abs().amax(dim=1)
    hidden = torch.from_numpy(unknown)
    assert not size[0][hidden].any(), "the labelled half of the batch"
    assert size[0][~hidden].all()
    assert size[1][hidden].all(), "the unlabelled half"
