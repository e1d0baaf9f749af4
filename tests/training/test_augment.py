from __future__ import annotations

import math

import pytest
import torch

from napari_penumbra.methods._base import IGNORE, MethodConfig
from napari_penumbra.methods._contrast import vary_contrast
from napari_penumbra.training.augment import Augment


def augment(seed: int = 0, turns: bool = True) -> Augment:
    return Augment(torch.Generator().manual_seed(seed), turns)


def pair(batch: int = 4, size: tuple[int, int, int] = (4, 6, 6)) -> tuple[torch.Tensor, torch.Tensor]:
    label = torch.arange(batch * size[0] * size[1] * size[2]).reshape(batch, *size)
    return torch.stack([label.float(), label.float() * 2], dim=1), label


def test_image_and_label_are_moved_alike() -> None:
    image, label = pair()
    for seed in range(10):
        moved, moved_label = augment(seed)._turn(image, label)
        assert moved_label is not None
        assert torch.equal(moved[:, 0].long(), moved_label)
        assert torch.equal(moved_label.flatten(1).sort().values, label.flatten(1))


def test_all_sixteen_turns_occur_and_only_allowed_ones() -> None:
    _, label = pair(1)
    image = label[:, None].float()
    allowed, square = set(), augment()
    flat = augment(turns=False)
    for _ in range(400):
        allowed.add(tuple(square._turn(image, None)[0].flatten().tolist()))
    assert len(allowed) == 16
    assert len({tuple(flat._turn(image, None)[0].flatten().tolist()) for _ in range(200)}) == 8


def test_a_patch_that_is_not_square_keeps_its_shape() -> None:
    image, label = pair(4, (4, 6, 8))
    moved, moved_label = augment()(image, label)
    assert moved.shape == image.shape
    assert moved_label is not None
    assert moved_label.shape == label.shape


def test_intensities_change_a_little_and_a_missing_modality_stays_missing() -> None:
    image = torch.randn(8, 3, 8, 8, 8)
    image[:, 1] = 0
    tinted = vary_contrast(image, 1.0, torch.Generator().manual_seed(0))
    assert (tinted[:, 1] == 0).all()
    assert not torch.equal(tinted[:, 0], image[:, 0])
    assert (tinted[:, 0] - image[:, 0]).abs().mean() < 0.4
    assert tinted.isfinite().all()


def test_the_generator_decides_everything() -> None:
    image, label = pair()
    one, two = augment(3), augment(4)
    one(image, label)
    two.generator.set_state(one.generator.get_state())
    a, b = one(image, label), two(image, label)
    assert torch.equal(a[0], b[0])
    assert a[1] is not None
    assert b[1] is not None
    assert torch.equal(a[1], b[1])


# ------------------------------------------------------------- turns by any angle, and zoom


def warped(degrees: float, zoom: float, aspect: float = 1.0, seed: int = 0) -> Augment:
    return Augment(torch.Generator().manual_seed(seed), False, 0.0, degrees, zoom, aspect)


def test_without_angle_and_zoom_nothing_is_interpolated() -> None:
    image, label = torch.randn(2, 1, 4, 9, 11), torch.randint(0, 3, (2, 4, 9, 11))
    moved, moved_label = warped(0.0, 0.0)._warp(image, label)
    assert moved_label is not None
    torch.testing.assert_close(moved, image)
    assert torch.equal(moved_label, label)


@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_a_disc_stays_a_disc_in_mm(aspect: float) -> None:
    """Turned and zoomed, a disc is a disc of another size: angles and lengths are those of the patient."""
    y, x = (torch.arange(40) - 19.5) * aspect, torch.arange(60) - 29.5
    radius = (y[:, None] ** 2 + x[None] ** 2).sqrt()
    label = (radius < 14).long()[None, None]
    for seed in range(5):
        _, moved = warped(180.0, 0.3, aspect, seed)._warp(label[:, None].float(), label)
        assert moved is not None
        inside = radius[moved[0, 0] == 1]
        outside = radius[moved[0, 0] == 0]
        assert inside.max() < outside.min() + 2 * aspect


def test_a_patch_is_turned_by_the_angle_that_was_drawn() -> None:
    image = torch.zeros(1, 1, 1, 41, 41)
    image[..., 20, 20:36] = 1  # a ray to the right
    turned = warped(90.0, 0.0, seed=5)
    state = turned.generator.get_state()
    moved, _ = turned._warp(image, None)
    turned.generator.set_state(state)
    angle = float(2 * turned._rand(1) - 1) * math.pi / 2
    y, x = (moved[0, 0, 0] > 0.4).nonzero().float().mean(0) - 20
    assert math.atan2(float(y), float(x)) == pytest.approx(angle, abs=0.05)


def test_image_and_label_are_warped_alike_and_what_was_not_there_is_unknown() -> None:
    label = torch.zeros(3, 5, 32, 32, dtype=torch.long)
    label[:, :, 8:20, 10:26] = 2
    image, moved = warped(40.0, 0.2, seed=1)._warp(label[:, None].float(), label)
    assert moved is not None
    assert set(moved.unique().tolist()) == {0, 2, IGNORE}
    known = moved != IGNORE
    # Nearest and linear interpolation differ at the rim only.
    agree = (image[:, 0] > 1) == (moved == 2)
    assert agree[known].float().mean() > 0.99
    assert (image[:, 0][~known].abs() < 1.01).all()
    assert torch.equal(moved[:, 0], moved[:, 4]), "all slices alike"


@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0])
def test_strength_of_the_changes_of_contrast(strength: float) -> None:
    image = torch.randn(64, 1, 4, 8, 8)
    tinted = vary_contrast(image, strength, torch.Generator().manual_seed(0))
    change = (tinted - image).abs().mean()
    low, high = {0.0: (0.0, 1e-6), 1.0: (0.05, 0.3), 3.0: (0.25, 0.9)}[strength]
    assert low <= change <= high
    # Dark stays darker than bright.
    centred = (image - image.mean((2, 3, 4), keepdim=True)) * (tinted - tinted.mean((2, 3, 4), keepdim=True))
    assert (centred.mean((1, 2, 3, 4)) > 0).all()


def test_parameters_of_a_method_arrive() -> None:
    config = MethodConfig(augment_contrast=2.0, augment_degrees=15.0, augment_zoom=0.1)
    made = Augment.of(config, (5.0, 2.0, 1.0), 7)
    assert (made.contrast, made.degrees, made.zoom, made.aspect) == (2.0, 15.0, 0.1, 2.0)
    assert not made.quarter_turns
    assert Augment.of(config, (5.0, 1.0, 1.0), 7).quarter_turns


def test_modalities_are_left_out_as_often_as_asked_and_never_all() -> None:
    image = torch.randn(400, 3, 2, 4, 4)
    image[:, 2] = 0
    blanked = Augment(torch.Generator().manual_seed(0), True, 0.0, dropout=0.5)(image, None)[0]
    there = (blanked != 0).flatten(2).any(dim=2)
    assert there[:, :2].any(dim=1).all(), "one that a case has always stays"
    assert not there[:, 2].any()
    # Each is dropped with .5; of the quarter in which both would be, one stays.
    assert float(there[:, :2].float().mean()) == pytest.approx(0.5 + 0.25 / 2, abs=0.05)
    whole = Augment(torch.Generator().manual_seed(0), True, 0.0)(image, None)[0]
    assert (blanked[:, :2] == whole[:, :2])[there[:, :2]].all(), "what stays is as it was"


def test_patches_of_one_modality_are_never_blanked() -> None:
    image = torch.randn(50, 1, 2, 4, 4)
    assert (Augment(torch.Generator().manual_seed(0), True, dropout=0.9)(image, None)[0] != 0).any(dim=-1).all()
