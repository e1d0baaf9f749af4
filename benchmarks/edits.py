"""How long the computing tools of the Annotate page take, on scans of two stated sizes. Needs no display.

Targets: interpolating ten slices of 512x512 in under 1 s; a mismatch follows a slider, so in under 0.2 s on a
240x240x21 case.

`seconds` is the clock's, the least of several calls; `cpu_s` is what the process itself used in that call, which says
more on a machine that is busy with other work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import machine
import numpy as np

from napari_penumbra.imaging.edits.boxes import slices_of
from napari_penumbra.imaging.edits.holes import fill_holes
from napari_penumbra.imaging.edits.interpolate import interpolate
from napari_penumbra.imaging.edits.margin import move_margin
from napari_penumbra.imaging.edits.mirror import mirror
from napari_penumbra.imaging.edits.mismatch import mismatch_edit
from napari_penumbra.imaging.edits.perfusion import LastMaps, apply_limits
from napari_penumbra.imaging.edits.pieces import keep_pieces
from napari_penumbra.imaging.edits.prediction import copy_prediction
from napari_penumbra.imaging.edits.seeds import grow_from_seeds
from napari_penumbra.imaging.edits.smart_fill import smart_fill
from napari_penumbra.imaging.edits.smoothing import smooth
from napari_penumbra.imaging.edits.walker import random_walk

STROKE, STROKE_SPACING = (21, 240, 240), (6.5, 0.96, 0.96)
LARGE, LARGE_SPACING = (120, 512, 512), (1.5, 0.5, 0.5)
TRIES = 3


def timed(call: Callable[[], Any]) -> dict[str, float]:
    """Least seconds of several calls, and the processor's seconds in that call."""
    best = (float("inf"), 0.0)
    for _ in range(TRIES):
        start, cpu = time.perf_counter(), time.process_time()
        call()
        best = min(best, (time.perf_counter() - start, time.process_time() - cpu))
    return {"seconds": round(best[0], 4), "cpu_s": round(best[1], 4)}


def ball(shape: tuple[int, ...], spacing: tuple[float, ...], center: tuple[float, ...], mm: float) -> np.ndarray:
    """Voxels within a distance of a place, both in mm."""
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij", sparse=True)
    return sum((a - c) ** 2 for a, c in zip(axes, center, strict=True)) < mm**2


def slices_of_512() -> dict[str, Any]:
    """Ten slices to fill: in one gap, and one in each of ten gaps, with two classes on them."""

    def painted(keys: range, depth: int) -> np.ndarray:
        labels = np.zeros((depth, 512, 512), np.uint8)
        for n, z in enumerate(keys):
            labels[z] = ball((1, 512, 512), (1, 1, 1), (0, 250 + 4 * n, 250 - 3 * n), 140 - 5 * n)[0]
            labels[z][ball((1, 512, 512), (1, 1, 1), (0, 260, 240), 50)[0]] = 2
        return labels

    one, ten = painted(range(0, 12, 11), 12), painted(range(0, 21, 2), 21)
    return {
        "target_s": 1.0,
        "one_gap": timed(lambda: interpolate(one, (3.0, 0.5, 0.5))),
        "ten_gaps": timed(lambda: interpolate(ten, (3.0, 0.5, 0.5))),
        "along_another_axis": timed(lambda: interpolate(np.moveaxis(one, 0, 1).copy(), (0.5, 3.0, 0.5), axis=1)),
    }


def stroke_case() -> dict[str, Any]:
    """All tools on a perfusion case of 240x240x21 with a lesion of 25 mm radius."""
    rng = np.random.default_rng(0)
    middle = tuple(n * s / 2 for n, s in zip(STROKE, STROKE_SPACING, strict=True))
    brain = ball(STROKE, STROKE_SPACING, middle, 68)
    center = (middle[0], middle[1], middle[2] + 30)
    late, core = ball(STROKE, STROKE_SPACING, center, 25), ball(STROKE, STROKE_SPACING, center, 12)
    tmax = ((np.where(late, 8, 2) + rng.normal(0, 0.5, STROKE)) * brain).astype(np.float32)
    adc = ((np.where(core, 400, 850) + rng.normal(0, 40, STROKE)) * brain).astype(np.float32)
    labels = np.where(core, 2, late).astype(np.uint8)
    empty = np.zeros(STROKE, np.uint8)
    seeds = ball(STROKE, STROKE_SPACING, center, 15) & (np.arange(STROKE[0]) % 2 == 0)[:, None, None]
    seeds = seeds.astype(np.uint8)
    seed = tuple(round(c / s) for c, s in zip(center, STROKE_SPACING, strict=True))

    def mismatch(last: LastMaps) -> Any:
        maps = last.prepare(tmax, adc, STROKE_SPACING, 2.0, "automatic", "automatic", lambda share: None)
        return mismatch_edit(empty, apply_limits(maps, STROKE_SPACING), core=2, penumbra=1)

    kept = LastMaps()
    mismatch(kept)
    return {
        "shape": list(STROKE),
        "mismatch_first": timed(lambda: mismatch(LastMaps())),
        "mismatch_while_a_slider_moves": {"target_s": 0.2, **timed(lambda: mismatch(kept))},
        "smart_fill": timed(lambda: smart_fill(empty, tmax, STROKE_SPACING, seed, 1, reach_mm=30.0)),
        "grow_from_seeds": timed(lambda: grow_from_seeds(seeds, tmax, STROKE_SPACING, values=(1,))),
        "random_walk": timed(lambda: random_walk(seeds, tmax, STROKE_SPACING, values=(1,))),
        "keep_pieces": timed(lambda: keep_pieces(labels, STROKE_SPACING, 1)),
        "fill_holes": timed(lambda: fill_holes(labels, STROKE_SPACING, 1, axis=0)),
        "smooth": timed(lambda: smooth(labels, STROKE_SPACING, (1, 2), 3.0)),
        "grow_3_mm": timed(lambda: move_margin(labels, STROKE_SPACING, 1, 3.0)),
        "mirror": timed(lambda: mirror(labels, adc, STROKE_SPACING, 1)),
        "copy_prediction": timed(lambda: copy_prediction(empty, labels, ((10, 0, 0), (11, 240, 240)), values=(1, 2))),
    }


def large_case() -> dict[str, Any]:
    """What is slow on a large scan: copying the labels for a tool, and tools on an organ of 40 mm radius."""
    middle = tuple(n * s / 2 for n, s in zip(LARGE, LARGE_SPACING, strict=True))
    organ = ball(LARGE, LARGE_SPACING, middle, 40).astype(np.uint8)
    image = np.random.default_rng(0).normal(100, 5, LARGE).astype(np.float32) + 60 * organ
    sparse = organ.copy()
    sparse[np.arange(LARGE[0]) % 5 != 0] = 0
    seed = tuple(n // 2 for n in LARGE)
    edit = interpolate(sparse, LARGE_SPACING)
    return {
        "shape": list(LARGE),
        "copy_of_labels": timed(organ.copy),
        "interpolate_every_fifth": timed(lambda: interpolate(sparse, LARGE_SPACING)),
        "smart_fill": timed(lambda: smart_fill(np.zeros_like(organ), image, LARGE_SPACING, seed, 1, reach_mm=20.0)),
        "keep_pieces": timed(lambda: keep_pieces(organ, LARGE_SPACING, 1)),
        "grow_3_mm": timed(lambda: move_margin(organ, LARGE_SPACING, 1, 3.0)),
        "filled_voxels": int(np.count_nonzero(edit.changed)),
        "slices_agree": bool((organ[slices_of(edit.box)] == edit.after).mean() > 0.99),
    }


def main() -> None:
    """Measure and write down."""
    machine.save("edits", {"ten_slices_of_512": slices_of_512(), "stroke": stroke_case(), "large": large_case()})


if __name__ == "__main__":
    main()
