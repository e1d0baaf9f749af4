"""What the deepest layer of a network makes of a case: one short vector, taken while the case is predicted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

MAX_CHANNELS = 1024
"""A wider layer is cut: the vector is kept in the prediction's sidecar, which is to stay a few kilobytes."""


class DeepestLayer:
    """Mean activation per channel of the convolution with the smallest output, over all passes of one prediction.

    The deepest one is found while the network runs, so any network will do: the least voxels, then the most channels,
    then the last to run. Gates that see one number per channel (1x1 kernels) do not count. Price: one mean over the
    output of each convolution on the way down, less than a hundredth of what computing that output costs.

    Parameters
    ----------
    network
        Anything; without a convolution there is no vector.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._sums: dict[str, Tensor] = {}
        self._passes: dict[str, int] = {}
        self._depth: dict[str, tuple[int, int]] = {}
        self._smallest = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[DeepestLayer]:
        """Within: the network's convolutions are looked at as they run."""
        hooks = [m.register_forward_hook(self._hook(name)) for name, m in self._network.named_modules() if _counts(m)]
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, name: str) -> Any:
        def look(module: nn.Module, inputs: object, output: Tensor) -> None:
            voxels = output[0, 0].numel()
            if self._smallest and voxels > self._smallest:
                return
            self._smallest = voxels
            mean = output.detach().flatten(2).mean(2, dtype=torch.float32)
            self._sums[name] = self._sums.get(name, torch.zeros_like(mean[0])) + mean.sum(0)
            self._passes[name] = self._passes.get(name, 0) + len(mean)
            # A later layer of the same size wins: insertion order breaks ties in `vector`.
            self._depth.pop(name, None)
            self._depth[name] = (voxels, output.shape[1])

        return look

    def vector(self) -> tuple[str, list[float]] | None:
        """Name of the layer and its mean activations; None when no convolution has run or a value is not finite."""
        if not self._depth:
            return None
        deepest = ""
        for name, (voxels, channels) in self._depth.items():
            best = self._depth.get(deepest, (voxels + 1, 0))
            if voxels < best[0] or (voxels == best[0] and channels >= best[1]):
                deepest = name
        mean = self._sums[deepest][:MAX_CHANNELS] / self._passes[deepest]
        return (deepest, mean.tolist()) if bool(mean.isfinite().all()) else None


def _counts(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.Conv3d) and max(module.kernel_size) > 1
