"""Whether every modality of the study is there."""

from __future__ import annotations

from collections.abc import Iterable

from napari_penumbra.domain.diagnosis import find_missing
from napari_penumbra.study.checks._base import Check, Finding, Offer, SeenCase, Severity


class Modalities(Check):
    """Cases that lack a modality: the method sees 0 there, as if the image were empty."""

    code = "modalities"
    title = "All modalities present"
    about = "A modality of the study that the case has no image for. It counts as 0 after normalisation."
    voxels = False

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Say what is missing, in the words of the look ahead before a training."""
        for modality in case.missing:
            said = find_missing({modality: [case.name]})[0]
            yield self.found(
                case,
                Severity.NOTE,
                said.message,
                "Add the case again with it, or set the case aside.",
                modality=modality,
                offers=(Offer("aside"),),
            )
