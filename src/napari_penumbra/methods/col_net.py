"""COL-Net (Liu et al., Frontiers in Neuroinformatics 2021): segmentation helped by a network that reconstructs images.

R learns to reconstruct images, labelled or not, against a discriminator D; S learns to segment the labelled ones; T
brings R's middle layer over into S's bottleneck. All three are optimised together, so S's loss reaches R's encoder as
well (the paper's co-optimisation).

Where the paper contradicts itself or is silent:

* Eq. 1 prints the discriminator's two cross entropies both on X. One must be on the reconstruction:
  ``L_r = MSE(R(X), X) - [CE(D(R(X)), 0) + CE(D(X), 1)]``. R works against D, hence the minus; the term on X has no
  gradient to R. It is lowered in the non-saturating form ``L_r = MSE(R(X), X) + CE(D(R(X)), 1)``, and D lowers
  ``CE(D(R(X)), 0) + CE(D(X), 1)`` in a phase of its own.
* Eq. 2 prints the Dice of X and Y; it is that of the prediction S(X) and Y, over the foreground classes.
* Eq. 3 prints a minus before lambda, which would maximise the reconstruction error, and Algorithm 1 prints lambda at
  L_s. By the text, and by Figs. 5 and 6 (lambda 0 switches R off), ``L_mix = L_s + lambda L_r``.
* Lambda: the value used is not stated; 0.2 is the best of those above 0. A step without any annotated voxel has
  lambda 0, as the paper asks: it teaches neither S nor R.
* "Pseudo-unlabelled": every labelled patch also goes to R. R's target is standardised per channel; it is scaled by one
  fixed factor and cut to [-1, 1], not by each patch's own extremes, so that a tissue has one target in every patch.
* R and S are trained jointly ("co-optimised"), not one after the other: one optimiser with two learning rates.
  ``reconstruction_steps`` gives R a start on unlabelled patches. The published 80 epochs of S, counted in steps of 19
  volumes with 71 slices at three a batch, make the 36,000 steps of the paper preset.
* The published images are 2D slices; 3D is an extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from napari_penumbra.methods._average import AveragingMethod
from napari_penumbra.methods._base import IGNORE, Losses, MethodConfig, Phase, Problem, StepBatch, Streams
from napari_penumbra.methods._functional import (
    masked_cross_entropy,
    one_hot,
    soft_dice_loss,
    without_gradient,
)
from napari_penumbra.methods._recipe import (
    RecipeConfig,
    optimiser_of,
    patch_for,
    schedule_of,
    streams_of,
)
from napari_penumbra.networks.colnet import CoSegmenter, Discriminator, ReconstructionDecoder


class ColNetConfig(RecipeConfig):
    """Parameters of COL-Net."""

    backbone: Literal["colnet"] = Field(
        "colnet", title="Network", description="The method is its network: no other one has the place for the transfer."
    )
    reconstruction_weight: float = Field(
        0.2,
        ge=0,
        le=100,
        title="Reconstruction weight",
        description="Weight (lambda) of the reconstruction beside the segmentation; 0 switches it off.",
    )
    adversarial_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Adversarial weight",
        description="Weight of deceiving the discriminator inside the reconstruction's loss; 0 does without it.",
    )
    reconstruction_rate: float = Field(
        1e-4,
        gt=0,
        le=10,
        title="Learning rate of the reconstruction",
        description="Step size of the reconstruction network at the start.",
    )
    discriminator_rate: float = Field(
        1e-4,
        gt=0,
        le=10,
        title="Learning rate of the discriminator",
        description="Step size at the start of the network that tells images from reconstructions.",
    )
    reconstruction_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Reconstruction steps first",
        description=(
            "Steps in which only the reconstruction learns, on unlabelled cases, at most half of all steps. Without "
            "unlabelled cases nothing happens in them."
        ),
        json_schema_extra={"unit": "steps"},
    )
    intensity_reach: float = Field(
        4.0,
        gt=0,
        le=100,
        title="Reconstructed range",
        description="Intensities up to this far from the mean are reconstructed; those beyond count as the limit.",
        json_schema_extra={"unit": "standard deviations of the image"},
    )
    dropout: float = Field(
        0.01, ge=0, lt=1, title="Dropout", description="Share of the deepest features that is dropped in training."
    )
    cross_entropy_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Cross entropy weight",
        description="Weight of a cross entropy beside the Dice loss on annotated voxels; the paper has none.",
    )
    ema_late: float = Field(
        0.99,
        ge=0,
        lt=1,
        title="Weight average",
        description=(
            "Predict with an exponential moving average of the weights that keeps this share of itself at each step; "
            "0, as in the paper, predicts with the last weights."
        ),
    )


class ColNet(AveragingMethod):
    """S, R, T and D; ``L_mix = L_s + lambda * L_r`` (Eqs. 1 to 3 of the paper, corrected)."""

    title = "COL-Net"
    summary = (
        "Learns to reconstruct every case and brings what that teaches into the segmentation; take it for slices with "
        "several modalities. Reconstruction is all that unlabelled cases give it, so expect a small gain."
    )
    paper = (
        "L. Liu, J. Zhang, J. Wang, S. Xiong, H. Zhang: Co-optimization Learning Network for MRI Segmentation of "
        "Ischemic Penumbra Tissues. Frontiers in Neuroinformatics 15, 2021."
    )
    Config: ClassVar[type[MethodConfig]] = ColNetConfig
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "width": 32,
            "patch": (16, 112, 96),
            "labelled_batch": 3,
            "unlabelled_batch": 3,
            "steps": 36_000,
            "optimiser": "adam",
            "learning_rate": 1e-4,
            "reconstruction_rate": 1e-5,
            "discriminator_rate": 1e-5,
            "weight_decay": 0.0,
            "poly_power": 0.0,
            "foreground_share": 0.0,
            "cross_entropy_weight": 0.0,
            "ema_late": 0.0,
            "keep_best": True,
        },
        "workstation": {
            "width": 32,
            "patch": (32, 192, 192),
            "labelled_batch": 8,
            "unlabelled_batch": 8,
            "steps": 10_000,
            "optimiser": "adamw",
            "learning_rate": 1e-3,
            "reconstruction_rate": 1e-3,
            "ema_late": 0.999,
        },
        "laptop": {
            "width": 16,
            "patch": (16, 80, 80),
            "labelled_batch": 3,
            "unlabelled_batch": 3,
            "steps": 1500,
            "optimiser": "adamw",
            "learning_rate": 2e-3,
            "reconstruction_rate": 2e-3,
        },
    }

    config: ColNetConfig

    def __init__(self, config: MethodConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        shape = (problem.spacing, problem.spatial_dims, self.config.width)
        self.network = CoSegmenter(problem.in_channels, problem.classes, *shape, self.config.dropout)
        self.decoder = ReconstructionDecoder(problem.in_channels, *shape)
        self.discriminator = Discriminator(problem.in_channels, *shape)
        self.keep_average(self.network, self.config.ema_late)
        self.patch = patch_for(self.config, problem, self.network)

    @property
    def reconstruction_steps(self) -> int:
        """Steps of R alone: the config's, never more than half of the run, none where lambda is 0."""
        if self.config.reconstruction_weight == 0:
            return 0
        return min(self.config.reconstruction_steps, self.config.steps // 2)

    def streams(self, step: int) -> Streams:
        """No labelled patches while R learns alone, so that the supervised twin sees the same number of them."""
        wanted = streams_of(self.config, self.patch, self.config.unlabelled_batch)
        if self.config.reconstruction_weight == 0:
            return Streams(wanted.labelled, 0, wanted.patch, wanted.foreground_share)
        if step < self.reconstruction_steps:
            return Streams(0, max(wanted.unlabelled, wanted.labelled), wanted.patch, wanted.foreground_share)
        return wanted

    # ------------------------------------------------------------- phases

    def phases(self) -> tuple[Phase, ...]:
        """S, T and R with two learning rates; then D."""
        schedule = schedule_of(self.config)
        together = [*self.network.parameters(), *self.decoder.parameters()]
        judge = list(self.discriminator.parameters())
        rate = self.config.discriminator_rate
        return (
            Phase("networks", together, self._optimiser, self._losses, schedule),
            Phase("discriminator", judge, optimiser_of(_with_rate(self.config, rate)), self._judge_losses, schedule),
        )

    def _optimiser(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The config's optimiser; R's weights form two more groups (decaying or not) with their own learning rate."""
        of_r = {id(p) for p in (*self.network.encoder.parameters(), *self.decoder.parameters())}
        optimiser = optimiser_of(self.config)([p for p in parameters if id(p) not in of_r])
        slower = optimiser_of(_with_rate(self.config, self.config.reconstruction_rate))
        for group in slower([p for p in parameters if id(p) in of_r]).param_groups:
            optimiser.add_param_group(group)
        return optimiser

    def _losses(self, batch: StepBatch) -> Losses | None:
        if batch.image is None or batch.label is None:
            return self._reconstruction_alone(batch)
        images, count = batch.image, len(batch.image)
        weight = self.config.reconstruction_weight
        if weight and batch.unlabelled is not None:
            # One forward, so that one batch normalisation sees both kinds of cases.
            images = torch.cat([images, batch.unlabelled])
        features = self.network.features(images)
        logits = self.network(batch.image, features[:count])
        total, parts = self.labelled_loss(logits, batch.label)
        if weight:
            reconstruction, more = self._reconstruction_loss(batch, images, features)
            known = (batch.label != IGNORE).any().to(reconstruction.dtype)
            total = total + weight * known * reconstruction
            parts |= more
        return Losses(total, parts)

    def _reconstruction_alone(self, batch: StepBatch) -> Losses | None:
        """L_r in the steps where R learns alone; otherwise lambda is 0, as there is no L_s."""
        if batch.step >= self.reconstruction_steps or batch.unlabelled is None:
            return None
        features = self.network.features(batch.unlabelled)
        return Losses(*self._reconstruction_loss(batch, batch.unlabelled, features))

    def _reconstruction_loss(
        self, batch: StepBatch, images: Tensor, features: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_r (Eq. 1, corrected); leaves what D needs in the batch's scratch."""
        target = self.scaled(images)
        reconstructed = self.decoder(features, images.shape[2:]).float()
        total = F.mse_loss(reconstructed, target)
        parts = {"reconstruction": total.detach()}
        if self.config.adversarial_weight:
            with without_gradient(self.discriminator):
                deceived = _judgement_loss(self.discriminator(reconstructed), 1)
            total = total + self.config.adversarial_weight * deceived
            parts["deception"] = deceived.detach()
            batch.scratch["reconstructed"], batch.scratch["target"] = reconstructed.detach(), target
        return total, parts

    def _judge_losses(self, batch: StepBatch) -> Losses | None:
        """L_D: CE(D(R(X)), 0) + CE(D(X), 1); the reconstruction is the one that R's phase has made, detached."""
        if "reconstructed" not in batch.scratch:
            return None
        fake = _judgement_loss(self.discriminator(batch.scratch["reconstructed"]), 0)
        real = _judgement_loss(self.discriminator(batch.scratch["target"]), 1)
        return Losses(fake + real, {"reconstructed": fake.detach(), "real": real.detach()})

    def scaled(self, image: Tensor) -> Tensor:
        """R's target: (B, C, Z, Y, X) standardised intensities brought to [-1, 1], by the same factor everywhere."""
        return (image.detach().float() / self.config.intensity_reach).clamp(-1, 1)

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """L_s (Eq. 2): Dice loss over the foreground classes, plus a cross entropy in the presets that want one."""
        logits = logits.float()
        dice = foreground_dice_loss(logits, label)
        total, parts = self.config.dice_weight * dice, {"dice_loss": dice.detach()}
        if self.config.cross_entropy_weight:
            entropy = masked_cross_entropy(logits, label)
            total = total + self.config.cross_entropy_weight * entropy
            parts["cross_entropy"] = entropy.detach()
        return total, parts

    # ------------------------------------------------------------- use

    def predictor(self) -> nn.Module:
        """Both encoders, T and S's decoder, averaged if the config says so; R's decoder and D stay behind."""
        return self.seasoned

    def segmenter(self) -> nn.Module:
        """S alone, without what T brings over."""
        return self.network.segmenter

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        """Lead of the first class over the second, ``p1 - p2``: 0 at a tie, 1 when certain. It is not calibrated.

        R's reconstruction error does not enter. Lesions are what R reconstructs worst: on simulated strokes its error
        is three times as high there as elsewhere, and within the predicted lesion it is higher where the prediction is
        right. Lowering the confidence by it tells lesion from background, which the labels do already, and sorts right
        from wrong voxels in and around lesions less well than the lead alone.
        """
        return super().confidence(image, probability)


def foreground_dice_loss(logits: Tensor, label: Tensor) -> Tensor:
    """``1 - mean_k DC(S(X)_k, Y_k)`` over the foreground classes k (Eq. 2, corrected), each over space and batch.

    Parameters
    ----------
    logits
        (B, K, Z, Y, X).
    label
        (B, Z, Y, X) int64 with `IGNORE`; those voxels count on neither side.

    Returns
    -------
    Tensor
        Scalar; 0 with zero gradient if no voxel is annotated.
    """
    known = label != IGNORE
    target = one_hot(label.masked_fill(~known, 0), logits.shape[1]).to(logits.dtype)
    return soft_dice_loss(logits.softmax(1)[:, 1:], target[:, 1:], known.unsqueeze(1).to(logits.dtype))


def _judgement_loss(logits: Tensor, truth: int) -> Tensor:
    """CE(D(.), truth): mean cross entropy of D's two classes, 0 reconstructed and 1 real."""
    return F.cross_entropy(logits.float(), torch.full((len(logits),), truth, device=logits.device))


def _with_rate(config: ColNetConfig, rate: float) -> ColNetConfig:
    return config.model_copy(update={"learning_rate": rate})
