"""Whether every image shows something."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_penumbra.domain.diagnosis import DIAGNOSES
from napari_penumbra.study.checks._base import Check, Figures, Finding, Offer, Picture, Scan, SeenCase, Severity

MOSTLY = 0.995


class Constant(Check):
    """Images with one value everywhere, or nearly so."""

    code = "constant"
    title = "Empty images"
    about = f"One value in every voxel, or in more than {MOSTLY:.1%} of them."

    def measure_scan(self, scan: Scan) -> Figures:
        """Take the ends, and the share of the commonest value of the sample."""
        _, counts = np.unique(scan.sample, return_counts=True)
        return {
            "low": float(scan.data.min()),
            "high": float(scan.data.max()),
            "commonest": float(counts.max()) / float(scan.sample.size),
        }

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Say which image is empty."""
        for modality, figures in case.of(self.code).items():
            offers = (Offer("missing", modality),) if len(case.images) > 1 else ()
            if figures["low"] == figures["high"]:
                said = DIAGNOSES["modality-constant"].found(case.name, modality=modality)
                yield self.found(
                    case,
                    Severity.WRONG,
                    said.message,
                    "Put the right file in its place, or mark it as missing.",
                    modality=modality,
                    picture=Picture.IMAGE,
                    offers=(*offers, Offer("aside")),
                )
            elif figures["commonest"] > MOSTLY:
                yield self.found(
                    case,
                    Severity.LOOK,
                    f"{modality} has one value in {figures['commonest']:.1%} of its voxels: it is nearly empty.",
                    "Look at it: perhaps a mask was taken for an image.",
                    modality=modality,
                    picture=Picture.IMAGE,
                    offers=(*offers, Offer("aside")),
                )
