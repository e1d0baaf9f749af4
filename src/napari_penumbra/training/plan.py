"""Make the plan of a training from what the order says of its cases; no image is opened."""

from __future__ import annotations

import numpy as np

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference.plan import Plan
from napari_penumbra.methods._base import Problem


def make_plan(spec: RunSpec) -> Plan:
    """Choose the grid on which the networks see the cases: the median spacing and size of those that train.

    Raises
    ------
    JobError
        No case to learn from.
    """
    cases = [*spec.of_role("labelled"), *spec.of_role("unlabelled")]
    if not spec.of_role("labelled"):
        raise JobError("There is no labelled case to learn from.", "Close at least one case as complete or partial.")
    z, y, x = (float(np.median([c.grid.scale[axis] for c in cases])) for axis in range(3))
    plan = Plan(spec.modalities, spec.labels.values, (z, y, x), (1, 1, 1))
    shapes = [plan.shape_of(c.grid) for c in cases]
    depth, height, width = (int(np.median([s[axis] for s in shapes])) for axis in range(3))
    return Plan(spec.modalities, spec.labels.values, (z, y, x), (depth, height, width))


def problem_of(plan: Plan) -> Problem:
    """Say what a network has to solve under a plan."""
    return Problem(len(plan.modalities), len(plan.values) + 1, plan.spacing)
