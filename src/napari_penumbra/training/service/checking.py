"""Whether a model from elsewhere is what it says: its method is here, and every tensor is one that the method has."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import torch
from safetensors import safe_open
from torch import Tensor

from napari_penumbra.domain.errors import ModelError, PenumbraError
from napari_penumbra.inference.plan import Plan
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.checkpoint import METHOD_PREFIX, WEIGHTS, build_method
from napari_penumbra.training.plan import problem_of

_REMEDY = "Ask whoever sent it to export it again; nothing was taken from it."
_NAMED = 3


def check_model(folder: Path) -> None:
    """Check a checkpoint's weights against the method that its plain data name.

    The method is first built without memory for its numbers, so that a description of an absurdly large network costs
    nothing.

    Raises
    ------
    ModelError
        The method is not installed or does not know the parameters; a tensor is missing, foreign, of another shape or
        type, or has numbers that are none.
    """
    state = checkpoints.load(folder, optimisers=False).state
    plan = Plan.from_json(copy.deepcopy(state["plan"]))
    try:
        with torch.device("meta"):
            wanted = build_method(str(state["method"]), state["config"], problem_of(plan)).state_dict()
    except PenumbraError as error:
        raise ModelError(
            f"The model's method cannot be built here: {error.message}", error.remedy, error.details
        ) from error
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            _check_names(wanted, list(file.keys()))
            for name, like in wanted.items():
                _check_tensor(name, file.get_tensor(METHOD_PREFIX + name), like)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError("The model's weights cannot be read.", _REMEDY, repr(error)) from error


def _check_names(wanted: Mapping[str, Tensor], found: Sequence[str]) -> None:
    names = {METHOD_PREFIX + name for name in wanted}
    missing, foreign = sorted(names - set(found)), sorted(set(found) - names)
    if missing:
        raise ModelError(f"The model lacks the tensor {_listed(missing)}.", _REMEDY)
    if foreign:
        raise ModelError(f"The model holds the tensor {_listed(foreign)}, which its method does not have.", _REMEDY)


def _check_tensor(name: str, tensor: Tensor, like: Tensor) -> None:
    if tensor.shape != like.shape:
        sizes = " × ".join(map(str, tensor.shape)), " × ".join(map(str, like.shape))
        raise ModelError(
            f"The model's tensor {name} has the shape {sizes[0] or 'of one number'}, its method wants "
            f"{sizes[1] or 'one number'}.",
            _REMEDY,
        )
    if tensor.dtype != like.dtype:
        wanted, found = (str(t.dtype).removeprefix("torch.") for t in (like, tensor))
        raise ModelError(f"The model's tensor {name} holds {found}, its method wants {wanted}.", _REMEDY)
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"The model's tensor {name} holds values that are not numbers.", _REMEDY)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name.removeprefix(METHOD_PREFIX)[:80] for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
