"""Review of a large case: finding its regions, the next region, a verdict, the rest, the calibration. Needs a display.

A 512x512x120 case of two modalities with a prediction that is unsure in many places, in the real window at 1366x768
(``xvfb-run -a``). "Next" is timed from the key's action until the window has drawn the region: on the clock, and in
processor time of the window's own thread, which other programs on the machine do not lengthen. Targets: next region
under 100 ms at the 95th percentile; a verdict under 100 ms.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import napari
import numpy as np
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_penumbra.domain.case import Verdict
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import write_nifti
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.review import find_regions
from napari_penumbra.study.store import Study

SHAPE, RUN = (120, 512, 512), "timing"
GRID = Grid.of(SHAPE[::-1], np.diag([-0.45, -0.45, 1.0, 1.0]))
ROUNDS = 2


def prediction(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two nested balls, and a confidence that is low at their borders and in blobs all over the head."""
    z, y, x = np.ogrid[:120, :512, :512]
    away = np.sqrt((z - 60.0) ** 2 + (0.45 * (y - 256)) ** 2 + (0.45 * (x - 240)) ** 2).astype(np.float32)
    labels = np.zeros(SHAPE, np.uint8)
    labels[away < 35], labels[away < 15] = 1, 2
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(30, 128, 128)).astype(np.float32), 1.5)
    noise = np.kron(noise / noise.std(), np.ones((4, 4, 4), np.float32))
    border = np.minimum(np.abs(away - 35), np.abs(away - 15))
    sure = np.clip(0.35 + border / 15 + 0.2 * noise, 0, 1)
    return labels, np.rint(sure * 255).astype(np.float32) / 255


def make(root: Path) -> Path:
    """A study of two such cases, both predicted."""
    with Study.create(root / "study", "timing", ["DWI", "T2"], LabelScheme.parse(["1=penumbra", "2=core"])) as study:
        files = {}
        for n, name in enumerate(study.modalities):
            files[name] = root / f"{name}.nii"
            write_nifti(files[name], np.random.default_rng(n).integers(0, 4000, SHAPE).astype(np.int16), GRID)
        study.add_run(RUN, "train", "mean-teacher", "laptop")
        study.set_champion(RUN)
        for n, case in enumerate(("large", "other")):
            study.add_case(case, files)
            folder = study.layout.predictions(case)
            folder.mkdir(parents=True, exist_ok=True)
            told: dict[str, str] = {"case": case, "run": RUN, "created": "2026-11-21T08:00:00+00:00"}
            for kind, data in zip(("labels", "confidence"), prediction(n), strict=True):
                told[kind] = f"cases/{case}/predictions/{RUN}.{kind}.nii.gz"
                write_nifti(study.root / told[kind], data, GRID)
            (folder / f"{RUN}.json").write_text(json.dumps(told))
        study.register_predictions()
        return study.root


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds of a call and of the drawing that follows: on the clock, and of this thread's processor time."""
    clock, used = time.perf_counter(), time.thread_time()
    work()
    QApplication.processEvents()
    return 1e3 * (time.perf_counter() - clock), 1e3 * (time.thread_time() - used)


def figures(values: list[tuple[float, float]]) -> dict[str, Any]:
    """Median, 95th percentile and worst, in milliseconds."""
    result: dict[str, Any] = {"n": len(values)}
    for name, column in zip(("clock", "processor"), np.array(values).T, strict=True):
        p50, p95 = np.percentile(column, (50, 95))
        result[name] = {"median": float(p50), "p95": float(p95), "worst": float(column.max())}
    return result


def in_the_window(root: Path) -> dict[str, Any]:
    """Walk, decide and undo in the real window."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    walk.open_study(root)
    dock = walk.widget.dock
    review = dock.review
    dock.cases.open("large")
    dock.show_page("review")
    start = time.perf_counter()
    walk.wait("the regions", lambda: not review.loading and bool(review.regions), 120)
    waited = time.perf_counter() - start
    walk.settle(2000)
    dock.cases._autosave.stop()  # timed by itself in desk.py
    walking = [timed(lambda: review.go_next(1)) for _ in range(ROUNDS * len(review.regions))]
    verdicts, back = [], []
    review.go(0)
    for verdict in (Verdict.ACCEPT, Verdict.REJECT, Verdict.UNKNOWN) * 3:
        verdicts.append(timed(lambda v=verdict: review.decide(v)))
        walk.settle(300)
    for _ in verdicts:
        back.append(timed(review.undo))
        walk.settle(300)
    regions = len(review.regions)
    slider = [timed(lambda v=v: dock.review_page.rest.slider.setValue(v)) for v in np.linspace(0.05, 0.95, 19)]
    dock.review_page.rest.slider.setValue(0.0)
    rest = timed(lambda: review.accept_rest(0.0))
    walk.settle(300)
    undo_rest = timed(review.undo)
    walk.widget.session.accept("other", walk.widget.session.opened().read("other").labels)
    walk.widget.shut()
    viewer.close()
    return {
        "regions": regions,
        "regions_listed_after_opening_s": waited,
        "next_region_ms": {"target_p95": 100, **figures(walking)},
        "verdict_ms": {"target": 100, **figures(verdicts)},
        "undo_ms": figures(back),
        "slider_step_ms": figures(slider),
        "accept_rest_ms": figures([rest]),
        "undo_rest_ms": figures([undo_rest]),
    }


def main() -> None:
    """Measure and save."""
    root = make(Path(tempfile.mkdtemp()))
    labels, sure = prediction()
    names = {1: "penumbra", 2: "core"}
    finding = [timed(lambda: find_regions(labels, sure, GRID, names=names)) for _ in range(4)][1:]
    more = timed(lambda: find_regions(labels, sure, GRID, names=names, most=200, small=True))
    window = in_the_window(root)
    with Study.open(root) as study:
        study.layout.calibration(RUN).unlink(missing_ok=True)
        pairs, models = study.calibration_pairs(), {RUN: RUN}
        fresh = timed(lambda: study.calibrate(RUN, "mean-teacher", pairs, models))
        again = timed(lambda: study.calibrate(RUN, "mean-teacher", study.calibration_pairs(), models))
    machine.save(
        "review",
        {
            "case": "512x512x120, two modalities",
            "load_average": os.getloadavg()[0],
            "find_regions_ms": figures(finding),
            "find_small_ones_too_ms": figures([more]),
            **window,
            "calibration_of_one_more_case_ms": figures([fresh]),
            "calibration_nothing_new_ms": figures([again]),
        },
    )


if __name__ == "__main__":
    main()
