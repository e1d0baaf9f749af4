"""How a model does on the frozen cases: one file per model, so that no case is predicted twice to be compared."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_penumbra.domain.spec import SpecCase

FROZEN_FILE = "frozen.json"
"""In the folder of the run that made the model."""
MODELS_FILE = "models.json"
"""In the folder of a measurement: the models to measure, run to checkpoint."""


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """One frozen case: the Dice of every class by label value, and what was measured against.

    Attributes
    ----------
    label, key
        The annotation's file, and the content of the images: with another of either the figures no longer hold.
    """

    label: str
    key: str
    dice: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the classes."""
        return sum(self.dice.values()) / len(self.dice)


@dataclass(frozen=True, slots=True)
class FrozenFigures:
    """What one checkpoint got on frozen cases."""

    checkpoint: str
    cases: Mapping[str, CaseFigures] = field(default_factory=dict)

    def known(self, case: SpecCase) -> CaseFigures | None:
        """Figures of a case as it is now, None when it or its annotation has changed since, or was never measured."""
        found = self.cases.get(case.name)
        return found if found is not None and (found.label, found.key) == (case.label, case.key) else None

    def dice(self, cases: Iterable[SpecCase]) -> float | None:
        """Mean over cases and classes; None when a case is not known, or there is none."""
        found = [self.known(case) for case in cases]
        means = [figures.mean for figures in found if figures is not None]
        return sum(means) / len(means) if means and len(means) == len(found) else None

    def to_text(self) -> str:
        """Contents of the file."""
        cases = {
            name: {"label": c.label, "key": c.key, "dice": {str(v): d for v, d in c.dice.items()}}
            for name, c in self.cases.items()
        }
        return json.dumps({"checkpoint": self.checkpoint, "cases": cases}, indent=1, allow_nan=False)

    @classmethod
    def read(cls, run: Path, checkpoint: str) -> FrozenFigures:
        """Read a run's file; empty when there is none, it cannot be read, or it speaks of another checkpoint."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            data = json.loads((run / FROZEN_FILE).read_text(encoding="utf-8"))
            if data["checkpoint"] == checkpoint:
                return cls(checkpoint, {str(name): _case(c) for name, c in data["cases"].items()})
        return cls(checkpoint)


def _case(data: Mapping[str, object]) -> CaseFigures:
    raw = data["dice"]
    if not isinstance(raw, dict) or not raw:
        raise ValueError("no class")
    dice = {int(value): float(share) for value, share in raw.items()}
    if not all(math.isfinite(share) and 0 <= share <= 1 for share in dice.values()):
        raise ValueError("not a Dice")
    return CaseFigures(str(data["label"]), str(data["key"]), dice)
