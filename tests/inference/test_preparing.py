from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_penumbra.domain.errors import GeometryError, ImageError, LabelError, ModelError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.nifti import write
from napari_penumbra.inference.cases import check_fit, read_case_images, read_case_labels
from napari_penumbra.inference.confidence import answer
from napari_penumbra.inference.plan import Plan, normalise, prepare, resize, resize_labels
from napari_penumbra.methods import get
from napari_penumbra.methods._base import Problem
from tiny_study import MODALITIES, SCHEME, add_case, grid, make_arrays, make_spec

PLAN = Plan(MODALITIES, (3,), (3.0, 1.5, 1.5), (16, 24, 24))


def test_intensities_are_normalised_inside_the_body() -> None:
    image, _ = make_arrays(1)
    result = normalise(image)
    body = image > 0
    assert abs(result[body].mean()) < 0.01
    assert abs(result[body].std() - 1) < 0.03
    assert (result[~body] == 0).all()
    assert np.allclose(normalise(image * 7), result, atol=1e-4)


def test_without_background_all_voxels_count() -> None:
    image = np.random.default_rng(0).normal(500, 20, (8, 16, 16)).astype(np.float32)
    result = normalise(image)
    assert abs(result.mean()) < 0.05
    assert abs(result.std() - 1) < 0.05


@pytest.mark.parametrize("value", [0.0, 1e6, -3.0])
def test_a_constant_image_becomes_zeros(value: float) -> None:
    assert (normalise(np.full((4, 4, 4), value, np.float32)) == 0).all()


def test_a_flat_body_keeps_its_step_to_the_background() -> None:
    image = np.zeros((4, 8, 8), np.float32)
    image[1:3] = 5
    result = normalise(image)
    assert result[1].min() > 0.9
    assert result[0].max() < -0.9


def test_one_bright_voxel_does_not_flatten_the_rest() -> None:
    image = np.random.default_rng(0).normal(100, 10, (8, 32, 32)).astype(np.float32)
    image[0, 0, 0] = 1e7
    assert 0.8 < normalise(image).std() < 1.2


def test_a_missing_modality_is_all_zeros() -> None:
    image, _ = make_arrays(1)
    result = prepare([None, image], image.shape)
    assert (result[0] == 0).all()
    assert result[1].std() > 0.3


def test_a_case_of_nearly_the_plans_spacing_is_not_resampled() -> None:
    assert PLAN.shape_of(grid((16, 24, 24), (3.1, 1.45, 1.5))) == (16, 24, 24)
    assert PLAN.shape_of(grid((16, 24, 24), (1.5, 3.0, 1.5))) == (8, 48, 24)


@pytest.mark.parametrize("shape", [(7, 24, 24), (32, 48, 12), (16, 20, 31), (5, 6, 6)])
def test_resampling_keeps_the_millimetres(shape: tuple[int, int, int]) -> None:
    """A linear ramp over the volume's extent stays that ramp: no half-voxel shift, whatever the sizes."""
    old = torch.stack(torch.meshgrid(*[(torch.arange(n) + 0.5) / n for n in (16, 24, 24)], indexing="ij"))
    new = torch.stack(torch.meshgrid(*[(torch.arange(n) + 0.5) / n for n in shape], indexing="ij"))
    inner = (slice(None), *(slice(2, -2) if n > 6 else slice(1, -1) for n in shape))
    assert torch.allclose(resize(old, shape)[inner], new[inner], atol=0.02)


def test_labels_are_resampled_to_the_nearest_voxel() -> None:
    _, mask = make_arrays(1)
    up = resize_labels(mask, (32, 48, 48))
    assert up.sum() == 8 * mask.sum()
    assert np.array_equal(resize_labels(up, (16, 24, 24)), mask)


def test_label_values_and_class_indices() -> None:
    plan = dataclasses.replace(PLAN, values=(7, 2))
    assert plan.to_classes(np.array([0, 7, 2, 255], np.uint8)).tolist() == [0, 1, 2, 255]
    assert plan.to_values(np.array([0, 1, 2], np.uint8)).tolist() == [0, 7, 2]


def test_a_plan_survives_its_file_and_names_its_caches() -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN
    other = dataclasses.replace(PLAN, spacing=(3.0, 1.5, 1.0))
    assert other.image_key != PLAN.image_key
    assert dataclasses.replace(PLAN, values=(4,)).label_key != PLAN.label_key
    with pytest.raises(ModelError, match="newer version"):
        Plan.from_json({**PLAN.to_json(), "version": 99})
    with pytest.raises(ModelError, match="cannot be read"):
        Plan.from_json({"version": 1})


# ------------------------------------------------------------------ reading


def test_modalities_follow_the_plan_whatever_the_studys_order(root: Path) -> None:
    case = add_case(root, "anna", 1, "labelled")
    straight = read_case_images(root, case, MODALITIES, PLAN)
    swapped = read_case_images(root, case, MODALITIES, dataclasses.replace(PLAN, modalities=MODALITIES[::-1]))
    assert torch.equal(straight, swapped.flip(0))


def test_an_image_on_another_grid_is_refused(root: Path) -> None:
    case = add_case(root, "anna", 1, "labelled")
    moved = dataclasses.replace(case, grid=grid(spacing=(3.0, 1.6, 1.6)))
    with pytest.raises(GeometryError, match="anna"):
        read_case_images(root, moved, MODALITIES, PLAN)
    with pytest.raises(GeometryError, match="anna"):
        read_case_labels(root, moved, SCHEME, PLAN)


def test_labels_outside_the_scheme_and_missing_files_are_told(root: Path) -> None:
    case = add_case(root, "anna", 1, "labelled")
    with pytest.raises(LabelError, match="anna"):
        read_case_labels(root, case, LabelScheme.parse(["1=other"]), PLAN)
    (root / str(case.label)).unlink()
    with pytest.raises(ImageError):
        read_case_labels(root, case, SCHEME, PLAN)


def test_unknown_voxels_stay_unknown(root: Path) -> None:
    case = add_case(root, "anna", 1, "labelled")
    values = np.full((16, 24, 24), 255, np.uint8)
    values[3] = 3
    write(root / str(case.label), values, case.grid)
    classes = read_case_labels(root, case, SCHEME, PLAN)
    assert set(np.unique(classes[3])) == {1}
    assert set(np.unique(classes[4])) == {255}


def test_a_model_that_does_not_fit_the_study_is_refused(root: Path) -> None:
    spec = make_spec(root)
    check_fit(PLAN, spec)
    with pytest.raises(ModelError, match="needs ADC"):
        check_fit(dataclasses.replace(PLAN, modalities=("ADC",)), spec)
    with pytest.raises(ModelError, match="label values"):
        check_fit(dataclasses.replace(PLAN, values=(1,)), spec)


def test_an_answer_has_values_and_confidence_on_the_cases_grid() -> None:
    kind = get("supervised")
    method = kind(kind.configure("laptop", {"width": 2}), Problem(1, 2))
    lesion = torch.linspace(0, 1, 10).expand(4, 6, 10)
    found = answer(method, torch.zeros(1, 4, 6, 10), torch.stack([1 - lesion, lesion]), PLAN, (8, 6, 20))
    assert found.labels.shape == found.confidence.shape == (8, 6, 20)
    assert found.labels.dtype == np.uint8
    assert set(np.unique(found.labels)) == {0, 3}
    assert found.confidence.dtype == np.float32
    assert found.confidence[0, 0, 0] > 0.99
    assert found.confidence[0, 0, 9] < 0.2
