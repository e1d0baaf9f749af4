from __future__ import annotations

import numpy as np
import pytest

from napari_penumbra.domain.grid import Grid
from napari_penumbra.session.reader_cost import Costs, strokes_to_correct, strokes_to_paint

GRID = Grid.of((12, 12, 5), np.diag([-1.0, -1.0, 4.0, 1.0]))
SAGITTAL = Grid.of((5, 12, 12), np.diag([-4.0, -1.0, 1.0, 1.0]))


def empty() -> np.ndarray:
    return np.zeros((5, 12, 12), np.uint8)


def test_prices_add_up_and_are_said() -> None:
    assert Costs().seconds(strokes=3, decisions=8) == 10 + 3 * 4 + 8 * 2
    assert Costs(1, 2, 3).seconds(10, 100) == 321
    assert Costs(1, 2, 3).seconds(10, 100, from_nothing=40) == 1 + 2 * 41, "a hopeless proposal is wiped away"
    assert Costs(1, 2, 3).seconds(2, 1, from_nothing=40) == 8
    assert Costs().words() == "10 s a case, 4 s a stroke, 2 s a decision"


def test_the_usual_prices_give_the_published_times() -> None:
    atrium = np.zeros((50, 8, 8), np.uint8)
    atrium[:, 2:6, 2:6] = 1
    by_hand = Costs().seconds(strokes_to_paint(atrium, Grid.of((8, 8, 50), np.diag([-1, -1, 1.25, 1]))), 0)
    assert by_hand == pytest.approx(218, rel=0.05)
    assert Costs().seconds(3, 8) == pytest.approx(36.7, rel=0.05)


def test_painting_is_a_stroke_per_piece_class_and_slice() -> None:
    truth = empty()
    truth[1, 2:5, 2:5] = 1
    truth[2, 2:5, 2:5] = 1
    truth[2, 8:10, 8:10] = 1
    truth[2, 3, 3] = 2
    truth[3, 0, 0] = 255
    assert strokes_to_paint(truth, GRID) == 1 + 2 + 1
    assert strokes_to_paint(empty(), GRID) == 0


def test_slices_are_those_along_the_coarsest_axis() -> None:
    truth = np.zeros((12, 12, 5), np.uint8)
    truth[2:9, 2:9, 1:4] = 1
    assert strokes_to_paint(truth, SAGITTAL) == 3


def test_correcting_is_a_stroke_per_thick_piece_of_what_it_becomes() -> None:
    truth, predicted = empty(), empty()
    truth[1, 2:9, 2:9] = 1
    predicted[1, 2:9, 2:8] = 1  # a rim of one voxel: let be
    assert strokes_to_correct(predicted != truth, truth, GRID) == 0
    predicted[1, 2:9, 6:9] = 0
    assert strokes_to_correct(predicted != truth, truth, GRID) == 1
    predicted[3, 1:5, 1:5] = 2  # to be erased
    predicted[1, 3:6, 2:5] = 2  # to be another class
    assert strokes_to_correct(predicted != truth, truth, GRID) == 3
    predicted[3, 8:11, 8:11] = 1
    assert strokes_to_correct(predicted != truth, truth, GRID) == 4
    assert strokes_to_correct(np.zeros(truth.shape, bool), truth, GRID) == 0
