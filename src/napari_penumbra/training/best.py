"""The weights of the best validation so far, for trainings that end with those instead of the last ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from napari_penumbra.training.learner import Learner


@dataclass(frozen=True, slots=True)
class Best:
    """One learner's best validation: after which step, how good, and its weights on the CPU."""

    step: int
    dice: float
    weights: Mapping[str, Tensor]


class BestWeights:
    """Remembers, for every learner by itself, the weights that did best on the frozen cases.

    A supervised twin so keeps its own best, by the same rule as the method it is compared with.

    Parameters
    ----------
    learners
        By the prefix under which a checkpoint holds their weights.
    """

    def __init__(self, learners: Mapping[str, Learner]) -> None:
        self.learners = dict(learners)
        self.found: dict[str, Best] = {}
        self._cases: tuple[str, ...] = ()

    def offer(self, step: int, cases: Sequence[str], dice: Mapping[str, float]) -> None:
        """Take notice of a validation; the later one wins a tie.

        Parameters
        ----------
        step
            Steps done.
        cases
            Names of the cases that were scored. Figures on other cases are not comparable: they are forgotten.
        dice
            Mean Dice by the learner's prefix.
        """
        if tuple(cases) != self._cases:
            self.found, self._cases = {}, tuple(cases)
        for prefix, value in dice.items():
            if prefix not in self.found or value >= self.found[prefix].dice:
                weights = {n: t.detach().to("cpu", copy=True) for n, t in self.learners[prefix].weights().items()}
                self.found[prefix] = Best(step, value, weights)

    def put_back(self) -> None:
        """Give every learner its best weights."""
        for prefix, best in self.found.items():
            self.learners[prefix].restore_weights(dict(best.weights))

    def tensors(self) -> dict[str, Tensor]:
        """Weights for a checkpoint."""
        return {prefix + name: t for prefix, best in self.found.items() for name, t in best.weights.items()}

    def to_json(self) -> dict[str, Any]:
        """Everything else for a checkpoint."""
        found = {prefix: {"step": best.step, "dice": best.dice} for prefix, best in self.found.items()}
        return {"cases": list(self._cases), "found": found}

    def restore(self, data: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `to_json` and `tensors`; raises KeyError when the two do not fit."""
        found = {}
        for prefix, entry in data["found"].items():
            names = self.learners[prefix].weights()
            weights = {name: tensors[prefix + name] for name in names}
            found[str(prefix)] = Best(int(entry["step"]), float(entry["dice"]), weights)
        self.found, self._cases = found, tuple(str(name) for name in data["cases"])
