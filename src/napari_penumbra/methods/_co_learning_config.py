"""Parameters and presets of co-learning."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from napari_penumbra.methods._recipe import PRESETS, RecipeConfig


class CoLearningConfig(RecipeConfig):
    """Parameters of co-learning."""

    faithful: bool = Field(
        False,
        title="As published",
        description="Learn from unlabelled cases at full weight from the first step: no supervised steps, no ramp-up.",
    )
    pretrain_steps: int = Field(
        2000,
        ge=0,
        le=1_000_000,
        title="Supervised steps first",
        description="Steps on annotated cases alone before the unlabelled ones count, at most half of all steps.",
        json_schema_extra={"unit": "steps"},
    )
    pretrain_mixing: bool = Field(
        True,
        title="Mix in supervised steps",
        description="Mix annotated patches with each other in the supervised steps, beside the patches as they are.",
    )
    ramp_steps: int = Field(
        400,
        ge=0,
        le=1_000_000,
        title="Ramp-up",
        description="Steps after the supervised ones until the unlabelled cases count in full.",
        json_schema_extra={"unit": "steps"},
    )
    same_start: bool = Field(
        True,
        title="Students start equal",
        description="Both students have the same weights when they part. Otherwise the teacher, their average, fails.",
    )
    student1_rate: float = Field(
        0.005,
        ge=0,
        le=1,
        title="Pull of student 1",
        description="How far the teacher moves towards the first student at each step (alpha in Eq. 1).",
    )
    student2_rate: float = Field(
        0.005,
        ge=0,
        le=1,
        title="Pull of student 2",
        description="How far the teacher moves towards the second student at each step (beta in Eq. 1).",
    )
    labelled_loss: Literal["dice", "dice_ce"] = Field(
        "dice_ce",
        title="Loss on annotated patches",
        description="dice as published, or cross entropy plus a weighted Dice loss, which learns faster.",
    )
    dice_over: Literal["patch", "batch"] = Field(
        "batch",
        title="Dice measured over",
        description="Each patch, as published, or the whole batch, which is steadier when patches lack a lesion.",
    )
    unlabelled_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Weight of unmixed patches",
        description="Weight of what students and teacher say about unlabelled patches (lambda in Eq. 18).",
    )
    teach_every: int = Field(
        1,
        ge=1,
        le=1000,
        title="Teach on unmixed patches every",
        description="How often students learn from unmixed unlabelled patches: 1 as published, more is faster.",
        json_schema_extra={"unit": "steps"},
    )
    mix_weight: float = Field(
        1.0, ge=0, le=100, title="Weight of mixed patches", description="Weight of the mixing loss (mu in Eq. 18)."
    )
    mix_loss: Literal["mse", "dice_ce"] = Field(
        "mse",
        title="Loss on mixed patches",
        description="Squared error, as published, or cross entropy plus a weighted Dice loss.",
    )
    mix_for: Literal["one", "both"] = Field(
        "one",
        title="Mixes for a student",
        description="Each student learns from its own one of the two mixes, as published, or from both.",
    )
    box_share: float = Field(
        0.5,
        ge=0.05,
        le=0.95,
        title="Box size",
        description="Edge of the box that is cut and pasted, as a share of the patch's edge.",
    )
    full_depth_below: int = Field(
        8,
        ge=0,
        le=1000,
        title="Whole depth below",
        description="Boxes go through all slices of patches that have fewer than this.",
        json_schema_extra={"unit": "slices"},
    )
    certain_above: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Certain above",
        description="Labels that networks make count only where their probability exceeds this; 0: everywhere.",
    )
    largest_component: bool = Field(
        False,
        title="One piece per class",
        description="Keep the largest piece of each class in the teacher's labels: for one organ, not for lesions.",
    )
    split_labelled: bool = Field(
        False,
        title="Share annotated patches",
        description="Each student sees one half of the annotated patches as they are and the other half in its mix.",
    )
    noise: float = Field(
        0.0,
        ge=0,
        le=10,
        title="Noise",
        description="Noise on the unlabelled and mixed patches that a student sees, its own for each student.",
        json_schema_extra={"unit": "standard deviations of the image"},
    )
    view_contrast: float = Field(
        0.0,
        ge=0,
        le=5,
        title="Other contrast for students",
        description=(
            "How much brightness and contrast of unlabelled and mixed patches are varied for each student alone, in "
            "the units of Change contrast; 0, as published: they see what the teacher labelled."
        ),
    )
    refresh_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Predict the pool again every",
        description="After the supervised steps, look for foreground in the unlabelled cases so often; 0: once.",
        json_schema_extra={"unit": "steps"},
    )

    @model_validator(mode="after")
    def _teacher_moves(self) -> Self:
        if not 0 < self.student1_rate + self.student2_rate <= 1:
            raise ValueError("the pulls of both students together must be above 0 and at most 1")
        return self

    @property
    def ema_late(self) -> float:
        """Share of itself that the teacher keeps at each step; the supervised twin averages as slowly."""
        return 1 - self.student1_rate - self.student2_rate


# Unmixed patches count little: a student that is shown what its teacher saw mostly confirms the teacher's errors.
_BETTER: dict[str, Any] = {
    "labelled_loss": "dice_ce",
    "mix_loss": "dice_ce",
    "mix_weight": 0.5,
    "unlabelled_weight": 0.1,
    "certain_above": 0.8,
    "box_share": 0.67,
    "noise": 0.05,
}

CO_LEARNING_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "backbone": "vnet",
        "width": 16,
        "patch": (80, 112, 112),
        "labelled_batch": 2,
        "unlabelled_batch": 2,
        "foreground_share": 0.0,
        "steps": 6000,
        "optimiser": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "poly_power": 0.0,
        "decay_steps": 2500,
        "faithful": True,
        "ramp_steps": 6000,
        "labelled_loss": "dice",
        "dice_over": "patch",
    },
    "workstation": {
        **PRESETS["workstation"],
        **_BETTER,
        "pretrain_steps": 4000,
        "ramp_steps": 1200,
        "student1_rate": 0.0005,
        "student2_rate": 0.0005,
    },
    # Forward passes that need a gradient, per step: 2 in the supervised steps, then 6, and 10 at every fourth.
    "laptop": {
        **PRESETS["laptop"],
        **_BETTER,
        "steps": 2000,
        "pretrain_steps": 800,
        "pretrain_mixing": False,
        "ramp_steps": 250,
        "teach_every": 4,
    },
}
