"""Supervised only: the baseline that every semi-supervised gain is measured against.

The same networks, losses, optimisers and labelled batches as the other methods; the unlabelled cases are left alone.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_penumbra.methods._average import AveragingMethod
from napari_penumbra.methods._base import Losses, Method, MethodConfig, Phase, Problem, StepBatch, Streams
from napari_penumbra.methods._mixing import Cut, mix_labelled
from napari_penumbra.methods._recipe import (
    PRESETS,
    RecipeConfig,
    make_network,
    optimiser_of,
    patch_for,
    schedule_of,
    streams_of,
    supervised_losses,
)


class SupervisedConfig(RecipeConfig):
    """Parameters of supervised training."""

    unlabelled_batch: int = Field(
        0, ge=0, le=0, title="Unlabelled patches", description="Supervised training sees none."
    )
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        title="Weight average",
        description=(
            "Predict with an exponential moving average of the weights that keeps this share of itself at each step; "
            "0 predicts with the last weights."
        ),
    )
    labelled_mixing: bool = Field(
        False,
        title="Mix annotated patches",
        description=(
            "Learn from annotated patches pasted into each other by a box, beside the patches as they are: what mixing "
            "brings without unlabelled cases."
        ),
    )
    mix_weight: float = Field(
        0.5, ge=0, le=100, title="Weight of mixed patches", description="Weight of the loss on them, if there are any."
    )
    box_share: float = Field(
        0.67,
        ge=0.05,
        le=0.95,
        title="Box size",
        description="Edge of the box that is cut and pasted, as a share of the patch's edge.",
    )


class Supervised(AveragingMethod):
    """Train one network on annotated voxels; predict with the average of its weights.

    Confidence is the winning class's lead over the second in the predicted probability: 0 at a tie, 1 when certain. It
    is not calibrated.
    """

    title = "Supervised only"
    summary = "Learns from annotated cases alone; take it when nearly everything is annotated, or as the line to beat."
    paper = "No paper: the baseline of all of them."
    Config: ClassVar[type[MethodConfig]] = SupervisedConfig
    uses_unlabelled = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {**PRESETS["paper"], "ema": 0.0},
        "workstation": {**PRESETS["workstation"], "ema": 0.999},
        "laptop": {**PRESETS["laptop"]},
    }

    config: SupervisedConfig

    def __init__(self, config: MethodConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        self.network = self._make_network()
        self.keep_average(self.network, self.config.ema)
        self.patch = patch_for(self.config, problem, self.network)

    @classmethod
    def twin_of(cls, method: Method) -> Supervised | None:
        """Make the supervised twin of a method: same network, starting weights, optimiser, steps and labelled loss.

        It predicts with an average of weights as slow as the method's own, so the comparison is average against
        average. Random numbers are not consumed: the method's run is the same with and without a twin.

        Returns
        -------
        Supervised or None
            None for a method that is supervised itself or has no network that could be trained alone.
        """
        config, network = method.config, method.segmenter()
        if not method.uses_unlabelled or network is None or not isinstance(config, RecipeConfig):
            return None
        shared = {name: getattr(config, name) for name in RecipeConfig.model_fields if name != "unlabelled_batch"}
        return _Twin(SupervisedConfig(**shared, ema=getattr(config, "ema_late", 0.99)), method, network)

    def _make_network(self) -> nn.Module:
        return make_network(self.config, self.problem)

    def streams(self, step: int) -> Streams:
        """Labelled patches only."""
        return streams_of(self.config, self.patch, unlabelled=0)

    def phases(self) -> tuple[Phase, ...]:
        """One optimiser over all weights."""
        parameters = list(self.network.parameters())
        return (Phase("network", parameters, optimiser_of(self.config), self._losses, schedule_of(self.config)),)

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy plus a weighted Dice loss."""
        return supervised_losses(logits, label, self.config.dice_weight)

    def _losses(self, batch: StepBatch) -> Losses | None:
        if batch.image is None or batch.label is None:
            return None
        mixed = mix_labelled(batch.image, batch.label, Cut(self.config.box_share)) if self._mixes else None
        if mixed is None:
            return Losses(*self.labelled_loss(self.network(batch.image), batch.label))
        # One forward for both, so that one batch normalisation sees them together.
        logits = self.network(torch.cat([batch.image, mixed.image])).split(len(batch.image))
        total, parts = self.labelled_loss(logits[0], batch.label)
        on_mixed, _ = self.labelled_loss(logits[1], mixed.label)
        return Losses(total + self.config.mix_weight * on_mixed, parts | {"mix": on_mixed.detach()})

    @property
    def _mixes(self) -> bool:
        return self.config.labelled_mixing and self.config.mix_weight > 0


class _Twin(Supervised):
    """Trains a copy of another method's network by that method's own labelled loss and on its own patches."""

    def __init__(self, config: SupervisedConfig, method: Method, network: nn.Module) -> None:
        self._copied = (copy.deepcopy(network).requires_grad_(True),)
        self._loss = method.labelled_loss
        super().__init__(config, method.problem)
        self.patch = method.streams(0).patch

    def _make_network(self) -> nn.Module:
        return self._copied[0]

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The other method's."""
        return self._loss(logits, label)
