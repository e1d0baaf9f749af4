"""Checkpoints: a folder with two safetensors files and a JSON file, whole or not there at all.

``checkpoints/step-000123/{weights,optimisers}.safetensors, state.json`` and ``checkpoints/latest``, a text file that
names the newest. Nothing is pickled, so a checkpoint from a stranger can be opened without running their code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.imaging.atomic import disk_error, write_bytes, write_text
from napari_penumbra.inference.plan import Plan
from napari_penumbra.methods import get
from napari_penumbra.methods._base import Method, Problem
from napari_penumbra.training.learner import restore_weights
from napari_penumbra.training.plan import problem_of

CHECKPOINT_VERSION = 1
KEPT = 2
WEIGHTS, OPTIMISERS, STATE, LATEST = "weights.safetensors", "optimisers.safetensors", "state.json", "latest"
METHOD_PREFIX, REFERENCE_PREFIX = "method/", "reference/"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is saved.

    Attributes
    ----------
    weights
        Networks by ``method/<name>`` and ``reference/<name>``.
    optimisers
        Every other tensor: moments, random states, places of predicted foreground.
    state
        Plain data: ``method``, ``config``, ``plan``, ``step``, samplers and the rest.
    """

    weights: Mapping[str, Tensor]
    optimisers: Mapping[str, Tensor]
    state: dict[str, Any]

    @property
    def plan(self) -> Plan:
        """How cases are presented to the networks."""
        return Plan.from_json(self.state["plan"])


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, make it the latest, and remove all but the newest two.

    Parameters
    ----------
    folder
        The run's ``checkpoints``.

    Returns
    -------
    Path
        The checkpoint's folder.

    Raises
    ------
    DiskError
        Disk full or not writable. The checkpoints before are untouched.
    """
    name = f"step-{int(checkpoint.state['step']):06d}"
    target, draft = folder / name, folder / f".writing-{name}-{os.getpid()}"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        state = {**checkpoint.state, "version": CHECKPOINT_VERSION, "digests": {}}
        for file, tensors in ((WEIGHTS, checkpoint.weights), (OPTIMISERS, checkpoint.optimisers)):
            # In memory first: safetensors' own file writer hides the system's reason (disk full) in a text.
            data = safetensors.torch.save({k: _plain(v) for k, v in tensors.items()})
            state["digests"][file] = hashlib.sha256(data).hexdigest()
            write_bytes(draft / file, data)
        write_text(draft / STATE, json.dumps(state, allow_nan=False))
        _take_place(draft, target)
    except OSError as error:
        raise disk_error(target, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    write_text(folder / LATEST, name)
    _prune(folder, name)
    return target


def _plain(tensor: Tensor) -> Tensor:
    # A copy of its own: safetensors refuses tensors that share memory (tied weights).
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _take_place(draft: Path, target: Path) -> None:
    """Rename a folder into place; one of the same name (an earlier visit to this step) makes room."""
    old = target.with_name(f".old-{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(draft, target)
    shutil.rmtree(old, ignore_errors=True)


def _prune(folder: Path, latest: str) -> None:
    by_age = sorted((p for p in folder.glob("step-*") if p.is_dir()), key=lambda p: p.stat().st_mtime)
    surplus = [p for p in by_age if p.name != latest][: -(KEPT - 1)]
    stale = [p for pattern in (".writing-*", ".old-*") for p in folder.glob(pattern)]
    for path in [*surplus, *stale]:
        with contextlib.suppress(OSError):
            shutil.rmtree(path, ignore_errors=True)


def candidates(folder: Path) -> list[Path]:
    """Checkpoints of a run, the latest first."""
    found = sorted((p for p in folder.glob("step-*") if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        latest = folder / (folder / LATEST).read_text(encoding="utf-8").strip()
        if latest in found:
            found.remove(latest)
            found.insert(0, latest)
    return found


def load(folder: Path, *, optimisers: bool = True) -> Checkpoint:
    """Read a checkpoint and check that it is what was written.

    Parameters
    ----------
    folder
        A checkpoint, or a run's ``checkpoints`` (then its latest).
    optimisers
        False leaves them out: prediction does not need them.

    Raises
    ------
    ModelError
        Missing, damaged, or written by a newer version.
    """
    if not (folder / STATE).exists() and (known := candidates(folder)):
        folder = known[0]
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if int(state["version"]) > CHECKPOINT_VERSION:
            raise ModelError("This model was trained by a newer version of the program.", "Update napari-penumbra.")
        weights = _read(folder, WEIGHTS, state)
        moments = _read(folder, OPTIMISERS, state) if optimisers else {}
        return Checkpoint(weights, moments, state)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"The checkpoint {folder.name} is damaged or incomplete.",
            "Use another model, or train anew.",
            details=repr(error),
        ) from error


def _read(folder: Path, file: str, state: dict[str, Any]) -> dict[str, Tensor]:
    data = (folder / file).read_bytes()
    if hashlib.sha256(data).hexdigest() != state["digests"][file]:
        raise ValueError(f"{file} is not what was written")
    return dict(safetensors.torch.load(data))


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose name starts with ``prefix``, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def load_method(folder: Path) -> tuple[Method, Plan, dict[str, Any]]:
    """Build the method of a checkpoint with its weights, on the CPU.

    Returns
    -------
    tuple
        The method, the plan its networks know, and the checkpoint's plain data.

    Raises
    ------
    ModelError
        The checkpoint is damaged, or its method is no longer installed as it was.
    """
    checkpoint = load(folder, optimisers=False)
    plan = checkpoint.plan
    method = build_method(checkpoint.state["method"], checkpoint.state["config"], problem_of(plan))
    restore_weights(method, under(METHOD_PREFIX, checkpoint.weights))
    return method, plan, checkpoint.state


def build_method(name: str, config: dict[str, Any], problem: Problem) -> Method:
    """Make a method from its resolved parameters; raises `ModelError` when it does not know them."""
    kind = get(name)
    try:
        values = kind.Config.model_validate(config)
    except ValueError as error:
        raise ModelError(
            f"The method {name} does not know the parameters of this model.",
            "Install the version that trained it.",
            details=str(error),
        ) from error
    return kind(values, problem)
