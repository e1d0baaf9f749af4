"""A few kilobytes about each prediction, by which a study orders the cases that wait: doubt, disagreement, kind.

They are taken while the probabilities are in memory, because neither the labels nor the confidence map, which are all
that stays, can give them back. They are written into the prediction's sidecar as ``summary``:

``classes``
    Per class of the network, background first: ``value`` of the scheme, ``voxels`` predicted as it, and the sum of
    their ``entropy``.
``in_question``
    ``voxels`` where foreground is at least 1 in 20 likely, and the sum of their ``entropy``.
``disagreement``
    Between the network that predicts and the one that the labels alone train (a mean teacher's student, say), in the
    place with the most entropy: ``voxels`` where either sees foreground, and their summed ``distance``. Left out for
    methods with one network.
``features``
    ``layer`` and ``values`` of `features.DeepestLayer`.

Entropy is that of the probabilities divided by its largest possible value, so it lies in [0, 1] whatever the number of
classes; distance is half the sum of the absolute differences of two networks' probabilities, in [0, 1] too. Voxels are
those of the plan's grid.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from napari_penumbra.inference.features import DeepestLayer
from napari_penumbra.inference.machine import is_out_of_memory
from napari_penumbra.inference.plan import Plan, Shape
from napari_penumbra.inference.predictor import Predictor, free_memory
from napari_penumbra.inference.slices import SLICES_AT_ONCE
from napari_penumbra.methods._base import Method

Box = tuple[slice, slice, slice]

IN_QUESTION = 0.05
"""Probability of any foreground from which on a voxel counts: below it lies nearly all of the body, surely healthy."""
VERSION = 1


def summarise(
    method: Method, predictor: Predictor, image: Tensor, probability: Tensor, plan: Plan, deepest: DeepestLayer
) -> dict[str, Any]:
    """Say what the orders need to know of one predicted case.

    Parameters
    ----------
    predictor
        The one that made ``probability``; its patch and machine are used for the second network, too.
    image
        (C, z, y, x) on the plan's grid.
    probability
        (K, z, y, x) on the plan's grid.
    deepest
        Watched the prediction.

    Returns
    -------
    dict
        Plain data, as described in the module's docstring.
    """
    entropy = entropy_of(probability)
    summary: dict[str, Any] = {"version": VERSION, **entropy_figures(probability, entropy, (0, *plan.values))}
    between = _disagreement(method, predictor, image, probability, entropy)
    if between is not None:
        summary["disagreement"] = between
    vector = deepest.vector()
    if vector is not None:
        summary["features"] = {"layer": vector[0], "values": [float(f"{v:.4g}") for v in vector[1]]}
    return summary


def entropy_of(probability: Tensor) -> Tensor:
    """Entropy of (K, z, y, x) probabilities per voxel, (z, y, x) in [0, 1]: 1 where all classes are as likely.

    Also 1 where the network gave no number at all.
    """
    result = torch.empty(probability.shape[1:], dtype=torch.float32, device=probability.device)
    scale = 1 / math.log(max(2, probability.shape[0]))
    # Slice by slice: the logarithms of all classes at once would double the memory of the prediction.
    for z in range(probability.shape[1]):
        result[z] = torch.special.entr(probability[:, z].float()).sum(0) * scale
    return result.nan_to_num_(1.0).clamp_(0, 1)


def entropy_figures(probability: Tensor, entropy: Tensor, values: tuple[int, ...]) -> dict[str, Any]:
    """Counts and summed entropy per predicted class and where foreground is in question; see the module."""
    predicted = winner_of(probability).flatten()
    flat = entropy.flatten().double()
    voxels = torch.bincount(predicted, minlength=len(values)).tolist()
    sums = torch.bincount(predicted, weights=flat, minlength=len(values)).tolist()
    open_ = (probability[0] < 1 - IN_QUESTION).flatten()
    classes = [{"value": v, "voxels": n, "entropy": round(s, 4)} for v, n, s in zip(values, voxels, sums, strict=True)]
    in_question = {"voxels": int(open_.sum()), "entropy": round(float(flat[open_].sum()), 4)}
    return {"classes": classes, "in_question": in_question}


def winner_of(probability: Tensor) -> Tensor:
    """Most probable class of (K, z, y, x), (z, y, x) int64; on a CPU ten times faster than ``argmax`` over axis 0."""
    best = probability[0].clone()
    winner = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
    for number in range(1, probability.shape[0]):
        winner.masked_fill_(probability[number] > best, number)
        torch.maximum(best, probability[number], out=best)
    return winner


def _disagreement(
    method: Method, predictor: Predictor, image: Tensor, probability: Tensor, entropy: Tensor
) -> dict[str, Any] | None:
    """Compare the predicting network with the one that labels alone train; None where there is no second network.

    In one window only, where the doubt is: the whole case would cost as much as the prediction.
    """
    second = method.segmenter()
    if second is None or second is method.predictor():
        return None
    seen, judged = window_of(entropy, predictor.patch, predictor.slice_wise)
    other = Predictor(second, predictor.patch, predictor.machine, predictor.overlap, 2 if predictor.slice_wise else 3)
    try:
        theirs = other.probabilities(image[(slice(None), *seen)])
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        free_memory()
        return None
    inside = (slice(j.start - s.start, j.stop - s.start) for j, s in zip(judged, seen, strict=True))
    return disagreement_figures(probability[(slice(None), *judged)], theirs[(slice(None), *inside)])


def disagreement_figures(ours: Tensor, theirs: Tensor) -> dict[str, Any]:
    """Voxels where either of two (K, z, y, x) predictions has foreground in question, and their summed distance."""
    distance = ((ours - theirs).abs().sum(0) / 2).nan_to_num(1.0)
    either = (torch.minimum(ours[0], theirs[0]) < 1 - IN_QUESTION).to(distance.dtype)
    return {"voxels": int(either.sum()), "distance": round(float((distance * either).double().sum()), 4)}


def window_of(entropy: Tensor, patch: Shape, slice_wise: bool = False) -> tuple[Box, Box]:
    """Where to compare two networks: what the second one sees, and the part of it that is judged.

    Half of the window along each axis is judged, the half with the most entropy; the rest gives the context that the
    first network had, or what the window cuts off would count as disagreement. An axis that the window covers whole is
    judged whole.

    Parameters
    ----------
    entropy
        (z, y, x).
    patch
        Size of a window; smaller volumes are seen whole.
    slice_wise
        Patches have one slice; the box then has as many as are run at once, and slices need no context.
    """
    wanted = (SLICES_AT_ONCE, *patch[1:]) if slice_wise else patch
    size = [min(p, n) for p, n in zip(wanted, entropy.shape, strict=True)]
    whole = [s == n or (slice_wise and axis == 0) for axis, (s, n) in enumerate(zip(size, entropy.shape, strict=True))]
    core = [s if w else max(1, s // 2) for s, w in zip(size, whole, strict=True)]
    step = [max(1, c // 2) for c in core]
    means = functional.avg_pool3d(entropy[None, None], core, step)[0, 0]
    index = int(means.argmax())
    places = (index // means[0].numel(), index // means.shape[2] % means.shape[1], index % means.shape[2])
    judged = [slice(i * t, i * t + c) for i, t, c in zip(places, step, core, strict=True)]
    seen = [
        slice(start := min(max(0, j.start - (s - c) // 2), n - s), start + s)
        for j, s, c, n in zip(judged, size, core, entropy.shape, strict=True)
    ]
    return (seen[0], seen[1], seen[2]), (judged[0], judged[1], judged[2])
