"""What every method is: one paper, one file, behind these few questions that the trainer asks.

Legend for tensor names: B batch, C modalities, K classes with background, Z Y X space (Z absent in 2D).
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_penumbra.domain.errors import UsageError

IGNORE = 255
"""Label value that carries no supervised gradient (equals `napari_penumbra.domain.labels.UNKNOWN`)."""
LEAD_MEANS = (
    "The lead of the most probable class over the second, p1 - p2: 0 at a tie, 1 when certain. It is not calibrated."
)
"""What the confidence means where a method says nothing of its own."""


class MethodConfig(BaseModel):
    """Parameters every method has. The form, the command line, job.json and the docs are read off the fields.

    Units go into ``json_schema_extra={"unit": "mm"}``; help is the description; bounds are pydantic's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(3000, ge=1, le=10_000_000, title="Steps", description="Optimiser steps in all.")
    patch: tuple[int, int, int] = Field(
        (32, 64, 64),
        title="Patch",
        description="Size of a training patch along z, y, x.",
        json_schema_extra={"unit": "voxels"},
    )
    labelled_batch: int = Field(2, ge=1, le=256, title="Labelled patches", description="Labelled patches a step.")
    unlabelled_batch: int = Field(2, ge=0, le=256, title="Unlabelled patches", description="Unlabelled patches a step.")
    learning_rate: float = Field(1e-3, gt=0, le=10, title="Learning rate", description="Step size at the start.")
    foreground_share: float = Field(
        0.5, ge=0, le=1, title="Lesion share", description="Share of patches centred on a foreground voxel."
    )
    dimensions: Literal["auto", "2D", "3D"] = Field(
        "auto",
        title="Dimensions",
        description=(
            "3D learns on whole volumes, 2D on slices along the coarsest axis, stacked afterwards; auto takes what the "
            "method was published for, and slices where cases have one slice only."
        ),
    )
    augment_contrast: float = Field(
        1.0,
        ge=0,
        le=5,
        title="Change contrast",
        description=(
            "How much brightness, contrast and noise of training patches are varied: 1 is little, 3 makes up for "
            "scanners that none of the annotated cases comes from, 0 leaves them alone."
        ),
    )
    augment_degrees: float = Field(
        0.0,
        ge=0,
        le=180,
        title="Turn by up to",
        description="Training patches are turned in their plane by a random angle up to this, beside flips.",
        json_schema_extra={"unit": "degrees"},
    )
    augment_zoom: float = Field(
        0.0,
        ge=0,
        le=0.5,
        title="Zoom by up to",
        description="Training patches are enlarged or reduced in their plane by up to this share.",
    )
    modality_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Leave out modalities",
        description=(
            "Share of a patch's modalities that are blanked at random in training, never all of them: the model then "
            "bears with cases that lack some. 0.2 is a good start where cases do."
        ),
    )
    keep_best: bool = Field(
        False,
        title="Keep the best weights",
        description=(
            "End with the weights that did best on the frozen cases instead of the last ones. Their Dice on those "
            "cases then looks better than it will be on others, because they were chosen by it."
        ),
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """What the study asks of a network.

    Attributes
    ----------
    in_channels
        Number of modalities.
    classes
        Number of classes with background (K); class n of the network is the scheme's n-th value, 0 background.
    spacing
        Voxel edges (z, y, x) in mm on which the networks see the data.
    spatial_dims
        2 or 3.
    """

    in_channels: int
    classes: int
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    spatial_dims: int = 3


@dataclass(frozen=True, slots=True)
class Streams:
    """How many patches a step wants and how large (z, y, x), context margin included.

    ``foreground_share`` is the share of patches centred on foreground: on the annotation for labelled patches, on the
    last prediction of the pool for unlabelled ones (uniform until there is one).
    """

    labelled: int
    unlabelled: int
    patch: tuple[int, int, int]
    foreground_share: float = 0.5


@dataclass(slots=True)
class StepBatch:
    """What a step sees, augmented and on the device.

    ``image`` (B, C, Z, Y, X) float32 and ``label`` (B, Z, Y, X) int64 with `IGNORE`; ``unlabelled`` (B, C, Z, Y, X).
    Either stream may be None. ``scratch`` lets a later phase use what an earlier one computed in the same step.
    """

    step: int
    image: Tensor | None
    label: Tensor | None
    unlabelled: Tensor | None
    scratch: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Losses:
    """The scalar that is minimised, and its parts for the curves (detached, unweighted, plus weights if they move)."""

    total: Tensor
    parts: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Phase:
    """One optimiser and the loss it lowers. One for most methods, two for adversarial ones, run in order each step.

    ``losses`` returns None when the step has nothing for this phase (then its optimiser is not stepped).
    ``factor`` gives the learning rate at a step as a share of the starting one.
    """

    name: str
    parameters: Sequence[nn.Parameter]
    optimiser: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]
    losses: Callable[[StepBatch], Losses | None]
    factor: Callable[[int], float] = lambda step: 1.0


class Method(nn.Module, ABC):
    """One published system. Holds its networks; knows no files, no device, no Qt.

    Class attributes
    ----------------
    title, summary, paper
        Name in the window; one sentence what it is and when to take it; the citation.
    Config
        Its parameters, a subclass of `MethodConfig`.
    presets
        ``paper`` (faithful), ``workstation``, ``laptop``: the values that differ from the defaults of ``Config``.
    uses_unlabelled
        Whether it learns from cases without labels.
    dimensions
        Spatial dimensions it can learn in, the published one first.
    confidence_means
        What its confidence tells the reader, in one or two sentences; empty takes the first paragraph of the docstring
        of the method's own `confidence`.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    presets: ClassVar[dict[str, dict[str, Any]]]
    uses_unlabelled: ClassVar[bool] = True
    dimensions: ClassVar[tuple[int, ...]] = (3, 2)
    confidence_means: ClassVar[str] = ""

    def __init__(self, config: MethodConfig, problem: Problem) -> None:
        super().__init__()
        self.config = config
        self.problem = problem

    @abstractmethod
    def streams(self, step: int) -> Streams:
        """What the step wants to see."""

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """Optimisers and losses; asked once, after the method is on its device."""

    def after_step(self, step: int) -> None:
        """Update what no optimiser moves: an EMA teacher, a schedule kept in a buffer."""

    def start(self) -> None:
        """Prepare a training that begins afresh, e.g. read starting weights from a file.

        Called once, before the first step, on the CPU. Not called when a training goes on, starts from another model's
        weights, or when a checkpoint is opened to predict: everything is in the state_dict then.

        Raises
        ------
        PenumbraError
            What the config names is missing or does not fit, in words.
        """

    def wants_pool_prediction(self, step: int) -> bool:
        """Whether the unlabelled pool should be predicted before this step, for foreground-centred sampling."""
        return False

    @abstractmethod
    def predictor(self) -> nn.Module:
        """The module that inference runs: (B, C, Z, Y, X) to logits (B, K, Z, Y, X).

        If it has an attribute ``margin`` (z, y, x), its output is smaller than its input by that many voxels on each
        side, and inference pads the volume and cuts overlapping tiles accordingly.
        """

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        """Confidence per voxel in [0, 1].

        By default the winning class's lead over the second, ``p1 - p2``: 0 at a tie, 1 when certain.

        Parameters
        ----------
        image
            (B, C, Z, Y, X).
        probability
            (B, K, Z, Y, X), the blended softmax of `predictor`.

        Returns
        -------
        Tensor
            (B, Z, Y, X).
        """
        top = probability.topk(2, dim=1).values
        return (top[:, 0] - top[:, 1]).clamp(0, 1)

    @classmethod
    def confidence_words(cls) -> str:
        """Say what the confidence means, for the window and the command line: see ``confidence_means``."""
        if cls.confidence_means:
            return cls.confidence_means
        if cls.confidence is Method.confidence:
            return LEAD_MEANS
        paragraph = inspect.cleandoc(cls.confidence.__doc__ or "").partition("\n\n")[0]
        return " ".join(paragraph.replace("`", "").split()) or "The method does not say what its confidence means."

    def segmenter(self) -> nn.Module | None:
        """The network, image to logits, that supervised training alone would train: its twin starts as a copy of it.

        None for a method that has no supervised-only twin.
        """
        return None

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of `segmenter` on annotated voxels, as this method weighs them; its twin lowers the same.

        Parameters
        ----------
        logits
            (B, K, Z, Y, X), smaller than the label by the network's margin if it has one.
        label
            (B, Z, Y, X) int64 with `IGNORE`.

        Returns
        -------
        tuple
            The scalar and its parts, detached, for the curves.
        """
        raise NotImplementedError

    @classmethod
    def choose_dimensions(cls, config: MethodConfig, slices: int) -> int:
        """Spatial dimensions for cases of so many slices.

        Raises
        ------
        UsageError
            The config asks for dimensions that the method or the cases do not have.
        """
        if config.dimensions == "auto":
            return cls.dimensions[0] if slices > 1 else 2
        wanted = int(config.dimensions[0])
        if wanted not in cls.dimensions:
            raise UsageError(f"{cls.title} does not learn in {config.dimensions}.", 'Set dimensions to "auto".')
        if wanted == 3 and slices == 1:
            raise UsageError("The cases have one slice each: they cannot be learnt in 3D.", 'Set dimensions to "auto".')
        return wanted

    @classmethod
    def configure(cls, preset: str, changes: dict[str, Any], steps: int | None = None) -> MethodConfig:
        """Make the config of a run: defaults, then the preset, then the reader's changes, then the step count."""
        values = {**cls.presets[preset], **changes}
        if steps is not None:
            values["steps"] = steps
        return cls.Config.model_validate(values)
