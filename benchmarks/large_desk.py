"""The desk with a large case: what saving it and opening the next one cost the window. Part of `desk.py`.

A 512x512x120 case of two modalities (31 million voxels), predicted, in the real window. While a draft is being saved a
clock in the window ticks every few milliseconds; the longest gap between two ticks is how long the window stood still.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
import review
from qtpy.QtCore import QTimer

from napari_penumbra.plugin.walkthrough import Walkthrough

SAVES, OPENINGS = 12, 5
TICK_MS = 2


class Heart:
    """Ticks in the window's thread and remembers the longest gap since `start`, in ms."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._beat)
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self.longest, self._last = 0.0, time.perf_counter()
        self._timer.start()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, 1e3 * (now - self._last)), now


def figures(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and worst of milliseconds."""
    p50, p95 = np.percentile(values, (50, 95))
    return {"n": len(values), "median": float(p50), "p95": float(p95), "worst": max(values)}


def _stroke(walk: Walkthrough, n: int) -> None:
    """Paint a square of 40x40 voxels, on another place each time."""
    z, y = 40 + n % 40, 60 + 7 * n % 300
    value = 2 if walk.widget.bridge.labels()[z, y, y] == 1 else 1
    walk.widget.bridge.set_labels(((z, y, y), (z + 1, y + 40, y + 40)), np.full((1, 40, 40), value, np.uint8))


def saving(walk: Walkthrough) -> dict[str, Any]:
    """Longest standstill of the window per automatic save, and seconds until the draft is on the disk."""
    cases, study = walk.widget.dock.cases, walk.widget.session.opened()
    heart = Heart()
    stalls, took, idle = [], [], []
    for n in range(SAVES):
        _stroke(walk, n)
        walk.settle(500)
        heart.start()
        walk.settle(500)
        idle.append(heart.longest)
        before = len(study.annotations("large"))
        heart.start()
        start = time.perf_counter()
        cases.autosave()
        walk.wait(
            "the draft", lambda b=before: len(study.annotations("large")) > b and not walk.widget.bridge.dirty(), 60
        )
        took.append(1e3 * (time.perf_counter() - start))
        walk.settle(300)
        stalls.append(heart.longest)
    heart._timer.stop()
    return {
        "standstill_ms": figures(stalls),
        "written_after_ms": figures(took),
        "standstill_when_idle_ms": figures(idle),
    }


def opening(walk: Walkthrough, *, painted: bool, ahead: bool = True) -> dict[str, Any]:
    """Milliseconds from asking for the other case until its picture is drawn: on the clock, and of this thread."""
    cases, taken = walk.widget.dock.cases, []
    for n in range(OPENINGS):
        if painted:
            _stroke(walk, 50 + n)
        walk.settle(500)
        if ahead:
            walk.wait("the next case", lambda: not walk.widget.dock.ahead.busy, 60)
        else:
            walk.widget.dock.ahead._soon.stop()
        walk.settle(1500)
        other = "other" if walk.widget.bridge.case == "large" else "large"
        taken.append(review.timed(lambda name=other: cases.open(name)))
    return review.figures(taken)


def measure(root: Path | None = None) -> dict[str, Any]:
    """All of it in one window of 1366x768."""
    root = root or review.make(Path(tempfile.mkdtemp()))
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    walk.open_study(root)
    cases = walk.widget.dock.cases
    cases.open("large")
    walk.page("review")
    cases._autosave.stop()
    walk.settle(2000)
    result = {
        "case": "512x512x120, two modalities",
        "load_average": os.getloadavg()[0],
        "saving_a_draft": saving(walk),
        "open_next_predicted_case_ms": {"target": 1500, **opening(walk, painted=False)},
        "open_next_after_painting_ms": {"target": 1500, **opening(walk, painted=True)},
        "open_a_case_not_read_ahead_ms": opening(walk, painted=False, ahead=False),
    }
    walk.widget.shut()
    viewer.close()
    return result
