"""Each trick of the training step by itself: the step with all of them, and with each one taken away, by turns."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods._base import Problem, StepBatch
from napari_penumbra.methods.mean_teacher import MeanTeacher
from napari_penumbra.training.learner import Learner
from speed_parts.training import NETWORKS

STEPS = 4


class TwoForwards(MeanTeacher):
    """One forward for each stream."""

    def _student_logits(self, image: Tensor | None, unlabelled: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        known = None if image is None else self.student(image)
        other = None if unlabelled is None else self.student(self._seen(unlabelled))
        return known, other


class LoopedAverage(MeanTeacher):
    """The teacher is moved parameter by parameter."""

    def after_step(self, step: int) -> None:
        """Move the teacher."""
        keep = self.teacher_decay(step)
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                slow.data.mul_(keep).add_(fast.data, alpha=1 - keep)
            for slow, fast in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
                slow.data.copy_(keep * slow + (1 - keep) * fast if slow.is_floating_point() else fast)


def compare(network: str, rounds: int) -> dict[str, Any]:
    """Seconds per step with all tricks and without each; the ratio says how much longer it takes without."""
    half = Machine.choose("cpu", nn.Conv3d(1, 1, 1)).bfloat16
    cpu = torch.device("cpu")
    best = Machine(cpu, half, True)
    sides = {
        "all": _Side(network, MeanTeacher, best),
        "float32": _Side(network, MeanTeacher, Machine(cpu, False, True)),
        "channels first": _Side(network, MeanTeacher, Machine(cpu, half, False)),
        "two forwards": _Side(network, TwoForwards, best),
        "teacher moved in a loop": _Side(network, LoopedAverage, best),
        "none": _Side(network, TwoForwards, Machine(cpu, False, False)),
    }
    seconds: dict[str, list[float]] = {title: [] for title in sides}
    for _ in range(rounds):
        for title, side in sides.items():
            seconds[title].append(side.steps(STEPS))
    middle = {title: statistics.median(values) for title, values in seconds.items()}
    return {"seconds_per_step": middle, "ratio": {title: value / middle["all"] for title, value in middle.items()}}


class _Side:
    def __init__(self, network: str, kind: type[MeanTeacher], machine: Machine) -> None:
        settings = dict(NETWORKS[network]) | {"pretrain_steps": 0}
        settings["unlabelled_batch"] = settings["labelled_batch"]
        torch.manual_seed(0)
        method = kind(MeanTeacher.configure(settings.pop("preset"), settings), Problem(1, 2, (1.0, 1.0, 1.0)))
        self.learner = Learner(method, machine, 0)
        batch, patch = settings["labelled_batch"], method.patch
        self.image, self.other = (machine.tensor(torch.randn(batch, 1, *patch)) for _ in range(2))
        self.label = (self.image[:, 0] > 0.5).long()
        self.step = 500
        self.steps(1)

    def steps(self, count: int) -> float:
        """Mean seconds of some steps."""
        began = time.perf_counter()
        for _ in range(count):
            self.learner.learn(StepBatch(self.step, self.image, self.label, self.other))
            self.step += 1
        return (time.perf_counter() - began) / count
