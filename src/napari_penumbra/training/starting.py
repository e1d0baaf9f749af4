"""A training that starts from another model: what is matched by name, what is taken over, what begins afresh.

Nothing is permuted in the weights. The run keeps the model's order of channels and classes instead, and its voxel
spacing: images and labels are brought into that order by their names, so every network sees what it has learnt to see.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.domain.naming import match_names
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference.plan import Plan
from napari_penumbra.methods import get
from napari_penumbra.methods._base import Method
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.checkpoint import METHOD_PREFIX, Checkpoint, build_method, under
from napari_penumbra.training.learner import restore_weights
from napari_penumbra.training.plan import make_plan, problem_of

_BUILT_ALIKE = ("stride", "kernel_size", "dilation", "groups", "padding", "scale")
"""What weights do not show: layers that differ here compute other things with the same numbers."""


def starting_model(root: Path, spec: RunSpec) -> Checkpoint | None:
    """Read the model that an order starts from, None when it names none; raises `ModelError` when it is damaged."""
    return None if spec.checkpoint is None else checkpoints.load(root / spec.checkpoint, optimisers=False)


def plan_of(spec: RunSpec, start: Checkpoint | None) -> Plan:
    """Choose the grid on which the networks see the cases: the study's own, or that of the model it starts from.

    Raises
    ------
    ModelError
        The model knows other modalities or classes, or works in other dimensions; the names are in the message.
    """
    plan = make_plan(spec)
    if start is None:
        return plan
    theirs = start.plan
    if theirs.dimensions != plan.dimensions:
        raise ModelError(
            f"The model that it starts from works in {theirs.dimensions}D, this training in {plan.dimensions}D.",
            f'Set the parameter dimensions to "{theirs.dimensions}D", or start afresh.',
        )
    modalities = match_names("modality", theirs.modalities, spec.modalities)
    names = {c.name: c.value for c in spec.labels.classes}
    classes = match_names("class", class_names(start), tuple(names))
    values = tuple(names[name] for name in classes)
    plan = dataclasses.replace(plan, modalities=modalities, values=values, spacing=theirs.spacing)
    cases = [*spec.of_role("labelled"), *spec.of_role("unlabelled")]
    shapes = [plan.shape_of(case.grid) for case in cases]
    depth, height, width = (int(np.median([shape[axis] for shape in shapes])) for axis in range(3))
    return dataclasses.replace(plan, shape=(depth, height, width))


def class_names(start: Checkpoint) -> tuple[str, ...]:
    """Names of a model's classes in the order of its outputs, background left out; raises `ModelError`."""
    try:
        names = {int(c["value"]): str(c["name"]) for c in start.state["labels"]}
        return tuple(names[value] for value in start.plan.values)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("The model does not say what its classes are called.", "Start afresh.", repr(error)) from error


def begin_from(method: Method, name: str, start: Checkpoint) -> str:
    """Give a method's networks the weights of a model, in place, and say in words which.

    A network of the same method takes the weights of its namesake. One without a namesake that fits, and every network
    of another method, takes those of the network that predicted, where both are built alike. What is left, such as a
    discriminator that the model did not have, begins with its own random weights. The networks that predict and that
    learn from labels must be among those that were filled.

    Parameters
    ----------
    method
        Built, on the CPU; its problem follows `plan_of`.
    name
        The method's name in the registry.

    Raises
    ------
    ModelError
        The model's networks are built in another way.
    """
    theirs = build_method(start.state["method"], start.state["config"], problem_of(start.plan))
    restore_weights(theirs, under(METHOD_PREFIX, start.weights))
    same = start.state["method"] == name
    donors = [theirs.predictor(), *_segmenter(theirs), *(child for _, child in theirs.named_children())]
    taken: list[str] = []
    fresh: list[str] = []
    for part, network in method.named_children():
        namesake = [child for n, child in theirs.named_children() if n == part] if same else []
        donor = next((d for d in (*namesake, *donors) if _alike(network, d)), None)
        if donor is not None:
            network.load_state_dict(donor.state_dict())
        (fresh if donor is None else taken).append(part)
    _refuse_if_empty(method, theirs, fresh, start)
    if same:
        _take_loose_numbers(method, theirs)
    return _words(str(start.state["method"]), int(start.state["step"]), taken, fresh)


def _segmenter(method: Method) -> list[nn.Module]:
    network = method.segmenter()
    return [] if network is None else [network]


def _alike(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks are built in the same way, so that weights mean the same in both."""
    mine, theirs = one.state_dict(), other.state_dict()
    if mine.keys() != theirs.keys() or any(mine[name].shape != theirs[name].shape for name in mine):
        return False
    return bool(mine) and _layers(one) == _layers(other)


def _layers(network: nn.Module) -> list[Any]:
    found = []
    for name, module in network.named_modules():
        built = [str(getattr(module, what)) for what in _BUILT_ALIKE if hasattr(module, what)]
        found.append((name, type(module).__name__ if name else "", built))
    return found


def _refuse_if_empty(method: Method, theirs: Method, fresh: Sequence[str], start: Checkpoint) -> None:
    """Raise unless all that predicts and all that learns from labels has weights of the model."""
    needed = {id(p) for network in (method.predictor(), *_segmenter(method)) for p in network.parameters()}
    children = dict(method.named_children())
    lacking = [part for part in fresh if any(id(p) in needed for p in children[part].parameters())]
    if not lacking:
        return
    mine, other = method.config.model_dump(), theirs.config.model_dump()
    network = [k for k in ("backbone", "width", "widths", "depth", "filters", "scale", "dimensions") if k in mine]
    differing = [f"{k}={other[k]}" for k in network if k in other and other[k] != mine[k]]
    title, own = get(str(start.state["method"])).title, type(method).title
    wish = f"Set {', '.join(differing)} as it has it" if differing else f"Train with {title}"
    raise ModelError(
        f'The networks of the model ({title}) are built in another way than those of "{own}" with these settings.',
        f"{wish}, or start afresh.",
        details=f"Nothing fits: {', '.join(lacking)}.",
    )


def _take_loose_numbers(method: Method, theirs: Method) -> None:
    """Copy parameters and buffers that a method keeps itself, outside of its networks."""
    own, other = method.state_dict(), theirs.state_dict()
    loose = {n: other[n] for n in own if "." not in n and n in other and other[n].shape == own[n].shape}
    method.load_state_dict(loose, strict=False)


def _words(model: str, step: int, taken: Sequence[str], fresh: Sequence[str]) -> str:
    begun = f" {_listed(fresh)} begins with random weights." if fresh else ""
    return (
        f"Starting from a model of {model} after {step:,} steps: {_listed(taken)} taken over.{begun} "
        "Optimisers, schedules and the count of steps begin afresh."
    )


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(part.replace("_", " ") for part in parts)
