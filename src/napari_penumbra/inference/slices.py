"""A network that sees one slice, as one that sees volumes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SLICES_AT_ONCE = 8
"""More gain nothing on a CPU and cost memory."""


class SliceWise(nn.Module):
    """Runs a 2D network on every slice of a volume and stacks the answers.

    Parameters
    ----------
    network
        (B, C, Y, X) to logits (B, K, Y, X); its ``margin`` and ``divisor`` (z, y, x), if it has them, are kept.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for name in ("margin", "divisor"):
            if hasattr(network, name):
                setattr(self, name, getattr(network, name))

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, Z, Y, X) to logits (B, K, Z, Y, X)."""
        batch, depth = image.shape[0], image.shape[2]
        slices = image.movedim(2, 1).flatten(0, 1)
        logits = torch.cat([self.network(part) for part in slices.split(SLICES_AT_ONCE)])
        return logits.unflatten(0, (batch, depth)).movedim(1, 2)
