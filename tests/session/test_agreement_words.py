"""A comparison in words: no infinity, no NaN, nothing left to guess."""

from __future__ import annotations

import numpy as np
import pytest

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelScheme
from napari_penumbra.evaluation.agreement import agreement
from napari_penumbra.session.agreement_words import Units, place_words, rows, summary

GRID = Grid.of((10, 9, 8), np.diag([-1.0, -1.0, 2.0, 1.0]))
SCHEME = LabelScheme.parse(["1=penumbra", "2=core"])
UNITS = Units.of(GRID)


def cube(value: int = 1, at: int = 2) -> np.ndarray:
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[at : at + 3, 2:6, 3:7] = value
    return labels


NOTHING = np.zeros(GRID.array_shape, np.uint8)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (cube(), cube(), ("1.00", "0.0", "0.0", "0.10", "0.10")),
        (cube(), NOTHING, ("0.00", "only —", "only —", "0.10", "0")),
        (NOTHING, cube(), ("0.00", "only ┅", "only ┅", "0", "0.10")),
        (NOTHING, NOTHING, ("in neither", "in neither", "in neither", "0", "0")),
    ],
)
def test_figures(first: np.ndarray, second: np.ndarray, expected: tuple[str, ...]) -> None:
    one, other = rows(agreement(first, second, GRID, (1, 2)), SCHEME, UNITS)
    assert (one.dice, one.hd95, one.assd, one.first, one.second) == expected
    assert (other.name, other.dice) == ("core", "in neither")


def test_places() -> None:
    second = cube()
    second[2, 2, 3] = 2
    second[2, 5, 6] = 0
    second[7, 0, 0] = 2
    words = {place_words(p, SCHEME) for p in agreement(cube(), second, GRID, (1, 2)).places}
    assert words == {"penumbra —, core ┅", "penumbra only —", "core only ┅"}


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (cube(), "agree in every voxel"),
        (NOTHING, "differ in 1 place, 0.10 ml in all"),
        (np.full_like(NOTHING, UNKNOWN), "0.10 ml are labelled in one and unknown in the other"),
    ],
)
def test_summary(second: np.ndarray, told: str) -> None:
    assert told in summary(agreement(cube(), second, GRID, (1, 2)), UNITS)


def test_a_picture_is_told_in_pixels() -> None:
    grid = Grid.picture(8, 6)
    labels = np.zeros(grid.array_shape, np.uint8)
    labels[0, 1:4, 1:4] = 1
    units = Units.of(grid)
    assert (units.volume, units.distance) == ("px", "px")
    (row,) = rows(agreement(labels, labels, grid, (1,)), LabelScheme.parse(["1=lesion"]), units)
    assert row.first == "9"
