"""Take a few real steps on random data: whether, how fast and with how much memory and disk a training would run."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference.machine import Machine, is_out_of_memory
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor, divisor_of, free_bytes, margin_of
from napari_penumbra.methods._base import IGNORE, Method, StepBatch
from napari_penumbra.training.build import make_method, make_reference, read_spec, study_of
from napari_penumbra.training.checkpoint import KEPT
from napari_penumbra.training.learner import Learner
from napari_penumbra.training.memory import Limits, memory_bytes
from napari_penumbra.training.room import bytes_of
from napari_penumbra.training.starting import begin_from, plan_of, starting_model
from napari_penumbra.training.validation import QUICK_CASES

STEPS = 3
"""The first one warms up. The third is left out when the second took long."""
_LONG_SECONDS = 5.0


def check(run: Path) -> dict[str, Any]:
    """Take steps as the order's training would take them; no case is opened and nothing is written.

    Returns
    -------
    dict
        ``ok``, ``parameters`` (trained numbers), ``seconds_per_step`` (the mean without the first),
        ``seconds_per_validation``, ``memory_bytes`` (peak of the process or of the graphics card), ``free_bytes`` (what
        of it was free before), ``disk_bytes`` (prepared cases and checkpoints), ``device``, ``steps`` (of the run);
        ``error`` and ``remedy`` in words.
    """
    try:
        return _try(run)
    except PenumbraError as error:
        return _failed(error.message, error.remedy, error.details)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return _failed(
            "A training step with these settings does not fit into memory.",
            "Choose the laptop preset or a smaller patch, or close other programs.",
            str(error),
        )


def _failed(error: str, remedy: str, details: str) -> dict[str, Any]:
    nothing = {"parameters": 0, "seconds_per_step": 0.0, "memory_bytes": 0, "device": "", "steps": 0}
    return {"ok": False, **nothing, "error": error, "remedy": remedy, "details": details}


def _try(run: Path) -> dict[str, Any]:
    spec = read_spec(run)
    start = starting_model(study_of(run), spec)
    plan = plan_of(spec, start)
    method = make_method(spec, plan)
    if start is None:
        method.start()
    else:
        begin_from(method, spec.method, start)
    reference = make_reference(method) if spec.reference else None
    machine = Machine.choose(spec.device, method)
    free = free_bytes(machine.device)
    learners = [Learner(m, machine, spec.seed) for m in (method, reference) if m is not None]
    network, patch = method.predictor(), method.streams(0).patch
    limits = Limits(plan.shape, divisor_of(network, patch), margin_of(network))
    unlabelled = bool(spec.of_role("unlabelled"))
    times: list[float] = []
    for number in range(STEPS):
        # The last step of a run is its heaviest: warm-up phases without unlabelled patches are over.
        step = max(0, method.config.steps - STEPS + number)
        batch = _random_batch(method, limits, step, machine, unlabelled)
        started = time.perf_counter()
        for learner in learners:
            learner.learn(batch)
        if machine.device.type == "cuda":
            torch.cuda.synchronize(machine.device)
        times.append(time.perf_counter() - started)
        if times[1:] and times[-1] > _LONG_SECONDS:
            break
    parameters = sum(p.numel() for p in method.parameters() if p.requires_grad)
    return {
        "ok": True,
        "parameters": parameters,
        "seconds_per_step": sum(times[1:]) / len(times[1:]),
        "seconds_per_validation": _validation_seconds(spec, plan, limits, learners, times[-1]),
        "memory_bytes": memory_bytes(machine.device),
        "free_bytes": free,
        "disk_bytes": _disk_bytes(spec, plan, learners, method.config.keep_best),
        "device": str(machine.device),
        "steps": method.config.steps,
        "error": "",
        "remedy": "",
    }


def _validation_seconds(spec: RunSpec, plan: Plan, limits: Limits, learners: list[Learner], step: float) -> float:
    """Time of one validation: of one frozen case of median size, times their number; 0 when a step alone takes long."""
    cases = min(QUICK_CASES, len(spec.of_role("validation")))
    if not cases or step > _LONG_SECONDS:
        return 0.0
    seconds = 0.0
    for learner in learners:
        patch = limits.fit(learner.method.streams(0)).patch
        predictor = Predictor(learner.method.predictor(), patch, learner.machine, spatial_dims=plan.dimensions)
        started = time.perf_counter()
        predictor.probabilities(torch.randn((len(plan.modalities), *plan.shape)))
        seconds += time.perf_counter() - started
    return cases * seconds


def _disk_bytes(spec: RunSpec, plan: Plan, learners: list[Learner], keep_best: bool) -> int:
    """Bytes that a run takes at most: every case prepared, and three checkpoints while the newest is written."""
    prepared = 0
    for case in spec.cases:
        voxels = math.prod(plan.shape_of(case.grid))
        prepared += voxels * (2 * len(plan.modalities) + (case.label is not None))
    weights = sum(bytes_of(learner.weights().values()) for learner in learners)
    moments = sum(bytes_of(learner.moments()[0].values()) for learner in learners)
    return prepared + (KEPT + 1) * (weights * (2 if keep_best else 1) + moments)


def _random_batch(method: Method, limits: Limits, step: int, machine: Machine, unlabelled: bool) -> StepBatch:
    wanted = limits.fit(method.streams(step))
    problem = method.problem
    size = wanted.patch[3 - problem.spatial_dims :]
    # Noise, not zeros: a processor may be faster on zeros.
    image = torch.randn((max(1, wanted.labelled), problem.in_channels, *size))
    label = torch.randint(0, problem.classes, (len(image), *size))
    label[torch.rand(label.shape) < 0.01] = IGNORE
    other = None
    if wanted.unlabelled and unlabelled:
        other = machine.tensor(torch.randn((wanted.unlabelled, problem.in_channels, *size)))
    return StepBatch(step, machine.tensor(image), label.to(machine.device), other)
