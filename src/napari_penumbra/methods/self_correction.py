"""Self-supervised correction (Zhang et al., MICCAI 2021): find the lesion, hide it, paint it anew, look again.

A first pass segments coarsely. What it found is hidden, and the same encoder reads the image and the rest of it. Gates
fuse both at five levels; one decoder segments again, which is the answer, and on unannotated images a second one paints
what was hidden. To paint it well, the encoder must know what lesions look like: that is what the unannotated images
teach. ``L = 2 L_seg + 1 L_inp`` (Eq. 11).

What the paper leaves open, and how it is settled here. With the authors' code: the rectifier in the gates, the mean
instead of the sum in Eq. 10, both streams forwarded apart, and no loss on the coarse result, which therefore needs no
graph. Otherwise: a transposed convolution acts on the channels that its block has made (in the code as released, the
two do not fit together); an empty mask costs 0; soft targets at smaller scales are block means, which no shift spoils,
and unknown voxels have no part in them; several classes have a sigmoid each, and any of them hides a voxel.

Images are standardised here, not divided by 255: what is hidden becomes 0, the mean, and the inpainting loss counts in
standard deviations, of which intensities between 0 and 1 span only a few. So the same weight means several times more
here, and all presets but ``paper`` take a quarter. Weight decay spares biases and norms.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from napari_penumbra.methods._average import AveragingMethod
from napari_penumbra.methods._base import IGNORE, Losses, MethodConfig, Phase, Problem, StepBatch, Streams
from napari_penumbra.methods._deep_supervision import image_pyramid, masked_l1, sigmoid_losses, target_pyramid
from napari_penumbra.methods._functional import average_into
from napari_penumbra.methods._recipe import RecipeConfig, optimiser_of, patch_for, schedule_of, streams_of
from napari_penumbra.networks._blocks import along
from napari_penumbra.networks.dual_task import DualTaskNetwork, FirstPass, Refinement, foreground
from napari_penumbra.networks.fusion import FusionName
from napari_penumbra.networks.pretrained import load_encoder


class SelfCorrectionConfig(RecipeConfig):
    """Parameters of self-supervised correction."""

    backbone: Literal["resunet"] = Field(
        "resunet", title="Network", description="This method has a network of its own, made of a ResNet."
    )
    width: int = Field(
        64,
        ge=2,
        le=128,
        title="Width",
        description="Channels of the first stage, doubled at each further one; 64 is the published ResNet.",
        json_schema_extra={"unit": "channels"},
    )
    depth: Literal[34, 18, 10] = Field(
        34, title="Depth", description="Layers of the ResNet: 34 in the paper, 18 and 10 learn faster."
    )
    fusion: FusionName = Field(
        "gated",
        title="Fusion",
        description="How both views of the image are joined: gated as in the paper, or its two plainer comparisons.",
    )
    dropout: float = Field(
        0.1, ge=0, lt=1, title="Dropout", description="Chance that a channel before a result is left out, in training."
    )
    encoder_weights: str = Field(
        "",
        title="Encoder's starting weights",
        description=(
            "Full path of a .safetensors file with ImageNet weights of the ResNet (torchvision's names), for 2D and "
            "width 64; read once, when training begins. Empty: random weights."
        ),
    )
    segmentation_weight: float = Field(
        2.0, ge=0, le=100, title="Segmentation weight", description="Weight of the loss on annotated images."
    )
    inpainting_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Inpainting weight",
        description="Weight of the loss on what is painted in unannotated images.",
    )
    coarse_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Coarse weight",
        description=(
            "Weight of the annotated loss on the first, coarse result, beside that on the corrected one; 0 in the "
            "paper, where the first pass learns only by sharing its weights with the second."
        ),
    )
    ema_late: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Weight average",
        description=(
            "Predict with an exponential moving average of the weights that keeps this share of itself at each step; "
            "0, as in the paper, predicts with the last weights."
        ),
    )
    refresh_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Predict the pool every",
        description=(
            "Centre unannotated patches on the lesion predicted there, and predict it at this interval; patches "
            "without one teach nothing. 0: draw them anywhere, as in the paper."
        ),
        json_schema_extra={"unit": "steps"},
    )


class SelfCorrection(AveragingMethod):
    """Coarse segmentation, inpainting of what it found, corrected segmentation."""

    title = "Self-correction"
    summary = (
        "Learns from annotated images and from painting anew, on the rest, what it takes for a lesion; take it for "
        "pictures and slices whose lesions differ in texture from what surrounds them."
    )
    paper = (
        "R. Zhang, S. Liu, Y. Yu, G. Li: Self-supervised Correction Learning for Semi-supervised Biomedical Image "
        "Segmentation. MICCAI 2021."
    )
    Config: ClassVar[type[MethodConfig]] = SelfCorrectionConfig
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "patch": (32, 256, 256),
            "labelled_batch": 4,
            "unlabelled_batch": 4,
            "foreground_share": 0.0,
            "steps": 9600,
            "optimiser": "sgd",
            "learning_rate": 1e-3,
            "momentum": 0.9,
            "weight_decay": 1e-5,
            "poly_power": 0.9,
        },
        "workstation": {
            "patch": (32, 192, 192),
            "labelled_batch": 8,
            "unlabelled_batch": 8,
            "steps": 10_000,
            "optimiser": "adamw",
            "learning_rate": 5e-4,
            "inpainting_weight": 0.25,
            "ema_late": 0.999,
            "refresh_steps": 2500,
        },
        "laptop": {
            "width": 16,
            "depth": 18,
            "patch": (32, 96, 96),
            "labelled_batch": 4,
            "unlabelled_batch": 4,
            "steps": 2000,
            "optimiser": "adamw",
            "learning_rate": 2e-3,
            "inpainting_weight": 0.25,
            "ema_late": 0.99,
            "refresh_steps": 500,
        },
    }

    config: SelfCorrectionConfig

    def __init__(self, config: MethodConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        self.network = DualTaskNetwork(
            problem.in_channels,
            problem.classes,
            problem.spacing,
            problem.spatial_dims,
            self.config.width,
            self.config.depth,
            self.config.fusion,
            self.config.dropout,
        )
        self.keep_average(self.network, self.config.ema_late)
        self.patch = patch_for(self.config, problem, self.network)
        self._strides = [along(stride, problem.spatial_dims) for stride in self.network.strides]

    def start(self) -> None:
        """Read the encoder's starting weights, if the config names a file; raises `ModelError` in words."""
        if not self.config.encoder_weights:
            return
        load_encoder(self.network.encoder, self.config.encoder_weights)
        if self.average is not None:
            average_into(self.average, self.network, decay=0.0)

    def streams(self, step: int) -> Streams:
        """Both streams from the first step on."""
        return streams_of(self.config, self.patch, self.config.unlabelled_batch)

    def phases(self) -> tuple[Phase, ...]:
        """One optimiser over the whole network."""
        parameters = list(self.network.parameters())
        return (Phase("network", parameters, optimiser_of(self.config), self._losses, schedule_of(self.config)),)

    def wants_pool_prediction(self, step: int) -> bool:
        """Ask for it every ``refresh_steps``."""
        return self.config.refresh_steps > 0 and step > 0 and step % self.config.refresh_steps == 0

    def predictor(self) -> nn.Module:
        """Both passes; the corrected segmentation answers."""
        return Refinement(self._seasoned)

    def segmenter(self) -> nn.Module:
        """Encoder and segmentation decoder, a Res-UNet: the paper's baseline."""
        return FirstPass(self.network)

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy and Dice of Eq. 9 at full size, weighted as in Eq. 11.

        Every foreground class is judged by a sigmoid of its own: its logit less that of the background.
        """
        target, weight = target_pyramid(label, self.problem.classes, [])[0]
        return self._weighted([sigmoid_losses(logits[:, 1:] - logits[:, :1], target, weight)])

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        """Certainty of the corrected segmentation, less where it overturned the first one.

        ``(p1 - p2) * (1 - d)``: the lead of the first class over the second, times the share of probability that the
        correction left in place, where ``d`` is the total variation distance between the coarse and the corrected
        probabilities. 1 where both passes are certain of one class; 0 at a tie, and where the second pass is certain of
        what the first ruled out. It is not calibrated.
        """
        with torch.no_grad():
            first = FirstPass(self._seasoned)(image).float().softmax(1)
        moved = (first - probability).abs().sum(1) / 2
        return super().confidence(image, probability) * (1 - moved).clamp(0, 1)

    @property
    def _seasoned(self) -> DualTaskNetwork:
        """The network that predicts."""
        return cast("DualTaskNetwork", self.seasoned)

    def _losses(self, batch: StepBatch) -> Losses | None:
        total: Tensor | None = None
        parts: dict[str, Tensor] = {}
        if batch.image is not None and batch.label is not None:
            total, parts = self._on_labelled(batch.image, batch.label)
        if batch.unlabelled is not None and self.config.inpainting_weight:
            inpainting, share = self._on_unlabelled(batch.unlabelled)
            weighted = self.config.inpainting_weight * inpainting
            total = weighted if total is None else total + weighted
            parts |= {"inpainting": inpainting.detach(), "hidden_share": share}
        return None if total is None else Losses(total, parts)

    def _on_labelled(self, image: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 9: sum over five scales, the coarse result apart if it counts."""
        image, label = self._padded(image, label)
        answer = self.network(image, learn_coarse=self.config.coarse_weight > 0)
        scales = target_pyramid(label, self.problem.classes, self._strides)
        found = zip(answer["segmentation"], scales, strict=True)
        total, parts = self._weighted([sigmoid_losses(logits, *scale) for logits, scale in found])
        if self.config.coarse_weight:
            coarse, _ = self._weighted([sigmoid_losses(answer["coarse"][0], *scales[0])])
            total = total + self.config.coarse_weight * coarse
            parts["coarse"] = coarse.detach()
        return total, parts

    def _on_unlabelled(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 10: sum over five scales of the error inside what the same scale segments; and the share that is hidden.

        No gradient flows into the masks, so the segmentation of unannotated images needs no graph.
        """
        whole, inside = self._padded(image, torch.zeros_like(image[:, 0], dtype=torch.int64))
        answer = self.network(whole, segment=False, inpaint=True)
        known = target_pyramid(inside, self.problem.classes, self._strides)
        loss = whole.new_zeros((), dtype=torch.float32)
        pyramid = image_pyramid(whole, self._strides)
        for painted, target, logits, (_, weight) in zip(
            answer["inpainting"], pyramid, answer["segmentation"], known, strict=True
        ):
            loss = loss + masked_l1(painted, target, foreground(logits) & (weight > 0))
        return loss, foreground(answer["coarse"][0]).float().mean()

    def _weighted(self, scales: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, dict[str, Tensor]]:
        cross_entropy = torch.stack([scale[0] for scale in scales]).sum()
        dice = torch.stack([scale[1] for scale in scales]).sum()
        total = self.config.segmentation_weight * (cross_entropy + self.config.dice_weight * dice)
        return total, {"cross_entropy": cross_entropy.detach(), "dice_loss": dice.detach()}

    def _padded(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Image and label in sizes that can be halved five times; nothing is known where there was no image."""
        whole = self.network.pad(image)
        pads = [n for new, old in zip(whole.shape[:1:-1], image.shape[:1:-1], strict=True) for n in (0, new - old)]
        return whole, F.pad(label, pads, value=IGNORE)
