"""The labelled half of a training: backbone, optimiser, schedule and loss, for methods and their supervised twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_penumbra.methods._base import MethodConfig, Problem, Streams
from napari_penumbra.methods._functional import centre_crop, masked_cross_entropy, masked_dice_loss, polynomial_decay
from napari_penumbra.networks import build, context, divisor
from napari_penumbra.networks.deepmedic import REACH

Backbone = Literal["unet", "vnet", "deepmedic", "resunet", "svnet", "colnet"]
OptimiserName = Literal["adamw", "adam", "sgd", "rmsprop"]


class RecipeConfig(MethodConfig):
    """Parameters of a training with one segmentation network."""

    backbone: Backbone = Field(
        "unet",
        title="Network",
        description=(
            "unet learns in minutes on a CPU; deepmedic looks at wide surroundings and finds small lesions; "
            "vnet is the large network of the left-atrium papers; colnet, resunet and svnet are those of COL-Net, "
            "self-correction and ASDNet."
        ),
    )
    width: int = Field(
        16,
        ge=2,
        le=128,
        title="Width",
        description="Channels of the first level, doubled at each further one. deepmedic has its own.",
        json_schema_extra={"unit": "channels"},
    )
    wide_view: Literal["auto", "isotropic", "in-plane"] = Field(
        "auto",
        title="Wide view of DeepMedic",
        description=(
            "isotropic, as published, looks at three times the surroundings along every axis; in-plane leaves the "
            "slices as they are; auto takes in-plane when slices are more than three times as thick as voxels are wide."
        ),
    )
    optimiser: OptimiserName = Field(
        "adamw", title="Optimiser", description="adamw learns fast; adam, sgd and rmsprop are those of the papers."
    )
    momentum: float = Field(
        0.9,
        ge=0,
        lt=1,
        title="Momentum",
        description="Of sgd and rmsprop; for adam and adamw, the decay of its first moment.",
    )
    rms_decay: float = Field(
        0.9, ge=0, lt=1, title="RMSProp decay", description="How slowly rmsprop forgets earlier squared gradients."
    )
    rms_epsilon: float = Field(
        1e-4, gt=0, le=1, title="RMSProp epsilon", description="Keeps the steps of rmsprop finite."
    )
    weight_decay: float = Field(
        1e-4, ge=0, le=1, title="Weight decay", description="Pull of convolution weights towards zero."
    )
    poly_power: float = Field(
        0.9,
        ge=0,
        le=10,
        title="Learning rate decay",
        description="The learning rate falls as (1 - step / steps) to this power; 0 keeps it constant.",
    )
    decay_steps: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title="Learning rate tenth every",
        description="The learning rate also falls to a tenth each time so many steps are done; 0: never.",
        json_schema_extra={"unit": "steps"},
    )
    dice_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Dice weight",
        description="Weight of a soft Dice loss beside the cross entropy on annotated voxels; the papers differ.",
    )


PRESETS: dict[str, dict[str, Any]] = {
    # DeepMedic as in Cui et al. 2019, section 2.3; momentum, epsilon and weight decay are DeepMedic's own defaults.
    "paper": {
        "backbone": "deepmedic",
        "wide_view": "isotropic",
        "patch": (21, 37, 37),
        "labelled_batch": 8,
        "steps": 20_000,
        "optimiser": "rmsprop",
        "learning_rate": 1e-4,
        "rms_decay": 0.9,
        "rms_epsilon": 1e-4,
        "momentum": 0.6,
        "weight_decay": 2e-4,
        "poly_power": 0.0,
        "dice_weight": 0.0,
    },
    "workstation": {
        "width": 32,
        "patch": (64, 128, 128),
        "labelled_batch": 2,
        "steps": 10_000,
        "optimiser": "adamw",
        "learning_rate": 1e-3,
    },
    "laptop": {
        "width": 16,
        "patch": (32, 64, 64),
        "labelled_batch": 2,
        "steps": 2500,
        "optimiser": "adamw",
        "learning_rate": 2e-3,
    },
}
"""What the methods with one segmentation network have in common in each preset."""


def make_network(config: RecipeConfig, problem: Problem) -> nn.Module:
    """Build the backbone with fresh weights."""
    if config.backbone == "unet":
        return build("unet", problem, widths=tuple(config.width * 2**n for n in range(4)))
    if config.backbone == "vnet":
        return build("vnet", problem, filters=config.width)
    if config.backbone != "deepmedic":
        return build(config.backbone, problem, width=config.width)
    z, y, x = problem.spacing
    thick = problem.spatial_dims == 3 and z > 3 * max(y, x)
    flat = config.wide_view == "in-plane" or (config.wide_view == "auto" and thick)
    return build("deepmedic", problem, scale=(1 if flat else 3, 3, 3))


def patch_for(config: RecipeConfig, problem: Problem, network: nn.Module) -> tuple[int, int, int]:
    """Size (z, y, x) of the patch that the network wants to see, context included.

    The patch of the config, rounded up to what the network can halve; in 2D one voxel thick. For DeepMedic the config
    names what its image pathway sees, as the papers do, and the wide view is added here.
    """
    margin, multiples = context(network), divisor(network)
    sizes = []
    for axis, (size, m, multiple) in enumerate(zip(config.patch, margin, multiples, strict=True)):
        if axis < 3 - problem.spatial_dims:
            sizes.append(1)
        elif m:
            sizes.append(max(size - 2 * REACH, 1) + 2 * m)
        else:
            sizes.append(-(-size // multiple) * multiple)
    z, y, x = sizes
    return z, y, x


def streams_of(config: RecipeConfig, patch: tuple[int, int, int], unlabelled: int) -> Streams:
    """Streams of a step with the config's labelled patches and the given number of unlabelled ones."""
    return Streams(config.labelled_batch, unlabelled, patch, config.foreground_share)


def optimiser_of(config: RecipeConfig) -> Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]:
    """Maker of the config's optimiser, for `Phase.optimiser`.

    Only convolution weights decay: norms, slopes and biases (one-dimensional) have no reason to shrink.
    """

    def make(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        if config.optimiser == "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
        if config.optimiser == "adam":
            return torch.optim.Adam(groups, lr=config.learning_rate, betas=(config.momentum, 0.999))
        if config.optimiser == "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.momentum, 0.999))
        return torch.optim.RMSprop(
            groups,
            lr=config.learning_rate,
            alpha=config.rms_decay,
            eps=config.rms_epsilon,
            momentum=config.momentum,
        )

    return make


def schedule_of(config: RecipeConfig) -> Callable[[int], float]:
    """Learning rate at a step as a share of the starting one, for `Phase.factor`."""

    def factor(step: int) -> float:
        tenths = step // config.decay_steps if config.decay_steps else 0
        return polynomial_decay(step, config.steps, config.poly_power) * 0.1**tenths

    return factor


def supervised_losses(logits: Tensor, label: Tensor, dice_weight: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss on annotated voxels (Eq. 2 of the mean-teacher paper, plus a weighted soft Dice loss).

    Parameters
    ----------
    logits
        (B, K, z, y, x), possibly smaller than the label by the network's margin.
    label
        (B, Z, Y, X) int64 with `IGNORE`.

    Returns
    -------
    total
        Cross entropy + dice_weight * Dice loss.
    parts
        ``cross_entropy`` and, if it counts, ``dice_loss``; detached.
    """
    # Logits in float32: in half precision a sum over 10^5 voxels overflows.
    logits, label = logits.float(), centre_crop(label, logits.shape[2:])
    total = masked_cross_entropy(logits, label)
    parts = {"cross_entropy": total.detach()}
    if dice_weight:
        dice = masked_dice_loss(logits, label)
        total = total + dice_weight * dice
        parts["dice_loss"] = dice.detach()
    return total, parts
