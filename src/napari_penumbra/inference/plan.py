"""What a network is fed: the plan of a training, and the one way images are brought onto it.

Training, validation and prediction all prepare images here, so a network never meets data made in another way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelArray

PLAN_VERSION = 2
"""1 had neither ``dimensions`` nor ``slice_axis``: it was always 3 and 0."""
SPACING_TOLERANCE = 0.05
"""A voxel edge within 5 % of the plan's is taken as equal: resampling would blur more than it aligns."""
_FLOOR_SHARE = 0.05
"""If at least this share of the voxels has the lowest value, that value stands for "outside the body"."""
_STRONG_REDUCTION = 1.5
"""From this factor on, an axis is averaged instead of interpolated: interpolation would skip voxels."""
_CLIP_PERCENTILES = (0.5, 99.5)

FloatVolume = npt.NDArray[np.float32]
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """How cases are presented to the networks of a run. Stored in its checkpoints.

    Attributes
    ----------
    modalities
        Channels in order.
    values
        Label values in order: class n + 1 of the network is ``values[n]``, class 0 is background.
    spacing
        Voxel edges in mm, slice axis first: the median of the training cases.
    shape
        Median size of the training cases at that spacing, slice axis first.
    dimensions
        3, or 2 for networks that see one slice at a time; then slices keep the thickness they have.
    slice_axis
        Which axis of a case's (z, y, x) array goes from slice to slice: the coarsest one. Networks see it as z.
    """

    modalities: tuple[str, ...]
    values: tuple[int, ...]
    spacing: tuple[float, float, float]
    shape: Shape
    dimensions: int = 3
    slice_axis: int = 0
    version: int = PLAN_VERSION

    @property
    def image_key(self) -> str:
        """Changes whenever prepared images would."""
        return _digest([self.modalities, *self._grid_key()])

    @property
    def label_key(self) -> str:
        """Changes whenever prepared labels would."""
        return _digest([self.values, *self._grid_key()])

    def _grid_key(self) -> list[Any]:
        return [self.version, [round(s, 4) for s in self.spacing], self.dimensions, self.slice_axis]

    def turn(self, volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View of a case's (z, y, x) array with the slice axis first."""
        return np.moveaxis(volume, self.slice_axis, 0)

    def turn_back(self, volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Inverse of `turn`."""
        return np.moveaxis(volume, 0, self.slice_axis)

    def first(self, zyx: Sequence[Any]) -> tuple[Any, Any, Any]:
        """Put the slice axis of three things said of z, y and x first."""
        a, b, c = zyx[self.slice_axis], *(v for axis, v in enumerate(zyx) if axis != self.slice_axis)
        return a, b, c

    def shape_of(self, grid: Grid) -> Shape:
        """Size of a case on the plan's spacing, slice axis first.

        The resampled volume covers exactly the same millimetres as the case; its spacing is the plan's up to the
        rounding of the size.
        """
        sizes, scales = self.first(grid.array_shape), self.first(grid.scale)
        z, y, x = (
            n if abs(scale / wanted - 1) <= SPACING_TOLERANCE else max(1, round(n * scale / wanted))
            for n, scale, wanted in zip(sizes, scales, self.spacing, strict=True)
        )
        return (sizes[0] if self.dimensions == 2 else z), y, x

    def to_classes(self, labels: LabelArray) -> LabelArray:
        """Map label values to class indices; unknown stays 255."""
        table = np.full(256, UNKNOWN, dtype=np.uint8)
        table[0] = 0
        for n, value in enumerate(self.values, start=1):
            table[value] = n
        return table[labels]

    def to_values(self, classes: LabelArray) -> LabelArray:
        """Map class indices back to label values."""
        return np.array([0, *self.values], dtype=np.uint8)[classes]

    def to_json(self) -> dict[str, Any]:
        """Plain data for files."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """Inverse of `to_json`; raises `ModelError` in words."""
        try:
            if int(data["version"]) > PLAN_VERSION:
                raise ModelError("This model was trained by a newer version of the program.", "Update napari-penumbra.")
            z, y, x = (float(s) for s in data["spacing"])
            depth, height, width = (int(n) for n in data["shape"])
            values = tuple(int(v) for v in data["values"])
            names = tuple(str(m) for m in data["modalities"])
            dimensions, slice_axis = int(data.get("dimensions", 3)), int(data.get("slice_axis", 0))
            if dimensions not in (2, 3) or slice_axis not in (0, 1, 2):
                raise ValueError(f"{dimensions} dimensions, slice axis {slice_axis}")
            shape = (depth, height, width)
            return cls(names, values, (z, y, x), shape, dimensions, slice_axis, int(data["version"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError("The model's plan cannot be read.", "Train anew.", details=repr(error)) from error


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:10]


def normalise(image: FloatVolume) -> FloatVolume:
    """Bring intensities of one modality to mean 0 and standard deviation 1 inside the body.

    If at least 5 % of the voxels share the lowest value, that value is background: it is left out of the statistics
    and becomes 0. Otherwise all voxels above the first percentile count. Extremes are clipped to the percentiles 0.5
    and 99.5 of the body, so that a metal artefact does not flatten everything else.

    Parameters
    ----------
    image
        (z, y, x), finite.

    Returns
    -------
    FloatVolume
        Same shape; all zeros for a constant image.
    """
    low = float(image.min())
    has_floor = float(np.mean(image == low)) >= _FLOOR_SHARE
    body = image > (low if has_floor else np.percentile(image, 1))
    bottom, top, mean, deviation = _statistics(image[body])
    if deviation == 0:
        # Flat inside the body (a mask, a map of two values): then the step to the background is what there is to see.
        has_floor = False
        bottom, top, mean, deviation = low, float(image.max()), float(image.mean()), float(image.std())
    if deviation <= 1e-6 * max(1.0, abs(mean)):
        return np.zeros(image.shape, np.float32)
    result = ((np.clip(image, bottom, top) - mean) / deviation).astype(np.float32)
    if has_floor:
        result[~body] = 0
    return result


def _statistics(values: FloatVolume) -> tuple[float, float, float, float]:
    """Lower and upper clip, mean and deviation; deviation 0 where it is no more than rounding noise."""
    if values.size == 0:
        return 0.0, 0.0, 0.0, 0.0
    bottom, top = (float(v) for v in np.percentile(values, _CLIP_PERCENTILES))
    inside = np.clip(values, bottom, top).astype(np.float64)
    mean, deviation = float(inside.mean()), float(inside.std())
    return bottom, top, mean, deviation if deviation > 1e-6 * max(1.0, abs(mean)) else 0.0


def resize(volumes: Tensor, shape: Shape) -> Tensor:
    """Resample (C, z, y, x) to another size over the same millimetres: averaging where it shrinks much, else linear."""
    if tuple(volumes.shape[1:]) == shape:
        return volumes
    batch = volumes[None]
    z, y, x = (
        new if old >= new * _STRONG_REDUCTION else old for old, new in zip(volumes.shape[1:], shape, strict=True)
    )
    shrunk = (z, y, x)
    if tuple(batch.shape[2:]) != shrunk:
        batch = functional.adaptive_avg_pool3d(batch, shrunk)
    if shrunk != shape:
        batch = functional.interpolate(batch, size=shape, mode="trilinear", align_corners=False)
    return batch[0]


def resize_labels(labels: LabelArray, shape: Shape) -> LabelArray:
    """Resample (z, y, x) labels to another size over the same millimetres, nearest voxel."""
    if labels.shape == shape:
        return labels
    index = [
        np.clip(((np.arange(new) + 0.5) * old / new).astype(np.intp), 0, old - 1)
        for old, new in zip(labels.shape, shape, strict=True)
    ]
    return np.ascontiguousarray(labels[np.ix_(*index)])


def prepare(images: Sequence[FloatVolume | None], shape: Shape) -> Tensor:
    """Make a network's input from a case's modalities.

    Parameters
    ----------
    images
        One (z, y, x) array per modality of the plan, all of one size; None where the case lacks it.
    shape
        Size to resample to, from `Plan.shape_of`.

    Returns
    -------
    Tensor
        (C, z, y, x) float32 on the CPU; a missing modality is all zeros, which is the mean of a present one.
    """
    result = torch.zeros((len(images), *shape))
    for channel, image in enumerate(images):
        if image is not None:
            # Statistics on the case's own voxels, before resampling smooths them.
            result[channel] = resize(torch.from_numpy(normalise(image))[None], shape)[0]
    return result
