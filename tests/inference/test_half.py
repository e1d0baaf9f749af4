"""bfloat16 on a processor: convolutions that come out wrong are computed in float32, and training goes on as before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_penumbra import methods
from napari_penumbra.inference import half
from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods._base import Problem, StepBatch
from napari_penumbra.training.learner import Learner

able = pytest.mark.skipif(not half.able(), reason="this processor does not compute bfloat16 itself")

KERNELS = {
    "3": lambda i, o: nn.Conv3d(i, o, 3, padding=1),
    "5": lambda i, o: nn.Conv3d(i, o, 5, padding=2),
    "in-plane": lambda i, o: nn.Conv3d(i, o, (1, 3, 3), padding=(0, 1, 1)),
    "stride 2": lambda i, o: nn.Conv3d(i, o, 3, 2, 1),
    "stride 2 in-plane": lambda i, o: nn.Conv3d(i, o, 3, (1, 2, 2), 1),
    "halving": lambda i, o: nn.Conv3d(i, o, 2, 2),
    "dilated": lambda i, o: nn.Conv3d(i, o, 3, padding=2, dilation=2),
    "doubling": lambda i, o: nn.ConvTranspose3d(i, o, 2, 2),
    "2D 3": lambda i, o: nn.Conv2d(i, o, 3, padding=1),
    "2D 7 stride 2": lambda i, o: nn.Conv2d(i, o, 7, 2, 3),
    "2D doubling": lambda i, o: nn.ConvTranspose2d(i, o, 2, 2),
}
SIZES = [(1, 1, 1), (1, 12, 12), (2, 2, 2), (2, 8, 8), (8, 8, 2), (3, 8, 8), (4, 4, 4), (6, 5, 7), (16, 16, 1)]


def answers(conv: nn.Module, image: torch.Tensor, half_precision: bool) -> list[torch.Tensor]:
    conv.zero_grad()
    seen = image.clone(memory_format=torch.preserve_format).requires_grad_()
    # What the wrong convolutions read is memory that was used before.
    for size in (4096, 65_536, 262_144):
        torch.full((size,), float("nan"))
    with torch.autocast("cpu", torch.bfloat16, enabled=half_precision, cache_enabled=False):
        output = conv(seen)
    generator = torch.Generator().manual_seed(1)
    (output.float() * torch.randn(output.shape, generator=generator)).sum().backward()
    assert seen.grad is not None
    return [output.detach().float(), seen.grad, *(p.grad for p in conv.parameters() if p.grad is not None)]


@able
@pytest.mark.parametrize("innermost", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("kind", list(KERNELS))
def test_output_and_gradients_are_those_of_float32(kind: str, innermost: bool) -> None:
    torch.manual_seed(0)
    tried = 0
    for size in SIZES:
        flat = kind.startswith("2D")
        for channels, out in ((1, 8), (16, 32), (32, 2)):
            shape = size[1:] if flat else size
            if kind in ("halving",) and min(shape) < 2:
                continue
            conv = half.guard(KERNELS[kind](channels, out))
            image = torch.randn(2, channels, *shape)
            if innermost:
                layout = torch.channels_last if flat else torch.channels_last_3d
                conv.weight.data = conv.weight.data.contiguous(memory_format=layout)
                image = image.contiguous(memory_format=layout)
            once, again = answers(conv, image, True), answers(conv, image, True)
            for found, second, right in zip(once, again, answers(conv, image, False), strict=True):
                # Bit for bit, whatever lay in memory before: a resumed training depends on it.
                assert torch.equal(found, second), (size, channels, out)
                error = float((found - right).norm() / (right.norm() + 1e-9))
                assert error < 0.02, (size, channels, out, error)
                largest = float((found - right).abs().max() / (right.abs().max() + 1e-9))
                assert largest < 0.03, (size, channels, out, largest)
                tried += 1
    assert tried > 60


def test_what_fits() -> None:
    conv = nn.Conv3d(1, 1, 3, padding=1)
    assert half.fits(conv, torch.Size((1, 1, 4, 9, 9)))
    assert not half.fits(conv, torch.Size((1, 1, 3, 9, 9)))
    assert half.fits(nn.Conv3d(1, 1, (1, 3, 3)), torch.Size((1, 1, 1, 9, 9)))
    assert not half.fits(nn.Conv3d(1, 1, 3, dilation=2), torch.Size((1, 1, 5, 9, 9)))
    assert half.fits(nn.Conv3d(1, 1, 3, dilation=2), torch.Size((1, 1, 6, 9, 9)))


def test_guarded_convolutions_are_copied_with_their_own_weights() -> None:
    network = half.guard(nn.Sequential(nn.Conv3d(1, 1, 1), nn.ConvTranspose3d(1, 1, 2, 2)))
    names = list(network.state_dict())
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    image = torch.ones(1, 1, 4, 4, 4)
    assert not twin(image).any()
    assert network(image).any()
    assert isinstance(twin[0], nn.Conv3d)
    assert list(twin.state_dict()) == names
    assert half.guard(network)[0].__class__ is network[0].__class__, "twice is once"


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(half.SWITCH, "0")
    half.sound.cache_clear()
    assert not half.sound()
    half.sound.cache_clear()


def test_a_torch_that_does_not_say_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(half.SWITCH, "1")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    half.sound.cache_clear()
    assert not half.sound()
    half.sound.cache_clear()


@able
def test_it_is_tried_before_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(half.SWITCH, "1")
    half.sound.cache_clear()
    assert half.sound()
    half.sound.cache_clear()
    # The next torch may be wrong elsewhere: whatever it is, it is found before anything is trained.
    monkeypatch.setattr(half, "fits", lambda conv, shape: True)
    monkeypatch.setattr(half, "_TRIED", ((16, 32, 2, 3),))
    assert not half.sound()
    half.sound.cache_clear()


@able
@pytest.mark.parametrize("name", ["supervised", "mean-teacher", "co-learning", "asdnet", "col-net", "self-correction"])
def test_losses_of_every_method_are_those_of_float32(name: str) -> None:
    losses = {}
    for bfloat16 in (False, True):
        torch.manual_seed(0)
        kind = methods.get(name)
        dims = kind.dimensions[0]
        changes = {"steps": 8, "width": 4} | (
            {"pretrain_steps": 2} if "pretrain_steps" in kind.Config.model_fields else {}
        )
        changes = {k: v for k, v in changes.items() if k in kind.Config.model_fields}
        method = kind(kind.configure("laptop", changes), Problem(1, 2, (1.0, 1.0, 1.0), dims))
        learner = Learner(method, Machine(torch.device("cpu"), bfloat16, True), 0)
        said = []
        for step in range(4):
            said.append(learner.learn(blobs(learner, step, dims)))
        losses[bfloat16] = [{k: float(v) for k, v in row.items()} for row in said]
    for plain, quick in zip(losses[False], losses[True], strict=True):
        assert plain.keys() == quick.keys()
        for part, value in plain.items():
            assert quick[part] == pytest.approx(value, rel=0.03, abs=0.03), part


def blobs(learner: Learner, step: int, dims: int) -> StepBatch:
    generator = torch.Generator().manual_seed(step)
    size = (16, 32, 32)[3 - dims :] if dims == 3 else (64, 64)
    image = torch.randn(4, 1, *size, generator=generator)
    label = (image[:, 0] > 0.5).long()
    return StepBatch(step, learner.machine.tensor(image[:2]), label[:2], learner.machine.tensor(image[2:]))
