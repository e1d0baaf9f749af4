"""The network of the self-correction paper: segment, hide what was found, paint it anew, segment again.

Zhang et al., MICCAI 2021, Fig. 1: one encoder for the image and for the image with its lesions hidden, fused features
at five levels, one decoder that segments and one that inpaints, each with a result at five scales.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_penumbra.networks._blocks import Triple, crop_to, initialise, total_stride
from napari_penumbra.networks.fusion import FusionName, make_fusion
from napari_penumbra.networks.resunet import LEVELS, Decoder, Head, ResNetEncoder, pad_for


class DualTaskNetwork(nn.Module):
    """Segmentation and inpainting with a shared encoder and fused features.

    Every foreground class has a logit of its own, to be read through a sigmoid: F = K - 1 channels.

    Parameters
    ----------
    in_channels, classes, spacing, spatial_dims
        As for every network.
    width, depth
        Of the encoder; 64 and 34 are the paper's.
    fusion
        ``gated``, ``add`` or ``concat``.
    dropout
        Chance that a channel before a result is dropped, in training.

    Attributes
    ----------
    margin, divisor
        (z, y, x), as for every network.
    strides
        (z, y, x) between one scale of results and the next coarser one.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spatial_dims: int = 2,
        width: int = 64,
        depth: int = 34,
        fusion: FusionName = "gated",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(in_channels, spacing, spatial_dims, width, depth)
        self.segmentation = Decoder(self.encoder)
        self.inpainting = Decoder(self.encoder, transposed=True)
        self.segmentation_heads = _heads(self.encoder, classes - 1, dropout)
        self.inpainting_heads = _heads(self.encoder, in_channels, dropout)
        for module in (self.segmentation, self.inpainting, self.segmentation_heads, self.inpainting_heads):
            initialise(module)
        self.fusions = nn.ModuleList(make_fusion(fusion, spatial_dims, c) for c in self.encoder.channels)
        self.margin: Triple = (0, 0, 0)
        self.divisor: Triple = total_stride(self.encoder.strides)
        self.strides: list[Triple] = self.encoder.strides[: LEVELS - 1]

    def forward(
        self, image: Tensor, segment: bool = True, inpaint: bool = False, learn_coarse: bool = False
    ) -> dict[str, list[Tensor]]:
        """Both passes.

        Results of one kind come as a list, full size first, then 1/2, 1/4, 1/8 and 1/16. Sizes are those of the padded
        image (`pad`).

        The encoder sees the image once for both passes. The mask is hard, so nothing could flow back through the coarse
        segmentation: it is computed without a graph. This gives the gradients of the published order of work exactly.

        Parameters
        ----------
        image
            (B, C, Z, Y, X).
        segment
            Whether gradients are wanted through the fine segmentation; it is computed either way.
        inpaint
            Whether the image is inpainted as well.
        learn_coarse
            Whether gradients are wanted through the coarse segmentation.

        Returns
        -------
        dict
            ``coarse``: one (B, F, ...) of logits; ``segmentation``: five (B, F, ...) of logits; ``inpainting``: five
            (B, C, ...) of intensities, or none. The largest inpainting is the image itself outside the fine mask.
        """
        full = self.pad(image)
        features = self.encoder(full)
        with torch.set_grad_enabled(learn_coarse and torch.is_grad_enabled()):
            coarse = self._full_size(features)
        hidden = full * (~foreground(coarse.detach())).to(full.dtype)
        fused = [fuse(a, b) for fuse, a, b in zip(self.fusions, features, self.encoder(hidden), strict=True)]
        with torch.set_grad_enabled(segment and torch.is_grad_enabled()):
            fine = _results(self.segmentation_heads, self.segmentation(fused))
        painted: list[Tensor] = []
        if inpaint:
            painted = _results(self.inpainting_heads, self.inpainting(fused))
            painted[0] = torch.where(foreground(fine[0].detach()), painted[0], full.to(painted[0].dtype))
        return {"coarse": [coarse], "segmentation": fine, "inpainting": painted}

    def coarse(self, image: Tensor) -> Tensor:
        """(B, C, Z, Y, X) to (B, F, Z, Y, X): logits of the first pass (Eq. 1), features not fused."""
        return crop_to(self._full_size(self.encoder(self.pad(image))), image.shape[2:])

    def pad(self, image: Tensor) -> Tensor:
        """Pad to sizes that the encoder can halve."""
        return pad_for(self.encoder, image)

    def _full_size(self, features: list[Tensor]) -> Tensor:
        logits: Tensor = self.segmentation_heads[0](self.segmentation(features)[0])
        return logits


class Refinement(nn.Module):
    """Both passes as one module, for inference: (B, C, Z, Y, X) to logits (B, K, Z, Y, X)."""

    def __init__(self, network: DualTaskNetwork) -> None:
        super().__init__()
        self.network = network
        self.margin, self.divisor = network.margin, network.divisor

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the fine segmentation; see `with_background`."""
        fine: Tensor = self.network(image)["segmentation"][0]
        return with_background(crop_to(fine, image.shape[2:]))


class FirstPass(nn.Module):
    """The first pass alone, a Res-UNet: (B, C, Z, Y, X) to logits (B, K, Z, Y, X).

    Shares its modules with the network it is made of; a deep copy of it stands alone.
    """

    def __init__(self, network: DualTaskNetwork) -> None:
        super().__init__()
        self.encoder, self.decoder = network.encoder, network.segmentation
        self.head = network.segmentation_heads[0]
        self.margin, self.divisor = network.margin, network.divisor

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's own size; see `with_background`."""
        features = self.encoder(pad_for(self.encoder, image))
        return with_background(crop_to(self.head(self.decoder(features)[0]), image.shape[2:]))


def with_background(logits: Tensor) -> Tensor:
    """Sigmoid logits (B, F, ...) to softmax logits (B, K, ...): a zero for the background is put before them.

    For one class, softmax of the result is the sigmoid exactly. For several it is the probability of each class given
    that at most one is there: independent sigmoids, conditioned on classes that exclude each other. A voxel becomes
    foreground if and only if some sigmoid exceeds one half.
    """
    return torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)


def foreground(logits: Tensor) -> Tensor:
    """(B, F, ...) of sigmoid logits to (B, 1, ...) bool: where some class is more likely there than not."""
    return logits.amax(dim=1, keepdim=True) > 0


def _heads(encoder: ResNetEncoder, outputs: int, dropout: float) -> nn.ModuleList:
    """One per scale, full size first. The full-size head halves its channels, the others take a quarter."""
    dims, channels = encoder.spatial_dims, encoder.channels
    return nn.ModuleList(
        Head(dims, c, c // 4 if level else c // 2, outputs, dropout) for level, c in enumerate(channels)
    )


def _results(heads: nn.ModuleList, features: list[Tensor]) -> list[Tensor]:
    return [head(feature) for head, feature in zip(heads, features, strict=True)]
