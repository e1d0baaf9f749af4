"""Take two real steps on random data, to learn whether, how fast and with how much memory a training would run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.inference.machine import Machine, is_out_of_memory
from napari_penumbra.inference.predictor import divisor_of, margin_of
from napari_penumbra.methods._base import IGNORE, Method, StepBatch
from napari_penumbra.training.build import make_method, make_reference, read_spec
from napari_penumbra.training.learner import Learner
from napari_penumbra.training.memory import Limits, memory_bytes
from napari_penumbra.training.plan import make_plan

STEPS = 2


def check(run: Path) -> dict[str, Any]:
    """Take two steps as the order's training would take them; no case is opened and nothing is written.

    Returns
    -------
    dict
        ``ok``, ``parameters`` (trained numbers), ``seconds_per_step`` (of the second step), ``memory_bytes`` (peak of
        the process or of the graphics card), ``device``, ``steps`` (of the run); ``error`` and ``remedy`` in words.
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
    plan = make_plan(spec)
    method = make_method(spec, plan)
    if spec.checkpoint is None:
        method.start()
    reference = make_reference(method) if spec.reference else None
    machine = Machine.choose(spec.device, method)
    learners = [Learner(m, machine, spec.seed) for m in (method, reference) if m is not None]
    network, patch = method.predictor(), method.streams(0).patch
    limits = Limits(plan.shape, divisor_of(network, patch), margin_of(network))
    unlabelled = bool(spec.of_role("unlabelled"))
    seconds = 0.0
    for number in range(STEPS):
        # The last step of a run is its heaviest: warm-up phases without unlabelled patches are over.
        step = max(0, method.config.steps - STEPS + number)
        batch = _random_batch(method, limits, step, machine, unlabelled)
        started = time.perf_counter()
        for learner in learners:
            learner.learn(batch)
        if machine.device.type == "cuda":
            torch.cuda.synchronize(machine.device)
        seconds = time.perf_counter() - started
    parameters = sum(p.numel() for p in method.parameters() if p.requires_grad)
    return {
        "ok": True,
        "parameters": parameters,
        "seconds_per_step": seconds,
        "memory_bytes": memory_bytes(machine.device),
        "device": str(machine.device),
        "steps": method.config.steps,
        "error": "",
        "remedy": "",
    }


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
