"""Dice on the frozen cases, on the plan's grid, for the method and its reference side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.inference.predictor import Predictor
from napari_penumbra.methods._base import IGNORE
from napari_penumbra.training.cache import CaseCache

QUICK_CASES = 5
"""Cases of a validation during training; more would cost up to half of the time (published logs: 39 to 47 %)."""


Share = Callable[[Callable[[SpecCase], Any], Sequence[SpecCase]], list[Any]]


def one_by_one(work: Callable[[SpecCase], Any], cases: Sequence[SpecCase]) -> list[Any]:
    """Call a function for every case."""
    return [work(case) for case in cases]


def quick_selection(cases: Sequence[SpecCase]) -> list[SpecCase]:
    """At most five of the frozen cases, always the same, evenly spread over their order."""
    if len(cases) <= QUICK_CASES:
        return list(cases)
    return [cases[int(i)] for i in np.linspace(0, len(cases) - 1, QUICK_CASES)]


def predict_classes(predictor: Predictor, cache: CaseCache, case: SpecCase) -> Tensor:
    """Class indices (z, y, x) int64 of a case on the plan's grid, on the CPU."""
    image = torch.from_numpy(np.array(cache.image(case), dtype=np.float32))
    return predictor.probabilities(image).argmax(dim=0).cpu()


def dice_per_class(predicted: Tensor, truth: Tensor, classes: int) -> list[float]:
    """Dice of every foreground class over the voxels that are not unknown.

    A class that neither has is perfectly found (1); one that only one of them has is missed (0).
    """
    known = truth != IGNORE
    result = []
    for number in range(1, classes):
        p, t = (predicted == number) & known, (truth == number) & known
        both = int(p.sum()) + int(t.sum())
        result.append(2 * int((p & t).sum()) / both if both else 1.0)
    return result


def validate(
    predictor: Predictor, cache: CaseCache, cases: Sequence[SpecCase], share: Share = one_by_one
) -> dict[str, float]:
    """Score a network on labelled cases.

    Parameters
    ----------
    share
        Calls a function for every case and gives the results in order; several processes share the cases out.

    Returns
    -------
    dict
        ``dice``, the mean over classes and cases, and ``dice_<value>`` per label value.
    """
    values = cache.plan.values

    def score(case: SpecCase) -> list[float]:
        truth = torch.from_numpy(np.array(cache.label(case)))
        return dice_per_class(predict_classes(predictor, cache, case), truth, len(values) + 1)

    mean = np.mean(share(score, cases), axis=0)
    return {"dice": float(mean.mean())} | {f"dice_{v}": float(d) for v, d in zip(values, mean, strict=True)}
