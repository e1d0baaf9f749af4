"""Layers stay where their case put them, whatever part of their place is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from plugin_cases import GRID

from napari_penumbra.plugin.geometry import placement
from napari_penumbra.plugin.placed import Placed

SHAPE = GRID.array_shape
MOVES: dict[str, Any] = {
    "scale": (1, 1, 1),
    "translate": (1, 2, 3),
    "rotate": 30,
    "shear": (0.1, 0.2, 0.3),
    "affine": [[1, 0, 0, 0], [0, 0.8, -0.6, 7], [0, 0.6, 0.8, 0], [0, 0, 0, 1]],
}


@pytest.mark.parametrize("part", MOVES)
def test_each_part_of_a_place_is_put_back(part: str) -> None:
    told: list[bool] = []
    placed = Placed(lambda: told.append(True))
    layers = [Image(np.zeros(SHAPE, np.float32), **placement(GRID)), Labels(np.zeros(SHAPE, int), **placement(GRID))]
    corner, far = np.zeros(3), np.array(SHAPE) - 1
    before = layers[0].data_to_world(corner), layers[0].data_to_world(far)
    placed.hold(layers)
    for layer in layers:
        setattr(layer, part, MOVES[part])
        np.testing.assert_array_equal((layer.data_to_world(corner), layer.data_to_world(far)), before)
    assert told == [True], "said once, whatever is moved how often"
    placed.release()
    setattr(layers[0], part, MOVES[part])
    assert not np.allclose(layers[0].data_to_world(far), before[1]), "nobody holds it any more"
