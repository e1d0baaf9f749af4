"""A trainer's whole state, to and from a checkpoint."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.training.checkpoint import METHOD_PREFIX, REFERENCE_PREFIX, Checkpoint, under

if TYPE_CHECKING:
    from napari_penumbra.training.trainer import Trainer

_BEST = "best/"


def capture(trainer: Trainer) -> Checkpoint:
    """Collect everything that decides how a training goes on."""
    weights: dict[str, Tensor] = {}
    tensors: dict[str, Tensor] = {}
    state = _plain_state(trainer)
    for prefix, learner in zip((METHOD_PREFIX, REFERENCE_PREFIX), trainer.learners(), strict=False):
        moments, plain = learner.moments()
        weights |= {prefix + name: tensor for name, tensor in learner.weights().items()}
        tensors |= {prefix + name: tensor for name, tensor in moments.items()}
        state["optimisers"][prefix] = plain
    tensors["random/torch"] = torch.get_rng_state()
    tensors["random/augment_labelled"] = trainer.augment_labelled.generator.get_state()
    tensors["random/augment_unlabelled"] = trainer.augment_unlabelled.generator.get_state()
    if trainer.unlabelled is not None:
        places = trainer.unlabelled.pool_places()
        tensors |= {f"pool/{number}": torch.from_numpy(found) for number, found in places.items()}
    if trainer.best is not None:
        tensors |= {_BEST + name: tensor for name, tensor in trainer.best.tensors().items()}
        state["best"] = trainer.best.to_json()
    return Checkpoint(weights, tensors, state)


def _plain_state(trainer: Trainer) -> dict[str, Any]:
    method = trainer.learner.method
    last = method.streams(max(0, trainer.step - 1))
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    return {
        "method": trainer.order.name,
        "preset": trainer.spec.preset,
        "config": method.config.model_dump(mode="json"),
        "problem": {
            "in_channels": method.problem.in_channels,
            "classes": method.problem.classes,
            "spacing": list(method.problem.spacing),
            "spatial_dims": method.problem.spatial_dims,
        },
        "plan": trainer.plan.to_json(),
        "labels": trainer.spec.labels.to_json(),
        "modalities": list(trainer.plan.modalities),
        "patch": list(trainer.limits.fit(last).patch),
        "seed": trainer.spec.seed,
        "step": trainer.step,
        "steps": trainer.steps,
        "limits": trainer.limits.to_json(),
        "figures": trainer.figures,
        "watch": trainer.watch.to_json(),
        "optimisers": {},
        "streams": {
            "labelled": trainer.labelled.state(),
            "unlabelled": trainer.unlabelled.state() if trainer.unlabelled is not None else None,
        },
        "random": {"python": [python[0], list(python[1]), python[2]], "numpy": _listed(numpy)},
    }


def _listed(state: Any) -> Any:
    """Make numpy's generator state plain."""
    if isinstance(state, dict):
        return {k: _listed(v) for k, v in state.items()}
    if isinstance(state, np.ndarray):
        return state.tolist()
    return state.item() if isinstance(state, np.generic) else state


def restore(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Inverse of `capture` on a freshly made trainer of the same order.

    Raises
    ------
    ModelError
        The checkpoint belongs to another method, other settings or another network.
    """
    state = checkpoint.state
    if state["method"] != trainer.order.name or bool(_has_reference(state)) != (trainer.reference is not None):
        raise ModelError("The checkpoint belongs to another training.", "Start a new run.")
    try:
        for prefix, learner in zip((METHOD_PREFIX, REFERENCE_PREFIX), trainer.learners(), strict=False):
            learner.restore_weights(under(prefix, checkpoint.weights))
            learner.restore_moments(under(prefix, checkpoint.optimisers), state["optimisers"][prefix])
        _restore_random(trainer, checkpoint)
        trainer.labelled.restore(state["streams"]["labelled"])
        trainer.watch.restore(state.get("watch"))
        if trainer.unlabelled is None and state["streams"]["unlabelled"] is not None:
            trainer.unlabelled = trainer.unlabelled_stream([])  # its cases have all joined later
        if trainer.unlabelled is not None and state["streams"]["unlabelled"] is not None:
            trainer.unlabelled.restore(state["streams"]["unlabelled"])
            places = {number: found.numpy() for number, found in under("pool/", checkpoint.optimisers).items()}
            trainer.unlabelled.restore_pool_places(places)
        if trainer.best is not None:
            trainer.best.restore(state["best"], under(_BEST, checkpoint.optimisers))
        trainer.limits = trainer.limits.restored(state["limits"])
        trainer.figures = {str(k): float(v) for k, v in state["figures"].items()}
        trainer.step = int(state["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "The checkpoint cannot be continued: its state is not as expected.", "Start a new run.", repr(error)
        ) from error


def _has_reference(state: dict[str, Any]) -> bool:
    return REFERENCE_PREFIX in state["optimisers"]


def _restore_random(trainer: Trainer, checkpoint: Checkpoint) -> None:
    saved = checkpoint.state["random"]
    version, numbers, gauss = saved["python"]
    random.setstate((version, tuple(numbers), gauss))
    numpy = saved["numpy"]
    numpy["state"]["key"] = np.array(numpy["state"]["key"], dtype=np.uint32)
    np.random.set_state(numpy)
    torch.set_rng_state(checkpoint.optimisers["random/torch"])
    trainer.augment_labelled.generator.set_state(checkpoint.optimisers["random/augment_labelled"])
    trainer.augment_unlabelled.generator.set_state(checkpoint.optimisers["random/augment_unlabelled"])
