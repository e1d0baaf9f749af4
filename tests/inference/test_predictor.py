from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_penumbra.inference.machine import Machine, is_out_of_memory, speak_float32
from napari_penumbra.inference.predictor import Predictor, divisor_of, margin_of
from napari_penumbra.methods._functional import evaluating
from napari_penumbra.networks.deepmedic import DeepMedic
from napari_penumbra.networks.unet import UNet

CPU = Machine(torch.device("cpu"), bfloat16=False, channels_last=True)


def volume(channels: int = 2, shape: tuple[int, int, int] = (11, 19, 22)) -> Tensor:
    return torch.randn((channels, *shape), generator=torch.Generator().manual_seed(0))


def softmax(network: nn.Module, image: Tensor) -> Tensor:
    with evaluating(network):
        return network(image[None])[0].softmax(dim=0)


def test_every_window_has_the_size_that_the_network_was_trained_on() -> None:
    """Padded networks know their edges: other sizes have other edges, and worse answers."""
    torch.manual_seed(0)
    network = UNet(2, 3, widths=(4, 8))
    seen: list[tuple[int, ...]] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
    for shape in ((11, 19, 22), (3, 16, 40), (16, 16, 16)):
        found = Predictor(network, (16, 16, 16), CPU).probabilities(volume(shape=shape))
        assert found.shape == (3, *shape)
        assert torch.allclose(found.sum(dim=0), torch.ones(shape), atol=1e-5)
    assert set(seen) == {(16, 16, 16)}
    assert network.training


def test_a_volume_of_one_patch_is_what_the_network_says_of_it() -> None:
    torch.manual_seed(0)
    network = UNet(2, 3, widths=(4, 8))
    image = volume(shape=(16, 16, 16))
    found = Predictor(network, (16, 16, 16), CPU).probabilities(image)
    assert torch.allclose(found, softmax(network, image), atol=1e-5)


def test_windows_of_a_pointwise_network_blend_to_the_same() -> None:
    network = nn.Conv3d(2, 3, 1)
    found = Predictor(network, (8, 8, 8), CPU).probabilities(volume())
    assert torch.allclose(found, softmax(network, volume()), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 5, 7), (11, 19, 22), (13, 50, 20)])
def test_tiles_of_a_valid_network_fill_the_volume_without_a_seam(shape: tuple[int, int, int]) -> None:
    class Valid(nn.Module):
        margin = (1, 2, 2)
        divisor = (1, 1, 1)

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(2, 3, (3, 5, 5))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(x)
            return out

    network = Valid()
    image = volume(shape=shape)
    padded = nn.functional.pad(image, (2, 2, 2, 2, 1, 1))
    found = Predictor(network, (9, 16, 16), CPU).probabilities(image)
    assert torch.allclose(found, softmax(network, padded), atol=1e-5)


def test_deepmedic_answers_alike_in_large_and_in_trained_tiles() -> None:
    torch.manual_seed(0)
    network = DeepMedic(1, 2, scale=(1, 3, 3))
    image = volume(1, (6, 20, 25))
    large = Predictor(network, (22, 58, 58), CPU)
    small = Predictor(network, (22, 58, 58), CPU)
    small._small = True
    assert large._tile_shape((6, 20, 25)) != small._tile_shape((6, 20, 25))
    assert torch.allclose(large.probabilities(image), small.probabilities(image), atol=1e-4)


def test_after_running_out_of_memory_tiles_are_those_of_the_training() -> None:
    class Picky(DeepMedic):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[2] > 22:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
            return super().forward(x)

    torch.manual_seed(0)
    network = Picky(1, 2, scale=(1, 3, 3))
    found = Predictor(network, (22, 58, 58), CPU).probabilities(volume(1, (14, 20, 25)))
    assert found.shape == (2, 14, 20, 25)


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="expected input"):
        Predictor(nn.Conv3d(5, 3, 1), (8, 8, 8), CPU).probabilities(volume())


def test_margin_and_divisor_are_read_off_or_guessed() -> None:
    plain = nn.Conv3d(1, 1, 1)
    assert margin_of(plain) == (0, 0, 0)
    assert divisor_of(plain, (20, 48, 64)) == (4, 16, 32)
    assert divisor_of(UNet(1, 2), (20, 48, 64)) == UNet(1, 2).divisor


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_networks_under_bfloat16_speak_float32() -> None:
    outer = nn.ModuleDict({"a": nn.ModuleList([nn.Linear(2, 2)])})
    speak_float32(outer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inner = outer["a"][0]  # type: ignore[index]
        assert inner(torch.ones(1, 2)).dtype is torch.float32


def test_a_cpu_never_computes_in_bfloat16() -> None:
    assert not Machine.choose("cpu", nn.Conv3d(1, 1, 1)).bfloat16
    assert not Machine.choose("cpu", nn.InstanceNorm3d(1)).channels_last
