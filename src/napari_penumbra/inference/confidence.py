"""From class probabilities on a network's grid to labels and confidence on the case's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.inference.plan import Plan, Shape, resize
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
        (C, z, y, x) on the plan's grid.
    probability
        (K, z, y, x) on the plan's grid.
    shape
        Size (z, y, x) of the case.
    """
    with torch.no_grad():
        confidence = method.confidence(image[None].to(probability.device), probability[None])
        confidence = resize(confidence.float(), shape)[0].clamp(0, 1)
        steps = (confidence * CONFIDENCE_STEPS).round().to(torch.uint8).cpu().numpy()
        classes = resize(probability, shape).argmax(dim=0).to(torch.uint8).cpu().numpy()
    return Answer(plan.to_values(classes), steps.astype(np.float32) / np.float32(CONFIDENCE_STEPS))
