"""Two runs compared by their newest checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch


def files_of(run: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    """Weights, everything else that is a tensor, and plain data."""
    folder = run / "checkpoints" / (run / "checkpoints" / "latest").read_text()
    weights = safetensors.torch.load_file(folder / "weights.safetensors")
    optimisers = safetensors.torch.load_file(folder / "optimisers.safetensors")
    return weights, optimisers, json.loads((folder / "state.json").read_text())


def different(a: Path, b: Path) -> str:
    """Name what differs first: a tensor (compared bit for bit) or a part of the plain data; empty when nothing does."""
    for one, two in zip(files_of(a)[:2], files_of(b)[:2], strict=True):
        if one.keys() != two.keys():
            return "set of tensors"
        for name in one:
            if not torch.equal(one[name], two[name]):
                return name
    one_state, two_state = files_of(a)[2], files_of(b)[2]
    keys = (one_state.keys() | two_state.keys()) - {"figures"}  # holds seconds
    return next((key for key in sorted(keys) if one_state.get(key) != two_state.get(key)), "")
