"""Seconds to predict one scan: ours against MONAI's sliding window with its defaults, by turns."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_penumbra.inference.machine import Machine
from napari_penumbra.inference.predictor import Predictor
from napari_penumbra.methods._base import Problem
from napari_penumbra.methods.mean_teacher import MeanTeacher
from speed_parts.scans import SHAPE
from speed_parts.training import NETWORKS

OVERLAP = 0.5
SMALLER = {"DeepMedic": 2}
"""Each axis of the scan is divided by this: windows that give 21x21x5 voxels take MONAI minutes for the whole of it."""
LESSONS = 150
"""Steps after which the network finds blobs, and is sure of most."""


def compare(network: str, rounds: int) -> dict[str, Any]:
    """Predict one scan by each way in turn; medians, ratios to MONAI's, and the share of equal labels."""
    settings = dict(NETWORKS[network])
    torch.manual_seed(0)
    method = MeanTeacher(MeanTeacher.configure(settings.pop("preset"), settings), Problem(1, 2, (1.0, 1.0, 1.0)))
    teacher, patch = _tuned(method), method.patch
    shape = tuple(n // SMALLER.get(network, 1) for n in SHAPE)
    smooth = _scene(shape[::-1])[0]
    ways: dict[str, Callable[[], Tensor]] = {"MONAI, defaults": lambda: _monai(teacher, smooth, patch)}
    for title, bfloat16 in (("ours", True), ("ours, float32", False)):
        machine = Machine(torch.device("cpu"), bfloat16 and Machine.choose("cpu", teacher).bfloat16, True)
        placed = copy.deepcopy(teacher)
        machine.place(placed)
        predictor = Predictor(placed, patch, machine, OVERLAP)
        ways[title] = lambda predictor=predictor: predictor.probabilities(smooth)
    seconds: dict[str, list[float]] = {title: [] for title in ways}
    labels: dict[str, Tensor] = {}
    for _ in range(rounds):
        for title, way in ways.items():
            began = time.perf_counter()
            labels[title] = way().argmax(0)
            seconds[title].append(time.perf_counter() - began)
    middle = {title: statistics.median(values) for title, values in seconds.items()}
    reference = labels["MONAI, defaults"]
    return {
        "voxels": list(shape),
        "seconds": middle,
        "ratio": {title: middle["MONAI, defaults"] / value for title, value in middle.items()},
        "equal_labels": {title: float((label == reference).float().mean()) for title, label in labels.items()},
        "foreground": float(reference.float().mean()),
    }


def _scene(shape: tuple[int, ...]) -> Tensor:
    """Smooth blobs, (1, 1, z, y, x); what is above 0 is to be found."""
    return functional.avg_pool3d(torch.randn(1, 1, *shape), 9, 1, 4) * 12


def _tuned(method: MeanTeacher) -> nn.Module:
    """Let a network segment blobs: labels of random weights would differ by the last digit of a sum."""
    network = method.student.train()
    machine = Machine.choose("cpu", network)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(LESSONS):
        image = _scene(method.patch)
        with machine.autocast():
            logits = network(image).float()
        margin = [(n - m) // 2 for n, m in zip(image.shape[2:], logits.shape[2:], strict=True)]
        inner = tuple(slice(m, n - m) for m, n in zip(margin, image.shape[2:], strict=True))
        loss = functional.cross_entropy(logits, (image[:, 0][(slice(None), *inner)] > 0).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def _monai(network: nn.Module, image: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """MONAI's inferer as its documentation shows it, with as much overlap as ours."""
    from monai.inferers import sliding_window_inference

    margin = [(p - n) // 2 for p, n in zip(patch, _out(network, patch), strict=True)]
    roi = tuple(p - 2 * m for p, m in zip(patch, margin, strict=True))
    grown = [m for m in reversed(margin) for _ in range(2)]
    with torch.no_grad():
        # A network whose output is smaller than its input is given the patch with its context.
        run = (lambda window: network(functional.pad(window, grown))) if any(margin) else network
        logits = sliding_window_inference(image[None], roi, 1, run, overlap=OVERLAP)
        assert isinstance(logits, Tensor)
        return logits[0].softmax(0)


def _out(network: nn.Module, patch: tuple[int, int, int]) -> tuple[int, ...]:
    with torch.no_grad():
        return tuple(network(torch.zeros(1, 1, *patch)).shape[2:])
