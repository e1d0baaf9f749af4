"""Convolutions in bfloat16 on processors that compute it, except where they come out wrong.

On processors with AVX512-BF16 (AMD from Zen 4, Intel from Cooper Lake) a training step is about twice as fast. But with
torch 2.13 and its oneDNN, 3D convolutions over an axis that is shorter than the kernel give wrong outputs or weight
gradients, often not numbers (https://github.com/pytorch/pytorch/issues/169688 is one such case). The deepest level of a
U-Net is that small. `guard` sends such calls to float32; `sound` tries a few calls before any of it is trusted.
"""

from __future__ import annotations

import functools
import os
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

SWITCH = "PENUMBRA_BFLOAT16"
"""Environment variable: 0 keeps processors at float32."""
_TOLERANCE = 0.02
"""Relative error of a sum of products whose factors have 8 bits: .003 is usual, and a wrong one is off by 1."""
_TRIED = ((16, 16, 8, 3), (1, 16, 4, 3), (16, 32, 6, 5), (32, 16, 8, 2))
"""Channels in and out, edge of the volume, edge of the kernel."""


Network = TypeVar("Network", bound=nn.Module)


def able() -> bool:
    """Whether the processor computes bfloat16 itself.

    torch says so through a name of its own that versions from 2.4 on may have or not; without it the answer is no.
    """
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported is not None and supported())


@functools.cache
def sound() -> bool:
    """Whether this processor computes bfloat16 itself, and right: tried once per process, in some milliseconds."""
    if os.environ.get(SWITCH, "1") == "0" or not able():
        return False
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return all(_error(*case) < _TOLERANCE for case in _TRIED)


def _error(channels: int, out: int, edge: int, kernel: int) -> float:
    """Largest relative error of output and gradients of one convolution, against float32."""
    conv = guard(nn.Conv3d(channels, out, kernel, padding=kernel // 2))
    conv.weight.data = conv.weight.data.contiguous(memory_format=torch.channels_last_3d)
    image = torch.randn(2, channels, edge, edge, edge).contiguous(memory_format=torch.channels_last_3d)
    found = []
    for half in (True, False):
        conv.zero_grad()
        seen = image.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
            output = conv(seen)
        output.float().square().mean().backward()
        found.append([output.detach().float(), seen.grad, *(p.grad for p in conv.parameters())])
    errors = [float((a - b).norm() / b.norm()) for a, b in zip(*found, strict=True)]
    return max(error if error == error else float("inf") for error in errors)


def guard(module: Network) -> Network:
    """Let the convolutions of a module compute in float32 where bfloat16 comes out wrong; in place.

    Outside autocast nothing changes. Weights, names and types stay as they are (``isinstance``, checkpoints, copies).
    """
    for part in module.modules():
        kind = _GUARDED.get(type(part))
        if kind is not None:
            part.__class__ = kind
    return module


def fits(conv: Any, shape: torch.Size) -> bool:
    """Whether every axis of a volume is longer than what the kernel spans; an axis that it does not span is free."""
    spans = (d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    axes = len(conv.kernel_size)
    return all(span == 1 or size > span for size, span in zip(shape[-axes:], spans, strict=True))


def _guarded(kind: type[Any]) -> type[Any]:
    class Guarded(kind):
        """A convolution that leaves autocast where its input is too small for it."""

        def forward(self, image: Tensor, *more: Any) -> Tensor:
            device = image.device.type
            if device != "cpu" or not torch.is_autocast_enabled(device) or fits(self, image.shape):
                result: Tensor = super().forward(image, *more)
                return result
            with torch.autocast(device, enabled=False):
                result = super().forward(image.float(), *more)
            return result

    Guarded.__name__ = Guarded.__qualname__ = kind.__name__
    return Guarded


_GUARDED: dict[type[nn.Module], type[nn.Module]] = {
    kind: _guarded(kind) for kind in (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
}
