"""The quick step computes what a loop written by hand computes: the same losses in float32, step after step."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods._base import Problem, StepBatch
from napari_penumbra.methods._functional import gaussian_ramp
from napari_penumbra.methods.mean_teacher import MeanTeacher
from napari_penumbra.training.learner import Learner

STEPS = 10
NETWORKS = {
    "U-Net": {"backbone": "unet", "width": 4, "patch": (8, 16, 16)},
    "V-Net": {"backbone": "vnet", "width": 4, "patch": (32, 32, 32)},
    "DeepMedic": {"backbone": "deepmedic", "patch": (19, 19, 19)},
}


def batch(step: int, patch: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    image, other = (torch.randn(2, 1, *patch, generator=generator) for _ in range(2))
    return image, (image[:, 0] > 0.5).long(), other


def by_hand(made: MeanTeacher) -> list[float]:
    """Eqs. 1 to 4 of the mean-teacher paper, one forward per stream and a loop over the weights."""
    config = made.config
    student, teacher = made.student.train(), made.teacher.eval()
    weights = [p for p in student.parameters() if p.ndim > 1], [p for p in student.parameters() if p.ndim <= 1]
    optimiser = torch.optim.SGD(
        [{"params": weights[0], "weight_decay": config.weight_decay}, {"params": weights[1], "weight_decay": 0.0}],
        lr=config.learning_rate,
        momentum=config.momentum,
    )
    said = []
    for step in range(STEPS):
        image, label, other = batch(step, made.patch)
        logits = student(torch.cat([image, other]))
        label = cropped(label, logits)
        own, soft = logits[:2], logits[2:].softmax(1)
        hard = functional.one_hot(label, 2).movedim(-1, 1).float()
        with torch.no_grad():
            taught = teacher(other).softmax(1)
        beta = config.consistency_weight * gaussian_ramp(step, config.ramp_steps)
        loss = functional.cross_entropy(own, label) + dice_loss(own.softmax(1), hard) + beta * dice_loss(soft, taught)
        said.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * (1 - step / config.steps) ** config.poly_power
        optimiser.step()
        keep = made.teacher_decay(step)
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
            slow.copy_(keep * slow + (1 - keep) * fast if slow.is_floating_point() else fast)
    return said


def dice_loss(p: Tensor, q: Tensor) -> Tensor:
    """Mean over the classes, each measured over the whole batch."""
    losses = []
    for c in range(p.shape[1]):
        losses.append(1 - (2 * (p[:, c] * q[:, c]).sum() + 1e-5) / (p[:, c].sum() + q[:, c].sum() + 1e-5))
    return torch.stack(losses).mean()


def cropped(label: Tensor, logits: Tensor) -> Tensor:
    for axis, size in enumerate(logits.shape[2:], start=1):
        label = label.narrow(axis, (label.shape[axis] - size) // 2, size)
    return label


@pytest.mark.parametrize("name", list(NETWORKS))
def test_ten_steps(name: str) -> None:
    settings = {"steps": 50, "pretrain_steps": 0, "ramp_steps": 20, "additive_noise": 0, "multiplicative_noise": 0}
    settings |= {"optimiser": "sgd", "learning_rate": 1e-3, **NETWORKS[name]}
    torch.manual_seed(0)
    made = MeanTeacher(MeanTeacher.configure("laptop", settings), Problem(1, 2, (1.0, 1.0, 1.0)))
    for module in made.modules():
        if isinstance(module, nn.Dropout | nn.Dropout3d):
            module.p = 0.0
    plain = by_hand(copy.deepcopy(made))
    learner = Learner(made, Machine(torch.device("cpu"), bfloat16=False, channels_last=True), 0)
    quick = []
    for step in range(STEPS):
        image, label, other = batch(step, made.patch)
        seen = StepBatch(step, learner.machine.tensor(image), label, learner.machine.tensor(other))
        quick.append(float(learner.learn(seen)["total"]))
    assert quick == pytest.approx(plain, rel=1e-5)
    assert len({round(loss, 4) for loss in plain}) == STEPS, "something was learnt and compared"
