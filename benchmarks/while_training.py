"""Training start-up and the window's smoothness meanwhile. Needs a display (xvfb-run -a).

A script paints and changes slices for 60 s while a mean teacher trains; a 10 ms timer notes how late each of its ticks
comes. Targets: the first step within 8 s of Start; more than 50 ms late at most once in a hundred ticks.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import machine
import napari
import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest

from napari_penumbra.domain.progress import Kind
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import make_sample_study

PERIOD_MS, SECONDS = 10, 60


class Lateness:
    """Notes how late each tick of a timer comes."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self.due = time.perf_counter() + PERIOD_MS / 1e3
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self._tick)
        self.timer.start(PERIOD_MS)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late_ms.append(max(0.0, 1e3 * (now - self.due)))
        self.due = now + PERIOD_MS / 1e3


def use(walk: Walkthrough, seconds: float) -> dict[str, float]:
    """Paint and change slices at a reader's pace for a while; returns how late the ticks were."""
    lateness, end, n = Lateness(), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        n += 1
        layer = walk.labels_layer
        if n % 3 == 0:
            walk.viewer.dims.set_current_step(0, n % 16)
        layer.paint((int(walk.viewer.dims.current_step[0]), 30 + n % 20, 25 + n % 15), 1 + n % 2)
        QTest.qWait(50)
    lateness.timer.stop()
    late = np.array(lateness.late_ms)
    return {
        "ticks": len(late),
        "over_50_ms_percent": 100 * float((late > 50).mean()),
        "p50_ms": float(np.percentile(late, 50)),
        "p99_ms": float(np.percentile(late, 99)),
        "worst_ms": float(late.max()),
    }


def main() -> None:
    """Idle first, then while training, in one process, so that the two can be compared."""
    study = make_sample_study(Path(tempfile.mkdtemp()) / "study", cases=12)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    walk.open_study(study)
    walk.open_case("stroke-006")
    walk.page("annotate")
    idle = use(walk, SECONDS / 2)
    walk.page("train")
    walk.wait("the methods", lambda: walk.find("method").count() > 0, 120)
    walk.wait("Start", walk.find("start").isEnabled, 60)
    QTest.qWait(15_000)  # the preflight's own measurement must be over, or two workers share the machine
    before = time.monotonic()
    run = walk.train(5000, method="mean-teacher", wait=False)
    session = walk.widget.session
    walk.wait("the first step", lambda: any(e.kind is Kind.STEP for e in session.history(run)), 120)
    first = time.monotonic() - before
    walk.page("annotate")
    busy = use(walk, SECONDS)
    session.stop(run)
    walk.wait("the end", lambda: session.active is None, 120)
    walk.widget.shut()
    viewer.close()
    machine.save(
        "while_training",
        {
            "first_step_s": {"target": 8.0, "measured": first},
            "late_ticks": {"target_percent": 1.0, "idle": idle, "while_training": busy},
        },
    )


if __name__ == "__main__":
    main()
