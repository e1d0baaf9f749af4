"""What a worker wrote about a prediction for choosing the next case, read with suspicion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.labels import BACKGROUND

MOST_CLASSES, MOST_FEATURES = 256, 4096
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tally:
    """So many voxels, and the sum of something in [0, 1] over them."""

    voxels: int
    total: float

    @property
    def mean(self) -> float | None:
        """The mean, None without a voxel."""
        return self.total / self.voxels if self.voxels else None


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """A prediction in a few figures; see `napari_penumbra.inference.summary`, which makes them.

    Attributes
    ----------
    classes
        Entropy in what was predicted as each label value, background (0) included.
    in_question
        Entropy where foreground is at least 1 in 20 likely.
    disagreement
        Distance between two networks; None for methods with one.
    layer, features
        Mean activations of the deepest layer, and its name; empty when there are none.
    """

    classes: Mapping[int, Tally]
    in_question: Tally
    disagreement: Tally | None
    layer: str
    features: Vector

    @property
    def foreground(self) -> float:
        """Share of the voxels that were predicted as any foreground."""
        every = sum(t.voxels for t in self.classes.values())
        inside = sum(t.voxels for value, t in self.classes.items() if value != BACKGROUND)
        return inside / every if every else 0.0


def read_summary(data: Any) -> Summary | None:
    """Make a summary of plain data; None when it is not one: a prediction is shown all the same."""
    try:
        listed = list(data["classes"])
        if len(listed) > MOST_CLASSES or not isinstance(data["in_question"], Mapping):
            return None
        classes = {int(c["value"]): _tally(c, "entropy") for c in listed}
        between = data.get("disagreement")
        features = data.get("features") or {"layer": "", "values": []}
        values = np.asarray(features["values"], dtype=np.float32)
        if values.ndim != 1 or values.size > MOST_FEATURES or not np.isfinite(values).all():
            return None
        return Summary(
            classes,
            _tally(data["in_question"], "entropy"),
            None if between is None else _tally(between, "distance"),
            str(features["layer"])[:200],
            values,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _tally(data: Mapping[str, Any], name: str) -> Tally:
    voxels, total = int(data["voxels"]), float(data[name])
    # A thousandth of air: the sums were rounded.
    if voxels < 0 or not math.isfinite(total) or not -1e-3 <= total <= voxels * (1 + 1e-3) + 1e-3:
        raise ValueError(f"{total} over {voxels} voxels")
    return Tally(voxels, min(max(total, 0.0), float(voxels)))
