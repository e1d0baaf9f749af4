"""ASDNet (Nie et al., MICCAI 2018): a confidence network says which parts of its own predictions a network may learn.

The segmentation network S learns from annotated patches, from hard ones most. The confidence network D learns to tell,
voxel by voxel, the label maps of readers from those of S; S also learns to be taken for a reader, and from its own
decisions on unannotated patches wherever D finds them credible.

What the paper leaves open or prints wrong, and how it is settled here:

- Eqs. 1, 2 and 6 are lost in print; they are the generalised Dice of Sudre et al. 2017 per patch, times the sample
  weight, and the same over the trusted voxels with weights of the trusted decisions. Eqs. 3 to 5 sum over voxels; the
  mean is taken, so that the weights of Eq. 7 do not depend on the patch.
- Classes that a patch lacks: see `generalised_dice_loss`. ``dsc`` of Eq. 2 is the Dice of the decision, mean over the
  organs in the patch; a patch of background counts in full.
- The threshold is not given: 0.2, and the region-attention loss from a quarter of the steps on, as in the paper's model
  (Hung et al., BMVC 2018). How S and D take turns is not given: each step S first, then D, which sees what S has just
  said, without a gradient.
- While S learns, D evaluates: fixed weights and the running statistics of its batch normalisation. The mask is so the
  confidence that is shown to a reader later. D itself sees readers' maps and S's in one batch, with one normalisation.
- Unknown voxels of annotated patches are left out of every loss, D's too. D's input holds what S says there, in the
  reader's map as well as in S's own, so that they give nothing away; no gradient passes through them.
- Not in the paper, and off in its preset: a floor under the sample weight, without which the adversarial loss rules
  once S is good; cross entropy beside the generalised Dice; prediction by an average of S's weights; the whole pool
  predicted once, when the region-attention loss sets in, so that unannotated patches too are centred on organs two
  times in three; the lead of the first class as the confidence that a reader is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_penumbra.methods._asdnet_losses import generalised_dice_loss, hard_dice, masked_bce, sample_weight
from napari_penumbra.methods._average import AveragingMethod
from napari_penumbra.methods._base import IGNORE, Losses, MethodConfig, Phase, Problem, StepBatch, Streams
from napari_penumbra.methods._functional import (
    centre_crop,
    masked_cross_entropy,
    one_hot,
    without_gradient,
)
from napari_penumbra.methods._recipe import (
    Backbone,
    OptimiserName,
    RecipeConfig,
    make_network,
    optimiser_of,
    patch_for,
    schedule_of,
    streams_of,
)
from napari_penumbra.networks.confidence_net import ConfidenceNet, confidence_map


class AsdNetConfig(RecipeConfig):
    """Parameters of ASDNet."""

    backbone: Backbone = Field(
        "svnet",
        title="Network",
        description="svnet is the paper's, a small V-Net; any other can take its place.",
    )
    optimiser: OptimiserName = Field(
        "adam", title="Optimiser", description="adam is the paper's, for both networks; the others work as well."
    )
    foreground_share: float = Field(
        2 / 3, ge=0, le=1, title="Lesion share", description="Share of patches centred on a foreground voxel."
    )
    dice_weight: float = Field(
        1.0,
        ge=1,
        le=1,
        title="Dice weight",
        description="Always 1: the generalised Dice is what the other losses are weighed against.",
    )
    cross_entropy_weight: float = Field(
        0.0,
        ge=0,
        le=10,
        title="Cross entropy weight",
        description="Weight of the cross entropy of annotated voxels beside the generalised Dice; 0 in the paper.",
    )
    attention_power: float = Field(
        2.0,
        ge=0,
        le=5,
        title="Sample attention",
        description=(
            "Patches count (1 - Dice) to this power, so that those already learnt hold nothing up; "
            "0 counts all patches alike."
        ),
    )
    attention_floor: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Least sample weight",
        description="Patches never count less than this, however good; 0 in the paper.",
    )
    adversarial_weight: float = Field(
        0.03,
        ge=0,
        le=100,
        title="Adversarial weight",
        description="Weight of being taken for a reader by the confidence network.",
    )
    semi_weight: float = Field(
        0.3,
        ge=0,
        le=100,
        title="Region attention weight",
        description="Weight of learning from credible regions of the predictions on unannotated cases.",
    )
    semi_loss: Literal["dice", "ce"] = Field(
        "dice",
        title="Region attention loss",
        description="Generalised Dice over the credible voxels, as published, or their cross entropy (ce).",
    )
    threshold: float = Field(
        0.2,
        ge=0,
        le=1,
        title="Credible from",
        description="Confidence above which a voxel of an unannotated case is learnt from.",
    )
    semi_start: float = Field(
        0.25,
        ge=0,
        le=1,
        title="Region attention starts",
        description="Share of the steps after which unannotated cases are learnt from; until then confidence is noise.",
        json_schema_extra={"unit": "share of all steps"},
    )
    unlabelled_fakes: bool = Field(
        False,
        title="Confidence network sees unannotated cases",
        description="Let it also tell predictions on unannotated cases from readers' maps; not in the paper.",
    )
    confidence_width: int = Field(
        32,
        ge=2,
        le=128,
        title="Width of the confidence network",
        description="Channels at full resolution, doubled at each of its three halvings.",
        json_schema_extra={"unit": "channels"},
    )
    confidence_learning_rate: float = Field(
        1e-4,
        gt=0,
        le=10,
        title="Learning rate of the confidence network",
        description="Step size at the start; it falls as the other one does.",
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
    shown_confidence: Literal["network", "lead"] = Field(
        "network",
        title="Confidence shown",
        description=(
            "What a reader is shown: the confidence network's map, as published, or the lead of the first class over "
            "the second (lead). The network's map decides what is learnt from either way."
        ),
    )
    centre_unlabelled: bool = Field(
        True,
        title="Look for organs in unannotated cases",
        description=(
            "Predict all unannotated cases once, when they begin to be learnt from, so that their patches are centred "
            "on foreground as often as those of annotated cases; otherwise they are drawn anywhere."
        ),
    )


class AsdNet(AveragingMethod):
    """Segmentation and confidence network, ``L_S = L_AttDice + 0.03 L_ADV + 0.3 L_semi`` (Eq. 7) against Eq. 3."""

    title = "ASDNet"
    summary = (
        "Learns from those parts of its own predictions that a second network takes for a reader's; take it for one or "
        "several organs whose shape is much the same in everyone."
    )
    paper = (
        "D. Nie, Y. Gao, L. Wang, D. Shen: ASDNet: Attention Based Semi-supervised Deep Networks for Medical Image "
        "Segmentation. MICCAI 2018."
    )
    confidence_means = (
        "With the confidence shown set to lead, as in the laptop preset: the lead of the most probable class over the "
        "second. Set to network, as in the others: how much the outlines around this voxel look like those that "
        "readers drew in the training cases, as a second network judges them: it looks at the outlines only, not at "
        "the image. Neither is a probability of being right."
    )
    Config: ClassVar[type[MethodConfig]] = AsdNetConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        # Section 2.4; "every 3 epochs" is read as a third of the run, as nothing says how long an epoch is.
        "paper": {
            "width": 16,
            "patch": (16, 64, 64),
            "labelled_batch": 4,
            "unlabelled_batch": 4,
            "steps": 30_000,
            "learning_rate": 1e-3,
            "weight_decay": 1e-4,
            "poly_power": 0.0,
            "decay_steps": 10_000,
            "centre_unlabelled": False,
        },
        "workstation": {
            "width": 32,
            "patch": (64, 128, 128),
            "labelled_batch": 2,
            "unlabelled_batch": 2,
            "steps": 10_000,
            "attention_floor": 0.05,
            "ema_late": 0.999,
        },
        # In so short a run the paper's sample attention and weight of the adversary cost more than they bring, and the
        # generalised Dice needs cross entropy beside it. The confidence network then gives wrong voxels more than right
        # ones, which would lead a reader past the errors (docs/methods.md has the figures).
        "laptop": {
            "width": 8,
            "confidence_width": 8,
            "patch": (16, 64, 64),
            "labelled_batch": 2,
            "unlabelled_batch": 2,
            "steps": 1500,
            "cross_entropy_weight": 1.0,
            "attention_power": 0.0,
            "adversarial_weight": 0.003,
            "ema_late": 0.99,
            "shown_confidence": "lead",
        },
    }

    config: AsdNetConfig

    def __init__(self, config: MethodConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        self.segmentation = make_network(self.config, problem)
        self.keep_average(self.segmentation, self.config.ema_late)
        self.confidence_net = ConfidenceNet(
            problem.classes, problem.spacing, problem.spatial_dims, self.config.confidence_width
        )
        self.patch = patch_for(self.config, problem, self.segmentation)

    @property
    def semi_start(self) -> int:
        """Step at which the region-attention loss sets in."""
        return round(self.config.semi_start * self.config.steps)

    def streams(self, step: int) -> Streams:
        """Both kinds of patches from the start: Eq. 5 holds for unannotated ones too."""
        return streams_of(self.config, self.patch, self.config.unlabelled_batch)

    def phases(self) -> tuple[Phase, ...]:
        """S, then D on what S has said in the same step."""
        config = self.config
        slower = config.model_copy(update={"learning_rate": config.confidence_learning_rate})
        schedule = schedule_of(config)
        return (
            Phase(
                "segmentation",
                list(self.segmentation.parameters()),
                optimiser_of(config),
                self._segmentation_losses,
                schedule,
            ),
            Phase(
                "confidence",
                list(self.confidence_net.parameters()),
                optimiser_of(slower),
                self._confidence_losses,
                schedule,
            ),
        )

    def wants_pool_prediction(self, step: int) -> bool:
        """Once, when unannotated cases begin to be learnt from."""
        config = self.config
        return config.centre_unlabelled and config.unlabelled_batch > 0 and 0 < step == self.semi_start

    def segmenter(self) -> nn.Module:
        """S."""
        return self.segmentation

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        """The confidence network's own map, ``M = sigmoid(D(P^))``, of the blended probability (section 2.3).

        Or the lead of the first class, if `AsdNetConfig.shown_confidence` says so.

        It says how much the outlines around a voxel look like those that readers drew in the training cases: high
        where shape and certainty are as in a reader's map, low where they are blurred, frayed or such as no reader
        would leave them. It does not look at the image: a clean outline of the wrong thing gets a high value. Nor is
        it a probability of being right: its level depends on who is ahead, S or D, so compare places within a case
        rather than values between models, and learn what a value means from held-out cases.

        Parameters
        ----------
        image
            (B, C, Z, Y, X), not looked at.
        probability
            (B, K, Z, Y, X), the blended softmax of `predictor`, of any size.

        Returns
        -------
        Tensor
            (B, Z, Y, X) in [0, 1].
        """
        if self.config.shown_confidence == "lead":
            return super().confidence(image, probability)
        with _judging(self.confidence_net):
            return confidence_map(self.confidence_net, probability)

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Generalised Dice with sample attention (Eq. 2), mean over the patches; cross entropy beside it, if wished."""
        logits, label = logits.float(), centre_crop(label, logits.shape[2:])
        known = (label != IGNORE).unsqueeze(1).to(logits.dtype)
        target = one_hot(label, logits.shape[1]).to(logits.dtype)
        dice_loss = generalised_dice_loss(logits.softmax(1), target, known)
        weight = sample_weight(hard_dice(logits, label), self.config.attention_power, self.config.attention_floor)
        total = (weight * dice_loss).mean()
        parts = {
            "attention_dice": total.detach(),
            "dice_loss": dice_loss.detach().mean(),
            "sample_weight": weight.mean(),
        }
        if self.config.cross_entropy_weight:
            entropy = masked_cross_entropy(logits, label)
            total = total + self.config.cross_entropy_weight * entropy
            parts["cross_entropy"] = entropy.detach()
        return total, parts

    def _segmentation_losses(self, batch: StepBatch) -> Losses | None:
        """Eq. 7; what S said is left for D."""
        image = batch.image if batch.label is not None else None
        seen = [x for x in (image, batch.unlabelled) if x is not None]
        if not seen:
            return None
        # One forward for both streams, so that one batch normalisation sees both kinds of cases.
        logits = self.segmentation(torch.cat(seen)).float()
        probability = logits.softmax(1)
        count = 0 if image is None else len(image)
        known = self._known(batch.label if count else None, probability)
        batch.scratch["probability"] = probability.detach()
        with _judging(self.confidence_net):
            # Where nothing is known the adversary passes no gradient on either.
            scores = self.confidence_net(torch.where(known, probability, probability.detach())).float()
        adversarial = masked_bce(scores, 1.0, known)
        total = self.config.adversarial_weight * adversarial
        parts = {"adversarial": adversarial.detach()}
        if count and batch.label is not None:
            loss, said = self.labelled_loss(logits[:count], batch.label)
            total, parts = total + loss, said | parts
        if batch.unlabelled is not None and batch.step >= self.semi_start:
            trusted = scores[count:].detach().sigmoid() > self.config.threshold
            loss = self._region_attention(logits[count:], trusted)
            total = total + self.config.semi_weight * loss
            parts |= {"region_attention": loss.detach(), "trusted_share": trusted.float().mean()}
        return Losses(total, parts)

    def _region_attention(self, logits: Tensor, trusted: Tensor) -> Tensor:
        """Eq. 6: S's own decision is the target, where D finds it credible; neither passes a gradient on."""
        decision = logits.detach().argmax(1)
        if self.config.semi_loss == "ce":
            return masked_cross_entropy(logits, decision.masked_fill(~trusted[:, 0], IGNORE))
        target = one_hot(decision, logits.shape[1]).to(logits.dtype)
        return generalised_dice_loss(logits.softmax(1), target, trusted.to(logits.dtype)).mean()

    def _confidence_losses(self, batch: StepBatch) -> Losses | None:
        """Eq. 3: readers' maps against S's of the same annotated patches."""
        said: Tensor | None = batch.scratch.get("probability")
        if said is None or batch.label is None or batch.image is None:
            return None
        count = len(batch.label)
        fake = said if self.config.unlabelled_fakes else said[:count]
        known = self._known(batch.label, fake)
        label = centre_crop(batch.label, said.shape[2:])
        reader = one_hot(label, said.shape[1]).to(said.dtype)
        real = torch.where(known[:count], reader, said[:count])
        scores = self.confidence_net(torch.cat([real, fake])).float()
        on_real = masked_bce(scores[:count], 1.0, known[:count])
        on_fake = masked_bce(scores[count:], 0.0, known)
        return Losses(on_real + on_fake, {"reader": on_real.detach(), "prediction": on_fake.detach()})

    @staticmethod
    def _known(label: Tensor | None, probability: Tensor) -> Tensor:
        """(B, 1, Z, Y, X) bool: the annotated voxels of the first patches, all voxels of the others."""
        known = torch.ones_like(probability[:, :1], dtype=torch.bool)
        if label is not None:
            known[: len(label), 0] = centre_crop(label, probability.shape[2:]) != IGNORE
        return known


@contextlib.contextmanager
def _judging(network: nn.Module) -> Iterator[None]:
    """Within: the network evaluates, and gradients pass through it without reaching its weights."""
    training = network.training
    network.eval()
    try:
        with without_gradient(network):
            yield
    finally:
        network.train(training)
