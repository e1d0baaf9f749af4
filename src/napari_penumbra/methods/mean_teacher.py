"""Mean teacher adapted to lesion segmentation (Cui et al., IPMI 2019): the teacher is the average of its students.

A student learns from annotated patches, and to agree with its teacher on unannotated ones; each sees its own noise. The
teacher's weights follow the student's as an exponential moving average, and the teacher predicts.

What the paper leaves open and how it is settled here: supervised pre-training lasts ``pretrain_steps``, never more
than half of the run; student and teacher both start from it; the lesion in unannotated cases is predicted once it ends,
and anew every ``refresh_steps`` if that is not zero; a batch normalisation's running statistics are averaged like
weights, and the teacher evaluates with them.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_penumbra.methods._base import Losses, Method, MethodConfig, Phase, Problem, StepBatch, Streams
from napari_penumbra.methods._contrast import vary_contrast
from napari_penumbra.methods._functional import (
    add_noise,
    average_into,
    freeze,
    gaussian_ramp,
    soft_dice_loss,
    warm_decay,
)
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


class MeanTeacherConfig(RecipeConfig):
    """Parameters of the mean teacher."""

    pretrain_steps: int = Field(
        2000,
        ge=0,
        le=1_000_000,
        title="Supervised steps first",
        description=(
            "Steps on annotated cases alone before the teacher starts to teach, at most half of all steps. "
            "Without them the unlabelled cases make the result worse."
        ),
        json_schema_extra={"unit": "steps"},
    )
    consistency_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Consistency weight",
        description="Weight of the agreement with the teacher once it is fully ramped up.",
    )
    ramp_steps: int = Field(
        400,
        ge=0,
        le=1_000_000,
        title="Ramp-up",
        description="Steps after the supervised ones until the agreement with the teacher counts in full.",
        json_schema_extra={"unit": "steps"},
    )
    consistency_over: Literal["patch", "batch"] = Field(
        "batch",
        title="Agreement measured over",
        description="patch, as in the paper's Eq. 1, or the whole batch, which is steadier when patches lack a lesion.",
    )
    ema_early: float = Field(
        0.99,
        ge=0,
        lt=1,
        title="Teacher's memory, early",
        description="Share of itself that the teacher keeps at each step until the ramp-up ends.",
    )
    ema_late: float = Field(
        0.999,
        ge=0,
        lt=1,
        title="Teacher's memory, late",
        description="Share of itself that the teacher keeps at each step after the ramp-up.",
    )
    additive_noise: float = Field(
        0.05,
        ge=0,
        le=10,
        title="Additive noise",
        description="Noise on what student and teacher see of unlabelled cases.",
        json_schema_extra={"unit": "standard deviations of the image"},
    )
    multiplicative_noise: float = Field(
        0.01,
        ge=0,
        le=10,
        title="Multiplicative noise",
        description="Standard deviation of a factor around 1 on what student and teacher see of unlabelled cases.",
    )
    view_contrast: float = Field(
        0.0,
        ge=0,
        le=5,
        title="Other contrast for the student",
        description=(
            "How much brightness and contrast of unlabelled patches are varied for the student alone, in the units of "
            "Change contrast; 0, as published: both see the same. Above 0 it learns to see through contrast."
        ),
    )
    refresh_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Predict the pool again every",
        description=(
            "Unlabelled patches are centred on the predicted lesion; it is predicted when the supervised steps end and "
            "then at this interval. 0: never again, as in the paper."
        ),
        json_schema_extra={"unit": "steps"},
    )


class MeanTeacher(Method):
    """Student and teacher of one architecture; ``L = L_s + beta * L_c`` (Eqs. 1 to 4 of the paper)."""

    title = "Mean teacher"
    summary = (
        "Learns from annotated cases and from agreeing with its own average on the rest; take it for lesions, with few "
        "annotated cases and many others."
    )
    paper = (
        "W. Cui, Y. Liu, Y. Li, M. Guo, Y. Li, X. Li, T. Wang, X. Zeng, C. Ye: Semi-Supervised Brain Lesion "
        "Segmentation with an Adapted Mean Teacher Model. IPMI 2019."
    )
    Config: ClassVar[type[MethodConfig]] = MeanTeacherConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            **PRESETS["paper"],
            "unlabelled_batch": 8,
            "consistency_over": "patch",
        },
        "workstation": {**PRESETS["workstation"], "unlabelled_batch": 2},
        "laptop": {
            **PRESETS["laptop"],
            "unlabelled_batch": 2,
            "pretrain_steps": 1000,
            "ema_late": 0.99,
        },
    }

    config: MeanTeacherConfig

    def __init__(self, config: MethodConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        self.student = make_network(self.config, problem)
        self.teacher = freeze(copy.deepcopy(self.student))
        self.patch = patch_for(self.config, problem, self.student)

    @property
    def pretrain_steps(self) -> int:
        """Supervised steps before the teacher teaches: the config's, but never more than half of the run."""
        return min(self.config.pretrain_steps, self.config.steps // 2)

    def train(self, mode: bool = True) -> MeanTeacher:
        """Switch the student to training or evaluation; the teacher always evaluates."""
        super().train(mode)
        self.teacher.eval()
        return self

    def streams(self, step: int) -> Streams:
        """No unlabelled patches while the student is pre-trained."""
        teaching = step >= self.pretrain_steps
        return streams_of(self.config, self.patch, self.config.unlabelled_batch if teaching else 0)

    def phases(self) -> tuple[Phase, ...]:
        """One optimiser over the student's weights; the teacher has none."""
        parameters = list(self.student.parameters())
        return (Phase("student", parameters, optimiser_of(self.config), self._losses, schedule_of(self.config)),)

    def wants_pool_prediction(self, step: int) -> bool:
        """Ask for it when pre-training has ended, and every ``refresh_steps`` from then on."""
        since = step - self.pretrain_steps
        if since <= 0:
            # Without pre-training the first prediction would be that of random weights.
            return since == 0 and self.pretrain_steps > 0
        return self.config.refresh_steps > 0 and since % self.config.refresh_steps == 0

    def after_step(self, step: int) -> None:
        """Move the teacher (Eq. 4).

        During pre-training it averages too, so that there is a good network to look at; at its end it becomes a copy of
        the student, as in the paper.
        """
        average_into(self.teacher, self.student, self.teacher_decay(step))

    def teacher_decay(self, step: int) -> float:
        """Share of itself that the teacher keeps after a step; 0 copies the student."""
        since = step - self.pretrain_steps
        if since == -1:
            return 0.0
        if since < 0:
            return warm_decay(step, self.config.ema_early)
        return self.config.ema_early if since <= self.config.ramp_steps else self.config.ema_late

    def consistency_weight(self, step: int) -> float:
        """Weight beta of the consistency loss at a step; 0 during pre-training."""
        return self.config.consistency_weight * gaussian_ramp(step - self.pretrain_steps, self.config.ramp_steps)

    def predictor(self) -> nn.Module:
        """The teacher (section 2.2 of the paper)."""
        return self.teacher

    def segmenter(self) -> nn.Module:
        """The student."""
        return self.student

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy (Eq. 2), plus a Dice loss in the presets that want one."""
        return supervised_losses(logits, label, self.config.dice_weight)

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        """Lead of the teacher's first class over its second, ``p1 - p2``: 0 at a tie, 1 when certain.

        The teacher averages many students, which tempers its probabilities; they are not calibrated all the same.
        """
        return super().confidence(image, probability)

    def _losses(self, batch: StepBatch) -> Losses | None:
        labelled = batch.image is not None and batch.label is not None
        weight = self.consistency_weight(batch.step)
        unlabelled = batch.unlabelled if weight > 0 else None
        if not labelled and unlabelled is None:
            return None
        on_labelled, on_unlabelled = self._student_logits(batch.image if labelled else None, unlabelled)
        total: Tensor | None = None
        parts: dict[str, Tensor] = {}
        if on_labelled is not None and batch.label is not None:
            total, parts = self.labelled_loss(on_labelled, batch.label)
        if on_unlabelled is not None and unlabelled is not None:
            consistency = self._consistency(on_unlabelled, unlabelled)
            total = weight * consistency if total is None else total + weight * consistency
            parts["consistency"] = consistency.detach()
            parts["consistency_weight"] = consistency.new_full((), weight).detach()
        assert total is not None
        return Losses(total, parts)

    def _student_logits(self, image: Tensor | None, unlabelled: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """One forward for both streams, so that one batch normalisation sees both kinds of cases."""
        if unlabelled is None or image is None:
            only = self._seen(unlabelled) if unlabelled is not None else image
            logits = self.student(only)
            return (None, logits) if unlabelled is not None else (logits, None)
        logits = self.student(torch.cat([image, self._seen(unlabelled)]))
        return logits[: len(image)], logits[len(image) :]

    def _consistency(self, student_logits: Tensor, unlabelled: Tensor) -> Tensor:
        """Eq. 1: soft Dice loss between the student's and the teacher's maps; no gradient into the teacher."""
        with torch.no_grad():
            target = self.teacher(self._noisy(unlabelled)).float().softmax(1)
        return soft_dice_loss(student_logits.float().softmax(1), target, over=self.config.consistency_over)

    def _seen(self, unlabelled: Tensor) -> Tensor:
        """What the student sees; the teacher sees the patch with other noise, and as bright as it is."""
        strength = self.config.view_contrast
        return self._noisy(vary_contrast(unlabelled, strength) if strength else unlabelled)

    def _noisy(self, image: Tensor) -> Tensor:
        return add_noise(image, self.config.additive_noise, self.config.multiplicative_noise)
