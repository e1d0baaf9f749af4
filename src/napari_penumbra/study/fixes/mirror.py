"""Exchange left and right of one modality."""

from __future__ import annotations

import numpy as np

from napari_penumbra.domain.case import Volume
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.fixes._base import Change, Fix, Target


class Mirror(Fix):
    """Mirrors along the array's axis that runs from right to left; no voxel value changes."""

    kind = "mirror"
    tip = "Exchanges left and right of this image. Be sure which of the two is right; it can be undone."
    asks = True

    def button(self, offer: Offer) -> str:
        """Name the modality."""
        return f"Mirror {offer.modality}…"

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Mirror: arrays of a study grow towards the patient's left along their last axis."""
        volume = case.read_in_place(offer.modality)
        mirrored = np.ascontiguousarray(volume.data[:, :, ::-1])
        words = f"left and right of {offer.modality} were exchanged"
        return Change(words, volumes={offer.modality: Volume(mirrored, case.grid)})
