"""Whether two scans lie on each other, and the motion that brings them together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from napari_penumbra.domain.case import Volume
from napari_penumbra.domain.errors import GeometryError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.alignment import Alignment, coarse, compare
from napari_penumbra.imaging.cohorts import cohort
from napari_penumbra.imaging.phantom import PhantomCase
from napari_penumbra.imaging.registering import move, register
from napari_penumbra.study.checks.alignment import GAIN, is_mirrored


@pytest.fixture(scope="module")
def case() -> PhantomCase:
    return cohort("stroke").make(503)


def seen(case: PhantomCase, other: np.ndarray, first: str = "DWI") -> Alignment:
    scale = case.grid.scale
    found = compare(coarse(case.images[first], scale), coarse(np.ascontiguousarray(other), scale))
    assert found is not None
    return found


@pytest.mark.parametrize("modality", ["ADC", "T2", "Tmax", "TTP", "CBF", "CBV"])
def test_scans_in_place_are_not_suspected(case: PhantomCase, modality: str) -> None:
    found = seen(case, case.images[modality])
    assert found.gain < GAIN / 3
    assert found.overlap > 0.9
    assert not is_mirrored(found)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("modality", ["T2", "Tmax"])
def test_a_shift_is_seen_and_measured(case: PhantomCase, modality: str, axis: int) -> None:
    voxels = 4
    found = seen(case, np.roll(case.images[modality], voxels, axis))
    assert found.gain > GAIN
    wanted = [0.0, 0.0, 0.0]
    wanted[axis] = -voxels * case.grid.scale[axis]
    assert found.shift_mm == pytest.approx(wanted, abs=4.0)


def test_a_turn_is_seen(case: PhantomCase) -> None:
    turned = ndimage.rotate(case.images["T2"], 12, axes=(1, 2), reshape=False, order=1)
    found = seen(case, turned)
    assert found.gain > GAIN
    assert found.turn < 0


def test_a_mirrored_scan_is_told_from_a_shifted_one(case: PhantomCase) -> None:
    assert is_mirrored(seen(case, case.images["T2"][:, :, ::-1]))
    assert not is_mirrored(seen(case, np.roll(case.images["T2"], 4, 2)))


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 40, 40)])
def test_flat_and_empty_scans_say_nothing(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert compare(coarse(noise, (1.0, 1.0, 1.0)), coarse(noise, (1.0, 1.0, 1.0))) is None
    empty = np.zeros((20, 20, 20), dtype=np.float32)
    assert compare(coarse(empty, (3.0, 3.0, 3.0)), coarse(empty, (3.0, 3.0, 3.0))) is None


def test_coarse_keeps_the_mean_and_the_millimetres() -> None:
    data = np.random.default_rng(1).normal(size=(10, 64, 96)).astype(np.float32)
    small = coarse(data, (5.0, 0.5, 0.5))
    assert small.data.mean() == pytest.approx(float(data.mean()), abs=1e-3)
    assert small.scale[0] == 5.0
    assert [n * s for n, s in zip(small.data.shape, small.scale, strict=True)] == pytest.approx([50, 32, 48])


@pytest.mark.parametrize(("mm", "degrees"), [(12.0, 0.0), (6.0, 8.0)])
def test_registration_finds_the_motion_and_brings_the_scan_back(case: PhantomCase, mm: float, degrees: float) -> None:
    fixed, still = Volume(case.images["DWI"], case.grid), case.images["ADC"]
    shifted = np.roll(still, round(mm / case.grid.scale[2]), 2)
    astray = ndimage.rotate(shifted, degrees, axes=(1, 2), reshape=False, order=1, mode="nearest")
    motion = register(fixed, Volume(astray, case.grid))
    assert motion.shift_mm == pytest.approx(mm, abs=2.0)
    assert motion.degrees == pytest.approx(degrees, abs=1.5)
    assert motion.better
    again = register(fixed, Volume(astray, case.grid))
    assert np.allclose(motion.matrix, again.matrix, atol=1e-6)
    back = move(Volume(astray, case.grid), motion.matrix)
    inside = case.labels >= 0
    before, after = (float(np.abs(a - still)[inside].mean()) for a in (astray, back.data))
    assert after < 0.5 * before
    assert back.grid == case.grid


def test_a_motion_on_an_oblique_grid_is_in_the_patients_millimetres(case: PhantomCase) -> None:
    angle = math.radians(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    grid = Grid.of(case.grid.shape, turn @ case.grid.matrix)
    fixed = Volume(case.images["DWI"], grid)
    astray = Volume(np.roll(case.images["ADC"], 3, 1), grid)
    motion = register(fixed, astray)
    back = move(astray, motion.matrix).data
    assert motion.shift_mm == pytest.approx(3 * grid.scale[1], abs=2.0)
    assert np.abs(back - case.images["ADC"]).mean() < 0.5 * np.abs(astray.data - case.images["ADC"]).mean()


def test_a_picture_cannot_be_registered() -> None:
    flat = Volume(np.zeros((1, 20, 20), dtype=np.float32), Grid.picture(20, 20))
    with pytest.raises(GeometryError, match="picture"):
        register(flat, flat)
