"""How features of two branches become one: gated, as in the self-correction paper, and the two plain ways beside it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from napari_penumbra.networks._blocks import conv

FusionName = Literal["gated", "add", "concat"]


class GatedFusion(nn.Module):
    """Gated feature fusion (Zhang et al., MICCAI 2021, Eqs. 5 to 8).

    A reset gate ``r`` picks what of the inpainting features is of use, a select gate ``s`` mixes the outcome with the
    segmentation features::

        r = sigmoid(W_r [e_seg, e_inp])        s = sigmoid(W_s [e_seg, e_inp])
        new = relu(W [e_seg, r * e_inp])       e = s * new + (1 - s) * e_seg

    All three are 3^3 convolutions that start orthogonal with zero bias. The rectifier is the authors' code's: the
    encoder's features are rectified as well, so both sides of the mixture live in one range.

    Parameters
    ----------
    dims
        2 or 3.
    channels
        Of either branch, and of the result.
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.reset = conv(dims, 2 * channels, channels, (3, 3, 3))
        self.select = conv(dims, 2 * channels, channels, (3, 3, 3))
        self.merge = conv(dims, 2 * channels, channels, (3, 3, 3))
        for layer in (self.reset, self.select, self.merge):
            _orthogonal(layer)

    def forward(self, segmentation: Tensor, inpainting: Tensor) -> Tensor:
        """Two (B, channels, ...) to one."""
        both = torch.cat([segmentation, inpainting], dim=1)
        reset, select = self.reset(both).sigmoid(), self.select(both).sigmoid()
        new = torch.relu(self.merge(torch.cat([segmentation, reset * inpainting], dim=1)))
        return torch.lerp(segmentation, new, select)


class AddFusion(nn.Module):
    """Sum of both: the paper's ablation "Ours (add)"."""

    def forward(self, segmentation: Tensor, inpainting: Tensor) -> Tensor:
        """Two (B, channels, ...) to one."""
        return segmentation + inpainting


class ConcatFusion(nn.Module):
    """Both side by side, brought back to the width of one by a 1^3 convolution: the paper's "Ours (concat)"."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.merge = conv(dims, 2 * channels, channels, (1, 1, 1))
        _orthogonal(self.merge)

    def forward(self, segmentation: Tensor, inpainting: Tensor) -> Tensor:
        """Two (B, channels, ...) to one."""
        merged: Tensor = self.merge(torch.cat([segmentation, inpainting], dim=1))
        return merged


def make_fusion(name: FusionName, dims: int, channels: int) -> nn.Module:
    """Make a fusion module by its name."""
    if name == "add":
        return AddFusion()
    return GatedFusion(dims, channels) if name == "gated" else ConcatFusion(dims, channels)


def _orthogonal(layer: nn.Module) -> None:
    assert isinstance(layer, (nn.Conv2d, nn.Conv3d))
    assert layer.bias is not None
    nn.init.orthogonal_(layer.weight)
    nn.init.zeros_(layer.bias)
