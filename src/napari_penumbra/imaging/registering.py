"""Rigid registration of one scan onto another of the same patient, by SimpleITK."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import Volume
from napari_penumbra.domain.errors import GeometryError
from napari_penumbra.domain.grid import AnyArray, FloatArray, Grid
from napari_penumbra.imaging.alignment import Alignment, Mask, coarse, compare, foreground
from napari_penumbra.imaging.resample import resample

MOST_VOXELS = 4_000_000
"""Larger scans are averaged down first: a rigid motion has six numbers, and a million voxels tell them."""
BINS = 32
SAMPLES = 0.2
SEED = 7
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Motion:
    """How a scan has to be moved to lie on another.

    Attributes
    ----------
    matrix
        4x4, row by row: RAS mm of the fixed scan to RAS mm of the moving one, as it is now.
    shift_mm
        By how much the middle of the scan moves.
    degrees
        By how much it is turned.
    most_mm
        How far the corner of the foreground that moves most is moved.
    before, after
        Information that both share, 1 to 2, as in `alignment`.
    """

    matrix: tuple[tuple[float, ...], ...]
    shift_mm: float
    degrees: float
    most_mm: float
    before: float
    after: float

    @property
    def words(self) -> str:
        """Say the motion."""
        return f"moved by {self.shift_mm:.1f} mm and turned by {self.degrees:.1f}°, at most {self.most_mm:.1f} mm"

    @property
    def better(self) -> bool:
        """Whether the scans share more afterwards."""
        return self.after > self.before


def register(fixed: Volume, moving: Volume) -> Motion:
    """Find the rigid motion after which ``moving`` shares most with ``fixed`` (Mattes mutual information).

    Coarse to fine, from where the scan lies and from where a search by shifts says; a fixed seed, so that the same two
    scans give the same motion.

    Parameters
    ----------
    fixed, moving
        (z, y, x) float32 on one grid; volumes of at least 4 voxels along each edge.

    Raises
    ------
    GeometryError
        A picture or a single slice, or no motion was found.
    """
    if fixed.grid.is_picture or min(fixed.grid.shape) < 4:
        raise GeometryError("A picture or single slice cannot be registered.", "Bring it into place where it was made.")
    small_fixed, small_moving = _smaller(fixed), _smaller(moving)
    seen = _seen(fixed, moving)
    try:
        matrix = _optimise(small_fixed, small_moving, seen)
    except RuntimeError as error:
        raise GeometryError(
            "No motion was found that brings the two scans together.",
            "Check by eye that both show the same patient and region.",
            str(error)[:400],
        ) from error
    moved = move(moving, matrix)
    after = _seen(fixed, moved)
    before_shared, after_shared = (1.0 if s is None else s.here for s in (seen, after))
    shift, degrees, most = _size(matrix, fixed)
    return Motion(
        tuple(tuple(float(v) for v in row) for row in matrix), shift, degrees, most, before_shared, after_shared
    )


def move(moving: Volume, matrix: npt.ArrayLike) -> Volume:
    """Bring a scan into place on its own grid, with one linear interpolation.

    Parameters
    ----------
    matrix
        `Motion.matrix`.
    """
    placed = Grid.of(moving.grid.shape, np.linalg.inv(np.asarray(matrix, dtype=np.float64)) @ moving.grid.matrix)
    return resample(Volume(moving.data, placed), moving.grid, "linear", float(moving.data.min()))


def _seen(fixed: Volume, moving: Volume) -> Alignment | None:
    scale = fixed.grid.scale
    return compare(coarse(_floats(fixed), scale), coarse(_floats(moving), scale))


def _floats(volume: Volume) -> AnyArray:
    return np.asarray(volume.data, dtype=np.float32)


def _smaller(volume: Volume) -> Volume:
    """Leave out voxels of a scan that has more than registration needs."""
    size = int(np.prod(volume.grid.shape))
    if size <= MOST_VOXELS:
        return volume
    step = math.ceil((size / MOST_VOXELS) ** (1 / 2))
    steps = (1, step, step) if volume.grid.shape[2] < 64 else (max(1, step // 2), step, step)
    data = _floats(volume)[:: steps[0], :: steps[1], :: steps[2]]
    scaled = volume.grid.matrix @ np.diag([steps[2], steps[1], steps[0], 1.0])
    return Volume(np.ascontiguousarray(data), Grid.of(data.shape[::-1], scaled))


def _optimise(fixed: Volume, moving: Volume, seen: Alignment | None) -> FloatArray:
    import SimpleITK as sitk

    image, other = _to_sitk(fixed), _to_sitk(moving)
    start = sitk.Euler3DTransform()
    start.SetCenter(_centre(fixed))
    if seen is not None and seen.gain > 0.05:
        # The search moved the copy; the transform maps the fixed scan to the moving one, in LPS.
        axes = np.array(image.GetDirection()).reshape(3, 3)
        z, y, x = seen.shift_mm
        start.SetTranslation((-(axes @ np.array([x, y, z]))).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SAMPLES, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 120, 0.5, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1] if min(fixed.grid.shape) >= 32 else [2, 1])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 0.0] if min(fixed.grid.shape) >= 32 else [2.0, 0.0])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    method.SetInitialTransform(start, inPlace=False)
    method.SetNumberOfThreads(1)  # the order of additions would change the result from run to run
    return _matrix(method.Execute(image, other))


def _to_sitk(volume: Volume) -> Any:
    import SimpleITK as sitk

    grid = volume.grid
    image = sitk.GetImageFromArray(_floats(volume))
    lps = _LPS_TO_RAS @ grid.matrix
    spacing = np.asarray(grid.spacing)
    # SimpleITK wants right angles; a skewed grid is straightened, for finding the motion only.
    u, _, v = np.linalg.svd(lps[:3, :3] / spacing)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((u @ v).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def _centre(volume: Volume) -> list[float]:
    index = [(n - 1) / 2 for n in volume.grid.shape] + [1.0]
    return [float(v) for v in (_LPS_TO_RAS @ volume.grid.matrix @ np.array(index))[:3]]


def _matrix(transform: Any) -> FloatArray:
    """4x4 in RAS mm from an ITK transform, whatever its kind: by where it brings four points."""
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    there = np.array([transform.TransformPoint(point.tolist()) for point in points])
    lps = np.eye(4)
    lps[:3, 3] = there[0]
    lps[:3, :3] = (there[1:] - there[0]).T
    return _LPS_TO_RAS @ lps @ _LPS_TO_RAS


def _size(matrix: FloatArray, fixed: Volume) -> tuple[float, float, float]:
    """Shift of the middle (mm), angle (degrees), and the longest way of a corner of the foreground (mm)."""
    small = coarse(_floats(fixed), fixed.grid.scale)
    box = _box(foreground(small))
    factor = np.array([n / m for n, m in zip(fixed.data.shape, small.data.shape, strict=True)])
    corners = np.array([[(z, y, x) for z in box[0] for y in box[1] for x in box[2]]])[0] * factor
    ijk = np.c_[corners[:, ::-1], np.ones(len(corners))].T
    points = fixed.grid.matrix @ ijk
    most = float(np.linalg.norm(((matrix - np.eye(4)) @ points)[:3], axis=0).max())
    middle = points.mean(axis=1)
    shift = float(np.linalg.norm(((matrix - np.eye(4)) @ middle)[:3]))
    cosine = (float(np.trace(matrix[:3, :3])) - 1) / 2
    return shift, math.degrees(math.acos(max(-1.0, min(1.0, cosine)))), most


def _box(mask: Mask) -> list[tuple[int, int]]:
    found = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != axis)))
        found.append((int(inside[0]), int(inside[-1])) if inside.size else (0, mask.shape[axis] - 1))
    return found
