from __future__ import annotations

import torch

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
    tinted = augment()._tint(image)
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
