"""Whether label values are the study's, and labels lie where something is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN
from napari_penumbra.imaging.alignment import Coarse, coarse, foreground
from napari_penumbra.study.checks._base import Check, Figures, Finding, Picture, SeenCase, Severity

OUTSIDE = 0.5


class Labels(Check):
    """The newest annotation of each case. Empty labels and rare classes are told before a training."""

    code = "labels"
    title = "Labels"
    about = (
        "Values of the newest annotation that the study has no class for, and labels of which more than "
        f"{OUTSIDE:.0%} lie outside the foreground (brain or body) of the first modality."
    )

    def measure_labels(self, labels: npt.NDArray[Any], reference: Coarse | None) -> Figures:
        """List the values, and take the share of the painted voxels that lie on nothing."""
        values = np.unique(labels)
        figures: Figures = {"values": [int(v) for v in values]}
        painted = (labels != BACKGROUND) & (labels != UNKNOWN)
        if reference is not None and not reference.flat and painted.any():
            factor = [n // m for n, m in zip(labels.shape, reference.data.shape, strict=True)]
            edges = tuple(s / f for s, f in zip(reference.scale, factor, strict=True))
            small = coarse(painted.astype(np.float32), (edges[0], edges[1], edges[2]))
            if small.data.shape == reference.data.shape:
                inside = float(small.data[foreground(reference)].sum()) / max(float(small.data.sum()), 1e-9)
                figures["outside"] = 1.0 - min(inside, 1.0)
        return figures

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Say what is strange."""
        figures = case.of(self.code).get("label")
        if figures is None or case.scheme is None:
            return
        known = {BACKGROUND, UNKNOWN, *case.scheme.values}
        strange = [value for value in figures["values"] if value not in known]
        if strange:
            yield self.found(
                case,
                Severity.WRONG,
                f"Its labels have values that the study has no class for: {', '.join(map(str, strange[:8]))}.",
                "The file was changed by hand: restore a revision from the case's history.",
                picture=Picture.LABELS,
            )
        outside = float(figures.get("outside", 0.0))
        if outside > OUTSIDE:
            yield self.found(
                case,
                Severity.LOOK,
                f"{outside:.0%} of what is labelled lies outside the foreground of {case.first}.",
                "Look at it: labels of another scan, or mirrored ones, look like this.",
                picture=Picture.LABELS,
            )
