"""Make the plan of a training from what the order says of its cases; no image is opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference.plan import SPACING_TOLERANCE, Plan
from napari_penumbra.methods import get
from napari_penumbra.methods._base import Method, MethodConfig, Problem


def configure(spec: RunSpec) -> tuple[type[Method], MethodConfig]:
    """Find the method and make its parameters.

    Raises
    ------
    UsageError
        Unknown method or preset, or a value out of its bounds.
    """
    kind = get(spec.method)
    if spec.preset not in kind.presets:
        raise UsageError(
            f'The method {spec.method} has no preset "{spec.preset}".', f"Choose one of: {', '.join(kind.presets)}."
        )
    try:
        return kind, kind.configure(spec.preset, spec.config, spec.steps)
    except ValueError as error:
        raise UsageError(
            f"A parameter of {spec.method} is not valid.",
            "Correct it on the Train page or in --set.",
            details=str(error),
        ) from error


def make_plan(spec: RunSpec) -> Plan:
    """Choose the grid on which the networks see the cases: the median spacing and size of those that train.

    Raises
    ------
    JobError
        No case to learn from.
    UsageError
        The method is not known, or does not learn in the dimensions that are asked for.
    """
    cases = [*spec.of_role("labelled"), *spec.of_role("unlabelled")]
    if not spec.of_role("labelled"):
        raise JobError("There is no labelled case to learn from.", "Close at least one case as complete or partial.")
    scale = [float(np.median([c.grid.scale[axis] for c in cases])) for axis in range(3)]
    size = [int(np.median([c.grid.array_shape[axis] for c in cases])) for axis in range(3)]
    axis = slice_axis(scale, size)
    kind, config = configure(spec)
    dimensions = kind.choose_dimensions(config, size[axis])
    plan = Plan(spec.modalities, spec.labels.values, (1.0, 1.0, 1.0), (1, 1, 1), dimensions, axis)
    plan = dataclasses.replace(plan, spacing=plan.first(scale))
    shapes = [plan.shape_of(c.grid) for c in cases]
    depth, height, width = (int(np.median([s[axis] for s in shapes])) for axis in range(3))
    return dataclasses.replace(plan, shape=(depth, height, width))


def slice_axis(scale: Sequence[float], size: Sequence[int]) -> int:
    """Which axis (z, y, x) goes from slice to slice: one with a single voxel, else the coarsest; z if all are alike."""
    if 1 in size:
        return list(size).index(1)
    coarsest = int(np.argmax(scale))
    return coarsest if scale[coarsest] > scale[0] * (1 + SPACING_TOLERANCE) else 0


def problem_of(plan: Plan) -> Problem:
    """Say what a network has to solve under a plan."""
    return Problem(len(plan.modalities), len(plan.values) + 1, plan.spacing, plan.dimensions)
