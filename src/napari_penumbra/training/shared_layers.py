"""Layers that look at the whole batch although each process runs a part of it: batch normalisation and dropout.

Layers are changed in place, so that whoever holds a network, or one of its weights, goes on holding it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_penumbra.training.sharding import Exchange, Sharing


def convert_layers(method: nn.Module, sharing: Sharing, device: torch.device) -> None:
    """Let batch normalisations and dropouts see the whole batch.

    On graphics cards batch normalisations become torch's own `SyncBatchNorm`. That one knows no CPU: there they get a
    class of the same name and weights from here, for any backend.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(method)
    for module in method.modules():
        change = _CHANGES.get(type(module))
        if change is not None:
            module.__class__ = change
            module.sharing = sharing  # type: ignore[assignment]


class _SharedNorm:
    """Batch normalisation over the patches of all processes."""

    sharing: Sharing

    def forward(self, x: Tensor) -> Tensor:
        norm: Any = self
        if not norm.training or self.sharing.part is None:
            return super().forward(x)  # type: ignore[misc]
        norm._check_input_dim(x)
        mean, variance, count = _statistics(x.detach(), self.sharing.group)
        if norm.track_running_stats:
            norm.num_batches_tracked.add_(1)
            share = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
            unbiased = variance * (count / max(count - 1, 1))
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)
        # Statistics of bfloat16 values stay in float32, as in one process.
        kind = torch.promote_types(x.dtype, torch.float32)
        mean, variance = mean.to(kind), variance.to(kind)
        return _Normalise.apply(x, norm.weight, norm.bias, mean, variance, norm.eps, count, self.sharing.group)


class SharedBatchNorm1d(_SharedNorm, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over all processes."""


class SharedBatchNorm2d(_SharedNorm, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` over all processes."""


class SharedBatchNorm3d(_SharedNorm, nn.BatchNorm3d):
    """`torch.nn.BatchNorm3d` over all processes."""


def _statistics(x: Tensor, group: Exchange) -> tuple[Tensor, Tensor, float]:
    """Mean and biased variance per channel over all processes (C,), float64, and of how many values."""
    axes = [0, *range(2, x.ndim)]
    exact = torch.promote_types(x.dtype, torch.float64 if x.numel() < 4096 else torch.float32)
    variance, mean = torch.var_mean(x.to(exact), axes, correction=0)
    count = x.numel() / max(x.shape[1], 1)
    own = torch.stack([mean.double(), variance.double(), torch.full_like(mean, count, dtype=torch.float64)])
    means, variances, counts = group.all_gather(own.unsqueeze(0)).unbind(1)
    total = counts.sum(0)
    overall = (means * counts).sum(0) / total
    spread = ((variances + (means - overall).square()) * counts).sum(0) / total
    return overall, spread, float(total[0])


class _Normalise(torch.autograd.Function):
    """Normalise by statistics of which this process's values are a part."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        count: float,
        group: Exchange,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.count, ctx.group = eps, count, group
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (x, weight, mean, variance) = grads, ctx.saved_tensors
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        inverse = (variance + ctx.eps).rsqrt()
        grad, centred = grad.to(mean.dtype), x - mean.view(shape)
        of_bias, along = grad.sum(axes), (grad * centred).sum(axes)
        of_weight = along * inverse
        whole = ctx.group.all_reduce(torch.stack([of_bias, along])) / ctx.count
        result: Tensor | None = None
        if ctx.needs_input_grad[0]:
            factor = inverse if weight is None else inverse * weight
            slope = (inverse.square() * whole[1]).view(shape)
            result = ((grad - whole[0].view(shape) - centred * slope) * factor.view(shape)).to(x.dtype)
        wants = ctx.needs_input_grad
        return result, of_weight if wants[1] else None, of_bias if wants[2] else None, *[None] * 5


class _SharedDropout:
    """Dropout that draws for the patches of all processes and takes its own part: random numbers stay in step."""

    sharing: Sharing

    def forward(self, x: Tensor) -> Tensor:
        layer: Any = self
        part = self.sharing.part
        if not layer.training or part is None or layer.p == 0:
            return super().forward(x)  # type: ignore[misc]
        # Slices of a volume may lie along the first axis: so many values per patch.
        each = len(x) // (part.stop - part.start)
        kept = super().forward(self._ones(x, each * part.count))  # type: ignore[misc]
        return x * kept[each * part.start : each * part.stop]

    def _ones(self, x: Tensor, count: int) -> Tensor:
        """Ones for the whole batch, laid out like ``x``: a mask is drawn in the order of memory."""
        whole = x.new_ones((count, *x.shape[1:]))
        for dims, layout in ((5, torch.channels_last_3d), (4, torch.channels_last)):
            if x.ndim == dims and x.is_contiguous(memory_format=layout) and not x.is_contiguous():
                return whole.contiguous(memory_format=layout)
        return whole


class SharedDropout(_SharedDropout, nn.Dropout):
    """`torch.nn.Dropout` over all processes."""


class SharedDropout2d(_SharedDropout, nn.Dropout2d):
    """`torch.nn.Dropout2d` over all processes."""

    def _ones(self, x: Tensor, count: int) -> Tensor:
        return x.new_ones((count, x.shape[1], 1, 1))


class SharedDropout3d(_SharedDropout, nn.Dropout3d):
    """`torch.nn.Dropout3d` over all processes."""

    def _ones(self, x: Tensor, count: int) -> Tensor:
        return x.new_ones((count, x.shape[1], 1, 1, 1))


_CHANGES: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SharedBatchNorm1d,
    nn.BatchNorm2d: SharedBatchNorm2d,
    nn.BatchNorm3d: SharedBatchNorm3d,
    nn.Dropout: SharedDropout,
    nn.Dropout2d: SharedDropout2d,
    nn.Dropout3d: SharedDropout3d,
}
