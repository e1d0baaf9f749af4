"""Networks that see slices: stacked, along the coarsest axis, back on the case's own axes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_penumbra.domain.errors import ModelError, UsageError
from napari_penumbra.domain.progress import Progress
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.inference.cases import read_case_images, read_case_labels
from napari_penumbra.inference.confidence import answer
from napari_penumbra.inference.machine import Machine
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor
from napari_penumbra.inference.slices import SliceWise
from napari_penumbra.methods import get
from napari_penumbra.networks.unet import UNet
from napari_penumbra.training.build import make_prediction, make_trainer
from napari_penumbra.training.plan import make_plan, problem_of, slice_axis
from tiny_study import SCHEME, add_case, grid, make_arrays, make_spec, write_run

CPU = Machine(torch.device("cpu"), bfloat16=False, channels_last=True)
SAGITTAL = grid((24, 24, 16), (1.5, 1.5, 3.0))


def volume(shape: tuple[int, int, int] = (11, 19, 22)) -> torch.Tensor:
    return torch.randn((2, *shape), generator=torch.Generator().manual_seed(0))


def test_each_slice_is_predicted_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    network = UNet(2, 3, (1, 1, 1), 2, widths=(4, 8)).eval()
    with torch.no_grad():
        stacked = SliceWise(network)(volume()[None])
        alone = [network(volume()[None, :, z]) for z in range(11)]
    assert torch.allclose(stacked, torch.stack(alone, dim=2), atol=1e-5)


def test_windows_of_slices_fill_the_volume() -> None:
    network = nn.Conv2d(2, 3, 1)
    found = Predictor(network, (1, 8, 8), CPU, spatial_dims=2).probabilities(volume())
    expected = torch.stack([network(volume()[:, z]) for z in range(11)], dim=1).softmax(dim=0)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "size", "axis"),
    [
        ((1, 1, 1), (30, 40, 50), 0),
        ((1.02, 1, 1.04), (30, 40, 50), 0),
        ((6.5, 1, 1), (21, 240, 240), 0),
        ((1, 1, 4), (240, 240, 20), 2),
        ((1, 5, 1), (240, 20, 240), 1),
        ((1, 2, 2), (1, 64, 64), 0),
        ((1, 9, 1), (64, 64, 1), 2),
    ],
)
def test_slices_lie_along_the_coarsest_axis(scale: tuple[float, ...], size: tuple[int, ...], axis: int) -> None:
    assert slice_axis(scale, size) == axis


def test_a_sagittal_series_is_turned_for_the_network_and_back_for_the_reader(root: Path) -> None:
    case = add_case(root, "side", 1, "labelled", SAGITTAL)
    spec = make_spec(root)
    spec = dataclasses.replace(spec, cases=(case,))
    plan = make_plan(spec)
    assert (plan.slice_axis, plan.spacing, plan.shape) == (2, (3.0, 1.5, 1.5), (16, 24, 24))
    image = read_case_images(root, case, spec.modalities, plan)
    assert image.shape == (2, 16, 24, 24)
    classes = read_case_labels(root, case, SCHEME, plan)
    assert classes.shape == (16, 24, 24)
    certain = torch.stack([torch.from_numpy(classes == n).float() for n in range(2)])
    method = get("supervised")(get("supervised").configure("laptop", {"width": 2}), problem_of(plan))
    result = answer(method, image, certain, plan, SAGITTAL.array_shape)
    assert np.array_equal(result.labels, make_arrays(1, SAGITTAL.array_shape)[1])
    assert result.confidence.shape == SAGITTAL.array_shape
    assert Plan.from_json(plan.to_json()) == plan


def test_slices_of_a_2d_training_keep_the_thickness_they_have(root: Path) -> None:
    spec = make_spec(root)
    thick = add_case(root, "emil", 5, "unlabelled", grid((8, 24, 24), (6.0, 1.5, 1.5)))
    spec = dataclasses.replace(spec, cases=(*spec.cases, thick), config={**spec.config, "dimensions": "2D"})
    plan = make_plan(spec)
    assert plan.dimensions == 2
    assert plan.shape_of(thick.grid) == (8, 24, 24)
    assert make_plan(dataclasses.replace(spec, config={})).shape_of(thick.grid) == (16, 24, 24)


@pytest.mark.parametrize("method", ["mean-teacher", "supervised"])
@pytest.mark.parametrize("where", [grid((1, 24, 32), (1, 1, 1)), SAGITTAL], ids=["pictures", "sagittal"])
def test_a_2d_training_and_its_prediction_end_on_the_cases_own_grid(root: Path, method: str, where) -> None:  # type: ignore[no-untyped-def]
    spec = make_spec(root, method, steps=8)
    cases = tuple(
        add_case(root, f"{name}2", n, role, where)
        for n, (name, role) in enumerate(
            [("anna", "labelled"), ("bert", "labelled"), ("cleo", "unlabelled"), ("dora", "validation")]
        )
    )
    spec = dataclasses.replace(spec, cases=cases, config={**spec.config, "dimensions": "2D"})
    if where is not SAGITTAL:
        spec = dataclasses.replace(spec, config={k: v for k, v in spec.config.items() if k != "dimensions"})
    run = write_run(root, "run", spec)
    events: list[Progress] = []
    assert make_trainer(run, spec, events.append, lambda: False, resume=False).run()
    folder = sorted((run / "checkpoints").glob("step-*"))[-1]
    order = dataclasses.replace(spec, kind="predict", checkpoint=str(folder.relative_to(root)), cases=cases[2:3])
    assert make_prediction(write_run(root, "look", order), order, events.append, lambda: False).run()
    made = read_labels(root / "cases/cleo2/predictions/look.labels.nii.gz").volume
    assert made.data.shape == where.array_shape
    assert made.grid.same_place(where, 0.01)


def test_pictures_cannot_be_learnt_in_3d(root: Path) -> None:
    spec = make_spec(root)
    case = add_case(root, "flat", 1, "labelled", grid((1, 24, 32), (1, 1, 1)))
    with pytest.raises(UsageError, match="cannot be learnt in 3D"):
        make_plan(dataclasses.replace(spec, cases=(case,), config={"dimensions": "3D"}))


def test_a_plan_of_the_first_version_is_read_and_a_broken_one_refused() -> None:
    old = {"version": 1, "modalities": ["T1"], "values": [1], "spacing": [3, 1, 1], "shape": [9, 9, 9]}
    assert Plan.from_json(old) == Plan(("T1",), (1,), (3, 1, 1), (9, 9, 9), version=1)
    with pytest.raises(ModelError, match="cannot be read"):
        Plan.from_json({**old, "dimensions": 5})
