"""What a reader waits for at the desk: open a case, draw a stroke, accept a case. Needs a display (xvfb-run -a).

Targets: a 240x240x21 case with 6 modalities on the canvas in under 1 s; a stroke journalled in under 5 ms; accept in
under 300 ms. `large_desk.py` measures saving and opening of a 512x512x120 case, which go into the same result.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import large_desk
import machine
import napari
import numpy as np
import scans
from qtpy.QtWidgets import QApplication

from napari_penumbra.plugin.layer_bridge import LayerBridge
from napari_penumbra.session import Session


def timed(work: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure each several times in one process; medians."""
    root = Path(tempfile.mkdtemp()) / "study"
    with scans.study_with_one_case(root) as study:
        scans.predict(study)
    session = Session()
    session.open(root)
    viewer = napari.Viewer(show=True)
    bridge = LayerBridge(viewer, session)

    def show() -> None:
        bridge.show(session.load("case"))
        QApplication.processEvents()

    opening = [timed(show) for _ in range(5)]
    layer = viewer.layers["case · labels"]
    strokes = []
    for n in range(100):
        y = np.arange(100, 110) + n % 50
        indices = (np.full(10, n % 21), y, y)
        strokes.append(timed(lambda i=indices: layer.data_setitem(i, 1)))
    journal = []
    for n in range(100):
        box = ((n % 21, 90, 90), (n % 21 + 1, 130, 130))
        journal.append(timed(lambda b=box: session.stroke("case", b, np.ones((1, 40, 40), np.uint8))))
    accepting = []
    for n in range(5):
        labels = scans.lesion(20 + n)
        accepting.append(timed(lambda v=labels: session.accept("case", v)))
    bridge.close()
    viewer.close()
    session.close()
    machine.save(
        "desk",
        {
            "open_case_s": {"target": 1.0, "first": opening[0], "median": statistics.median(opening)},
            "stroke_painted_and_journalled_ms": _ms(strokes),
            "journal_alone_ms": {"target": 5, **_ms(journal)},
            "accept_ms": {"target": 300, **_ms(accepting)},
            "large": large_desk.measure(),
        },
    )


def _ms(values: list[float]) -> dict[str, float]:
    return {"median": 1e3 * statistics.median(values), "p95": 1e3 * float(np.percentile(values, 95))}


if __name__ == "__main__":
    main()
