"""One small scan in which every voxel differs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_penumbra.domain.grid import Grid


@pytest.fixture
def grid() -> Grid:
    """RAS, unequal edges and sizes, so that no swap of axes goes unseen."""
    affine = np.diag([1.5, 2.0, 3.25, 1.0])
    affine[:3, 3] = (-7.5, 11.0, -40.0)
    return Grid.of((9, 8, 6), affine)


@pytest.fixture
def scan(grid: Grid) -> np.ndarray:
    """(i, j, k) int16."""
    return np.random.default_rng(3).permutation(np.prod(grid.shape)).reshape(grid.shape).astype(np.int16)
