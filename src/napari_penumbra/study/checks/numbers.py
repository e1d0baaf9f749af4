"""Whether every voxel is a number."""

from __future__ import annotations

from collections.abc import Iterable

from napari_penumbra.study.checks._base import Check, Figures, Finding, Offer, Picture, Scan, SeenCase, Severity

MANY = 0.2


class Numbers(Check):
    """NaN and infinity: they are shown and learnt as 0."""

    code = "numbers"
    title = "NaN and infinity"
    about = f"Voxels that are no number. Up to {MANY:.0%} of them is a note, more should be looked at."

    def measure_scan(self, scan: Scan) -> Figures:
        """Count them."""
        return {"count": scan.not_finite, "share": scan.not_finite / max(1, scan.data.size)}

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Say how many."""
        for modality, figures in case.of(self.code).items():
            if not figures["count"]:
                continue
            many = figures["share"] > MANY
            yield self.found(
                case,
                Severity.LOOK if many else Severity.NOTE,
                f"{modality} has {figures['count']:,} voxels ({figures['share']:.2%}) that are not a number.",
                "They count as 0.",
                modality=modality,
                picture=Picture.IMAGE,
                offers=(Offer("missing", modality), Offer("aside")) if many and len(case.images) > 1 else (),
            )
