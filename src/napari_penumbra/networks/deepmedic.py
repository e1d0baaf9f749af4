"""DeepMedic as the mean-teacher paper uses it (Cui et al. 2019, Table 1; Kamnitsas et al., MedIA 2017).

Two equal pathways of eight valid 3^3 convolutions: one sees the image, the other the same centre down-sampled by three.
Their features are joined and classified voxel by voxel.

Published sizes (x, y, z)::

    image 37x37x21 -> 21x21x5 ─┐
                               ├─ 100 channels -> 250 -> 250 -> K
    thirds 23x23x18 -> 7x7x2 ──┘ x3 = 21x21x6, cut to 21x21x5

What Table 1 leaves open follows DeepMedic's own defaults: batch normalisation and PReLU after every convolution,
residual connections at layers 4, 6 and 8 (cropped, and padded with zero channels), dropout of one half before the last
two layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.networks._blocks import Triple, along, conv, crop_to, initialise, norm, valid_conv

FILTERS = (30, 30, 40, 40, 40, 40, 50, 50)
RESIDUAL_LAYERS = (4, 6, 8)
HIDDEN = 250
REACH = len(FILTERS)
"""Voxels that the valid convolutions of a pathway take away on each side."""


class DeepMedic(nn.Module):
    """(B, C, Z, Y, X) to logits (B, K, Z - 2 mz, Y - 2 my, X - 2 mx), m the `margin`; in 2D without Z.

    One tensor goes in, the wide view; the network cuts the centre for its image pathway and averages blocks of
    ``scale`` voxels for the other. Any size with an output of at least one voxel works. The blocks start ``scale - 1``
    voxels inside the input, so the first output voxel is always the first of its block: in evaluation mode, a large
    tile gives the same logits as small ones whose outputs start a multiple of ``scale`` apart.

    Parameters
    ----------
    in_channels, classes, spatial_dims
        As for every network.
    spacing
        Not used: the published network is blind to it. Kept so that all networks are made alike.
    scale
        Down-sampling (z, y, x) of the second pathway. (3, 3, 3) is the paper's; (1, 3, 3) suits thick slices, of which
        three times eighteen would be padding for the most part.
    dropout
        Chance that a hidden feature is dropped, in training.

    Attributes
    ----------
    margin
        9 * scale - 1 per axis: 8 blocks of reach and the start of the blocks; 26 at scale 3, 8 at scale 1.
    divisor
        (1, 1, 1): any size does, though an output that is a multiple of ``scale`` wastes no block.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 3,
        scale: Triple = (3, 3, 3),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.spatial_dims = spatial_dims
        self.scale = along(scale, spatial_dims)
        self._margins = tuple((REACH + 1) * s - 1 for s in self.scale)
        z, y, x = (0, *self._margins)[-3:]
        self.margin: Triple = (z, y, x)
        self.divisor: Triple = (1, 1, 1)
        self.fine = Pathway(spatial_dims, in_channels)
        self.coarse = Pathway(spatial_dims, in_channels)
        self.classify = nn.Sequential(
            _layer(spatial_dims, 2 * FILTERS[-1], HIDDEN, (1, 1, 1)),
            nn.Dropout(dropout),
            _layer(spatial_dims, HIDDEN, HIDDEN, (1, 1, 1)),
            nn.Dropout(dropout),
            conv(spatial_dims, HIDDEN, classes, (1, 1, 1)),
        )
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the voxels that lie at least `margin` inside.

        Raises
        ------
        ModelError
            The input is not larger than its margins.
        """
        fine, coarse = self.views(image)
        features = self.fine(fine)
        wide = self.enlarge(self.coarse(coarse), features.shape[2:])
        logits: Tensor = self.classify(torch.cat([features, wide], dim=1))
        return logits

    def views(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the two pathways: the centre as it is, and the mean of each block of the wide view.

        Parameters
        ----------
        image
            (B, C, Z, Y, X).

        Returns
        -------
        fine
            (B, C, z + 16, y + 16, x + 16) for an output of (z, y, x).
        coarse
            (B, C, ceil(z / s) + 16, …), s the scale of each axis.
        """
        out = [n - 2 * m for n, m in zip(image.shape[2:], self._margins, strict=True)]
        if min(out) < 1:
            need = " × ".join(str(2 * m + 1) for m in self._margins)
            raise ModelError(
                f"A patch of {' × '.join(map(str, image.shape[2:]))} voxels is too small for DeepMedic.",
                f"It needs at least {need} voxels, most of which is the surroundings it looks at.",
            )
        fine = crop_to(image, [n + 2 * REACH for n in out], [m - REACH for m in self._margins])
        blocks = [(-(-n // s) + 2 * REACH) * s for n, s in zip(out, self.scale, strict=True)]
        wide = crop_to(image, blocks, [s - 1 for s in self.scale])
        pool = F.avg_pool3d if self.spatial_dims == 3 else F.avg_pool2d
        return fine, pool(wide, self.scale, self.scale)

    def enlarge(self, coarse: Tensor, sizes: torch.Size) -> Tensor:
        """Repeat each voxel ``scale`` times along each axis and cut to ``sizes``."""
        for axis, s in enumerate(self.scale, start=2):
            coarse = coarse.repeat_interleave(s, dim=axis) if s > 1 else coarse
        return crop_to(coarse, sizes)


class Pathway(nn.Module):
    """Eight valid 3^3 convolutions, 30 to 50 channels: every spatial size shrinks by 16."""

    def __init__(self, dims: int, in_channels: int) -> None:
        super().__init__()
        inputs = (in_channels, *FILTERS[:-1])
        self.convolutions = nn.ModuleList(
            valid_conv(dims, a, b, (3, 3, 3)) for a, b in zip(inputs, FILTERS, strict=True)
        )
        self.norms = nn.ModuleList(norm(dims, b) for b in FILTERS)
        self.activations = nn.ModuleList(nn.PReLU(b) for b in FILTERS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) to (B, 50, ... - 16)."""
        before = x
        layers = zip(self.convolutions, self.norms, self.activations, strict=True)
        for number, (convolution, normalise, activate) in enumerate(layers, start=1):
            y = normalise(convolution(x))
            if number in RESIDUAL_LAYERS:
                y = add_cropped(y, before)
            before, x = x, activate(y)
        return x


def add_cropped(y: Tensor, earlier: Tensor) -> Tensor:
    """Add the centre of an earlier, larger tensor; channels that it lacks get nothing added."""
    start = [(a - b) // 2 for a, b in zip(earlier.shape[2:], y.shape[2:], strict=True)]
    centre = crop_to(earlier, y.shape[2:], start)
    missing = y.shape[1] - centre.shape[1]
    if missing:
        centre = torch.cat([centre, centre.new_zeros((y.shape[0], missing, *y.shape[2:]))], dim=1)
    return y + centre


def _layer(dims: int, inputs: int, outputs: int, kernel: Triple) -> nn.Module:
    return nn.Sequential(valid_conv(dims, inputs, outputs, kernel), norm(dims, outputs), nn.PReLU(outputs))
