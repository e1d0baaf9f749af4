"""How far the review of the shown case is, and what it has changed: counted once, then only where a stroke fell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Box
from napari_penumbra.widgets.review_voxels import UnknownCounter
from napari_penumbra.widgets.volumes import EditDice


class Progress:
    """What the labels of a case have become since the prediction.

    Parameters
    ----------
    predicted, labels
        (z, y, x) uint8. ``labels`` may change as long as `update` is told where.
    """

    def __init__(self, predicted: LabelArray, labels: LabelArray) -> None:
        self._predicted = predicted
        self._labels = labels
        self._unknown = UnknownCounter(labels)
        self._differing = [self._count(z, labels) for z in range(len(labels))]
        self._dice: EditDice | None = None

    def update(self, labels: LabelArray, box: Box) -> None:
        """Count the slices of ``box`` anew."""
        self._labels = labels
        self._unknown.update(labels, box)
        for z in range(max(0, box[0][0]), min(box[1][0], len(labels))):
            self._differing[z] = self._count(z, labels)
        if self._dice is not None:
            self._dice.update(labels, box)

    @property
    def edited(self) -> bool:
        """Whether the labels differ from the prediction, by an edit of now or of an earlier sitting."""
        return any(self._differing)

    @property
    def dice(self) -> float | None:
        """Dice of the prediction to the labels as edited; None before an edit, or without foreground."""
        if not self.edited:
            return None
        if self._dice is None:  # counting costs a tenth of a second on a large scan: not while the case is opened
            self._dice = EditDice(self._predicted, self._labels)
        return self._dice.value()

    def _count(self, z: int, labels: LabelArray) -> int:
        return int(np.count_nonzero(labels[z] != self._predicted[z]))

    @property
    def unknown(self) -> int:
        """Unknown voxels."""
        return self._unknown.voxels


@dataclass(frozen=True, slots=True)
class Amount:
    """So many voxels of a case."""

    voxels: int
    ml: float
    pixels: bool = False

    def __str__(self) -> str:
        """``1,204 voxels, 3.4 ml``, or ``310 pixels`` of a picture."""
        if self.pixels:
            return f"{self.voxels:,} {'pixel' if self.voxels == 1 else 'pixels'}"
        return f"{self.voxels:,} {'voxel' if self.voxels == 1 else 'voxels'}, {self.size}"

    @property
    def size(self) -> str:
        """``3.4 ml``, or ``310 pixels`` of a picture."""
        if self.pixels:
            return str(self)
        return f"{self.ml:,.1f} ml" if self.ml >= 0.1 else f"{self.ml:.2f} ml" if self.ml >= 0.005 else "under 0.01 ml"
