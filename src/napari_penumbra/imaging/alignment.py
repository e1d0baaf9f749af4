"""How well two scans of one patient lie on each other, judged on coarse copies in a tenth of a second.

Two figures are taken. *Overlap*: the share of the smaller foreground (brain or body) that lies in the larger one; a
smaller field of view or a stripped skull does not lower it. *Shared information*: the normalised mutual information
(Studholme 1999) inside a frame around the first foreground, as the scans lie and with the second one moved, turned or
mirrored. Where a moved copy shares clearly more, the scans do not lie on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.imaging.edits._brain import brain_mask

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Triple = tuple[float, float, float]

LONGEST = 64
"""Voxels along the longest edge of a coarse copy: enough to see a shift of a voxel and a half of it."""
FINEST_MM = 2.0
BINS = 24
_STEPS_MM = (24.0, 12.0, 6.0, 3.0)
_TURNS = (15.0, 7.5)
_MARGIN_MM = 10.0
_FEWEST = 200


@dataclass(frozen=True, slots=True)
class Coarse:
    """A scan averaged down: (z, y, x) values and the edges of its voxels along z, y, x in mm."""

    data: Floats
    scale: Triple

    @property
    def flat(self) -> bool:
        """Whether it is a picture or one slice."""
        return min(self.data.shape) < 4


@dataclass(frozen=True, slots=True)
class Alignment:
    """How two scans lie on each other.

    Attributes
    ----------
    overlap
        Share of the smaller foreground inside the larger one, 0 to 1.
    here
        Information they share as they lie; 1 is none, 2 is all.
    best
        The same for the best moved copy (never below ``here``).
    shift_mm
        Where that copy was moved to, along z, y, x of the array (towards feet-head, front-back, right-left).
    turn
        By how many degrees it was turned about the head-foot axis.
    mirrored
        The same as ``best`` for the copy mirrored left to right, at its best place.
    """

    overlap: float
    here: float
    best: float
    shift_mm: Triple
    turn: float
    mirrored: float

    @property
    def shared(self) -> float:
        """Share of the information that is there to share, 0 to 1."""
        return self.here - 1.0

    @property
    def gain(self) -> float:
        """By how much a moved copy shares more, relative to what it shares itself; 0 for scans in place."""
        return (self.best - self.here) / max(self.best - 1.0, 1e-6)

    @property
    def distance_mm(self) -> float:
        """Length of the shift."""
        return float(np.linalg.norm(self.shift_mm))


def coarse(data: npt.NDArray[np.float32], scale: Triple) -> Coarse:
    """Average a scan down to voxels of about 2 to 4 mm, at most `LONGEST` along an edge.

    Parameters
    ----------
    data
        (z, y, x).
    scale
        Edges of a voxel along z, y, x in mm.
    """
    wanted = max(FINEST_MM, max(n * s for n, s in zip(data.shape, scale, strict=True)) / LONGEST)
    factors = [max(1, min(round(wanted / s), n)) for n, s in zip(data.shape, scale, strict=True)]
    z, y, x = (s * f for s, f in zip(scale, factors, strict=True))
    return Coarse(_averaged(data, factors), (z, y, x))


def _averaged(data: Floats, factors: Sequence[int]) -> Floats:
    """Average blocks of voxels, slice by slice: at once it would take a copy of the volume. Rests are left out."""
    z, y, x = (n // f for n, f in zip(data.shape, factors, strict=True))
    fz, fy, fx = factors
    small = np.zeros((z, y, x), dtype=np.float32)
    for at in range(z * fz):
        blocks = data[at, : y * fy, : x * fx].reshape(y, fy, x, fx)
        small[at // fz] += blocks.mean(axis=(1, 3), dtype=np.float32)
    small /= fz
    return small


def foreground(scan: Coarse) -> Mask:
    """Where the brain or body is, holes filled."""
    return brain_mask({"": scan.data}, scan.scale).mask


def compare(a: Coarse, b: Coarse) -> Alignment | None:
    """Say how two scans of one grid lie on each other; None where they show too little to tell.

    Parameters
    ----------
    a, b
        Of the same shape and scale.
    """
    if a.data.shape != b.data.shape or a.flat:
        return None
    mask_a, mask_b = foreground(a), foreground(b)
    smaller = min(int(mask_a.sum()), int(mask_b.sum()))
    if smaller < _FEWEST or not np.ptp(a.data) or not np.ptp(b.data):
        return None
    overlap = float((mask_a & mask_b).sum()) / smaller
    frame = _frame(mask_a | mask_b, a.scale)
    fixed, moving = _levels(a.data, mask_a)[frame], _levels(b.data, mask_b)
    here = _shared(fixed, moving[frame])
    shift, best = _climb(fixed, moving, frame, a.scale, here)
    turn, best = _turned(fixed, moving, frame, shift, best)
    mirror = moving[:, :, ::-1]
    _, mirrored = _climb(fixed, mirror, frame, a.scale, _shared(fixed, mirror[frame]))
    mm = tuple(n * s for n, s in zip(shift, a.scale, strict=True))
    return Alignment(overlap, here, best, (mm[0], mm[1], mm[2]), turn, mirrored)


def _frame(mask: Mask, scale: Triple) -> tuple[slice, ...]:
    frame = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != axis)))
        margin = max(1, round(_MARGIN_MM / scale[axis]))
        frame.append(slice(max(0, int(inside[0]) - margin), int(inside[-1]) + 1 + margin))
    return tuple(frame)


def _levels(data: Floats, mask: Mask) -> npt.NDArray[np.uint8]:
    """Grey values in `BINS` steps between the ends of the foreground, the surroundings included."""
    low = float(np.percentile(data, 1))
    high = float(np.percentile(data[mask], 99))
    scaled = (data - low) * (BINS / max(high - low, 1e-12))
    return np.clip(scaled, 0, BINS - 1).astype(np.uint8)


def _shared(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Normalised mutual information, (H(a) + H(b)) / H(a, b)."""
    joint = np.bincount((a.astype(np.uint16) * BINS + b).ravel(), minlength=BINS * BINS).astype(np.float64)
    joint /= joint.sum()
    table = joint.reshape(BINS, BINS)
    both = _entropy(joint)
    return (_entropy(table.sum(axis=0)) + _entropy(table.sum(axis=1))) / both if both > 0 else 1.0


def _entropy(p: npt.NDArray[np.float64]) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _moved(moving: npt.NDArray[np.uint8], shift: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Shift by whole voxels; what comes in from outside is surroundings."""
    out = np.zeros_like(moving)
    into, of = [], []
    for step, size in zip(shift, moving.shape, strict=True):
        step = max(-size, min(size, step))
        into.append(slice(max(0, step), size + min(0, step)))
        of.append(slice(max(0, -step), size - max(0, step)))
    out[tuple(into)] = moving[tuple(of)]
    return out


def _climb(
    fixed: npt.NDArray[np.uint8], moving: npt.NDArray[np.uint8], frame: tuple[slice, ...], scale: Triple, start: float
) -> tuple[tuple[int, ...], float]:
    """Walk to the shift (in voxels) that shares most: ever smaller steps along the axes, uphill only."""
    at: tuple[int, ...] = (0, 0, 0)
    best = start
    for step in _STEPS_MM:
        for _ in range(4):
            tried = {}
            for axis in range(3):
                voxels = round(step / scale[axis])
                if not voxels or moving.shape[axis] < 3 * voxels:
                    continue
                for sign in (-1, 1):
                    to = tuple(n + sign * voxels * (axis == m) for m, n in enumerate(at))
                    tried[to] = _shared(fixed, _moved(moving, to)[frame])
            if not tried or max(tried.values()) <= best + 1e-9:
                break
            at = max(tried, key=lambda to: tried[to])
            best = tried[at]
    return at, best


def _turned(
    fixed: npt.NDArray[np.uint8], moving: npt.NDArray[np.uint8], frame: tuple[slice, ...], shift: tuple[int, ...],
    best: float,
) -> tuple[float, float]:  # fmt: skip
    """Turn the moved copy about the head-foot axis; degrees (0 where no turn helps) and what it shares."""
    from scipy import ndimage

    degrees = 0.0
    copy = _moved(moving, shift)
    for size in _TURNS:
        for angle in (-size, size):
            turned = ndimage.rotate(copy, angle, axes=(1, 2), reshape=False, order=0)
            shared = _shared(fixed, turned[frame])
            if shared > best:
                degrees, best = angle, shared
    return degrees, best
