"""From class probabilities on a network's grid to labels and confidence on the case's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.inference.plan import Plan, Shape, resize
from napari_penumbra.inference.slices import SLICES_AT_ONCE
from napari_penumbra.methods._base import Method

CONFIDENCE_STEPS = 255
"""Confidence is kept in steps of 1/255: finer is noise, and the files become ten times smaller."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a checkpoint says of a case, (z, y, x) on the case's own grid.

    ``labels`` are values of the study's scheme; ``confidence`` lies in [0, 1].
    """

    labels: LabelArray
    confidence: npt.NDArray[np.float32]


def answer(method: Method, image: Tensor, probability: Tensor, plan: Plan, shape: Shape) -> Answer:
    """Turn probabilities into what a reader sees.

    The probabilities are interpolated before the decision, not the labels after it: borders stay smooth.

    Parameters
    ----------
    image
        (C, z, y, x) on the plan's grid, slice axis first.
    probability
        (K, z, y, x) on the plan's grid, slice axis first.
    shape
        Size (z, y, x) of the case, axes in their own order.
    """
    turned = plan.first(shape)
    with torch.no_grad():
        confidence = resize(_confidence(method, image.to(probability.device), probability).float(), turned)[0]
        steps = (confidence.clamp(0, 1) * CONFIDENCE_STEPS).round().to(torch.uint8).cpu().numpy()
        classes = resize(probability, turned).argmax(dim=0).to(torch.uint8).cpu().numpy()
    labels = plan.to_values(np.ascontiguousarray(plan.turn_back(classes)))
    return Answer(labels, np.ascontiguousarray(plan.turn_back(steps)).astype(np.float32) / np.float32(CONFIDENCE_STEPS))


def _confidence(method: Method, image: Tensor, probability: Tensor) -> Tensor:
    """(C, z, y, x) and (K, z, y, x) to (1, z, y, x); slice by slice for a method in 2D."""
    if method.problem.spatial_dims == 3:
        return method.confidence(image[None], probability[None])
    slices = zip(
        image.movedim(1, 0).split(SLICES_AT_ONCE), probability.movedim(1, 0).split(SLICES_AT_ONCE), strict=True
    )
    return torch.cat([method.confidence(i, p) for i, p in slices])[None]
