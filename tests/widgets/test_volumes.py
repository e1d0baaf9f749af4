from __future__ import annotations

import numpy as np
import pytest

from napari_penumbra.widgets.volumes import EditDice, VolumeCounter


def test_volume_follows_strokes():
    labels = np.zeros((4, 5, 6), dtype=np.uint8)
    labels[1, :2, :2] = 1
    counter = VolumeCounter(labels, voxel_ml=0.5)
    assert counter.ml(1) == 2.0
    labels[2:4, 0, 0] = 1
    labels[1, 0, 0] = 2
    counter.update(labels, ((1, 0, 0), (4, 1, 1)))
    assert counter.ml(1) == 2.5
    assert counter.ml(2) == 0.5


def test_volume_equals_a_full_count_after_many_random_strokes():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, (6, 8, 9)).astype(np.uint8)
    counter = VolumeCounter(labels, 1.0)
    for _ in range(30):
        low = [int(rng.integers(0, n - 1)) for n in labels.shape]
        high = [int(rng.integers(a + 1, n + 1)) for a, n in zip(low, labels.shape, strict=True)]
        labels[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = rng.integers(0, 3)
        counter.update(labels, (tuple(low), tuple(high)))
    assert [counter.ml(v) for v in range(3)] == [float((labels == v).sum()) for v in range(3)]


def test_dice_to_the_last_edit():
    predicted = np.zeros((3, 4, 4), dtype=np.uint8)
    predicted[1, :2, :2] = 1
    labels = predicted.copy()
    dice = EditDice(predicted, labels)
    assert dice.value() == 1.0
    labels[1, 0, :2] = 0
    dice.update(labels, ((1, 0, 0), (2, 1, 2)))
    assert dice.value() == pytest.approx(2 * 2 / (2 + 4))
    labels[1, 0, :2] = 255  # unknown voxels are left out
    dice.update(labels, ((1, 0, 0), (2, 1, 2)))
    assert dice.value() == 1.0


def test_dice_of_nothing_is_none():
    empty = np.zeros((2, 2, 2), dtype=np.uint8)
    assert EditDice(empty, empty).value() is None


def test_a_wrong_class_is_not_agreement():
    predicted = np.full((1, 2, 2), 1, dtype=np.uint8)
    assert EditDice(predicted, np.full((1, 2, 2), 2, dtype=np.uint8)).value() == 0.0


def test_a_few_values_are_counted_like_all(qtbot):
    from napari_penumbra.domain.labels import LabelScheme
    from napari_penumbra.widgets.volume_line import VolumeLine

    labels = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (4, 9, 11))
    few, every = VolumeCounter(labels, 0.5, (1, 2, 255)), VolumeCounter(labels, 0.5)
    labels[2:4] = 2
    for counter in (few, every):
        counter.update(labels, ((2, 0, 0), (4, 9, 11)))
    assert [few.ml(v) for v in (1, 2, 255)] == [every.ml(v) for v in (1, 2, 255)]
    assert few.ml(2) == 0.5 * (labels == 2).sum()
    line = VolumeLine()
    qtbot.addWidget(line)
    scheme = LabelScheme.parse(["1=penumbra", "2=core"])
    line.show_volumes(scheme, {1: 13.06, 2: 0.0, 255: 0.0})
    assert line.text() == "penumbra 13.1 ml · core 0 ml"
    line.show_volumes(scheme, {1: 1300, 2: 1, 255: 7}, True)
    assert line.text() == "penumbra 1,300 px · core 1 px · unknown 7 px"
