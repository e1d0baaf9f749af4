from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_penumbra.inference import predictor as module
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


def test_a_whole_volume_is_what_the_network_says_of_it() -> None:
    torch.manual_seed(0)
    network = UNet(2, 3, widths=(4, 8))
    found = Predictor(network, (16, 16, 16), CPU).probabilities(volume())
    assert found.shape == (3, 11, 19, 22)
    assert torch.allclose(found.sum(dim=0), torch.ones(found.shape[1:]), atol=1e-5)
    assert torch.allclose(found, softmax(network, volume()), atol=1e-5)
    assert network.training


def test_windows_of_a_pointwise_network_blend_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHARE_OF_ALL", 0.0)
    network = nn.Conv3d(2, 3, 1)
    found = Predictor(network, (8, 8, 8), CPU).probabilities(volume())
    assert torch.allclose(found, softmax(network, volume()), atol=1e-5)


def test_what_else_runs_does_not_change_a_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or in windows: the machine decides it, and only a machine that is nearly full decides otherwise."""
    seen: list[tuple[int, ...]] = []
    network = nn.Conv3d(2, 3, 1)
    network.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
    needed = 2048 * 11 * 19 * 22
    monkeypatch.setattr(module, "all_bytes", lambda _: 4 * needed)
    for free, whole in ((4 * needed, True), (1.5 * needed, True), (needed, False)):
        monkeypatch.setattr(module, "free_bytes", lambda _, free=free: free)
        seen.clear()
        Predictor(network, (8, 8, 8), CPU).probabilities(volume())
        assert (len(seen) == 1) == whole
    monkeypatch.setattr(module, "all_bytes", lambda _: 3 * needed)
    monkeypatch.setattr(module, "free_bytes", lambda _: 3 * needed)
    Predictor(network, (8, 8, 8), CPU).probabilities(volume())
    assert seen[-1] == (8, 8, 8)


def test_a_network_that_looks_at_its_whole_input_gets_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    network = nn.Sequential(nn.Conv3d(2, 3, 1), nn.InstanceNorm3d(3))
    network.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
    Predictor(network, (8, 8, 8), CPU).probabilities(volume())
    assert set(seen) == {(8, 8, 8)}


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


def test_out_of_memory_falls_back_to_windows() -> None:
    class Picky(nn.Conv3d):
        def forward(self, x: Tensor) -> Tensor:
            if x[0, 0].numel() > 1000:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
            return super().forward(x)

    network = Picky(2, 3, 1)
    found = Predictor(network, (8, 8, 8), CPU).probabilities(volume())
    assert found.shape == (3, 11, 19, 22)


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
