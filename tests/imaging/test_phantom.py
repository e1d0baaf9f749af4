"""The simulated cohort is frozen, plausible and fast."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest
from scipy import ndimage

from napari_penumbra.domain.grid import CANONICAL
from napari_penumbra.imaging.phantom import LABELS, MODALITIES, SHAPE, UNITS, VERSION, PhantomCase, make_case

FROZEN_SEEDS = (0, 7, 2026)
FROZEN_VERSION = 1
FROZEN_LABELS = "81526fba08e0a513dac2b2b57f61619c27cbddfa75d4bb868de66ab3f8d8b3e3"
# Mean and 99th percentile per modality. Not a hash: the last bit of a sum may differ between processors.
FROZEN_IMAGES: dict[str, dict[int, tuple[float, float]]] = {
    "DWI": {0: (218.691, 819.0), 7: (255.047, 695.0), 2026: (115.175, 470.0)},
    "ADC": {0: (352.971, 1902.81), 7: (403.485, 1951.0), 2026: (312.454, 1791.0)},
    "T2": {0: (95.3075, 399.0), 7: (141.404, 522.0), 2026: (155.044, 642.0)},
    "Tmax": {0: (0.695127, 10.2), 7: (1.25431, 9.0), 2026: (0.837751, 8.9)},
    "TTP": {0: (6.06172, 28.0), 7: (9.58653, 33.7), 2026: (7.95795, 34.8)},
    "CBF": {0: (12.3836, 54.3), 7: (14.9782, 61.3), 2026: (11.0514, 52.5)},
    "CBV": {0: (0.989855, 4.05), 7: (1.34407, 5.23), 2026: (0.955206, 4.17)},
}


@pytest.fixture(scope="module")
def cases() -> dict[int, PhantomCase]:
    return {seed: make_case(seed) for seed in range(16)}


def figures(case: PhantomCase, modality: str) -> tuple[float, float]:
    image = case.images[modality]
    return float(image.mean(dtype=np.float64)), float(np.percentile(image, 99))


def test_labels_are_frozen() -> None:
    digest = hashlib.sha256()
    for seed in FROZEN_SEEDS:
        digest.update(make_case(seed).labels.tobytes())
    assert (VERSION, digest.hexdigest()) == (FROZEN_VERSION, FROZEN_LABELS)


@pytest.mark.parametrize("modality", MODALITIES)
def test_images_are_frozen(modality: str) -> None:
    for seed, expected in FROZEN_IMAGES[modality].items():
        np.testing.assert_allclose(figures(make_case(seed), modality), expected, rtol=2e-3)


def test_same_seed_same_case_and_other_seed_other_case(cases: dict[int, PhantomCase]) -> None:
    again = make_case(3)
    assert all((again.images[m] == cases[3].images[m]).all() for m in MODALITIES)
    assert (again.labels == cases[3].labels).all()
    assert not (cases[3].images["T2"] == cases[4].images["T2"]).all()


def test_arrays_grid_and_values(cases: dict[int, PhantomCase]) -> None:
    for case in cases.values():
        assert tuple(case.images) == MODALITIES == tuple(UNITS)
        assert case.grid.axes() == CANONICAL
        assert case.grid.array_shape == SHAPE == case.labels.shape
        assert case.labels.dtype == np.uint8
        assert set(np.unique(case.labels)) <= {0, *LABELS}
        for image in case.images.values():
            assert image.shape == SHAPE
            assert image.dtype == np.float32
            assert np.isfinite(image).all()
            assert image.min() >= 0


def test_physical_units_are_plausible(cases: dict[int, PhantomCase]) -> None:
    core_adc = []

    def median(case: PhantomCase, modality: str, where: np.ndarray) -> float:
        return float(np.median(case.images[modality][where]))

    for case in cases.values():
        adc, healthy = case.images["ADC"], (case.labels == 0) & (case.images["CBF"] > 5) & (case.images["ADC"] < 1100)
        penumbra, core = case.labels == 1, case.labels == 2
        assert 750 < median(case, "ADC", healthy) < 920
        assert 1 < median(case, "Tmax", healthy) < 4
        assert 30 < median(case, "CBF", healthy) < 60
        assert 2 < median(case, "CBV", healthy) < 5
        assert median(case, "Tmax", penumbra) > 6 > np.percentile(case.images["Tmax"][healthy], 98)
        assert 0.85 < median(case, "ADC", penumbra) / median(case, "ADC", healthy) < 1.25
        if core.sum() > 60:
            core_adc.append(median(case, "ADC", core))
            assert median(case, "DWI", core) > 1.15 * median(case, "DWI", penumbra)
            assert median(case, "CBF", core) < 0.45 * median(case, "CBF", healthy)
        assert (adc > 2000).any()  # fluid
    # Cores of thin cortex share their voxels with fluid, as in patients.
    assert np.quantile(core_adc, 0.8) < 600
    assert max(core_adc) < 700


def test_lesions_vary_and_stay_in_one_hemisphere(cases: dict[int, PhantomCase]) -> None:
    volumes, cores, sides = [], [], []
    for case in cases.values():
        lesion = case.labels > 0
        volumes.append(lesion.sum() * case.grid.voxel_ml)
        cores.append((case.labels == 2).sum() / lesion.sum())
        sides.append(np.argwhere(lesion)[:, 2].mean() > SHAPE[2] / 2)
        assert (case.labels == 1).any()
        assert ndimage.label(lesion)[1] == 1
    assert min(volumes) < 25
    assert max(volumes) > 100
    assert min(cores) < 0.1
    assert max(cores) > 0.5
    assert 2 < sum(sides) < 14


def test_a_case_takes_less_than_half_a_second() -> None:
    started = time.process_time()
    make_case(99)
    assert time.process_time() - started < 0.5
