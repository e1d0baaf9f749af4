"""What a step may ask for on this machine, and how much it took."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from napari_penumbra.inference.plan import Shape
from napari_penumbra.methods._base import Streams

_SMALLEST_PATCH = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a method asks for: the size of the cases, and what memory has turned out to allow.

    Attributes
    ----------
    shape
        Median size (z, y, x) of the cases: a larger patch would be padding for the most part.
    divisor
        Multiples (z, y, x) that a patch should have.
    margin
        Context (z, y, x) on each side of a patch that carries no answer; such patches are never cut to the shape.
    batch_halvings, patch_halvings
        How often each was halved after memory ran out.
    """

    shape: Shape
    divisor: Shape = (1, 1, 1)
    margin: Shape = (0, 0, 0)
    batch_halvings: int = 0
    patch_halvings: int = 0

    def fit(self, wanted: Streams) -> Streams:
        """Reduce what a step wants to what it may have."""
        z, y, x = (self._edge(axis, wanted.patch[axis]) for axis in range(3))
        return Streams(
            _halved(wanted.labelled, self.batch_halvings),
            _halved(wanted.unlabelled, self.batch_halvings),
            (z, y, x),
            wanted.foreground_share,
        )

    def _edge(self, axis: int, wanted: int) -> int:
        divisor, around = self.divisor[axis], 2 * self.margin[axis]
        inner = wanted - around
        if around == 0:
            inner = min(inner, -(-self.shape[axis] // divisor) * divisor)
        halved = inner >> self.patch_halvings
        if around == 0 and halved >= divisor:
            halved -= halved % divisor
        smallest = min(inner, max(divisor, _SMALLEST_PATCH))
        return max(halved, smallest) + around if self.patch_halvings else inner + around

    def smaller(self, wanted: Streams) -> Limits | None:
        """Halve the batch or, when that is one patch already, the patch; None when nothing is left to halve."""
        now = self.fit(wanted)
        if max(now.labelled, now.unlabelled) > 1:
            return self._with(self.batch_halvings + 1, self.patch_halvings)
        less = self._with(self.batch_halvings, self.patch_halvings + 1)
        return less if less.fit(wanted).patch != now.patch else None

    def _with(self, batch_halvings: int, patch_halvings: int) -> Limits:
        return Limits(self.shape, self.divisor, self.margin, batch_halvings, patch_halvings)

    def to_json(self) -> dict[str, Any]:
        """Plain data: what memory has taught (the rest follows from the plan)."""
        return {"batch_halvings": self.batch_halvings, "patch_halvings": self.patch_halvings}

    def restored(self, data: dict[str, Any]) -> Limits:
        """Inverse of `to_json`."""
        return self._with(int(data["batch_halvings"]), int(data["patch_halvings"]))


def _halved(count: int, times: int) -> int:
    return max(1, count >> times) if count else 0


def memory_bytes(device: torch.device) -> int:
    """Peak memory: of the device if it is a graphics card, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    info = psutil.Process().memory_info()
    if sys.platform == "win32":
        return int(info.peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
