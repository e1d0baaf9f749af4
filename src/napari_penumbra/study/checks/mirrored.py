"""Whether a modality is mirrored left to right against the others."""

from __future__ import annotations

from collections.abc import Iterable

from napari_penumbra.study.checks._base import Check, Finding, Offer, Picture, SeenCase, Severity
from napari_penumbra.study.checks.alignment import CLEARLY, OnEachOther, is_mirrored, read_alignment


class Mirrored(Check):
    """A modality that fits the first one clearly better when left and right change places.

    Whether a *whole* case is mirrored cannot be told from its pictures, and nothing here pretends to.
    """

    code = "mirrored"
    title = "Left and right"
    about = (
        "A modality whose mirror image shares clearly more "
        f"({CLEARLY:.0%}) with the case's first than it does itself, wherever it is moved. A case all of whose scans "
        "are mirrored cannot be recognised from the pictures."
    )
    voxels = False

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Compare what the copies share, as measured by `OnEachOther`."""
        for modality, figures in case.of(OnEachOther.code).items():
            seen = read_alignment(figures)
            if not is_mirrored(seen):
                continue
            yield self.found(
                case,
                Severity.WRONG,
                f"{modality} seems to be mirrored against {case.first}: with left and right exchanged it fits better.",
                "Find out which of the two is right before anything is done; then mirror it here or add it anew.",
                modality=modality,
                other=case.first,
                picture=Picture.PAIR,
                offers=(Offer("mirror", modality), Offer("missing", modality), Offer("aside")),
            )
