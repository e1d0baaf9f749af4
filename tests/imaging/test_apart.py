"""Long computations that can be stopped: the process they run in is gone, not only its answer."""

from __future__ import annotations

import time

import numpy as np
import psutil
import pytest

from child_processes import children as running_children
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.apart import compute
from napari_penumbra.imaging.edits import Stopped, seeds, walker

SPACING = (2.0, 1.0, 1.0)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Two touching halves of different brightness, each with a seed."""
    image = np.random.default_rng(0).normal(100, 2, (8, 40, 40)).astype(np.float32)
    image[:, :, 20:] += 60
    labels = np.zeros(image.shape, np.uint8)
    labels[4, 18:22, 8:12], labels[4, 18:22, 28:32] = 1, 2
    return labels, image


def children() -> list[psutil.Process]:
    return running_children("napari_penumbra.imaging.apart")


@pytest.mark.parametrize("tool", [walker.random_walk, seeds.grow_from_seeds])
def test_apart_and_here_agree(tool, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, image = scene()
    here = tool(labels, image, SPACING, values=(1, 2), reach_mm=8.0)
    monkeypatch.setattr(walker, "MOST_HERE", 0)
    monkeypatch.setattr(seeds, "MOST_HERE", 0)
    apart = tool(labels, image, SPACING, values=(1, 2), reach_mm=8.0)
    assert not here.empty
    assert apart.box == here.box
    np.testing.assert_array_equal(apart.after, here.after)


def test_a_walk_that_is_stopped_ends_its_process() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, (60, 110, 110)).astype(np.float32)
    markers = np.zeros(image.shape, np.int32)
    markers[0, 0, 0], markers[-1, -1, -1] = 1, 2
    running: list[psutil.Process] = []

    def check() -> None:
        running[:] = children() or running
        if running and running[0].is_running() and sum(running[0].cpu_times()[:2]) > 1.0:
            raise Stopped  # it computes: half a minute of it is still to come

    start = time.monotonic()
    with pytest.raises(Stopped):
        compute(
            "random_walker",
            {"image": image, "markers": markers},
            {"beta": 1000.0, "spacing": [1.0, 1.0, 1.0]},
            apart=True,
            check=check,
        )
    assert running, "it ran in a process of its own"
    assert not running[0].is_running()
    assert children() == []
    assert time.monotonic() - start < 60


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(PenumbraError, match="without a result") as told:
        compute("watershed", {"heights": np.zeros((2, 2, 2)), "markers": np.zeros((3, 3, 3), np.int32)}, apart=True)
    assert "Error" in told.value.details
