from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from study_scans import grid

from napari_penumbra.domain.case import Verdict
from napari_penumbra.domain.regions import Region
from napari_penumbra.study.benefit import BESIDE, FAR_MM, expected_benefit, reordered, with_benefits

GRID = grid((40, 100, 100), (3.0, 1.0, 1.0))


def region(z: int, y: int, x: int, confidence: float = 0.2, edge: int = 3) -> Region:
    mask = np.ones((1, edge, edge), dtype=bool)
    voxels = mask.size
    return Region(
        ((z, y, x), (z + 1, y + edge, x + edge)), mask, 1, confidence, 0.0, expected_benefit(voxels, confidence), "weak"
    )


@pytest.mark.parametrize(
    ("voxels", "confidence", "distance", "benefit"),
    [
        (100, 0.2, math.inf, 80),
        (100, 1.0, math.inf, 0),
        (0, 0.2, math.inf, 0),
        (100, 0.2, FAR_MM, 80),
        (100, 0.2, 10 * FAR_MM, 80),
        (100, 0.2, 0, 80 * BESIDE),
        (100, 0.2, FAR_MM / 2, 80 * (1 + BESIDE) / 2),
    ],
)
def test_size_times_uncertainty_times_distance(
    voxels: float, confidence: float, distance: float, benefit: float
) -> None:
    assert expected_benefit(voxels, confidence, distance) == pytest.approx(benefit)


@pytest.mark.parametrize("wrong", [(-1, 0.5, 0), (1, -0.1, 0), (1, 1.1, 0), (1, 0.5, -1), (1, 0.5, math.nan)])
def test_nonsense_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no benefit"):
        expected_benefit(*wrong)


def test_it_grows_with_size_doubt_and_distance() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, c, d = rng.uniform(1, 1e5), rng.uniform(0, 0.9), rng.uniform(0, 60)
        assert expected_benefit(n * 1.1, c, d) > expected_benefit(n, c, d)
        assert expected_benefit(n, c + 0.05, d) < expected_benefit(n, c, d)
        assert expected_benefit(n, c, d + 1) >= expected_benefit(n, c, d)


def test_distance_is_taken_in_mm_to_the_nearest_decided_centre() -> None:
    regions = [region(0, 10, 10), region(5, 10, 10), region(0, 10, 80), region(0, 10, 22)]
    assert [r.benefit for r in with_benefits(regions, GRID)] == [pytest.approx(9 * 0.8)] * 4
    regions[0] = replace(regions[0], verdict=Verdict.ACCEPT)
    after = with_benefits(regions, GRID)
    assert after[0] is regions[0]
    for n, mm in ((1, 15.0), (2, 70.0), (3, 12.0)):
        assert after[n].benefit == pytest.approx(expected_benefit(9, 0.2, mm))
    regions[2] = replace(regions[2], verdict=Verdict.REJECT)
    regions[1] = replace(regions[1], verdict=Verdict.UNKNOWN)
    last = with_benefits(regions, GRID)[3]
    assert last.benefit == pytest.approx(expected_benefit(9, 0.2, 12.0)), "the nearest of the three"


def test_rows_that_were_looked_at_stay_and_the_others_share_the_rest() -> None:
    benefits = (9.0, 1.0, 5.0, 7.0, 8.0)
    regions = [replace(region(n, 0, 0), benefit=b) for n, b in enumerate(benefits)]
    assert reordered(regions, {0, 2}, 0.5) == [0, 4, 2, 3, 1]
    assert reordered(regions, range(5), 0.5) == [0, 1, 2, 3, 4]
    regions[4] = replace(regions[4], confidence=0.9)
    assert reordered(regions, (), 0.5) == [0, 3, 2, 1, 4], "a sure piece comes after every weak one"
