"""Mean teacher and supervised training learn two cases by heart with every network."""

import pytest
import torch

from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods import get
from napari_penumbra.methods._base import Problem, StepBatch
from napari_penumbra.methods._functional import centre_crop
from napari_penumbra.training.learner import Learner

STEPS = 250
SIZE = (64, 64)
"""A Res-UNet halves five times: in patches of 32 its deepest batch normalisation would see two values per channel."""


def two_cases(size):
    """A ball each, hardly brighter than the noise around it."""
    torch.manual_seed(4)
    axes = torch.meshgrid(*(torch.arange(s) for s in size), indexing="ij")
    label = torch.stack(
        [sum((a - s * c) ** 2 for a, s in zip(axes, size, strict=True)) < (size[0] / 5) ** 2 for c in (0.4, 0.6)]
    )
    return label.float().unsqueeze(1) + 0.5 * torch.randn(2, 1, *size), label.long()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["unet", "vnet", "deepmedic", "svnet", "resunet", "colnet"])
@pytest.mark.parametrize("name", ["mean-teacher", "supervised"])
def test_two_cases_are_learnt_by_heart(name, backbone):
    kind = get(name)
    changes = {"backbone": backbone, "width": 8, "patch": (16, *SIZE)}
    if name == "mean-teacher":
        changes |= {"pretrain_steps": 80, "ramp_steps": 40}
    torch.manual_seed(0)
    method = kind(kind.configure("laptop", changes, STEPS), Problem(1, 2, spatial_dims=2))
    image, label = two_cases(method.patch[1:])
    learner = Learner(method, Machine(torch.device("cpu"), bfloat16=False, channels_last=False), seed=0)
    for step in range(STEPS):
        learner.learn(StepBatch(step, image, label, image + 0.2 * torch.randn_like(image)))
    with torch.no_grad():
        said = method.eval().predictor()(image).argmax(1)
    truth = centre_crop(label, said.shape[1:])
    assert float(2 * (said * truth).sum() / (said + truth).sum()) > 0.95
