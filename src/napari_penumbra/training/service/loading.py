"""A model in memory, ready to predict, and kept there as long as the same one is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_penumbra.inference.machine import Machine
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor, free_memory
from napari_penumbra.methods._base import Method
from napari_penumbra.training.checkpoint import STATE, load_method


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device, in evaluation mode."""

    method: Method
    plan: Plan
    predictor: Predictor


class Holder:
    """Holds at most one model. Attribute ``loads`` counts how often one was read from disk."""

    def __init__(self) -> None:
        self.loads = 0
        self._held: Loaded | None = None
        self._key: tuple[str, str, int] | None = None

    def get(self, checkpoint: Path, device: str) -> Loaded:
        """Return a checkpoint's model, from memory if it is the one that was asked for last.

        Raises
        ------
        ModelError
            It is damaged, or its method is not installed as it was.
        """
        key = str(checkpoint), device, _stamp(checkpoint)
        if self._held is None or key != self._key:
            self.drop()
            self._held, self._key = load(checkpoint, device), key
            self.loads += 1
        return self._held

    def holds(self, checkpoint: Path, device: str) -> bool:
        """Whether `get` would not have to read anything."""
        return self._held is not None and self._key == (str(checkpoint), device, _stamp(checkpoint))

    def drop(self) -> None:
        """Give the model's memory back."""
        self._held = self._key = None
        free_memory()


def load(checkpoint: Path, device: str) -> Loaded:
    """Read a model as a prediction does (`napari_penumbra.training.build.make_prediction`)."""
    method, plan, state = load_method(checkpoint)
    machine = Machine.choose(device, method)
    machine.place(method)
    method.eval()
    z, y, x = (int(n) for n in state["patch"])
    return Loaded(method, plan, Predictor(method.predictor(), (z, y, x), machine, spatial_dims=plan.dimensions))


def _stamp(checkpoint: Path) -> int:
    try:
        return (checkpoint / STATE).stat().st_mtime_ns
    except OSError:
        return 0
